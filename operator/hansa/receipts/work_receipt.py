"""``WorkReceipt/v1``: what one run held at one node from one moment to the next, in its member's words.

The receipts of a run tile the time from its acceptance to its release exactly once. All receipts of a
node form one chain, whichever run they are of: one that is missing cannot be hidden among others. No
amount of money stands in them: it follows from use and price, and is rounded once, in the ledger.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hansa.api.meta import (
    UID,
    Assurance,
    Currency,
    Decimal,
    Digest,
    GpuClass,
    Jurisdiction,
    Model,
    Name,
    Reason,
)
from hansa.api.node.receipts import LARGEST
from hansa.model.times import from_rfc3339

MOST_GPUS = 1_000_000
MOST_WATTS = 5000
"""No accelerator draws more: four times the largest card of 2026."""
MOST_IDS = 32
"""GPUs that one receipt names: a gang may have more, and many receipts have to fit into one page."""

Moment = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
]
"""RFC 3339 in UTC, to the second: the one spelling there is of a moment."""


class HeldGpu(Model):
    """One GPU that the exporter saw serve the run, and from when to when."""

    gpu: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] = Field(
        description="Salted hash of its uuid: the same for every run, and the salt is the member's."
    )
    start: Moment = Field(description="When it was seen to serve the run first.")
    end: Moment = Field(description="When it was seen to serve the run last.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not seconds(self.start) <= seconds(self.end):
            raise ValueError(f"{self.end} is before {self.start}")
        return self


class Usage(Model):
    """What the run held and drew."""

    gpu_seconds: int = Field(ge=0, le=LARGEST, description="GPUs times seconds.")
    cpu_milliseconds: int = Field(
        ge=0, le=LARGEST, description="CPUs asked for times seconds, in thousandths."
    )
    energy_joules: int | None = Field(
        default=None,
        ge=0,
        le=LARGEST,
        description="By the counters of its GPUs while they were seen; absent where none tells.",
    )


class Price(Model):
    """What the node asked for when the run was accepted."""

    gpu_hour: Decimal | None = Field(
        default=None, description="One GPU of the run's class for an hour; absent without GPUs."
    )
    cpu_hour: Decimal = Field(description="One CPU for an hour.")
    currency: Currency = Field(description="ISO 4217.")
    tariff: Digest = Field(description="SHA-256 of the node's whole tariff at that moment.")


class Work(Model):
    """Which work it was, for whom and under whose law: the same in every receipt of a run."""

    league: Digest = Field(description="Key of the hub that granted it.")
    node: Name = Field(description="Node that did it.")
    node_key: Digest = Field(description="Key that the grant was addressed to, and that signs.")
    institution: Name = Field(description="Institution it is charged to.")
    project: Name | None = Field(default=None, description="Project it is charged to.")
    job_uid: Annotated[str, StringConstraints(pattern=UID)] = Field(
        description="UID of the job on the hub."
    )
    epoch: int = Field(ge=1, le=999_999_999, description="Which run of it.")
    spec_digest: Digest = Field(description="SHA-256 of the job's canonical spec.")
    image_digest: Digest = Field(description="The container image.")
    data_sets: tuple[Name, ...] = Field(max_length=16, description="Data that it was shown.")
    jurisdiction: Jurisdiction = Field(description="Where its machines stand.")
    purpose: Annotated[str, StringConstraints(max_length=256)] = Field(
        description="Purpose by which the data was released to it; empty: none was asked for."
    )
    gpu_class: GpuClass | None = Field(default=None, description="Class of its GPUs.")
    gpus: int = Field(ge=0, le=MOST_GPUS, description="GPUs of the whole gang.")
    cpu_millis: int = Field(ge=0, le=LARGEST, description="Thousandths of a CPU of all its pods.")
    assurance: Assurance = Field(description="What the node had shown when it was accepted.")
    price: Price | None = Field(
        default=None, description="Absent where the hub had told the member none."
    )


class WorkReceipt(Model):
    """One receipt: a stretch of one run."""

    sequence: int = Field(ge=1, le=LARGEST, description="Place in the node's chain, from 1.")
    previous: Digest | None = Field(
        default=None,
        description="Digest of the receipt before it in the chain; the first has none.",
    )
    part: int = Field(ge=1, le=LARGEST, description="Place among the receipts of its run, from 1.")
    work: Work = Field(description="Which work it was.")
    start: Moment = Field(description="From when, inclusive.")
    end: Moment = Field(description="Until when, exclusive.")
    issued: Moment = Field(description="When it was signed.")
    usage: Usage = Field(description="What was held in between.")
    held: tuple[HeldGpu, ...] = Field(
        max_length=MOST_IDS, description="GPUs that were seen to serve it; none where none tells."
    )
    last: bool = Field(description="Whether the run is over and nothing of it is left.")
    end_reason: Reason | None = Field(default=None, description="Why it ended; in the last alone.")
    result_digest: Digest | None = Field(
        default=None, description="SHA-256 of its declared result; in the last alone."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.previous is None) != (self.sequence == 1):
            raise ValueError("the first receipt, and no other, has no previous one")
        if not seconds(self.start) <= seconds(self.end) <= seconds(self.issued):
            raise ValueError("start, end and issued must follow each other")
        if self.start == self.end and not self.last:
            raise ValueError("only the last receipt of a run may cover no time")
        if self.last != (self.end_reason is not None):
            raise ValueError("the last receipt, and no other, says why the run ended")
        if self.result_digest is not None and not self.last:
            raise ValueError("only the last receipt has a result")
        if any(not self.start <= gpu.start <= gpu.end <= self.end for gpu in self.held):
            raise ValueError("a GPU is held outside the receipt's time")
        return self

    @cached_property
    def run(self) -> str:
        """Name of the run: its job and epoch."""
        return f"{self.work.job_uid}.{self.work.epoch}"

    @cached_property
    def start_s(self) -> int:
        """Begin, in seconds since the Unix epoch."""
        return seconds(self.start)

    @cached_property
    def end_s(self) -> int:
        """End, in seconds since the Unix epoch."""
        return seconds(self.end)

    @cached_property
    def issued_s(self) -> int:
        """When it was signed, in seconds since the Unix epoch."""
        return seconds(self.issued)


class Subject(Model):
    """What a statement is about: the run, by the digest of the job's spec."""

    name: Annotated[str, StringConstraints(max_length=63)] = Field(description="JOB.EPOCH")
    digest: dict[Literal["sha256"], str] = Field(min_length=1, description="Of the job's spec.")


