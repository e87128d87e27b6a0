"""What the guard decides: which marked namespaces must go, and which runs may live on, for how long.

Total over whatever stands in an object: a namespace that says nonsense is judged by the strictest
terms and keeps nobody from judging the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL, NODE_LABEL
from hansa.model.times import from_rfc3339
from hansa.reconcile.member import canaries
from hansa.reconcile.member.contracts.time_limits import (
    Contract,
    alive_until_s,
    is_given_up,
    is_overdue,
    is_unattended,
    may_be_late,
    outlived,
    read_contract,
    unattended_s,
)
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.workload import WorkloadView

GOES_ON = ("Open", "Paused")


@dataclass(frozen=True, slots=True)
class MarkedRun:
    """A marked namespace, as far as it can be read."""

    name: str
    uid: str
    """Of the namespace: what is deleted is what was judged."""
    node: str
    job_uid: str
    epoch: int
    """-1 where it cannot be read: older than any."""
    made_s: float
    terminating: bool
    contract: Contract

    def is_of(self, node: str) -> bool:
        """Tell whether the agent of ``node`` made it; one that names nobody is everybody's."""
        return self.node in ("", node)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the guard knows in one pass."""

    node: str
    now_s: float
    run_now_s: Mapping[str, float] = field(default_factory=dict)
    """Namespace's uid → the time for that run, where it is later: a run's time never goes back."""
    stopped: bool = False
    contact_s: float | None = None
    """The last contact with the hub; None: not known."""
    contact_age_s: float = 0.0
    """By the clock that says more; infinite: none that counts."""
    alive_until_s: Mapping[str, float] = field(default_factory=dict)
    """Namespace → until when its pods may live, as they have it; what could not be read is left out."""
    begun: frozenset[str] = frozenset()
    """Namespaces among these whose run's command was seen to have begun."""
    works: Mapping[str, WorkloadView | None] = field(default_factory=dict)
    """Namespace → what does its work, or None where nothing does; only of runs looked at."""

    def now_of(self, run: MarkedRun) -> float:
        """Return the time by which a run is judged."""
        return max(self.now_s, self.run_now_s.get(run.uid, self.now_s))


def says_stopped(policy: Any) -> bool:
    """Tell whether a raw MemberPolicy stops all work, whatever else stands in it.

    What the guard does not understand stops: no word but the two that let work go on does.
    """
    spec = policy.get("spec") if isinstance(policy, dict) else None
    return not isinstance(spec, dict) or spec.get("switch", "Open") not in GOES_ON


def read_runs(namespaces: Iterable[Mapping[str, Any]]) -> list[MarkedRun]:
    """Return the runs among marked namespaces."""
    return [run for run in map(read_run, namespaces) if run.name != canaries.NAMESPACE]


def read_run(namespace: Mapping[str, Any]) -> MarkedRun:
    """Return one run."""
    metadata = namespace["metadata"]
    found = metadata.get("labels")
    labels: Mapping[str, Any] = found if isinstance(found, dict) else {}
    epoch = str(labels.get(EPOCH_LABEL, ""))
    made_s = from_rfc3339(metadata.get("creationTimestamp")) or 0.0
    return MarkedRun(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        node=str(labels.get(NODE_LABEL, "")),
        job_uid=str(labels.get(JOB_UID_LABEL, "")),
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else -1,
        made_s=made_s,
        terminating="deletionTimestamp" in metadata,
        contract=read_contract(metadata.get("annotations"), made_s),
    )


def late_runs(runs: Iterable[MarkedRun], sight: Sight) -> list[MarkedRun]:
    """Return the runs so old that what does their work has to be looked at."""
    return [
        run
        for run in runs
        if not run.terminating and may_be_late(run.contract, run.made_s, sight.now_of(run))
    ]


def verdicts(runs: Iterable[MarkedRun], sight: Sight) -> dict[str, EndReason]:
    """Return the namespaces that must go, and why; those that go already are left out."""
    living = [run for run in runs if not run.terminating]
    pressing = pressing_verdicts(living, sight)
    late = {run.name: _late(run, sight) for run in living if run.name not in pressing}
    return pressing | {name: reason for name, reason in late.items() if reason is not None}


