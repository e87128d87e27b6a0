"""Why a member refuses. The strings are API: condition, event, metric label and status count.

Order is gravity: where several reasons apply, the first here is the one reported. A transient
reason may be gone without a change of policy, so a hub may ask again after a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hansa.api.job.retry import Cause


class MemberReason(StrEnum):
    """One reason a member can give."""

    # Not to be trusted, so nothing about the policy is told.
    MALFORMED = "Malformed"
    WRONG_NODE = "WrongNode"
    UNKNOWN_HUB = "UnknownHub"
    BAD_SIGNATURE = "BadSignature"
    DIGEST_MISMATCH = "DigestMismatch"
    # Not now, or not any more.
    POLICY_MISSING = "PolicyMissing"
    CLOCK_SKEW = "ClockSkew"
    STALE_EPOCH = "StaleEpoch"
    PREVIOUS_RUN_LIVES = "PreviousRunLives"
    WITHDRAWN = "Withdrawn"
    EXPIRED = "Expired"
    NOT_YET_VALID = "NotYetValid"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    # The law forbids it.
    RESIDENCY_DENIED = "ResidencyDenied"
    LEGAL_CONTROL_DENIED = "LegalControlDenied"
    OWNER_SIGNATURE_INVALID = "OwnerSignatureInvalid"
    OWNER_SIGNATURE_MISSING = "OwnerSignatureMissing"
    AUTHORIZATION_SPENT = "AuthorizationSpent"
    TENANT_NOT_ACCEPTED = "TenantNotAccepted"
    WORKLOAD_NOT_ACCEPTED = "WorkloadNotAccepted"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    DATASET_UNKNOWN = "DatasetUnknown"
    DATASET_NOT_LENT = "DatasetNotLent"
    SECRET_NOT_LENT = "SecretNotLent"  # noqa: S105  # a reason, no secret
    PACKAGES_NOT_ALLOWED = "PackagesNotAllowed"
    RUNTIME_TOO_LONG = "RuntimeTooLong"
    GPUS_NOT_LENT = "GpusNotLent"
    ASSURANCE_TOO_LOW = "AssuranceTooLow"
    OUTSIDE_HOURS = "OutsideHours"
    TOO_MANY_JOBS = "TooManyJobs"
    # The cluster cannot do it safely.
    RAY_TOO_OLD = "RayTooOld"
    KUBERAY_MISSING = "KubeRayMissing"
    KUBERAY_TOO_OLD = "KubeRayTooOld"
    RESOLVER_MISSING = "ResolverMissing"
    DISK_FULL = "DiskFull"
    CANARY_ADMITTED = "CanaryAdmitted"
    # Nobody has counted what was done already.
    LEDGER_BEHIND = "LedgerBehind"

    @property
    def gravity(self) -> int:
        """Rank: lower is graver."""
        return _GRAVITY[self]

    @property
    def untrusted(self) -> bool:
        """Whether the grant proved nothing, so that it must not change what is remembered."""
        return self in _UNTRUSTED

    @property
    def transient(self) -> bool:
        """Whether it can pass without anybody changing the policy or the job."""
        return self in TRANSIENT


_GRAVITY = {reason: rank for rank, reason in enumerate(MemberReason)}
_UNTRUSTED = frozenset(
    {
        MemberReason.MALFORMED,
        MemberReason.WRONG_NODE,
        MemberReason.UNKNOWN_HUB,
        MemberReason.BAD_SIGNATURE,
        MemberReason.DIGEST_MISMATCH,
        MemberReason.POLICY_MISSING,
    }
)
TRANSIENT = frozenset(
    {
        MemberReason.CLOCK_SKEW,
        MemberReason.PREVIOUS_RUN_LIVES,
        MemberReason.EXPIRED,
        MemberReason.NOT_YET_VALID,
        MemberReason.OUTSIDE_HOURS,
        MemberReason.TOO_MANY_JOBS,
        MemberReason.GPUS_NOT_LENT,
        MemberReason.KUBERAY_MISSING,
        MemberReason.KUBERAY_TOO_OLD,
        MemberReason.RESOLVER_MISSING,
        MemberReason.DISK_FULL,
        MemberReason.CANARY_ADMITTED,
        MemberReason.LEDGER_BEHIND,
    }
)


class Course(StrEnum):
    """What follows from the end of a run, where the job's ``spec.retry`` says nothing else."""

    ANYWHERE = "retry, here too"
    """What broke is over: the same node may be the best again."""
    ELSEWHERE = "retry elsewhere"
    """The node is asked again after a while, each time after twice as long."""
    GIVE_UP = "give up"
    """Another run would end alike."""


COURSES: Mapping[Cause, Course] = {
    Cause.APP_FAILED: Course.GIVE_UP,
    Cause.OUT_OF_MEMORY: Course.GIVE_UP,
    Cause.SCRATCH_FULL: Course.GIVE_UP,
    Cause.DEADLINE_EXCEEDED: Course.GIVE_UP,
    Cause.RAY_FAILED: Course.ANYWHERE,
    Cause.HEAD_LOST: Course.ANYWHERE,
    Cause.SUBMITTER_LOST: Course.ANYWHERE,
    Cause.MACHINE_LOST: Course.ANYWHERE,
    Cause.SUBMISSION_FAILED: Course.ELSEWHERE,
    Cause.JOB_STOPPED: Course.ELSEWHERE,
    Cause.STATUS_UNKNOWN: Course.ELSEWHERE,
    Cause.EVICTED: Course.ELSEWHERE,
    Cause.IMAGE_NOT_PULLED: Course.ELSEWHERE,
    Cause.PACKAGES_NOT_INSTALLED: Course.ELSEWHERE,
    Cause.NO_ROOM: Course.ELSEWHERE,
    Cause.PODS_REFUSED: Course.ELSEWHERE,
    Cause.NEVER_STARTED: Course.ELSEWHERE,
    Cause.VALIDATION_FAILED: Course.ELSEWHERE,
    Cause.RENDER_FAILED: Course.ELSEWHERE,
    Cause.NOT_SERVED: Course.ELSEWHERE,
}
"""The one table that member and hub go by."""
NODE_FAULTS: frozenset[str] = frozenset(
    cause for cause, course in COURSES.items() if course is Course.ELSEWHERE
)
"""Causes for which the node is remembered, so that the job goes elsewhere."""


@dataclass(frozen=True, slots=True)
class Objection:
    """What one check found. ``message`` says what was seen and what to do."""

    reason: MemberReason
    message: str


def gravest_first(objections: tuple[Objection, ...]) -> tuple[Objection, ...]:
    """Return the objections in order of gravity, stable within a reason."""
    return tuple(sorted(objections, key=lambda objection: objection.reason.gravity))