class Statement(Model):
    """An in-toto Statement v1 around one receipt."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        default="https://in-toto.io/Statement/v1", alias="_type", description="Statement v1."
    )
    subject: tuple[Subject] = Field(description="The run.")
    predicate_type: Literal["https://hansa.dev/WorkReceipt/v1"] = Field(
        default="https://hansa.dev/WorkReceipt/v1", description="What the predicate is."
    )
    predicate: WorkReceipt = Field(description="The receipt.")

    @model_validator(mode="after")
    def _about_its_run(self) -> Self:
        (about,), receipt = self.subject, self.predicate
        # Not by making another: half of what is spent on reading a statement would go there.
        if (about.name, about.digest) != (receipt.run, _digest_of(receipt)):
            raise ValueError("the subject is not the run and the spec of the predicate")
        return self


def subject_of(receipt: WorkReceipt) -> Subject:
    """Return what a receipt is about."""
    return Subject(name=receipt.run, digest=_digest_of(receipt))


def _digest_of(receipt: WorkReceipt) -> dict[Literal["sha256"], str]:
    return {"sha256": receipt.work.spec_digest.removeprefix("sha256:")}


def held_until_s(receipt: WorkReceipt) -> int:
    """Return until when a receipt says that anything was held, in seconds since the Unix epoch."""
    usage, work = receipt.usage, receipt.work
    gpus_s = usage.gpu_seconds // work.gpus if work.gpus else 0
    cpus_s = usage.cpu_milliseconds // work.cpu_millis if work.cpu_millis else 0
    return receipt.start_s + max(gpus_s, cpus_s)


def most_joules(work: Work, span_s: int) -> int:
    """Return more energy than a run's GPUs can draw in a time."""
    return work.gpus * span_s * MOST_WATTS


@lru_cache(8192)
def seconds(moment: Moment) -> int:
    """Return a moment in seconds since the Unix epoch; raises ``ValueError`` for a day there is not.

    >>> seconds("1970-01-01T00:01:00Z")
    60
    """
    found = from_rfc3339(moment)
    if found is None:
        raise ValueError(f"{moment} is no moment")
    return int(found)
