"""The life of one accepted grant at the member: observed in, actions out.

Nothing is remembered between calls: the hub's grant, the epoch record, the namespace and the RayJob
say everything, so an agent that restarts goes on where it was. An epoch is marked as ended *before*
its namespace is deleted and released *after* that is gone; in between nothing can start it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from hansa.grants.epochs import EpochRecord, Outcome
from hansa.reconcile.member.contract import (
    Contract,
    is_overdue,
    is_unattended,
    never_started,
)


class EndReason(StrEnum):
    """Why a run ended. The strings are API: condition and event alike."""

    SUCCEEDED = "Succeeded"
    APP_FAILED = "AppFailed"
    SUBMISSION_FAILED = "SubmissionFailed"
    VALIDATION_FAILED = "ValidationFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    NEVER_STARTED = "NeverStarted"
    RENDER_FAILED = "RenderFailed"
    # Not the job's fault: it may run elsewhere.
    CANCELLED = "Cancelled"
    STOPPED = "Stopped"
    UNATTENDED = "Unattended"
    SUPERSEDED = "Superseded"
    DELETED = "DeletedAtMember"
    OUT_OF_BAND = "ReleasedOutOfBand"

    @property
    def verdict(self) -> Literal["Succeeded", "Failed", "Interrupted"]:
        """What it says about the job; an interrupted one may run elsewhere."""
        if self is EndReason.SUCCEEDED:
            return "Succeeded"
        return "Interrupted" if self in _INTERRUPTED else "Failed"


_INTERRUPTED = frozenset(
    {
        EndReason.CANCELLED,
        EndReason.STOPPED,
        EndReason.UNATTENDED,
        EndReason.SUPERSEDED,
        EndReason.DELETED,
        EndReason.OUT_OF_BAND,
    }
)
_MESSAGES = {
    EndReason.SUCCEEDED: "The job ended well.",
    EndReason.APP_FAILED: "The job's own command failed; see its log.",
    EndReason.SUBMISSION_FAILED: "Ray did not take the job; see the log.",
    EndReason.VALIDATION_FAILED: "KubeRay refused the rendered RayJob; the member's operator has to"
    " look.",
    EndReason.DEADLINE_EXCEEDED: "The job ran longer than maxRuntimeSeconds.",
    EndReason.NEVER_STARTED: "The job's pods never came up; the member's operator has to look.",
    EndReason.RENDER_FAILED: "The member could not make the job's objects.",
    EndReason.CANCELLED: "The hub asked to stop it.",
    EndReason.STOPPED: "The institution stopped all league work.",
    EndReason.UNATTENDED: "The hub was out of reach for as long as the job's disconnection contract"
    " allows.",
    EndReason.SUPERSEDED: "A later run of the same job is here.",
    EndReason.DELETED: "Somebody deleted the run at the member.",
    EndReason.OUT_OF_BAND: "The institution signed by hand that nothing of the run is left.",
}


def explain(reason: EndReason) -> str:
    """Return the sentence for a person."""
    return _MESSAGES[reason]


@dataclass(frozen=True, slots=True)
class Reported:
    """What the hub has been told, read from the grant's status."""

    accepted: bool | None = None
    rendered: bool = False
    running: bool = False
    finished: bool = False
    released: bool = False


@dataclass(frozen=True, slots=True)
class RayView:
    """A RayJob, reduced to what decides."""

    created_s: float
    deployment: str = ""
    """status.jobDeploymentStatus"""
    outcome: str = ""
    """status.jobStatus"""
    reason: str = ""
    message: str = ""
    workers_up: int = 0
    running_s: float | None = None
    ended_s: float | None = None

    @property
    def end(self) -> EndReason | None:
        """Why it ended; None while it has not."""
        if self.deployment == "Complete":
            good = self.outcome == "SUCCEEDED"
            return EndReason.SUCCEEDED if good else EndReason.APP_FAILED
        if self.deployment == "ValidationFailed":
            return EndReason.VALIDATION_FAILED
        if self.deployment != "Failed":
            return None
        known = {EndReason.DEADLINE_EXCEEDED, EndReason.SUBMISSION_FAILED}
        return next((r for r in known if r == self.reason), EndReason.APP_FAILED)

    @property
    def running(self) -> bool:
        """Whether a worker has run."""
        return self.workers_up > 0 or self.running_s is not None


