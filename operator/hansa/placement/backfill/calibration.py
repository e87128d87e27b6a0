"""Start estimates that keep their promise: the band is as wide as past errors were.

A plan can say when room will be free; it cannot know who else will arrive. What it said and what
came of it is therefore compared, and the next band is cut where most past ratios of actual to told
wait lay (conformal prediction on a sliding window, for waits of one order together). Jobs that
still wait, and longer than was usual, count as well: without them the window would hold the lucky
ones only. Since errors come in bursts, the odds at each end are steered by feedback: a miss, known
as soon as a start is late, widens the next bands there, a hit narrows them, so that the share of
misses tends to ``MISSES`` whatever the load does (adaptive conformal inference, Gibbs and Candès,
NeurIPS 2021).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from hansa.model.plan import Waiting
from hansa.model.snapshot import Job

MISSES = 0.15
"""Share of bands aimed at that the start misses: what is promised is two in ten."""
RATE = 0.02
"""What one miss takes from the odds of missing; a hit adds its part of it."""
LEAST_ODDS = 0.002
MOST_ODDS = 0.3
WINDOW = 200
MOST_OPEN = 300
"""Waiting jobs looked at, the oldest first."""
ENOUGH = 15
"""Fewer past errors than this say nothing."""
LEAST_S = 60.0
"""Errors of less than a minute do not matter."""
BREAKS_S = (600, 3600, 6 * 3600, 86_400)
"""Waits are judged beside waits of their own order."""

Band = tuple[float, float, float]
"""Wait at the lower end, at even odds, and at the upper end, in seconds."""


@dataclass(slots=True)
class _Promise:
    told_s: float
    since_s: int
    band: Band | None
    is_late: bool = False


@dataclass(slots=True)
class _Errors:
    """Waits of one order: ratios of actual to told, and promises still open."""

    ratios: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    open: dict[str, _Promise] = field(default_factory=dict)
    early: float = MISSES / 2
    late: float = MISSES / 2
    """Odds at each end that bands are cut for, steered so that half of ``MISSES`` come about."""

    def at(self, now_s: int) -> list[float]:
        """Ratios known by now; an open promise counts once it is late."""
        usual = float(np.median(self.ratios)) if self.ratios else 1.0
        so_far = (
            (now_s - promise.since_s + LEAST_S) / promise.told_s
            for promise in islice(self.open.values(), MOST_OPEN)
        )
        return [*self.ratios, *(ratio for ratio in so_far if ratio > usual)]

    def close(self, uid: str, now_s: int) -> None:
        """A start: remember the ratio, and steer by whether the band held."""
        promise = self.open.pop(uid)
        waited_s = max(0, now_s - promise.since_s)
        self.ratios.append((waited_s + LEAST_S) / promise.told_s)
        if promise.band is not None:
            self.early = _steered(self.early, is_missed=waited_s < promise.band[0])
            self._judge(promise, waited_s, has_started=True)

    def note_late(self, now_s: int) -> None:
        """A start that has not come by the upper end is a miss, whenever it comes."""
        for promise in islice(self.open.values(), MOST_OPEN):
            self._judge(promise, now_s - promise.since_s, has_started=False)

    def _judge(self, promise: _Promise, waited_s: int, *, has_started: bool) -> None:
        if promise.band is None or promise.is_late:
            return
        promise.is_late = waited_s > promise.band[2]
        if promise.is_late or has_started:
            self.late = _steered(self.late, is_missed=promise.is_late)

    def factors(self, now_s: int) -> Sequence[float] | None:
        """What told waits are multiplied by for a band; None while too little is known."""
        ratios = self.at(now_s)
        if len(ratios) < ENOUGH:
            return None
        cuts = np.quantile(ratios, (self.early, 0.5, 1 - self.late))
        return [float(cut) for cut in cuts]


class Calibration:
    """Promises made, what became of them, and bands made from that."""

    def __init__(self) -> None:
        self._errors = [_Errors() for _ in range(len(BREAKS_S) + 1)]
        self._order: dict[str, int] = {}

    def told(self, waiting: Iterable[Waiting], now_s: int) -> tuple[Waiting, ...]:
        """Put what past errors say around every start estimate, and remember what is new."""
        for errors in self._errors:
            errors.note_late(now_s)
        factors = [errors.factors(now_s) for errors in self._errors]
        return tuple(self._one(said, now_s, factors) for said in waiting)

    def started(self, uid: str, now_s: int) -> None:
        """Hear that a job started."""
        if uid in self._order:
            self._errors[self._order.pop(uid)].close(uid, now_s)

    def resume(self, jobs: Iterable[Job]) -> None:
        """Take up again with the jobs there are now: some started unseen, some are gone."""
        known = {job.uid: job for job in jobs if job.uid in self._order}
        for uid in tuple(self._order):
            if uid not in known:
                self.gone(uid)
            elif known[uid].holdings:
                self.started(uid, min(held.since_s for held in known[uid].holdings))

    def gone(self, uid: str) -> None:
        """Hear that a job will not start."""
        if uid in self._order:
            del self._errors[self._order.pop(uid)].open[uid]

    def _one(self, said: Waiting, now_s: int, factors: Sequence[Sequence[float] | None]) -> Waiting:
        if said.start_p50_s is None:
            return said
        told_s = max(0, said.start_p50_s - now_s) + LEAST_S
        order = sum(told_s - LEAST_S >= edge for edge in BREAKS_S)
        factor = factors[order]
        band = None if factor is None else _band(told_s, factor)
        if said.job_uid not in self._order:
            self._order[said.job_uid] = order
            self._errors[order].open[said.job_uid] = _Promise(told_s, now_s, band)
        if band is None:
            return said
        low, middle, high = band
        return replace(
            said,
            start_p10_s=now_s + math.floor(low),
            start_p50_s=now_s + math.ceil(middle),
            start_p90_s=now_s + math.ceil(high),
        )


def _steered(odds: float, *, is_missed: bool) -> float:
    return min(MOST_ODDS, max(LEAST_ODDS, odds + RATE * (MISSES / 2 - is_missed)))


def _band(told_s: float, factors: Sequence[float]) -> Band:
    low, middle, high = (max(0.0, factor * told_s - LEAST_S) for factor in factors)
    return low, middle, high
