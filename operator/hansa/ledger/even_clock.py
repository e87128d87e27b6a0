"""Whether the time of day goes evenly: by a clock that has just jumped nothing is done that cannot be taken back."""

from __future__ import annotations

import logging

from hansa.ports import Clock

log = logging.getLogger(__name__)
EVEN_FOR_S = 3600.0
"""How long a clock that has jumped has to go evenly before anything is done by it again."""


class EvenClock:
    """Holds the time of day against the monotonic clock."""

    def __init__(self, clock: Clock, skew_s: float) -> None:
        """``skew_s``: what is no jump. As the process begins the clock is believed."""
        self._clock, self._skew_s = clock, skew_s
        self._offset_s: float | None = None
        """Time of day less the monotonic clock, as they were last."""
        self._even_from_s = 0.0
        """When the clock has gone evenly for long enough, on the monotonic clock."""

    def has_jumped(self, what: str) -> bool:
        """Tell whether it has jumped within the hour. ``what`` is not done then: for the log."""
        monotonic_s, before_s = self._clock.monotonic(), self._offset_s
        self._offset_s = self._clock.now() - monotonic_s
        by_s = 0.0 if before_s is None else self._offset_s - before_s
        if abs(by_s) > self._skew_s:
            self._even_from_s = monotonic_s + EVEN_FOR_S
            log.error("the clock has jumped: %s for an hour", what, extra={"seconds": round(by_s)})
        return monotonic_s < self._even_from_s
