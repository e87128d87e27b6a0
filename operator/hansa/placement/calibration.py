"""Start estimates that keep their promise: the band is as wide as past errors were.

A plan can say when room will be free; it cannot know who else will arrive. What it said and what
came of it is therefore compared, and the next band is cut where most past ratios lay (conformal
prediction on a sliding window). Jobs that still wait, and longer than was usual, count as well:
without them the window would hold the lucky ones only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

WINDOW = 100
MOST_OPEN = 300
"""Waiting jobs looked at, the oldest first."""
ENOUGH = 15
"""Fewer past errors than this say nothing."""
LEAST_S = 60.0
"""Errors of less than a minute do not matter."""
BREAKS_S = (600, 3600, 6 * 3600, 86_400)
"""Waits are judged beside waits of their own order."""


@dataclass(slots=True)
class _Errors:
    """Waits of one order: ratios of actual to told, and promises still open."""

    ratios: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    told: dict[str, tuple[float, int]] = field(default_factory=dict)

    def at(self, now_s: int) -> list[float]:
        """Ratios known by now; an open promise counts once it is late."""
        usual = float(np.median(self.ratios)) if self.ratios else 1.0
        so_far = (
            (now_s - since_s + LEAST_S) / told_s
            for told_s, since_s in islice(self.told.values(), MOST_OPEN)
        )
        return [*self.ratios, *(ratio for ratio in so_far if ratio > usual)]


class Calibration:
    """Promises made, what became of them, and bands made from that."""

    def __init__(self) -> None:
        self._errors = [_Errors() for _ in range(len(BREAKS_S) + 1)]
        self._order: dict[str, int] = {}

    def promise(self, uid: str, told_s: float, now_s: int) -> None:
        """A job was told to wait ``told_s``."""
        self._order[uid] = _order(told_s)
        self._errors[_order(told_s)].told[uid] = (told_s + LEAST_S, now_s)

    def started(self, uid: str, now_s: int) -> None:
        """It started."""
        if uid in self._order:
            errors = self._errors[self._order.pop(uid)]
            told_s, since_s = errors.told.pop(uid)
            errors.ratios.append((now_s - since_s + LEAST_S) / told_s)

    def quantiles_s(
        self, told_s: float, now_s: int, odds: tuple[float, ...]
    ) -> tuple[float, ...] | None:
        """Waits not exceeded at the given odds; None while too little is known."""
        ratios = self._errors[_order(told_s)].at(now_s)
        if len(ratios) < ENOUGH:
            return None
        waits = np.quantile(ratios, odds) * (told_s + LEAST_S) - LEAST_S
        return tuple(float(wait) for wait in np.maximum(0.0, waits))


def _order(wait_s: float) -> int:
    return sum(wait_s >= edge for edge in BREAKS_S)