def pressing_verdicts(runs: Iterable[MarkedRun], sight: Sight) -> dict[str, EndReason]:
    """Return those that must go whatever their work is: nothing has to be looked at for them."""
    living = [run for run in runs if not run.terminating]
    older = {run.name for run in _superseded(living)}
    found = {}
    for run in living:
        superseded = EndReason.SUPERSEDED if run.name in older else None
        reason = _end(run, sight) or superseded
        if reason is not None:
            found[run.name] = reason
    return found


def _end(run: MarkedRun, sight: Sight) -> EndReason | None:
    if sight.stopped:
        return EndReason.STOPPED
    if run.is_of(sight.node) and (_alone(run, sight) or _stale(run, sight)):
        return EndReason.UNATTENDED
    return None


def _alone(run: MarkedRun, sight: Sight) -> bool:
    alone_s = unattended_s(run.contract, sight.contact_age_s, sight.now_of(run))
    return is_unattended(run.contract, alone_s)


def _stale(run: MarkedRun, sight: Sight) -> bool:
    """Tell whether the pods were told to end: what has run out once does not live again."""
    until_s = sight.alive_until_s.get(run.name)
    return until_s is not None and sight.now_of(run) >= until_s


def _late(run: MarkedRun, sight: Sight) -> EndReason | None:
    """Return why a run that had its time has to end: by what does its work, or by its age alone."""
    if run.name not in sight.works:
        over = outlived(run.contract, run.made_s, sight.now_of(run))
        return EndReason.DEADLINE_EXCEEDED if over else None
    work = sight.works[run.name]
    running_s = work.running_s if work is not None else None
    if is_overdue(run.contract, running_s, sight.now_of(run)):
        return EndReason.DEADLINE_EXCEEDED
    begun = work is not None and (work.started or _began_once(run, work, sight))
    given_up = not begun and is_given_up(run.contract, run.made_s, sight.now_of(run))
    return EndReason.NEVER_STARTED if given_up else None


def _began_once(run: MarkedRun, work: WorkloadView, sight: Sight) -> bool:
    """Tell whether the command has begun before: a head that was killed begins anew.

    Where that cannot be read, one whose pods were up once may have.
    """
    is_known = run.name in sight.alive_until_s
    return run.name in sight.begun if is_known else work.running_s is not None


def unseen_starts(runs: Iterable[MarkedRun], sight: Sight) -> list[MarkedRun]:
    """Return the runs of which nobody has seen yet that their command has begun."""
    seen, files = sight.begun, sight.alive_until_s
    return [run for run in runs if run.name in files and run.name not in seen]


def _superseded(living: list[MarkedRun]) -> Iterator[MarkedRun]:
    """Yield all but the newest run of each job, by its whole uid and of one league's node."""
    of_job: defaultdict[tuple[str, str], list[MarkedRun]] = defaultdict(list)
    for run in living:
        of_job[run.node, run.job_uid].append(run)
    for same in of_job.values():
        # Two that claim one epoch: the one that was there first.
        newest = max(same, key=lambda run: (run.epoch, -run.made_s, run.name))
        yield from (run for run in same if run is not newest)


def renewals(runs: Iterable[MarkedRun], sight: Sight) -> dict[str, float]:
    """Return the runs whose pods should be told now that they may live longer, and until when.

    ``runs``: those that may go on. Nothing is renewed by a guess: not without the contact, not
    without having read what the pods have.
    """
    if sight.contact_s is None or sight.stopped:
        return {}
    due = {}
    for run in runs:
        has_s, until_s = (
            sight.alive_until_s.get(run.name),
            alive_until_s(run.contract, sight.contact_s),
        )
        goes_on = run.is_of(sight.node) and not run.terminating
        if goes_on and has_s is not None and until_s - has_s >= run.contract.step_s:
            due[run.name] = until_s
    return due
