"""What stands in the cells, as columns: what could yield is summed up without looking at each.

Preemption asks, for every blocked job, what its many cells could give. Here the answer takes a few
operations on columns. It is a bound and no decision: ``preemption`` then looks closely at the few
cells that can be enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hansa.model.snapshot import Holding, Job, Pool
from hansa.placement.kernel.tables import HUGE
from hansa.placement.rules.fleet import Ints

Flags = npt.NDArray[np.bool_]


class Offer(NamedTuple):
    """What a holding could yield, as far as job and holding themselves go."""

    workers_left: int
    """0: it would have to stop."""
    gpus: int
    """GPUs that it would free."""


def offer_of(job: Job, room: Holding, least: int) -> Offer | None:
    """What a holding could yield, once it has run long enough; None: nothing.

    ``least``: workers that an elastic job keeps. Who only shrinks need not have run for long.
    """
    if room.stopping or not room.confirmed:
        return None
    if job.shape.min_workers and room.workers > least:
        return Offer(least, (room.workers - least) * job.shape.gpus)
    if not job.preemptible:
        return None
    return Offer(0, room.workers * job.shape.gpus)


@dataclass(init=False)
class HoldingColumns:
    """One row a holding; rows are used again after ``leave``."""

    cell: Ints
    leaf: Ints
    """Account of its institution; -1: none."""
    pool: Ints
    """Number of its pool."""
    priority: Ints
    since_s: Ints
    gpus: Ints
    """GPUs that it would free."""
    shrinks: Flags
    """Whether it would go on with fewer workers."""
    yields: Flags
    """Whether it could yield at all."""

    def __init__(self, pools: Mapping[str, Pool], size: int = 64) -> None:
        """``pools``: those of the league, also when their rules change."""
        self._pools = pools
        self._numbers = {name: number for number, name in enumerate(pools)}
        self._spare: list[int] = []
        self._used = 0
        for spec in fields(self):
            kind = bool if spec.name in {"shrinks", "yields"} else np.int64
            setattr(self, spec.name, np.zeros(size, kind))

    def note(self, slot: int, job: Job, room: Holding, place: tuple[int, int, int]) -> int:
        """Take in a holding, or what is new about it; the row it has.

        ``slot``: its row, -1 for a new one; ``place``: its cell, its account, and the workers that
        its kind needs at least.
        """
        row = self._new() if slot < 0 else slot
        self.cell[row], self.leaf[row], least = place
        offer = offer_of(job, room, least)
        self.yields[row] = offer is not None and job.pool in self._numbers
        if self.yields[row] and offer is not None:
            self.pool[row] = self._numbers[job.pool]
            self.priority[row], self.since_s[row] = _sane(job.priority), _sane(room.since_s)
            self.gpus[row], self.shrinks[row] = _sane(offer.gpus), offer.workers_left > 0
        return row

    def leave(self, slot: int) -> None:
        """Forget a holding."""
        self.yields[slot] = False
        self._spare.append(slot)

    def copied(self) -> HoldingColumns:
        """The same rows, to be changed apart from these."""
        other = copy(self)
        for spec in fields(self):
            setattr(other, spec.name, getattr(self, spec.name).copy())
        other._spare = [*self._spare]  # noqa: SLF001  # its own
        return other

    def _new(self) -> int:
        if self._spare:
            return self._spare.pop()
        if self._used == len(self.cell):
            for spec in fields(self):
                column = getattr(self, spec.name)
                setattr(self, spec.name, np.concatenate((column, np.zeros_like(column))))
        self._used += 1
        return self._used - 1

    def of_pool(self, chosen: Flags, name: str) -> Ints:
        """Rows of the chosen that are of a pool."""
        rows = chosen.nonzero()[0]
        return np.asarray(rows[self.pool[rows] == self._numbers[name]])

    def gpus_at(self, rows: Ints, cells: int) -> Ints:
        """Per cell, the GPUs that some rows would free."""
        return np.bincount(self.cell[rows], self.gpus[rows], cells).astype(np.int64)


def _sane(number: int) -> int:
    """A number that fits into a column."""
    return min(HUGE, max(-HUGE, number))
