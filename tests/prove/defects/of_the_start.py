"""Defects in what is known of a run's beginning, and in what holds up its end."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

GUARD, WORKS, BEGUN, BEGUN_ONCE = (
    "unit/reconcile/member/test_guard_verdicts.py",
    "unit/guard/test_works.py",
    "unit/member/runs/endings/test_begun.py",
    "unit/member/runs/endings/test_begun_once.py",
)
LIFECYCLE, TERMS = (
    "unit/reconcile/member/test_lifecycle.py",
    "unit/reconcile/member/contracts/test_time_limits.py",
)

START: Mapping[str, Defect] = {
    "an epoch that begins once more": product(
        "reconcile/member/lifecycle.py",
        'or run.made or (run.record.begun and run.namespace == "Absent")',
        "or run.made",
        BEGUN_ONCE,
        LIFECYCLE,
    ),
    "begun before anybody remembers it": product(
        "member/runs/run_objects.py",
        "await asyncio.gather(self._begin(entry), *(self._create(one) for one in fences))",
        "await asyncio.gather(*(self._create(one) for one in fences))",
        BEGUN_ONCE,
    ),
    "an owed release is looked after by nobody": product(
        "member/judge.py",
        "elif told is not None and grant_status.is_outdated(told):",
        "elif told is None and grant_status.is_outdated(grant):",
        "unit/member/runs/test_stale_grants.py",
    ),
    "pods that are up count as a command that has begun": product(
        "reconcile/member/guard_verdicts.py",
        "return run.name in sight.begun if is_known else work.running_s is not None",
        "return work.running_s is not None",
        GUARD,
        WORKS,
    ),
    "a beginning that nobody notes": product(
        "guard/guard.py",
        "        await self._note_starts(left, sight)\n",
        "",
        WORKS,
    ),
    "a beginning that the agent forgets where the hub is away": product(
        "reconcile/member/lifecycle.py",
        "return view.started or was_up or run.begun_s is not None",
        "return view.started or was_up",
        LIFECYCLE,
    ),
    "a beginning that a new agent does not look for": product(
        "member/runs/endings.py",
        "since_s = await self._objects.begun(name)",
        "since_s: float | None = None",
        BEGUN,
    ),
    "told as running before its command": product(
        "reconcile/member/lifecycle.py",
        "if run.workload.running and run.workload.started and not run.reported.running:",
        "if run.workload.running and not run.reported.running:",
        LIFECYCLE,
    ),
    "machines that a run died on, forgotten": product(
        "member/runs/endings.py",
        "        context.left_machines.note(entry.uid, found.machines)\n",
        "",
        "unit/member/runs/endings/test_endings.py",
    ),
    "ends that wait for what hangs": product(
        "guard/guard.py",
        "        ends = pressing_verdicts(reading.runs, sight)\n",
        "        ends: dict[str, EndReason] = {}\n",
        WORKS,
    ),
    "looks that last as long as what hangs": product(
        "guard/reading.py",
        "timeout=LONGEST_LOOKS * self._limit_s",
        "timeout=None",
        WORKS,
    ),
    "looks that always begin with the same runs": product(
        "guard/reading.py",
        "key=lambda name: (name <= self._last, name)",
        "key=None",
        "unit/guard/test_files.py",
    ),
    "what nobody could read of a run has not begun": product(
        "reconcile/member/guard_verdicts.py",
        "return run.name in sight.begun if is_known else work.running_s is not None",
        "return run.name in sight.begun",
        "unit/guard/test_files.py",
    ),
    "a grant later than its run": product(
        "reconcile/member/contracts/time_limits.py",
        "if granted_s is None or granted_s > made_s + GRANTED_AHEAD_S:",
        "if granted_s is None:",
        TERMS,
        GUARD,
    ),
    "a term that no job can have": product(
        "reconcile/member/contracts/time_limits.py",
        "return float(text) if len(text) <= MOST_DIGITS and float(text) <= longest else strictest",
        "return float(text) if len(text) <= MOST_DIGITS else strictest",
        TERMS,
    ),
    "a watch without an end": product(
        "adapters/kube/client.py",
        "total=WATCH_TIMEOUT_S + watch_inactivity_s,",
        "total=None,",
        "unit/adapters/kube/test_reflector.py",
    ),
    "cards by another maker's variable": product(
        "api/aijob.py",
        "if name in RESERVED_ENV or name.endswith(RESERVED_ENV_SUFFIX):",
        "if name in RESERVED_ENV:",
        "unit/grants/test_escapes.py",
    ),
}
