"""The life of one accepted grant at the member: observed in, actions out.

Nothing is remembered between calls: the hub's grant, the epoch record, the namespace and the object in
it that does the work say everything, so an agent that restarts goes on where it was. An epoch is marked as ended *before*
its namespace is deleted and released *after* that is gone; in between nothing can start it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hansa.grants.epochs import EpochRecord, Outcome
from hansa.ports import Manifest
from hansa.reconcile.member.contracts.time_limits import (
    STRICTEST,
    Contract,
    had_its_time,
    is_given_up,
    is_overdue,
    is_unattended,
    lives_no_more,
    never_came_back,
    never_started,
)
from hansa.reconcile.member.end_reasons import EndReason, explain, named
from hansa.reconcile.member.workload import WorkloadView

Phase: TypeAlias = Literal["Absent", "Active", "Terminating"]
"""Of a run's namespace."""


def phase_of(namespace: Manifest | None) -> Phase:
    """Return the phase of a namespace; None: there is none."""
    if namespace is None:
        return "Absent"
    return "Terminating" if "deletionTimestamp" in namespace["metadata"] else "Active"


@dataclass(frozen=True, slots=True)
class Reported:
    """What the hub has been told, read from the grant's status."""

    accepted: bool | None = None
    rendered: bool = False
    running: bool = False
    finished: bool = False
    released: bool = False
    reason: str = ""
    """Why it finished, as the hub was told."""


@dataclass(frozen=True, slots=True)
class Run:
    """One epoch of one job, as the member sees it now."""

    contract: Contract
    record: EpochRecord
    reported: Reported = Reported()
    cancelled: bool = False
    forbidden: str = ""
    """What the law, as it is now, has against it; empty: nothing."""
    namespace: Phase = "Absent"
    served: bool = True
    """Whether the agent knows how to run this kind of work."""
    workload: WorkloadView | None = None
    """The object that does the work, as last seen; None: there is none."""
    begun_s: float | None = None
    """Since when it runs or ran, where somebody here has seen its command begin."""
    made: bool = False
    """Whether this process has seen the object that does the work, or made it."""
    machine_lost: bool = False
    """Whether a pod of it stands on a machine that is lost."""
    head_anew: bool = False
    """Whether the pod that its command was in is another one now."""
    short_s: float = 0.0
    """For how long pods of it have been missing since all were up."""
    noted: Contract = STRICTEST
    """The terms on its namespace, by which the guard tells its pods that they may live."""
    outlived: bool = False
    """Whether it is known here that nothing of it runs, though not all is gone."""

    @property
    def untold_running_s(self) -> float | None:
        """Since when it runs or ran, where the hub has not heard that; None: it has, or it never began."""
        if self.reported.running:
            return None
        view = self.workload
        return view.running_s if view and view.started else self.begun_s


@dataclass(frozen=True, slots=True)
class Situation:
    """What the run is in."""

    now_s: float
    unattended_s: float = 0.0
    """The longest time without the hub since the run was granted, by the clock that says more."""
    stopped: bool = False
    """The policy's switch is Stopped."""
    held_up_s: float = 0.0
    """For how long its namespace has been going."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the hub (again) that the epoch was refused."""

    reason: str


@dataclass(frozen=True, slots=True)
class Render:
    """Make the run's objects, or what is missing of them."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """Tell the hub (again) that the epoch was accepted."""


@dataclass(frozen=True, slots=True)
class ReportRunning:
    """Tell the hub that all workers run, and the command: what was told so has begun for good."""

    at_s: float


@dataclass(frozen=True, slots=True)
class ReportFinished:
    """Tell the hub how the run ended; the driver's output is still there to be read."""

    reason: EndReason
    at_s: float
    message: str


@dataclass(frozen=True, slots=True)
class End:
    """Mark the epoch as ended, for good."""

    reason: EndReason
    message: str = ""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Delete the run's namespace and volumes."""


@dataclass(frozen=True, slots=True)
class Release:
    """Sign that nothing of the epoch runs any more, and tell the hub."""

    reason: EndReason
    why: str = ""
    """How that is known, where not everything of it is gone."""


@dataclass(frozen=True, slots=True)
class Outlive:
    """Let the job's next run in: nothing of this one runs any more, as the hub was told, and it is not gone."""


OUTLIVED = "What is left of it stands on a machine that does not answer, and no pod of it can live there any more."


Action: TypeAlias = (
    Refuse
    | Render
    | ReportAccepted
    | ReportRunning
    | ReportFinished
    | End
    | CleanUp
    | Release
    | Outlive
)


def next_action(run: Run, situation: Situation) -> Action | None:
    """Return the one thing to do now, or None when there is nothing to do."""
    if run.record.outcome is Outcome.REFUSED:
        return Refuse(run.record.reason) if run.reported.accepted is not False else None
    if run.record.outcome is Outcome.ENDED:
        return _after_end(run, situation)
    return (
        _ended(run, situation)
        or _stopped(run, situation)
        or _out_of_time(run, situation)
        or _struck(run, situation)
        or _forward(run, situation)
    )


