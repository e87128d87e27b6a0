"""Every reason a decision can have. The strings are API: condition, event and metric label alike.

Order is gravity: where several reasons apply, the first here is shown.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a job is where it is, or is not."""

    # The request itself is wrong: nothing the league does will help.
    MISCONFIGURED = "Misconfigured"
    UNKNOWN_JURISDICTION = "UnknownJurisdiction"
    UNKNOWN_POOL = "UnknownPool"
    NOT_ADMITTED_TO_POOL = "NotAdmittedToPool"
    NO_INSTITUTION = "NoInstitution"
    UNKNOWN_DATASET = "UnknownDataset"
    UNKNOWN_PROJECT = "UnknownProject"
    # The project it is charged to: its institution's treasurer decides.
    PROJECT_CLOSED = "ProjectClosed"
    PROJECT_OVER_BUDGET = "ProjectOverBudget"
    # The pool's own rules are wrong: its admin mends them, nothing the owner does will help.
    POOL_MISCONFIGURED = "PoolMisconfigured"
    # The law forbids it.
    NODE_NOT_ACCEPTED = "NodeNotAccepted"
    JURISDICTION_DISPUTED = "JurisdictionDisputed"
    RESIDENCY_DENIED = "ResidencyDenied"
    LEGAL_CONTROL_DENIED = "LegalControlDenied"
    DATA_ELSEWHERE = "DataElsewhere"
    ASSURANCE_TOO_LOW = "AssuranceTooLow"
    # No node could ever hold it.
    NO_ACCELERATOR = "NoAccelerator"
    NO_SUCH_ACCELERATOR = "NoSuchAccelerator"
    EXCEEDS_NODE_SHAPE = "ExceedsNodeShape"
    EXCEEDS_POOL_QUOTA = "ExceedsPoolQuota"
    EXCEEDS_CAP = "ExceedsConcentrationCap"
    OVER_BUDGET = "OverBudget"
    # Somebody said no, or is not there.
    NODE_REFUSED = "NodeRefused"
    NODE_OF_TWO_LEADERS = "NodeOfTwoLeaders"
    NODE_CORDONED = "NodeCordoned"
    NODE_PAUSED = "NodePaused"
    NODE_UNREACHABLE = "NodeUnreachable"
    NODE_NOT_READY = "NodeNotReady"
    # It will start when others end.
    WAITING_FOR_QUOTA = "WaitingForQuota"
    WAITING_FOR_CAP = "WaitingForConcentrationCap"
    WAITING_FOR_FAIR_SHARE = "WaitingForFairShare"
    WAITING_FOR_PREEMPTION = "WaitingForPreemption"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    WAITING_FOR_RELEASE = "WaitingForRelease"
    SUSPENDED = "Suspended"
    PREEMPTED = "Preempted"
    PENDING = "Pending"
    # It goes forward.
    PLACED = "Placed"
    OUTBID = "HigherCost"
    """An eligible node with room that was not chosen because another was better."""

    @property
    def gravity(self) -> int:
        """Rank: lower is graver."""
        return _GRAVITY[self]


_GRAVITY = {reason: rank for rank, reason in enumerate(Reason)}
