"""What the hub knows of an ``AIJob``: its status."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from hansa.api.job.log_window import JobLogWindow, KeptLog
from hansa.api.job.post_mortem import PostMortem
from hansa.api.job.ray_shape import MOST_IN_GANG
from hansa.api.job.retry import Cause
from hansa.api.job.verification import JobAssurance
from hansa.api.meta import (
    Condition,
    Currency,
    Decimal,
    Digest,
    Message,
    Model,
    Name,
    Reason,
    Timestamp,
    keyed,
)

RESULT_BYTES = 4096
"""Most bytes of UTF-8 that a result may have."""
LOG_TAIL_BYTES = 8192


class NodeVerdict(Model):
    """Why one node was not chosen."""

    node: Name = Field(description="SovereignNode.")
    reason: Reason = Field(description="First rule that refused it.")
    message: Message = Field(default="", description="What the rule saw.")


class Refusal(Model):
    """A member said no, or could not run it; it is asked again once its policy changes, or later."""

    node: Name = Field(description="SovereignNode.")
    epoch: int = Field(ge=0, description="Epoch of the refused grant.")
    reason: Reason = Field(description="The member's reason.")
    message: Message = Field(default="", description="The member's words to the data owner.")
    policy_generation: int = Field(default=0, ge=0, description="Policy generation that refused.")
    spec_digest: Digest = Field(description="The spec that was refused.")
    refused_at: Timestamp | None = Field(
        default=None, description="When; a passing obstacle is tried again after a while."
    )
    times: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="How often in a row; each time the node is asked again after twice as long.",
    )


class Retried(Model):
    """Runs of one spec that one cause ended, and that were followed by another."""

    model_config = ConfigDict(json_schema_extra=keyed("cause"))

    cause: Cause = Field(description="Why they ended.")
    times: int = Field(ge=1, description="How many.")
    spec_digest: Digest = Field(description="The spec that ran.")
    node: Name = Field(description="Where the last of them ran.")
    message: Message = Field(default="", description="What the member said of the last.")


class Preempted(Model):
    """The job was stopped for other work of its pool."""

    node: Name = Field(description="SovereignNode it was stopped at.")
    epoch: int = Field(ge=1, description="Epoch that was stopped.")
    in_favour_of: Name = Field(description="Institution whose job gained.")
    gaining_uid: str = Field(
        default="",
        max_length=64,
        description="UID of that job: for a while the room is its own, also where another hub leads.",
    )
    at: Timestamp = Field(description="When the hub asked the node to stop it.")


class StartEstimate(Model):
    """When the job is expected to start."""

    p50: Timestamp = Field(description="One time in two it has started by then.")
    p90: Timestamp = Field(description="Nine times in ten it has started by then.")


class Usage(Model):
    """What the job has used."""

    gpu_seconds: int = Field(default=0, ge=0, description="GPUs held times seconds.")
    wall_seconds: int = Field(
        default=0, ge=0, description="Seconds for which a node held the job's room."
    )


class Cost(Model):
    """What the usage costs."""

    amount: Decimal = Field(description="Amount.")
    currency: Currency = Field(description="ISO 4217 currency code.")


class PastUsage(Usage):
    """What epochs that are over used and cost."""

    cost: Cost = Field(description="What that cost.")


class AIJobStatus(Model):
    """What the hub knows about the job."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    spec_digest: Digest | None = Field(default=None, description="Digest of the spec acted upon.")
    node: str | None = Field(
        default=None, max_length=63, description="SovereignNode that holds the grant."
    )
    epoch: int = Field(default=0, ge=0, description="Fencing counter: one grant per epoch.")
    workers: int | None = Field(
        default=None,
        ge=1,
        le=MOST_IN_GANG,
        description="Workers granted, with those of further groups and the head where they have GPUs; elastic"
        " jobs may get fewer.",
    )
    queue_position: int | None = Field(default=None, ge=0, description="Jobs ahead in the pool.")
    start_estimate: StartEstimate | None = Field(default=None, description="Expected start.")
    verdicts: tuple[NodeVerdict, ...] = Field(
        default=(), max_length=32, description="Why nodes were not chosen, gravest first."
    )
    refusals: tuple[Refusal, ...] = Field(
        default=(),
        max_length=256,
        description="Members that turned it down, latest last; the words of the latest 32.",
    )
    retries: tuple[Retried, ...] = Field(
        default=(),
        max_length=len(Cause),
        description="Runs that spec.retry let the job try again, by cause.",
    )
    preemptions: tuple[Preempted, ...] = Field(
        default=(), max_length=16, description="Times it was stopped for other work, latest last."
    )
    granted_at: Timestamp | None = Field(default=None, description="When the grant was written.")
    running_at: Timestamp | None = Field(default=None, description="When all workers were up.")
    finished_at: Timestamp | None = Field(default=None, description="When the job ended.")
    result: str | None = Field(
        default=None,
        max_length=RESULT_BYTES,
        description="The declared result, as the job wrote it.",
    )
    log_tail: str | None = Field(
        default=None,
        max_length=LOG_TAIL_BYTES,
        description="Last lines of the driver, where exported.",
    )
    log: JobLogWindow | None = Field(
        default=None,
        description="A piece of the driver's log, where exported, while `kubectl hansa logs -f` follows it.",
    )
    kept_log: KeptLog | None = Field(
        default=None,
        description="What the member keeps of the driver's log after the end, for `kubectl hansa logs`.",
    )
    post_mortem: PostMortem | None = Field(
        default=None,
        description="The pods of the latest run that failed, where the member exports logs.",
    )
    waiting_since: Timestamp | None = Field(
        default=None,
        description="Since when it stands in the queue; absent: since it was made, or not at all.",
    )
    waited_seconds: int | None = Field(
        default=None, ge=0, description="Time in the queue before that; it counts for rank."
    )
    usage: Usage | None = Field(default=None, description="Use so far, of all epochs.")
    cost: Cost | None = Field(
        default=None, description="Cost so far, of all epochs; spec.budget bounds it."
    )
    earlier: PastUsage | None = Field(
        default=None, description="The part of it that belongs to epochs that are over."
    )
    assurance: JobAssurance | None = Field(
        default=None,
        description="What verification knows of its last run; written when its audit epoch is decided.",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Accepted, Placed, Running, Succeeded, Failed, and while true Preempted and the"
        " kstatus pair Reconciling/Stalled.",
    )