def _after_end(run: Run, situation: Situation) -> Action | None:
    """Clean up, then release: once all is gone, or what a lost machine holds is past its time to live.

    An agent that began anew after such a release does not know that, and finds it out once more.
    """
    if run.namespace == "Active":
        return CleanUp()
    if run.namespace == "Absent":
        return None if run.reported.released else Release(end_reason(run.record))
    if not (run.machine_lost and lives_no_more(situation.held_up_s, run.contract, run.noted)):
        return None
    if run.reported.released:
        return None if run.outlived else Outlive()
    return Release(end_reason(run.record), OUTLIVED)


def end_reason(record: EpochRecord) -> EndReason:
    """Return why an epoch ended; a word nobody knows counts as deleted by hand."""
    return named(record.reason) or EndReason.DELETED


def _ended(run: Run, situation: Situation) -> Action | None:
    """Take a run that ended by itself: its result first, then its end."""
    if run.workload is None or run.workload.end is None:
        return None
    return _told(run, run.workload, run.workload.end, situation)


def _out_of_time(run: Run, situation: Situation) -> Action | None:
    """Take a run that had its time, or never came up (again), while there is time to tell why."""
    view, now_s = run.workload, situation.now_s
    if view is None:
        return None
    if had_its_time(run.contract, view.running_s, now_s):
        return _told(run, view, EndReason.DEADLINE_EXCEEDED, situation)
    if not _has_begun(run, view) and never_started(run.contract, view.created_s, now_s):
        return _told(run, view, EndReason.NEVER_STARTED, situation)
    if never_came_back(run.contract, run.short_s):
        return _told(run, view, EndReason.NEVER_STARTED, situation)
    return None


def _struck(run: Run, situation: Situation) -> Action | None:
    """Take a run that has lost a machine, or its head: nobody else ends it, or what it does is begun once more.

    What was told to have ended ends, for whatever reason, also where the machine is back meanwhile. Where nobody is
    left to tell, no reason was told.
    """
    was_told = run.reported.finished and bool(run.reported.reason)
    if run.workload is None or not (run.machine_lost or run.head_anew or was_told):
        return None
    reason = EndReason.HEAD_LOST if run.head_anew else EndReason.MACHINE_LOST
    return _told(run, run.workload, reason, situation)


def _told(run: Run, view: WorkloadView, reason: EndReason, situation: Situation) -> Action | None:
    if run.namespace != "Active":
        return None
    if run.reported.finished:
        return End(named(run.reported.reason) or reason)
    # Of a run that goes on its controller says just that.
    message = view.message if view.end is not None else ""
    return ReportFinished(reason, view.ended_s or situation.now_s, message or explain(reason))


def _stopped(run: Run, situation: Situation) -> Action | None:
    """End a run that must not go on."""
    for applies, reason in (
        (run.cancelled, EndReason.CANCELLED),
        (situation.stopped, EndReason.STOPPED),
        (not run.served, EndReason.NOT_SERVED),
        (bool(run.forbidden), EndReason.POLICY_CHANGED),
        (is_unattended(run.contract, situation.unattended_s), EndReason.UNATTENDED),
        (_vanished(run), EndReason.DELETED),
        (_overdue(run, situation), EndReason.DEADLINE_EXCEEDED),
        (_never_started(run, situation), EndReason.NEVER_STARTED),
    ):
        if applies:
            return End(reason, run.forbidden if reason is EndReason.POLICY_CHANGED else "")
    return None


def _vanished(run: Run) -> bool:
    """Tell whether somebody else deleted the run; one that was never whole is made, not given up.

    An epoch begins once: what has begun and is gone as a whole may have been whole.
    """
    if run.namespace == "Terminating":
        return True
    was_whole = run.reported.running or run.reported.rendered or run.begun_s is not None
    was_whole = was_whole or run.made or (run.record.begun and run.namespace == "Absent")
    return run.workload is None and was_whole


def _overdue(run: Run, situation: Situation) -> bool:
    since = run.workload.running_s if run.workload else None
    return is_overdue(run.contract, since, situation.now_s)


def _never_started(run: Run, situation: Situation) -> bool:
    if run.workload is None or _has_begun(run, run.workload):
        return False
    return is_given_up(run.contract, run.workload.created_s, situation.now_s)


def _has_begun(run: Run, view: WorkloadView) -> bool:
    """Tell whether the command was started, now or once: a head that was killed begins anew."""
    was_up = run.reported.running and not run.reported.finished
    return view.started or was_up or run.begun_s is not None


def _forward(run: Run, situation: Situation) -> Action | None:
    if run.reported.accepted is None:
        return ReportAccepted()
    if run.workload is None:
        return Render()
    # Not before its command: workers that wait for one are given up after the start limit.
    if run.workload.running and run.workload.started and not run.reported.running:
        return ReportRunning(run.workload.running_s or situation.now_s)
    return None