@dataclass(frozen=True, slots=True)
class Run:
    """One epoch of one job, as the member sees it now."""

    contract: Contract
    record: EpochRecord
    reported: Reported = Reported()
    cancelled: bool = False
    namespace: Literal["Absent", "Active", "Terminating"] = "Absent"
    rayjob: RayView | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What the run is in."""

    now_s: float
    unattended_s: float = 0.0
    """The longest time without the hub since the run was granted, by the clock that says more."""
    stopped: bool = False
    """The policy's switch is Stopped."""


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
    """Tell the hub that a worker runs."""

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


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Delete the run's namespace and volumes."""


@dataclass(frozen=True, slots=True)
class Release:
    """Sign that nothing of the epoch runs any more, and tell the hub."""

    reason: EndReason


Action: TypeAlias = (
    Refuse | Render | ReportAccepted | ReportRunning | ReportFinished | End | CleanUp | Release
)


def next_action(run: Run, world: World) -> Action | None:
    """Return the one thing to do now, or None when there is nothing to do."""
    if run.record.outcome is Outcome.REFUSED:
        return Refuse(run.record.reason) if run.reported.accepted is not False else None
    if run.record.outcome is Outcome.ENDED:
        return _after_end(run)
    return _ended(run, world) or _stopped(run, world) or _forward(run, world)


def _after_end(run: Run) -> Action | None:
    if run.namespace == "Active":
        return CleanUp()
    if run.namespace == "Terminating" or run.reported.released:
        return None
    return Release(end_reason(run.record))


def end_reason(record: EpochRecord) -> EndReason:
    """Return why an epoch ended; a word nobody knows counts as deleted by hand."""
    known = EndReason.__members__.values()
    return next((r for r in known if r == record.reason), EndReason.DELETED)


def _ended(run: Run, world: World) -> Action | None:
    """Take a run that ended by itself: its result first, then its end."""
    if run.rayjob is None or run.rayjob.end is None or run.namespace != "Active":
        return None
    reason = run.rayjob.end
    if run.reported.finished:
        return End(reason)
    at_s = run.rayjob.ended_s or world.now_s
    return ReportFinished(reason, at_s, run.rayjob.message or explain(reason))


def _stopped(run: Run, world: World) -> Action | None:
    """End a run that must not go on."""
    for applies, reason in (
        (run.cancelled, EndReason.CANCELLED),
        (world.stopped, EndReason.STOPPED),
        (is_unattended(run.contract, world.unattended_s), EndReason.UNATTENDED),
        (_vanished(run), EndReason.DELETED),
        (_overdue(run, world), EndReason.DEADLINE_EXCEEDED),
        (_never_started(run, world), EndReason.NEVER_STARTED),
    ):
        if applies:
            return End(reason)
    return None


def _vanished(run: Run) -> bool:
    """Tell whether somebody else deleted the run; one that was never whole is made, not given up."""
    if run.namespace == "Terminating":
        return True
    return run.rayjob is None and (run.reported.running or run.reported.rendered)


def _overdue(run: Run, world: World) -> bool:
    since = run.rayjob.running_s if run.rayjob else None
    return is_overdue(run.contract, since, world.now_s)


def _never_started(run: Run, world: World) -> bool:
    if run.rayjob is None or run.rayjob.running or run.rayjob.deployment == "Running":
        return False
    return never_started(run.contract, run.rayjob.created_s, world.now_s)


def _forward(run: Run, world: World) -> Action | None:
    if run.reported.accepted is None:
        return ReportAccepted()
    if run.rayjob is None:
        return Render()
    if run.rayjob.running and not run.reported.running:
        return ReportRunning(run.rayjob.running_s or world.now_s)
    return None
