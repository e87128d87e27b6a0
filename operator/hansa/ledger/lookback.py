"""From when on a pass over an append-only table has to look, so that passes do not grow with the table.

What was recorded before has been dealt with, all but what a late writer or a clock that was put back recorded: each pass
looks a while back, and at everything from time to time.
"""

from __future__ import annotations

from hansa.ports import Clock

BACK_MS = 60_000
"""Writers of one database do not commit in the order of their clocks."""
EVERYTHING_EVERY_S = 600.0


def looked_back(before_ms: int, now_ms: int) -> int:
    """Return from when on to look, inclusive, where all is dealt with that was recorded before ``before_ms``.

    A clock that was put back records behind what was dealt with last.
    """
    return max(0, min(before_ms, now_ms) - BACK_MS)


class Lookback:
    """Of one pass that is done again and again."""

    def __init__(self, clock: Clock) -> None:
        """The first pass looks at everything."""
        self._clock = clock
        self._before_ms = 0
        self._everything_at_s = clock.monotonic()

    def since_ms(self) -> int:
        """Return from when on, inclusive, this pass has to look."""
        now_s = self._clock.monotonic()
        if now_s >= self._everything_at_s:
            self._everything_at_s = now_s + EVERYTHING_EVERY_S
            return 0
        return looked_back(self._before_ms, int(self._clock.now() * 1000))

    def done(self, before_ms: int) -> None:
        """Take note that all is dealt with that was recorded before, as the pass has seen it."""
        self._before_ms = before_ms
