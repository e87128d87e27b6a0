"""Defects of what a member believes, accepts and lets out: signatures, rules, canaries, exports, the guard."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

CHECKS, STANDING, OWNERS = (
    "unit/grants/test_checks.py",
    "unit/grants/policy_changes/test_policy_changes.py",
    "unit/grants/test_owners.py",
)
CHANGED = "unit/member/runs/test_rejudging.py"
TERRITORY, LOCK = (
    "unit/grants/territory/test_territory.py",
    "unit/member/cluster/test_second_lock.py",
)
OUTGOING, PERMITS = (
    "unit/reconcile/member/test_outgoing.py",
    "unit/grants/exports/test_permits.py",
)
HELD, GUARD = "unit/grants/exports/test_held_result.py", "unit/guard/test_guard.py"
TRUSTED, DELETIONS = "unit/grants/test_trust.py", "unit/guard/test_deletions.py"
RULES_OF_GUARD, TAMPERED = (
    "unit/reconcile/member/test_guard_verdicts.py",
    "random/test_tampered_grants.py",
)

TRUST: Mapping[str, Defect] = {
    "a grant to somebody else": product(
        "grants/checks.py",
        "if case.spec.audience != case.facts.key_id:",
        "if not case.spec.audience:",
        CHECKS,
    ),
    "one good signature makes the others good": product(
        "grants/trust.py",
        "if all(_holds(s, trusted, proposal.message) for s in signatures):",
        "if any(_holds(s, trusted, proposal.message) for s in signatures):",
        TRUSTED,
    ),
    "an issuer who did not sign": product(
        "grants/trust.py",
        "if proposal.spec.issuer not in {s.key_id for s in signatures}:",
        "if not signatures:",
        CHECKS,
    ),
    "a digest that nobody compares": product(
        "grants/trust.py", "if digest != spec.spec_digest:", "if not digest:", CHECKS, TAMPERED
    ),
    "what is signed leaves the epoch out": product(
        "grants/envelope.py",
        'UNSIGNED_FIELDS = frozenset({"signatures", "cancel"})',
        'UNSIGNED_FIELDS = frozenset({"signatures", "cancel", "epoch"})',
        TAMPERED,
        CHECKS,
    ),
    "an owner's signature that leaves the image out": product(
        "grants/authorization.py",
        '"suspend", "retry"),',
        '"suspend", "retry", "image"),',
        OWNERS,
    ),
    "an owner's signature for any institution": product(
        "grants/authorization.py",
        '{"work": work(spec), "institution": institution, **terms}',
        '{"work": work(spec), "institution": bool(institution), **terms}',
        OWNERS,
    ),
    "an owner's signature used again and again": product(
        "grants/owners.py",
        ">= said.max_runs:",
        ">= said.max_runs + 1:",
        OWNERS,
    ),
    "any owner for any data": product(
        "grants/owners.py",
        "and not signed & {*dataset.owners}:",
        "and not signed:",
        OWNERS,
    ),
}

ACCEPTED: Mapping[str, Defect] = {
    "a denied place is let in": product(
        "grants/territory.py",
        'if denied:\n            return f"{jurisdiction} is denied by',
        'if denied and not rule.allow:\n            return f"{jurisdiction} is denied by',
        TERRITORY,
    ),
    "an unknown place counts as nothing": product(
        "grants/territory.py",
        "unknown = self.unknown((*rule.allow, *rule.deny))",
        "unknown = self.unknown(rule.allow)",
        TERRITORY,
        CHECKS,
    ),
    "legal control not judged": product(
        "grants/checks.py",
        "for control in case.policy.legal_control:",
        "for control in case.policy.legal_control[:0]:",
        CHECKS,
    ),
    "overlays of the hub widen a holder's rule": product(
        "grants/territory.py",
        "ours, theirs = Territory(policy.overlays), Territory(grant.overlays)",
        "ours = theirs = Territory((*policy.overlays, *grant.overlays))",
        "unit/grants/territory/test_holders_overlays.py",
    ),
    "a registry's name as the beginning of another's": product(
        "grants/checks.py",
        'if prefix.endswith("/") or rest[:1] in {"/", "@"}:',
        'if rest[:1] not in {":"}:',
        "unit/grants/test_image_registries.py",
    ),
    "more accepted than fits": product(
        "grants/capacity.py",
        "if stock[name].free >= wanted), ",
        "if stock[name].lent >= wanted), ",
        CHECKS,
        seeds=40,
    ),
    "one job more than the law lets run": product(
        "grants/checks.py",
        "if case.facts.running_jobs >= case.policy.max_concurrent_jobs:",
        "if case.facts.running_jobs > case.policy.max_concurrent_jobs:",
        CHECKS,
    ),
    "another tenant's data": product(
        "grants/checks.py",
        "elif dataset.tenants and case.spec.institution not in dataset.tenants:",
        "elif dataset.tenants and not case.spec.institution:",
        CHECKS,
    ),
    "another tenant's secret": product(
        "grants/checks.py",
        "lent = {s.name for s in case.policy.secrets if case.spec.institution in s.tenants}",
        "lent = {s.name for s in case.policy.secrets}",
        CHECKS,
    ),
    "a grant that has expired": product(
        "grants/checks.py", "    if now > end:", "    if now > end + 1e6:", CHECKS
    ),
    "work taken while paused": product(
        "grants/checks.py",
        'if case.policy.switch == "Paused":',
        'if case.policy.switch == "Pause":',
        CHECKS,
    ),
    "work taken while the second lock is open": product(
        "grants/checks.py",
        "(MemberReason.CANARY_ADMITTED, readiness.canary_open),",
        '(MemberReason.CANARY_ADMITTED, ""),',
        CHECKS,
    ),
    "a removed hub key stops nothing": product(
        "grants/policy_changes.py",
        "MemberReason.UNKNOWN_HUB: Reach.RUNNING,",
        "MemberReason.UNKNOWN_HUB: Reach.NEW,",
        STANDING,
    ),
    "what was accepted once is never judged again": product(
        "member/runs/run_controller.py",
        "forbidden=self._rulings.forbidden(entry, made=workload is not None),",
        'forbidden="",',
        f"{CHANGED}::test_a_run_ends_by_the_clock_too_where_no_event_says_that_the_policy_has_changed",
    ),
    "what waited to be made is made whatever the law has become": product(
        "member/runs/run_controller.py",
        "            if self._rulings.forbidden(entry, made=False):\n"
        "                return True  # the policy has changed while it waited\n",
        "",
        f"{CHANGED}::test_a_policy_that_changes_while_work_waits_to_be_made_is_the_one_that_counts",
    ),
    "a run is judged as if it were still to be made": product(
        "member/runs/rejudging.py",
        "reach = Reach.RUNNING if made else Reach.ACCEPTED",
        "reach = Reach.ACCEPTED",
        CHANGED,
    ),
    "what a run holds itself is in its way": product(
        "member/facts.py",
        "running_jobs=max(0, facts.running_jobs - 1))",
        "running_jobs=facts.running_jobs)",
        CHANGED,
    ),
    "what cannot be remembered as ended runs on": product(
        "member/runs/run_controller.py",
        'if isinstance(action, End) and action.reason.verdict == "Interrupted":',
        "if action is None:",
        "unit/member/runs/endings/test_deadlines.py",
    ),
    "what is forbidden runs on": product(
        "reconcile/member/lifecycle.py",
        "(bool(run.forbidden), EndReason.POLICY_CHANGED),",
        "(False, EndReason.POLICY_CHANGED),",
        "unit/reconcile/member/test_lifecycle.py",
    ),
    "a data set withdrawn while it is read": product(
        "grants/policy_changes.py",
        "MemberReason.DATASET_NOT_LENT: Reach.RUNNING,",
        "MemberReason.DATASET_NOT_LENT: Reach.ACCEPTED,",
        STANDING,
    ),
}

LOCK_AND_GUARD: Mapping[str, Defect] = {
    "a canary refused by another rule counts": product(
        "member/cluster/second_lock.py",
        'return "" if is_denial and mark in str(error) else str(error)[:200]',
        'return "" if is_denial else mark',
        LOCK,
    ),
    "a lock that only audits holds": product(
        "member/cluster/second_lock.py",
        '"Deny" not in (binding.get("validationActions") or ())',
        'not binding.get("validationActions")',
        LOCK,
    ),
    "a lock that ignores failures holds": product(
        "member/cluster/second_lock.py",
        'policy.get("failurePolicy") != "Fail"',
        'not policy.get("failurePolicy")',
        LOCK,
    ),
    "a lock that was narrowed to its canaries holds": product(
        "member/cluster/second_lock.py",
        "return bool(said == hashlib.sha256(text).hexdigest())",
        "return said is not None",
        LOCK,
    ),
    "a rule without its canary": product(
        "reconcile/member/canaries.py",
        '    "container-network": (\n        ("spec", "containers", 0, "livenessProbe"),\n'
        '        {"tcpSocket": {"port": 1}},\n    ),\n',
        "",
        "programs/charts/test_rendered_lock.py",
    ),
    "a switch that is understood only when it says Stopped": product(
        "reconcile/member/guard_verdicts.py",
        'spec.get("switch", "Open") not in GOES_ON',
        'spec.get("switch", "Open") == "Stopped"',
        RULES_OF_GUARD,
    ),
    "two runs of one job live on": product(
        "reconcile/member/guard_verdicts.py",
        "yield from (run for run in same if run is not newest)",
        "yield from (run for run in same if run is newest and run.epoch < 0)",
        RULES_OF_GUARD,
    ),
    "a deleted policy lets work go on": product(
        "guard/guard.py",
        "return steady - self._no_policy_since >= self._settings.grace_seconds",
        "return self._no_policy_since > steady",
        GUARD,
    ),
    "what is deleted is whatever has the name": product(
        "guard/guard.py",
        'await self._cluster.delete(f"{NAMESPACES}/{run.name}", uid=run.uid)',
        'await self._cluster.delete(f"{NAMESPACES}/{run.name}")',
        DELETIONS,
    ),
    "pods left to the namespaces' controller where the agent was first": product(
        "guard/guard.py",
        "if run.name in ends or run.terminating]",
        "if run.name in ends]",
        DELETIONS,
    ),
    "pods told to live without a contact": product(
        "reconcile/member/guard_verdicts.py",
        "if sight.contact_s is None or sight.stopped:",
        "if sight.stopped:",
        RULES_OF_GUARD,
    ),
    "what ran out once lives again": product(
        "reconcile/member/guard_verdicts.py",
        "return until_s is not None and sight.now_of(run) >= until_s",
        "return until_s is not None and sight.now_of(run) < 0",
        RULES_OF_GUARD,
        GUARD,
    ),
    "one object that cannot be deleted keeps all others": product(
        "guard/guard.py",
        '            except HansaError as error:\n                log.warning("not done"',
        '            except NotImplementedError as error:\n                log.warning("not done"',
        GUARD,
    ),
}

EXPORTS: Mapping[str, Defect] = {
    "logs exported by default": product(
        "api/memberpolicy.py",
        'logs: Literal["Allow", "Tail", "Deny"] = Field(\n        default="Deny",',
        'logs: Literal["Allow", "Tail", "Deny"] = Field(\n        default="Allow",',
        PERMITS,
        "api/test_schema.py",
    ),
    "the mildest rule counts": product(
        "grants/exports/permits.py",
        "verdict, rule = max(said, key=lambda one: _STRICTNESS[one[0]])",
        "verdict, rule = min(said, key=lambda one: _STRICTNESS[one[0]])",
        PERMITS,
    ),
    "a log whose tail may leave is followed": product(
        "grants/exports/permits.py",
        'return self.logs.verdict == "Allow"',
        'return self.logs.verdict in {"Allow", "Tail"}',
        PERMITS,
    ),
    "a data set that is gone hides its rule": product(
        "grants/exports/permits.py",
        '            yield _Rule(f"spec.datasets has no {name}, so exports", _DENIED)',
        "            continue",
        PERMITS,
    ),
    "one owner releases what is two owners'": product(
        "grants/exports/held_result.py",
        "        if not missing:",
        "        if len(missing) < max(1, len(may.releasers)):",
        HELD,
    ),
    "characters counted for bytes": product(
        "reconcile/member/outgoing.py",
        "if len(result) > min(declared_bytes, RESULT_BYTES):",
        'if len(result.decode(errors="replace")) > min(declared_bytes, RESULT_BYTES):',
        OUTGOING,
    ),
    "a result that no job declares": product(
        "reconcile/member/outgoing.py",
        '        return None, UNDECLARED if output.result is not None and may.verdict != "Deny" else ""',
        '        return output.result and output.result.decode(), ""',
        OUTGOING,
    ),
    "the controller's words go out with the log denied": product(
        "reconcile/member/outgoing.py",
        'if logs and not found.words else ""',
        'if not found.words else ""',
        OUTGOING,
    ),
    "a result that waits travels": product(
        "reconcile/member/outgoing.py",
        'result=result if may.result.verdict == "Allow" else None,',
        "result=result,",
        OUTGOING,
    ),
}
