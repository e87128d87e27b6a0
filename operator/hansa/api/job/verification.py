"""How a job's work is verified: what counts as the same result, which jobs are audits, what was found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from hansa.api.meta import (
    ATOMIC,
    STATE_DIGEST,
    TEXT,
    TOLERANCE,
    Assurance,
    Message,
    Model,
    Name,
    Timestamp,
    checked,
    rule,
)

MOST_DOUBTFUL = 64
MOST_SEGMENTS = 48
"""A result of 4 KiB holds so many states, with their steps."""
MOST_SAID = 32
StateDigest = Annotated[str, StringConstraints(pattern=STATE_DIGEST, max_length=64)]
Tolerance = Annotated[str, StringConstraints(pattern=TOLERANCE, max_length=32)]


class CheckpointGrid(Model):
    """At which steps a job commits its state: at 0, every so many steps, and at the end."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                f"self.steps <= self.every * {MOST_SEGMENTS}",
                f"a result has room for {MOST_SEGMENTS} segments: give every at least"
                f" a {MOST_SEGMENTS}th of steps",
            )
        )
    )

    steps: int = Field(ge=1, le=999_999_999, description="Steps of the whole job.")
    every: int = Field(ge=1, le=999_999_999, description="Steps of a segment.")

    @model_validator(mode="after")
    def _fits_a_result(self) -> CheckpointGrid:
        if self.steps > self.every * MOST_SEGMENTS:
            raise ValueError(
                f"a result has room for {MOST_SEGMENTS} segments: give every at least"
                f" {-(-self.steps // MOST_SEGMENTS)}"
            )
        return self


class ResultComparator(Model):
    """How far the numbers of a JSON result may be apart when the job is run again."""

    absolute: Tolerance = Field(
        default="0", description="Most that two numbers may differ by, for example 1e-6."
    )
    relative: Tolerance = Field(
        default="0",
        description="The same as a share of the larger of the two; below 1. Both 0: not a digit may differ.",
        json_schema_extra=checked(
            rule("double(self) < 1.0", "relative: 1 or more makes any two numbers equal; give less")
        ),
    )

    checkpoints: CheckpointGrid | None = Field(
        default=None,
        description="The job commits its state on the way: its result is a JSON object whose field checkpoints"
        " holds, by step, the SHA-256 of its state in 64 hexadecimal digits. An audit runs one segment, which is"
        " drawn, and compares the state at its end, bit by bit.",
    )

    @field_validator("relative")
    @classmethod
    def _tells_numbers_apart(cls, relative: str) -> str:
        if float(relative) >= 1:
            raise ValueError("1 or more makes any two numbers equal; give less")
        return relative


class AuditSegment(Model):
    """The part of a run that an audit runs again; the program reads it in HANSA_SEGMENT."""

    model_config = ConfigDict(
        json_schema_extra=checked(rule("self.first < self.last", "first has to be before last"))
    )

    first: int = Field(ge=0, le=999_999_998, description="Step to begin before.")
    last: int = Field(ge=1, le=999_999_999, description="Step to end before.")
    state: StateDigest = Field(description="Digest of the state to begin with.")
    say: tuple[Annotated[int, Field(ge=1, le=999_999_999)], ...] = Field(
        default=(),
        max_length=MOST_SAID,
        description="Steps between, whose states the result says, too.",
        json_schema_extra=ATOMIC,
    )

    @model_validator(mode="after")
    def _goes_on(self) -> AuditSegment:
        if self.first >= self.last:
            raise ValueError("first has to be before last")
        return self


class AuditOrder(Model):
    """Makes a job an audit, at a node that the draw has named: of another job's run, or of the node itself."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "has(self.of) == has(self.epoch)",
                "of and epoch name a run together; give both, or neither for a capacity probe",
            )
        )
    )

    of: Annotated[str, StringConstraints(pattern=TEXT, max_length=253)] | None = Field(
        default=None,
        description="Name of the job whose run is audited, in the same namespace; not given: the job is"
        " a capacity probe of the node.",
    )
    epoch: int | None = Field(default=None, ge=1, le=999_999_999, description="Which run of it.")
    node: Name = Field(description="SovereignNode that runs it; no other may.")
    segment: AuditSegment | None = Field(
        default=None, description="What of the run is done again; not given: all of it."
    )

    @model_validator(mode="after")
    def _names_a_run_or_none(self) -> AuditOrder:
        if (self.of is None) is not (self.epoch is None):
            raise ValueError("of and epoch name a run together; give both, or neither")
        return self


class JobAssurance(Model):
    """What is known of a run that has ended, in the ledger's words."""

    epoch: int = Field(ge=1, description="Which run.")
    reached: Assurance = Field(description="What the run's node had shown when this was written.")
    audit: Literal["NotDrawn", "Due", "Passed", "Failed", "Lost", "Inconclusive", "Doubtful"] = (
        Field(
            description="Whether the run is audited, and what was found; Lost: it left nothing to be paid for; Doubtful: its node was found to"
            " have cheated in another run, so do not rely on this result."
        )
    )
    message: Message = Field(default="", description="Why.")
    doubtful: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        max_length=MOST_DOUBTFUL,
        description="All runs of the job on which not to rely, the newest last: their nodes were found to have"
        " cheated, in them or in other runs.",
    )
    at: Timestamp = Field(description="When it was written.")
