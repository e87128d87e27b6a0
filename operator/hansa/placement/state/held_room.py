"""Cells that are held for jobs which cannot start yet: which, for whom, until when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from operator import is_

import numpy as np

from hansa.placement.kernel.tables import HUGE, RANK_BITS, RANK_MASK, Supply
from hansa.placement.rules.fleet import Fleet, Ints

BEHIND = 1 << 28
"""Ranks below this belong to jobs that room is being made for; see ``preemption``."""


@dataclass(frozen=True, slots=True)
class HeldRoom:
    """The columns that the kernel reads, and whose they are. Changes make another; a run takes from ``spare``."""

    key: Ints
    """Per cell: order key of the job it is held for; HUGE: none. These four are of ``Supply``."""
    until: Ints
    spare: Ints
    closed: Ints
    ranks: Mapping[int, int] = field(default_factory=dict)
    """Row of a job that room is held for → its rank."""
    gains: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """Cell → row of a job that room is made for there → key of its reservation."""

    @classmethod
    def none(cls, cells: int) -> HeldRoom:
        """Nothing held in so many cells."""
        key, (until, spare, closed) = np.full(cells, HUGE, np.int64), np.zeros((3, cells), np.int64)
        return cls(key, until, spare, closed)

    def in_supply(self, supply: Supply) -> Supply:
        """The supply with these very columns: the kernel takes from what is left over."""
        has = (
            supply.reserved_key,
            supply.reserved_until,
            supply.reserved_spare,
            supply.reserved_closed,
        )
        if all(map(is_, has, (self.key, self.until, self.spare, self.closed))):
            return supply
        return supply._replace(
            reserved_key=self.key,
            reserved_until=self.until,
            reserved_spare=self.spare,
            reserved_closed=self.closed,
        )

    def copy(self) -> HeldRoom:
        """The same, to plan on: what is left over is its own."""
        return HeldRoom(
            self.key, self.until, self.spare.copy(), self.closed, self.ranks, self.gains
        )

    def behind(self) -> HeldRoom:
        """The same, behind all for whom room is about to be made."""
        key = np.where(self.key == HUGE, HUGE, self.key + BEHIND)
        ranks = {row: rank + BEHIND for row, rank in self.ranks.items()}
        return replace(self, key=key, ranks=ranks)

    def later(self, passed_s: int) -> HeldRoom:
        """The same so many seconds later."""
        until = self.until - passed_s
        return HeldRoom(self.key, until, self.spare, self.closed, self.ranks, self.gains)

    def with_gain(self, cell: int, row: int, *, tier: int, spare: int) -> HeldRoom:
        """The same, and a cell held for one more job that room is made for there.

        ``spare``: GPUs that all who gain there leave to others.
        """
        keys = {**self.gains.get(cell, {}), row: order_key(tier, row)}
        key, until, left = self.key.copy(), self.until.copy(), self.spare.copy()
        # The last in rank of all that room is made for here: each of them may start.
        key[cell], until[cell], left[cell] = max(keys.values()), 0, spare
        ranks, gains = {**self.ranks, row: row}, {**self.gains, cell: keys}
        return HeldRoom(key, until, left, self.closed, ranks, gains)

    def without(self, rows: Collection[int]) -> HeldRoom:
        """The same without some jobs; a cell where room is made for others too is held for these."""
        mine = [row for row in rows if row in self.ranks]
        if not mine:
            return self
        ranks, key = dict(self.ranks), self.key.copy()
        gains = {cell: dict(keys) for cell, keys in self.gains.items()}
        for row in mine:
            key[(key != HUGE) & (key & RANK_MASK == ranks.pop(row))] = HUGE
            for cell, keys in gains.items():
                if keys.pop(row, None) is not None and keys:
                    key[cell] = max(keys.values())
        return replace(self, key=key, ranks=ranks, gains=gains)


def idle(fleet: Fleet) -> Supply:
    """The supply of a fleet where nothing runs and nothing is held."""
    none = HeldRoom.none(len(fleet.cells))
    return Supply(
        machine_gpus=fleet.gpus.copy(),
        machine_cpu=fleet.cpu.copy(),
        machine_memory=fleet.memory.copy(),
        cell_lo=fleet.lo,
        cell_hi=fleet.hi,
        site_lo=fleet.site_lo,
        site_hi=fleet.site_hi,
        cell_free=fleet.lent.copy(),
        cell_open=fleet.is_open.copy(),
        reserved_key=none.key,
        reserved_until=none.until,
        reserved_spare=none.spare,
        reserved_closed=none.closed,
    )


def order_key(tier: int, rank: int) -> int:
    """Who is ahead of whom at held room: those within their nominal share, then by rank."""
    return tier << RANK_BITS | rank
