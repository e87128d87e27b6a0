"""Fine-tuning: run one random segment between two committed checkpoints again, and halve a dispute to one step.

The job's spec says at which steps its state is committed, so a provider cannot stretch the part that it did over all
steps that are drawn. It commits the digests in its signed result, before anybody knows which segment will be looked at.
Refereed delegation as in Verde (arXiv 2502.19405): if the two states at the end of a segment differ, both parties run
it once more and say the states between; halving finds the first stretch on which they differ while they agree on where
it began, down to one step, and that alone others run. Poisoned data before step 0 is not seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_SAID = 32
"""Steps between the ends of a stretch that one run is asked for: with the ends they fit a result of 4 KiB."""
_DIGEST, _STEP = re.compile(r"[0-9a-f]{64}"), re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Grid:
    """At which steps a job commits its state: at 0, every so many, and at the end.

    Raises:
        ValueError: no steps, or none between.
    """

    steps: int
    every: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.every < 1:
            raise ValueError("grid: give at least one step, and a distance of at least one")

    @property
    def at(self) -> tuple[int, ...]:
        """The steps, in order."""
        return (*range(0, self.steps, self.every), self.steps)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one run of an audit does: from the state before step ``first`` to the one before ``last``."""

    first: int
    last: int
    state: str
    """Digest of the state to begin with."""

    @property
    def say(self) -> tuple[int, ...]:
        """The steps between of which it says the state, too: all of a short one, else spread evenly."""
        count = min(self.last - self.first - 1, MOST_SAID)
        length = self.last - self.first
        return tuple(self.first + length * (i + 1) // (count + 1) for i in range(count))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stretch, and where its provider says that it ends."""

    stretch: Stretch
    digest: str


States = Mapping[int, str]
"""Step → digest of the state before it."""


def read_states(text: str) -> States:
    """Return the states in a run's result: ``{"checkpoints": {"0": "64 hex digits", …}, …}``.

    Raises:
        ValueError: the text is none such; what is wrong is said.
    """
    try:
        said: Any = json.loads(text)
    except RecursionError:
        raise ValueError("result: nested too deeply") from None
    found = said.get("checkpoints") if isinstance(said, dict) else None
    if not isinstance(found, dict):
        raise ValueError("checkpoints: an object of steps and digests is needed")  # noqa: TRY004 - the text is wrong
    for step, digest in found.items():
        if not _STEP.fullmatch(step):
            raise ValueError(f"checkpoints: {step[:20]!r} is no step")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ValueError(f"checkpoints.{step}: 64 hexadecimal digits are needed")
    return {int(step): digest for step, digest in found.items()}


def draw(grid: Grid, committed: States, ticket: int) -> Claimed | None:
    """Return the segment that the ticket draws, each step being as likely to be looked at as any other.

    None: what was committed are not the states at the grid's steps, so there is no segment to begin with.
    """
    if sorted(committed) != list(grid.at):
        return None
    drawn = hashlib.sha256(b"hansa/segment/v1\0" + ticket.to_bytes(32, "big")).digest()
    first = int.from_bytes(drawn, "big") % grid.steps // grid.every * grid.every
    last = min(first + grid.every, grid.steps)
    return Claimed(Stretch(first, last, committed[first]), committed[last])


def answered(stretch: Stretch, text: str) -> States | None:
    """Return what a run says of a stretch; None: nothing that begins where it had to and reaches the end."""
    try:
        found = read_states(text)
    except ValueError:
        return None
    return found if found.get(stretch.first) == stretch.state and stretch.last in found else None


def halve(claimed: Claimed, provider: States, auditor: States) -> Claimed:
    """Return the shortest stretch that the two dispute, by what both said: they agree where it begins.

    Both said other states for its end. If neither said more than the ends, it is the same stretch.
    """
    stretch = claimed.stretch
    steps = [step for step in stretch.say if step in provider and step in auditor]
    agreed, disputed = stretch.first, stretch.last
    while steps:
        middle = steps[len(steps) // 2]
        if provider[middle] == auditor[middle]:
            agreed = middle
        else:
            disputed = middle
        steps = [step for step in steps if agreed < step < disputed]
    return Claimed(Stretch(agreed, disputed, provider[agreed]), provider[disputed])
