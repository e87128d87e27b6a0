"""Defects of who may run what when: epochs, releases, fences, leases, clocks, and what is written in which order."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

ORDER = "unit/member/runs/test_order_of_writes.py"
FENCING, DERIVE = "unit/reconcile/test_fencing.py", "unit/reconcile/hub/derive/test_derive.py"
LIFECYCLE, FORGOTTEN = (
    "unit/reconcile/member/test_lifecycle.py",
    "unit/member/runs/test_forgotten.py",
)
LEASE, EPOCHS, CHECKS = (
    "unit/adapters/kube/test_lease.py",
    "unit/grants/test_epochs.py",
    "unit/grants/test_checks.py",
)
JUDGE = "unit/member/test_judge.py"
SEEDS = 40

MEMBER: Mapping[str, Defect] = {
    "told before it is durable": product(
        "member/judge.py",
        "            await context.epochs.put(records)",
        "            await asyncio.gather(*(self._tell(decision) for decision in decisions))\n"
        "            await context.epochs.put(records)",
        ORDER,
    ),
    "cleaned before it is marked as ended": product(
        "member/runs/run_controller.py",
        "        await context.epochs.put((record,))\n        context.run_index.let_go",
        "        await self._objects.clean_up(entry.name)\n"
        "        await context.epochs.put((record,))\n        context.run_index.let_go",
        ORDER,
    ),
    "cleaned up, and the end never remembered": product(
        "member/runs/run_controller.py",
        "        await context.epochs.put((record,))\n        context.run_index.let_go",
        "        await self._objects.clean_up(entry.name)\n        context.run_index.let_go",
        ORDER,
    ),
    "released unasked": product(
        "member/runs/run_controller.py",
        "case Release() | Outlive() if await lives(self._context, entry.name, run.namespace):",
        "case Release() | Outlive() if run.namespace != 'Absent':",
        FORGOTTEN,
    ),
    "released while its namespace still goes": product(
        "reconcile/member/lifecycle.py",
        'if run.namespace == "Absent":',
        "if True:",
        LIFECYCLE,
    ),
    "a stale release while a run is accepted": product(
        "member/runs/stale_grants.py",
        "if any(_may_go_on(context, record) for record in accepted):",
        "if not spec.epoch:",
        "unit/member/runs/test_stale_grants.py",
    ),
    "a stale release while a namespace is left": product(
        "member/runs/stale_grants.py",
        "    if page.items:\n        return None\n",
        "",
        "unit/member/runs/test_stale_grants.py",
    ),
    "a forgotten grant released on a stranger's word": product(
        "member/runs/forgotten.py",
        "if isinstance(proposal, Objection) or distrust(proposal, policy, facts_of(context, spec)):",
        "if isinstance(proposal, Objection):",
        FORGOTTEN,
    ),
    "a cut machine's end told as its job's": product(
        "member/runs/run_objects.py",
        "if view is None or not view.gave_up:",
        "if view is None or view.gave_up or not view.gave_up:",
        "unit/member/runs/endings/test_given_up.py",
        seeds=SEEDS,
    ),
    "a forgotten grant is never released": product(
        "member/runs/run_controller.py",
        "return await forgotten.end(self._context, name)",
        "return False",
        FORGOTTEN,
        seeds=SEEDS,
    ),
    "the memory of another replica passed over": product(
        "member/runs/forgotten.py",
        "        await context.epochs.reload()\n",
        "        pass\n",
        FORGOTTEN,
    ),
    "an older epoch is new again": product(
        "grants/epochs.py", "if epoch < seen.highest:", "if epoch < 0:", EPOCHS, CHECKS
    ),
    "memory that turns back": product(
        "grants/epochs.py",
        "return other if _finality(other) > _finality(one) else one",
        "return other",
        EPOCHS,
        "unit/member/state/test_epoch_store.py",
    ),
    "memory written over what another agent wrote": product(
        "member/state/epoch_store.py",
        '{"resourceVersion": self._versions.get(page, "")}',
        "{}",
        "unit/member/state/test_epoch_store.py",
    ),
    "a second run beside the first": product(
        "grants/checks.py",
        "others = [live for live in facts.live_epochs if live != epoch]",
        "others: list[int] = []",
        CHECKS,
    ),
    "deadlines not watched": product(
        "member/runs/run_controller.py",
        "await asyncio.gather(*(self._look_at(name) for name in names))",
        "del names",
        "unit/member/runs/endings/test_deadlines.py",
    ),
    "a run that is never cleaned up": product(
        "member/runs/run_objects.py",
        '        await self._context.own.delete(f"/api/v1/namespaces/{name}")\n',
        "",
        "unit/member/runs/test_another_workload.py",
        seeds=SEEDS,
    ),
    "volumes left when somebody else deleted the run": product(
        "member/runs/run_controller.py",
        "                await self._objects.remove_volumes(entry.name)\n",
        "",
        ORDER,
    ),
    "undecided grants never judged again": product(
        "member/judge.py",
        "        self._inbox.update(dict.fromkeys(names))\n        self._wake.set()",
        "        del names",
        JUDGE,
        seeds=SEEDS,
    ),
    "a refusal that the hub did not take is lost": product(
        "member/judge.py",
        '            self._untold[name] = grant.get("spec") or {}, judgement\n            self',
        "            return\n            self",
        JUDGE,
        seeds=SEEDS,
    ),
    "a grant that met a fault is passed over for good": product(
        "member/judge.py",
        "                self._later(names, pauses=UNFORESEEN_PAUSES)\n                return",
        "                return",
        JUDGE,
    ),
    "an end that is never told": product(
        "member/runs/run_controller.py",
        "            await self._send(entry, told)\n",
        "            pass\n",
        "unit/member/runs/test_another_workload.py",
        seeds=SEEDS,
    ),
    "a hub's store that goes back is not noticed": product(
        "member/duties.py",
        "        if number < self._hub_version:",
        "        if number < 0:",
        "unit/member/test_duties.py",
    ),
    "made before its row is durable": product(
        "member/runs/run_controller.py",
        "            await self._metering.begin(entry)\n",
        "",
        "unit/member/runs/test_order_of_writes.py",
    ),
    "a stop that waits for receipts": product(
        "member/runs/run_controller.py",
        "        await context.epochs.put((record,))\n        context.run_index.let_go",
        "        await context.receipts.outbox()\n"
        "        await context.epochs.put((record,))\n        context.run_index.let_go",
        "unit/member/runs/endings/test_deadlines.py",
    ),
    "a signature that covers no epoch": product(
        "grants/envelope.py",
        'body = {"node": node, "jobUid": job_uid, "epoch": epoch, "releasedAt": released_at}',
        'body = {"node": node, "jobUid": job_uid, "epoch": 0, "releasedAt": released_at}',
        "unit/reconcile/test_fencing.py",
        "unit/reconcile/hub/snapshot/test_releases.py",
    ),
}

HUB: Mapping[str, Defect] = {
    "granted elsewhere before the fence": product(
        "reconcile/hub/job_case.py",
        "return all(epoch.fence.over for epoch in self.epochs)",
        "return True",
        DERIVE,
        seeds=SEEDS,
    ),
    "a fence of mere silence": product(
        "reconcile/fencing.py",
        "at_s = max(contact + unattended_s, epoch.not_after_s) + skew_s",
        "at_s = contact + 30 + 0 * unattended_s * skew_s",
        FENCING,
    ),
    "a fence that forgets the contract": product(
        "reconcile/fencing.py",
        "at_s = max(contact + unattended_s, epoch.not_after_s) + skew_s",
        "at_s = max(contact, epoch.not_after_s) + skew_s + 0 * unattended_s",
        FENCING,
    ),
    "a fence without the skew of clocks": product(
        "reconcile/fencing.py",
        "at_s = max(contact + unattended_s, epoch.not_after_s) + skew_s",
        "at_s = max(contact + unattended_s, epoch.not_after_s) + 0 * skew_s",
        FENCING,
    ),
    "a fence before a run can end by itself": product(
        "reconcile/fencing.py",
        "max(epoch.max_unattended_s, LEAST_UNATTENDED_S)",
        "epoch.max_unattended_s",
        FENCING,
    ),
    "a release that anybody signs": product(
        "reconcile/fencing.py",
        'return signature_holds(public_key, message, str(release.get("signature", "")))',
        "return bool(message)",
        FENCING,
        "unit/reconcile/hub/snapshot/test_releases.py",
    ),
    "the grant before the epoch's record": product(
        "reconcile/hub/derive.py",
        "    yield from writes.changed(case.job, status)\n    yield _grant(case, node, epoch, placement.workers)",
        "    yield _grant(case, node, epoch, placement.workers)\n    yield from writes.changed(case.job, status)",
        DERIVE,
        "simulation/test_stalls.py",
    ),
    "a status written over what is newer": product(
        "hub/executor.py",
        'if read is None or read["metadata"]["resourceVersion"] != action.resource_version:',
        "if read is None:",
        "unit/hub/test_executor.py",
    ),
    "a grant deleted whoever has its name by now": product(
        "hub/executor.py",
        "await self._cluster.delete(WORKGRANT.path(action.namespace, action.name), uid=action.uid)",
        "await self._cluster.delete(WORKGRANT.path(action.namespace, action.name))",
        "unit/hub/test_executor.py",
    ),
    "writes of a leader that is none any more": product(
        "hub/executor.py",
        "            if not self._still_leader():",
        "            if self._still_leader() is None:",
        "unit/hub/test_executor.py",
        "unit/hub/leadership/test_lapsed_lease.py",
    ),
    "a stop that never reaches the member": product(
        "hub/executor.py",
        '"spec": {"cancel": "Stop"}}',
        '"spec": {"cancel": "None"}}',
        "unit/hub/test_executor.py",
        seeds=SEEDS,
    ),
    "the finalizer of an earlier hub never taken off": product(
        "reconcile/hub/status/writes.py",
        "    if job.finalized:\n        names",
        "    if job.finalized and job.suspended:\n        names",
        DERIVE,
    ),
    "grants of finished jobs left": product(
        "reconcile/hub/derive.py",
        "        elif not grant.awaits_export:\n            yield DeleteGrant",
        "        elif grant.awaits_export:\n            yield DeleteGrant",
        DERIVE,
        seeds=SEEDS,
    ),
    "grants whose jobs are gone never ended": product(
        "hub/executor.py",
        "        await self._cancel_grant(grant)\n",
        "        del grant\n",
        "unit/hub/test_executor.py",
        seeds=SEEDS,
    ),
    "a node's word believed for any epoch number": product(
        "reconcile/hub/job_case.py",
        "number for number in told if number <= known + MOST_FORGOTTEN",
        "number for number in told",
        DERIVE,
        "unit/reconcile/hub/derive/test_outdated.py",
    ),
}

BOTH: Mapping[str, Defect] = {
    "a lease stolen at half time": product(
        "adapters/kube/lease.py",
        "return now - self._seen_at > wait_s",
        "return now - self._seen_at > wait_s / 2",
        LEASE,
    ),
    "a lease held beyond its time": product(
        "adapters/kube/lease.py",
        "asked_at + self._times.duration_s * 0.8",
        "asked_at + self._times.duration_s * 1.2",
        LEASE,
    ),
    "a lease written over another's": product(
        "adapters/kube/lease.py",
        'body = {"metadata": {"resourceVersion": version}, "spec": spec}',
        'body = {"metadata": {"labels": {"was": version}}, "spec": spec}',
        LEASE,
    ),
    "failed keys never come back": product(
        "process/workqueue.py",
        "        self._give_back(key)\n        self.add_later(key, max(pause_s, after_s))",
        "        self._give_back(key)\n        del pause_s",
        "unit/process/test_workqueue.py",
        seeds=SEEDS,
    ),
    "a list that repairs nothing": product(
        "adapters/kube/mirror.py",
        "if old is None or _identity(old) != _identity(thing):",
        "if old is None:",
        "unit/adapters/kube/test_mirror.py",
        seeds=SEEDS,
    ),
    "a list with lower versions is not believed": product(
        "adapters/kube/mirror.py",
        "if old is None or _identity(old) != _identity(thing):",
        "if old is None or is_newer(thing, old):",
        "unit/adapters/kube/test_mirror.py",
        seeds=SEEDS,
    ),
    "watches that are cut short put every list off": product(
        "adapters/kube/reflector.py",
        "        stream = self._cluster.watch(",
        "        self._list_at = self._clock.monotonic() + self._pace.relist_s\n"
        "        stream = self._cluster.watch(",
        "unit/adapters/kube/test_mirror.py",
        seeds=SEEDS,
    ),
    "an older event undoes a newer one": product(
        "adapters/kube/mirror.py",
        "        if old is None or is_newer(thing, old):",
        "        if True:",
        "unit/adapters/kube/test_mirror.py",
    ),
}
