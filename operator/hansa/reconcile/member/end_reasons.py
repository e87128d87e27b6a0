"""Why a run ended, and what that says about its job."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from hansa.grants.reasons import RunFault


class EndReason(StrEnum):
    """Why a run ended. The strings are API: condition and event alike."""

    SUCCEEDED = "Succeeded"
    APP_FAILED = "AppFailed"
    SUBMISSION_FAILED = "SubmissionFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    # Not the job's fault: it may run elsewhere.
    VALIDATION_FAILED = RunFault.VALIDATION_FAILED.value
    NEVER_STARTED = RunFault.NEVER_STARTED.value
    RENDER_FAILED = RunFault.RENDER_FAILED.value
    NOT_SERVED = RunFault.NOT_SERVED.value
    CANCELLED = "Cancelled"
    STOPPED = "Stopped"
    UNATTENDED = "Unattended"
    SUPERSEDED = "Superseded"
    POLICY_CHANGED = "PolicyChanged"
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
        EndReason.VALIDATION_FAILED,
        EndReason.NEVER_STARTED,
        EndReason.RENDER_FAILED,
        EndReason.NOT_SERVED,
        EndReason.CANCELLED,
        EndReason.STOPPED,
        EndReason.UNATTENDED,
        EndReason.SUPERSEDED,
        EndReason.POLICY_CHANGED,
        EndReason.DELETED,
        EndReason.OUT_OF_BAND,
    }
)
_MESSAGES = {
    EndReason.SUCCEEDED: "The job ended well.",
    EndReason.APP_FAILED: "The job's own command failed; see its log.",
    EndReason.SUBMISSION_FAILED: "Ray did not take the job; see the log.",
    EndReason.VALIDATION_FAILED: "The cluster refused the object that was to do the work; the"
    " member's operator has to look.",
    EndReason.DEADLINE_EXCEEDED: "The job ran longer than maxRuntimeSeconds.",
    EndReason.NEVER_STARTED: "The job's pods never came up; the member's operator has to look.",
    EndReason.RENDER_FAILED: "The member could not make the job's objects.",
    EndReason.NOT_SERVED: "This agent cannot run this kind of work.",
    EndReason.CANCELLED: "The hub asked to stop it.",
    EndReason.STOPPED: "The institution stopped all league work.",
    EndReason.UNATTENDED: "The hub was out of reach for as long as the job's disconnection contract"
    " allows.",
    EndReason.SUPERSEDED: "A later run of the same job is here.",
    EndReason.POLICY_CHANGED: "The institution's policy does not allow it any more.",
    EndReason.DELETED: "Somebody deleted the run at the member.",
    EndReason.OUT_OF_BAND: "The institution signed by hand that nothing of the run is left.",
}


def explain(reason: EndReason) -> str:
    """Return the sentence for a person."""
    return _MESSAGES[reason]
