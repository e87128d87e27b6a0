"""Why a run ended, and what that says about its job."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from hansa.api.job.retry import Cause
from hansa.grants.reasons import COURSES, Course


class EndReason(StrEnum):
    """Why a run ended. The strings are API: condition and event alike."""

    SUCCEEDED = "Succeeded"
    # What a job's spec.retry may name; what follows from each stands in ``COURSES``.
    APP_FAILED = Cause.APP_FAILED.value
    OUT_OF_MEMORY = Cause.OUT_OF_MEMORY.value
    SCRATCH_FULL = Cause.SCRATCH_FULL.value
    DEADLINE_EXCEEDED = Cause.DEADLINE_EXCEEDED.value
    RAY_FAILED = Cause.RAY_FAILED.value
    HEAD_LOST = Cause.HEAD_LOST.value
    SUBMITTER_LOST = Cause.SUBMITTER_LOST.value
    MACHINE_LOST = Cause.MACHINE_LOST.value
    SUBMISSION_FAILED = Cause.SUBMISSION_FAILED.value
    JOB_STOPPED = Cause.JOB_STOPPED.value
    STATUS_UNKNOWN = Cause.STATUS_UNKNOWN.value
    EVICTED = Cause.EVICTED.value
    IMAGE_NOT_PULLED = Cause.IMAGE_NOT_PULLED.value
    PACKAGES_NOT_INSTALLED = Cause.PACKAGES_NOT_INSTALLED.value
    NO_ROOM = Cause.NO_ROOM.value
    PODS_REFUSED = Cause.PODS_REFUSED.value
    NEVER_STARTED = Cause.NEVER_STARTED.value
    VALIDATION_FAILED = Cause.VALIDATION_FAILED.value
    RENDER_FAILED = Cause.RENDER_FAILED.value
    NOT_SERVED = Cause.NOT_SERVED.value
    # Somebody stopped it: it may run elsewhere, and no try is counted.
    CANCELLED = "Cancelled"
    STOPPED = "Stopped"
    UNATTENDED = "Unattended"
    SUPERSEDED = "Superseded"
    POLICY_CHANGED = "PolicyChanged"
    DELETED = "DeletedAtMember"
    OUT_OF_BAND = "ReleasedOutOfBand"

    @property
    def verdict(self) -> Literal["Succeeded", "Failed", "Interrupted"]:
        """What it says about the job; an interrupted one may run again."""
        if self is EndReason.SUCCEEDED:
            return "Succeeded"
        return "Failed" if self in _FAILED else "Interrupted"


_FAILED = frozenset(
    EndReason(cause.value) for cause, course in COURSES.items() if course is Course.GIVE_UP
)
_MESSAGES = {
    EndReason.SUCCEEDED: "The job ended well.",
    EndReason.APP_FAILED: "The job's own command failed; see its log.",
    EndReason.OUT_OF_MEMORY: "A process of the job was killed: its pod took more memory than the job"
    " asks for, or came so near it that Ray killed the process, or the command ended by SIGKILL"
    " (exit code 137).",
    EndReason.SCRATCH_FULL: "A pod of the job was removed: it wrote more to its scratch space at /tmp"
    " than the member gives.",
    EndReason.DEADLINE_EXCEEDED: "The job ran longer than maxRuntimeSeconds.",
    EndReason.RAY_FAILED: "Ray says that the job failed, and names no exit code of its command.",
    EndReason.HEAD_LOST: "The pod with the Ray head and the job's driver was lost while it ran.",
    EndReason.SUBMITTER_LOST: "The pod that follows the job was lost while the job ran; how it ended"
    " is not known.",
    EndReason.MACHINE_LOST: "A machine that the job ran on was lost.",
    EndReason.SUBMISSION_FAILED: "The job could not be handed to its Ray cluster.",
    EndReason.JOB_STOPPED: "Somebody stopped the job inside its Ray cluster.",
    EndReason.STATUS_UNKNOWN: "The member's KubeRay could not reach the job's Ray cluster any more.",
    EndReason.EVICTED: "The member's cluster removed a pod of the job from its machine.",
    EndReason.IMAGE_NOT_PULLED: "The job's image could not be pulled.",
    EndReason.PACKAGES_NOT_INSTALLED: "The packages of the job's lock could not be installed: the member's"
    " index cannot be reached, lacks one of them for this Python, or has another under its name; see its log.",
    EndReason.NO_ROOM: "The member's cluster has no machine with room for all the job's pods.",
    EndReason.PODS_REFUSED: "The member's API server refused the job's pods.",
    EndReason.NEVER_STARTED: "Not all the job's pods came up in time; the member's operator has to look.",
    EndReason.VALIDATION_FAILED: "The cluster refused the object that was to do the work; the"
    " member's operator has to look.",
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


def named(reason: str) -> EndReason | None:
    """Return the reason of that name; None: nobody knows it."""
    return next((one for one in EndReason if one.value == reason), None)
