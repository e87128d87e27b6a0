"""Which receipts of a run are due: every second from its acceptance to its release in exactly one.

A function of what is durable and what is seen now. Whoever crashes asks again and gets the same begin,
for the begin is durable with the receipt before it. A clock that went back yields nothing until it has
come past what was covered; a receipt that comes late is longer, and none is made up for the pause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from hansa.api.meta import Digest, Model
from hansa.model.times import rfc3339
from hansa.receipts.chain import Head
from hansa.receipts.work_receipt import (
    MOST_IDS,
    HeldGpu,
    Moment,
    Usage,
    Work,
    WorkReceipt,
    most_joules,
    seconds,
)

EVERY_S = 300
"""What a run may owe without a receipt for it, in seconds of its time."""
LONGEST_S = 86_400
"""A day without an agent becomes receipts of a day at most."""


class MeteredRun(Model):
    """What is durable of a run that is not over: what it is, and how far it is covered."""

    work: Work = Field(description="The same in all its receipts.")
    until: Moment = Field(
        description="Covered until then; before its first receipt, its acceptance."
    )
    parts: int = Field(default=0, ge=0, description="Receipts issued.")
    finished: Moment | None = Field(
        default=None, description="When it ended of itself; absent while it has not."
    )
    result_digest: Digest | None = Field(default=None, description="Of its declared result.")

    @property
    def run(self) -> str:
        """Name of the run."""
        return f"{self.work.job_uid}.{self.work.epoch}"

    def after(self, receipt: WorkReceipt) -> MeteredRun:
        """Return the run once it is covered by one more receipt."""
        return self.model_copy(update={"until": receipt.end, "parts": receipt.part})


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a run now. Times in seconds since the Unix epoch."""

    now_s: int
    over: bool = False
    """Nothing of it is left: it is released, or about to be."""
    ended_s: int | None = None
    """When it was made to end."""
    end_reason: str = ""
    held: tuple[HeldGpu, ...] = ()
    """GPUs seen since its last receipt."""
    energy_joules: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time of one receipt that is due."""

    start_s: int
    end_s: int
    part: int
    last: bool
    of_s: int
    """Of how many seconds it is one: what was drawn in them is shared by time."""
    before_s: int
    """How many of them lie before it."""


def due(run: MeteredRun, sight: Sight, *, every_s: int = EVERY_S) -> Iterator[Stretch]:
    """Yield the receipts that are due, oldest first; a run that is over gets its last."""
    begin_s, part = seconds(run.until), run.parts + 1
    # Behind what is covered the clock has gone back: no second is sold twice.
    end_s = max(sight.now_s, begin_s)
    start_s, of_s = begin_s, end_s - begin_s
    while end_s - start_s > LONGEST_S:
        next_s = start_s + LONGEST_S
        yield Stretch(start_s, next_s, part, last=False, of_s=of_s, before_s=start_s - begin_s)
        start_s, part = next_s, part + 1
    if sight.over or end_s - start_s >= every_s:
        yield Stretch(start_s, end_s, part, sight.over, of_s=of_s, before_s=start_s - begin_s)


def draw(head: Head, run: MeteredRun, sight: Sight, stretch: Stretch) -> WorkReceipt:
    """Return the receipt of one stretch, next in the chain after ``head``."""
    return WorkReceipt(
        sequence=head.sequence + 1,
        previous=head.digest or None,
        part=stretch.part,
        work=run.work,
        start=rfc3339(stretch.start_s),
        end=rfc3339(stretch.end_s),
        issued=rfc3339(max(sight.now_s, stretch.end_s)),
        usage=_usage(run, sight, stretch),
        held=_held(sight, stretch),
        last=stretch.last,
        end_reason=sight.end_reason if stretch.last else None,
        result_digest=run.result_digest if stretch.last else None,
    )


def _usage(run: MeteredRun, sight: Sight, stretch: Stretch) -> Usage:
    """Count what was held: until the run ended, by itself or not, and not while it was cleared away."""
    ends = [sight.ended_s, None if run.finished is None else seconds(run.finished)]
    ended_s = min((end for end in ends if end is not None), default=stretch.end_s)
    held_s = max(0, min(stretch.end_s, ended_s) - stretch.start_s)
    return Usage(
        gpu_seconds=run.work.gpus * held_s,
        cpu_milliseconds=run.work.cpu_millis * held_s,
        energy_joules=_energy(run, sight, stretch),
    )


def _energy(run: MeteredRun, sight: Sight, stretch: Stretch) -> int | None:
    """Return the part of what the counters told that falls into one of several stretches."""
    total, of_s = sight.energy_joules, stretch.of_s
    if total is None or not of_s or total > most_joules(run.work, of_s):
        # What cannot be is a counter's fault: nothing is told rather than something absurd.
        return None
    span_s = stretch.end_s - stretch.start_s
    told = (stretch.before_s + span_s) * total // of_s - stretch.before_s * total // of_s
    return min(told, most_joules(run.work, span_s))


def _held(sight: Sight, stretch: Stretch) -> tuple[HeldGpu, ...]:
    start, end = rfc3339(stretch.start_s), rfc3339(stretch.end_s)
    cut = (
        gpu.model_copy(update={"start": max(gpu.start, start), "end": min(gpu.end, end)})
        for gpu in sight.held
        if gpu.start < end and gpu.end >= start
    )
    return tuple(gpu for gpu in cut if gpu.start <= gpu.end)[:MOST_IDS]
