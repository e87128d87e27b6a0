"""What to do about one AIJob: its epochs, its status and the planner's word in, actions out.

Level-triggered: nothing is remembered between calls, so a hub that restarts goes on where it was.
At most one write to the job itself a call; the next follows once that one is seen.

Invariant: ``status.node`` is set exactly while the epoch in ``status.epoch`` may run there. It is
set before the grant is written and cleared only when the epoch is over (``fencing.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hansa.api.meta import Condition
from hansa.model.plan import Placement, Stop, Waiting
from hansa.model.reasons import Reason
from hansa.reconcile.conditions import MAX_MESSAGE
from hansa.reconcile.hub.actions import (
    Action,
    AskForLog,
    CancelGrant,
    CancelOrphan,
    DeleteGrant,
    DeleteJob,
    DeleteOrphan,
    EmitEvent,
    RequeueAfter,
    SetJobStatus,
    WriteGrant,
)
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_case import Epoch, JobCase
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status import job_status, outputs, pacing, retries, verdict_rows, writes
from hansa.reconcile.hub.status.billing import Bill
from hansa.reconcile.hub.status.job_status import Status

ACCEPTANCE_MAY_WAIT_S = 60.0
"""So old a grant is before the job says that its node accepted it: most runs begin sooner, which spares a write."""


def derive(case: JobCase) -> tuple[Action, ...]:
    """Return the actions due for one AIJob, in order."""
    current = case.current
    actions = [
        action
        for epoch in case.epochs
        if epoch is not current
        for action in _close(epoch, "the job has moved on")
    ]
    if case.job.ended:
        actions += [*_seen(case), *_finished(case, current)]
    elif current is not None:
        actions += _held(case, current)
    elif case.job.node:
        actions += _expose(case)
    else:
        actions += _free(case)
    return tuple(actions)


def derive_orphan(epoch: Epoch) -> tuple[Action, ...]:
    """Return what is due for a grant whose AIJob is gone."""
    grant = epoch.grant
    if grant.stopping and not epoch.settled:
        return ()
    due = DeleteOrphan if epoch.settled else CancelOrphan
    return (due(grant.namespace, grant.name, grant.uid, grant.job_path, grant.job_uid),)


def _close(epoch: Epoch, why: str) -> Iterator[Action]:
    grant = epoch.grant
    if epoch.settled:
        if not grant.deleting:
            yield DeleteGrant(grant.namespace, grant.name, grant.uid)
    elif not grant.stopping:
        is_given_up = epoch.fence.over
        yield CancelGrant(grant.namespace, grant.name, grant.uid, why, is_given_up=is_given_up)


def _seen(case: JobCase) -> Iterator[Action]:
    """Say that a spec changed after the end was seen too: who waits for that waits no longer."""
    job = case.job
    if not job.deleting and job.status.get("observedGeneration") != job.generation:
        yield writes.write(case.job, {**job.status, "observedGeneration": job.generation})


def _finished(case: JobCase, current: Epoch | None) -> Iterator[Action]:
    if current is not None and current.settled:
        grant, kept_s = current.grant, case.log_kept_s(current.grant)
        yield from writes.changed(case.job, outputs.late(case.job, grant))
        if kept_s > 0:
            yield from _ask(case, grant)
            yield RequeueAfter(kept_s)
        elif not grant.awaits_export:
            yield DeleteGrant(grant.namespace, grant.name, grant.uid)
    if case.all_over:
        yield from writes.unpin(case.job)
    if case.expires_s is not None:
        job, left_s = case.job, case.expires_s - case.now_s
        due = DeleteJob(job.namespace, job.name, job.uid)
        yield due if left_s <= 0 else RequeueAfter(left_s)


def _held(case: JobCase, epoch: Epoch) -> Iterator[Action]:
    job, grant = case.job, epoch.grant
    if grant.outdated:
        yield from _outdated(case, epoch)
        return
    if grant.refused is not None:
        yield from _again(case, grant.refused, grant)
        return
    ended = retries.end_of(job, grant)
    if ended is not None:
        yield from _report(case, epoch)
        kind = "succeeded" if ended.type == "Succeeded" else "failed"
        yield _tell(case, kind, reason=ended.reason, message=ended.message)
        return
    ended_by = grant.broken or grant.given_back
    if ended_by is not None and epoch.fence.over:
        yield from _again(case, ended_by, grant)
        return
    if epoch.fence.over:
        yield from writes.changed(case.job, _interrupted(case, epoch))
        return
    yield from _ask(case, grant)
    reported, stop = [*_report(case, epoch)], [*_stop(case, epoch)]
    if stop:
        # The record goes first: it must not be lost when the stop is done and the hub is gone.
        yield from (*reported, *stop) if _preempts(case, grant) else (*stop, *reported)
    elif reported:
        yield from _unless_early(case, grant, reported) if _waits(job, reported) else reported


def _ask(case: JobCase, grant: GrantView) -> Iterator[Action]:
    if (wish := case.log_wish(grant)) != grant.log_request:
        yield AskForLog(grant.namespace, grant.name, grant.uid, wish)


def _again(case: JobCase, said: Condition, grant: GrantView) -> Iterator[Action]:
    """Have a job wait for its next run: elsewhere, where the node said no or could not run it."""
    if grant.turned_down:
        kind, status = "refused", job_status.refused(case.job, grant, case.now_s, run=case.bill)
    else:
        text = f"Its run at node {grant.node} ended, and it is tried again: {said.message}"
        outcome = Waiting(case.job.uid, Reason.PENDING, text[:MAX_MESSAGE])
        status = job_status.waiting(case.job, outcome, (), case.now_s, run=case.bill)
        kind = "retried"
    status |= retries.counted(case.job, grant) | outputs.post_mortem(grant)
    yield from writes.changed(case.job, status)
    yield _tell(case, kind, reason=said.reason, message=said.message)


def _waits(job: JobView, actions: list[Action]) -> bool:
    """Tell whether the only news is that the node accepted what it was granted."""
    news = actions[0] if len(actions) == 1 else None
    return isinstance(news, SetJobStatus) and job_status.only_accepted(job, news.status)


def _unless_early(case: JobCase, grant: GrantView, actions: list[Action]) -> Iterator[Action]:
    """Yield ``actions`` at leisure, once a grant is old enough; one from the future was made by another clock."""
    age_s = case.now_s - grant.granted_s
    left_s = max(0.0, ACCEPTANCE_MAY_WAIT_S - age_s) if age_s >= 0 else 0.0
    early = left_s > 0 or not case.tidying
    yield from [RequeueAfter(left_s)] if early else actions


def _outdated(case: JobCase, epoch: Epoch) -> Iterator[Action]:
    """Hold the job while a run that this hub has forgotten may live; then go on beyond its epoch."""
    job, grant = case.job, epoch.grant
    if epoch.fence.over:
        yield from writes.changed(case.job, _interrupted(case, epoch) | {"epoch": case.highest})
    else:
        yield from writes.changed(case.job, job_status.outdated(job, grant, case.now_s))


def _interrupted(case: JobCase, epoch: Epoch) -> Status:
    return job_status.waiting(case.job, _requeued(case, epoch), (), case.now_s, run=case.bill)


def _report(case: JobCase, epoch: Epoch) -> Iterator[Action]:
    bill, job, grant = case.bill or Bill(0, 0, 0, "EUR"), case.job, epoch.grant
    if not grant.stopping:
        gainer, uid = ("", "")
        if _preempts(case, grant) and isinstance(case.decision, Stop):
            gainer, uid = case.gainer, case.decision.in_favour_of
        record = job_status.preemptions(job, grant, gainer, case.now_s, gaining_uid=uid)
        job = replace(job, status={**job.status, **record})
    status = job_status.reported(job, grant, bill, case.now_s)
    if case.removed and not grant.ended:
        status = job_status.removed(replace(job, status=status), epoch.fence.at_s, case.now_s)
    elif case.silent and not (grant.ended or grant.stopping):
        job = replace(job, status=status)
        status = job_status.silent(job, epoch.fence.at_s, case.heartbeat_s, case.now_s)
        if job_status.transition(case.job, status):
            yield _tell(case, "silent", message=job_status.words_of(status, "Running"))
    yield from writes.changed(case.job, status)


def _stop(case: JobCase, epoch: Epoch) -> Iterator[Action]:
    grant, why = epoch.grant, _stop_reason(case, epoch)
    if why and not grant.stopping:
        yield CancelGrant(grant.namespace, grant.name, grant.uid, why)
        reason = Reason.PREEMPTED.value if _preempts(case, grant) else "Stopping"
        yield _tell(case, "stopping", reason=reason, message=why)


def _preempts(case: JobCase, grant: GrantView) -> bool:
    job, decision = case.job, case.decision
    if job.deleting or job.suspended or not case.gainer or grant.ended:
        return False
    return isinstance(decision, Stop) and decision.site == grant.node


def _stop_reason(case: JobCase, epoch: Epoch) -> str:
    if case.job.deleting:
        return "the job was deleted"
    if case.job.suspended:
        return "its owner suspended it"
    grant = epoch.grant
    if _preempts(case, grant):
        # The planner's own words name the job that gains: no business of this job's owner.
        return f"stopped in favour of work of {case.gainer}"
    if isinstance(case.decision, Stop) and case.decision.site == grant.node:
        return case.decision.message or case.decision.reason.value
    if not grant.accepted and case.now_s > grant.not_after_s + case.skew_s:
        return f"node {grant.node} did not accept it in time"
    return ""


def _requeued(case: JobCase, epoch: Epoch) -> Waiting:
    if case.job.suspended:
        return Waiting(case.job.uid, Reason.SUSPENDED, "Suspended by its owner.")
    gainer = job_status.preempted_for(case.job.status, epoch.grant.epoch)
    if gainer:
        text = f"Stopped at node {epoch.grant.node} in favour of work of {gainer}."
        return Waiting(case.job.uid, Reason.PREEMPTED, text)
    text = f"Node {epoch.grant.node} holds it no longer: {epoch.fence.why}."
    return Waiting(case.job.uid, Reason.PENDING, text)


def _expose(case: JobCase) -> Iterator[Action]:
    job = case.job
    if not job.parsed.digest:
        return
    if case.removed:
        yield from _abandoned(case)
        return
    # A deposed leader's create may still be on its way, so an epoch once recorded always gets its
    # grant: to be ended, if it is not wanted any more, by the member's own word.
    unwanted = job.deleting or job.suspended
    yield _grant(case, job.node, job.epoch, job.workers, cancel=unwanted)


def _abandoned(case: JobCase) -> Iterator[Action]:
    """Wait for as long as a run may live whose grant is gone with its node."""
    job, spec = case.job, case.job.parsed.spec
    limit_s = spec.disconnection.max_unattended_seconds if spec else 0
    since_s = max(job_status.removed_since_s(job.status, case.now_s), case.heartbeat_s)
    opens_s = since_s + limit_s + case.skew_s
    if case.now_s > opens_s:
        text = f"Node {job.node} has left the league, and its unattended limit has run out."
        outcome = Waiting(job.uid, Reason.PENDING, text)
        yield from writes.changed(case.job, job_status.waiting(job, outcome, (), case.now_s))
    else:
        yield from writes.changed(case.job, job_status.removed(job, opens_s, case.now_s))
        yield RequeueAfter(opens_s - case.now_s)


def _free(case: JobCase) -> Iterator[Action]:
    job, decision = case.job, case.decision
    if job.deleting:
        if case.all_over:
            yield from writes.unpin(case.job)
    elif isinstance(decision, Placement) and case.all_over and job.parsed.digest:
        yield from _place(case, decision)
    elif isinstance(decision, Waiting):
        status = job_status.waiting(job, decision, case.verdicts, case.now_s)
        status |= pacing.of(decision)
        news = [*writes.changed(case.job, status)]
        yield from news
        if not news and _is_stale(case, decision):
            yield writes.write(case.job, status)
        if news:
            kind = "misconfigured" if decision.reason in job_status.FAULTS else "waiting"
            yield _tell(case, kind, reason=decision.reason, message=decision.message)


def _is_stale(case: JobCase, decision: Waiting) -> bool:
    """Tell whether a status without news is to be written anew: for its figures, or at leisure."""
    status, now_s, written_s = case.job.status, case.now_s, case.written_s
    if pacing.due(status, decision, now_s=now_s, written_s=written_s):
        return True
    return case.tidying and pacing.due_verdicts(
        status, lambda: verdict_rows.ranked(case.verdicts), now_s=now_s, written_s=written_s
    )


def _place(case: JobCase, placement: Placement) -> Iterator[Action]:
    epoch, node = case.highest + 1, placement.site
    status = job_status.placed(case.job, placement, epoch, case.verdicts, case.now_s)
    yield from writes.changed(case.job, status)
    yield _grant(case, node, epoch, placement.workers)
    yield _tell(case, "granted", node=node, epoch=epoch)


def _grant(
    case: JobCase, node: str, epoch: int, workers: int, *, cancel: bool = False
) -> WriteGrant:
    job = case.job
    return WriteGrant(
        job_uid=job.uid,
        job_namespace=job.namespace,
        job_name=job.name,
        node=node,
        audience=case.audience,
        epoch=epoch,
        institution=case.institution,
        project=case.project,
        spec_digest=job.parsed.digest,
        job_spec=job.parsed.wire,
        workers=workers,
        overlays=case.overlays,
        cancel="Stop" if cancel else "None",
    )


def _tell(case: JobCase, kind: Any, **said: Any) -> EmitEvent:
    job = case.job
    said.setdefault("node", job.node)
    said.setdefault("epoch", job.epoch)
    return EmitEvent(kind, job.namespace, job.name, job.uid, **said)
