"""When running work is expected to end, cell by cell: the base of reservations and estimates.

A job that has run for e seconds ends by the quantiles of its kind's run times *given that they
exceed e*; the member stops it at its longest run time anyway.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from hansa.model.history import RunTimes
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.league import League
from hansa.placement.state.records import Held, Record

_NORMAL = NormalDist()
CERTAIN = 1e-9
"""A spread of run times below this is none."""
NEVER = 1 << 40
"""Seconds: no end is in sight."""
NOWHERE = slice(0, 0)


def remaining_s(times: RunTimes, elapsed_s: int, limit_s: int, quantile: float) -> int:
    """Seconds until a job that ran for ``elapsed_s`` ends, at the given odds."""
    left = max(0, limit_s - elapsed_s)
    if times.log_sigma < CERTAIN:
        return min(left, max(0, math.ceil(times.p50_s) - elapsed_s))
    seen = _NORMAL.cdf((math.log(max(1, elapsed_s)) - times.log_mean) / times.log_sigma)
    odds = seen + quantile * (1.0 - seen)
    if odds >= 1.0 - 1e-12:
        return left
    total = math.exp(
        min(30.0, times.log_mean + times.log_sigma * _NORMAL.inv_cdf(max(odds, 1e-12)))
    )
    return min(left, max(0, math.ceil(total) - elapsed_s))


@dataclass
class Profile:
    """GPUs of one cell that become free, in order of time; later claims take from them."""

    free: int
    times: list[int] = field(default_factory=list)
    gpus: list[int] = field(default_factory=list)
    claimed: int = 0
    """Place behind the last claim: from there on GPUs only become free."""

    def add(self, at_s: int, gpus: int) -> None:
        """GPUs that become free (or with a negative number are taken) at a time."""
        where = bisect_left(self.times, at_s)
        self.times.insert(where, at_s)
        self.gpus.insert(where, gpus)
        if gpus < 0:
            self.claimed = max(self.claimed, where) + 1
        elif where < self.claimed:
            self.claimed += 1

    def earliest(self, need: int) -> int:
        """Seconds from now until ``need`` GPUs are free and stay so; NEVER when they never are."""
        start, level = (0 if self.free >= need else NEVER), self.free
        for place, gpus in enumerate(self.gpus):
            if start < NEVER and place >= self.claimed:
                break
            level += gpus
            if level < need:
                start = NEVER
            elif start == NEVER:
                start = self.times[place]
        return start

    def level_at(self, at_s: int) -> int:
        """GPUs free at a time."""
        return self.free + sum(g for t, g in zip(self.times, self.gpus, strict=True) if t <= at_s)


@dataclass(frozen=True, slots=True)
class Started:
    """Work that a plan has just begun, not yet booked."""

    places: dict[int, slice]
    """Cell → its part of the columns."""
    times: list[int]
    """Expected ends, rising in each cell."""
    gpus: list[int]

    @classmethod
    def of(cls, cells: Ints, ends_s: Ints, gpus: Ints) -> Started:
        """Sort columns by cell."""
        order = np.lexsort((gpus, ends_s, cells))
        found, counts = np.unique(cells, return_counts=True)
        ends = np.cumsum(counts)
        places = zip(
            found.tolist(), map(slice, (ends - counts).tolist(), ends.tolist()), strict=True
        )
        return cls(dict(places), ends_s[order].tolist(), gpus[order].tolist())

    def at(self, cell: int) -> tuple[list[int], list[int]]:
        """Ends and GPUs of what began at a cell."""
        place = self.places.get(cell, NOWHERE)
        return self.times[place], self.gpus[place]


class Releases:
    """Profiles of all cells at one pair of odds, built cell by cell when asked for."""

    def __init__(self, league: League, quantile: float, started: Started | None = None) -> None:
        self._league = league
        self._quantile = quantile
        self._started = started
        self._profiles: dict[int, Profile] = {}

    def profile(self, cell: int) -> Profile:
        """The cell's profile; claims made on it are kept."""
        if cell not in self._profiles:
            free = int(self._league.supply.cell_free[cell])
            self._profiles[cell] = Profile(free, *self._ends(cell))
        return self._profiles[cell]

    def _ends(self, cell: int) -> tuple[list[int], list[int]]:
        """When what stands in a cell is expected to end, in order, and its GPUs."""
        running = self._league.by_cell.get(cell, ())
        times, gpus = ([], []) if self._started is None else self._started.at(cell)
        if not running:
            return times, gpus
        ends = [
            (self._end(record, held), held.holding.workers * record.job.shape.gpus)
            for record, held in running
        ]
        ends += zip(times, gpus, strict=True)
        ends.sort()
        return [at_s for at_s, _ in ends], [freed for _, freed in ends]

    def _end(self, record: Record, held: Held) -> int:
        if held.holding.stopping:
            return 1
        job, elapsed = record.job, max(0, self._league.now_s - held.holding.since_s)
        times = self._league.run_time(job)
        return max(1, remaining_s(times, elapsed, job.max_runtime_s, self._quantile))
