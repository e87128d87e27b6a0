"""``AIJob.spec.retry``: which ends of a run are worth another one, in the words that end runs.

What each cause means, and where the next run goes, stands in ``grants/reasons.COURSES``.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field

from hansa.api.meta import Model, keyed

RETRIES = 6
"""What a job is given where it says nothing: as many as a Kubernetes Job."""
MOST_RETRIES = 100


class Cause(StrEnum):
    """Why a run came to an end that the job may survive. The strings are API."""

    # The job's own doing.
    APP_FAILED = "AppFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    SCRATCH_FULL = "ScratchFull"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    # Something in the cluster broke.
    RAY_FAILED = "RayFailed"
    HEAD_LOST = "HeadLost"
    SUBMITTER_LOST = "SubmitterLost"
    MACHINE_LOST = "MachineLost"
    # The cluster, as it is, does not carry this job.
    SUBMISSION_FAILED = "SubmissionFailed"
    JOB_STOPPED = "JobStopped"
    STATUS_UNKNOWN = "StatusUnknown"
    EVICTED = "Evicted"
    IMAGE_NOT_PULLED = "ImageNotPulled"
    PACKAGES_NOT_INSTALLED = "PackagesNotInstalled"
    NO_ROOM = "NoRoom"
    PODS_REFUSED = "PodsRefused"
    NEVER_STARTED = "NeverStarted"
    VALIDATION_FAILED = "ValidationFailed"
    RENDER_FAILED = "RenderFailed"
    NOT_SERVED = "NotServed"


OWN_DOING = frozenset(
    {Cause.APP_FAILED, Cause.OUT_OF_MEMORY, Cause.SCRATCH_FULL, Cause.DEADLINE_EXCEEDED}
)
"""What another run would end alike: no fault of the cluster that it ran in."""


class CauseLimit(Model):
    """How often one cause may start the job anew."""

    model_config = ConfigDict(json_schema_extra=keyed("cause"))

    cause: Cause = Field(description="Why the run ended; docs: reasons, why a run ended.")
    limit: int = Field(
        ge=0, le=MOST_RETRIES, description="Runs that it may cost; 0: the job fails."
    )


class Retry(Model):
    """What another run is worth. A run that the hub or an institution stopped does not count."""

    limit: int = Field(
        default=RETRIES,
        ge=0,
        le=MOST_RETRIES,
        description="Runs beyond the first, whatever ended them; then the job fails.",
    )
    causes: tuple[CauseLimit, ...] = Field(
        default=(),
        max_length=len(Cause),
        description="Causes with a limit of their own. Of the others, what a cluster breaks is tried"
        " again within limit, and what the job does itself is not.",
    )
