"""What a member tells of the pods of a run that died, where its law lets words of the run out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hansa.api.meta import Model, Name, Timestamp

MOST_PODS = 4
MOST_EVENTS = 4
EVENT_BYTES = 256
POD_LOG_BYTES = 2048


class PodEnd(Model):
    """How one pod ended, or did not begin."""

    role: Literal["Head", "Worker", "Submitter"] = Field(description="What the pod was.")
    reason: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="The member's cluster's word: OOMKilled, Error, Evicted, ErrImagePull; Gone where the"
        " pod is no more and its events are left."
    )
    exit_code: int | None = Field(
        default=None, ge=-(2**31), le=2**31 - 1, description="Of the container that ended."
    )
    restarts: int = Field(
        default=0, ge=0, le=1_000_000, description="How often its containers were started anew."
    )
    at: Timestamp | None = Field(default=None, description="When it ended.")
    events: tuple[Annotated[str, StringConstraints(max_length=EVENT_BYTES)], ...] = Field(
        default=(),
        max_length=MOST_EVENTS,
        description="Warnings of the member's cluster about it, latest last, without machines' names.",
    )
    log_tail: Annotated[str, StringConstraints(max_length=POD_LOG_BYTES)] = Field(
        default="", description="Last lines of the container that ended."
    )


class PostMortem(Model):
    """The pods of one run that died."""

    node: Name = Field(description="SovereignNode it ran at.")
    epoch: int = Field(ge=1, description="The run.")
    pods: tuple[PodEnd, ...] = Field(
        max_length=MOST_PODS, description="The first that died, in that order."
    )
