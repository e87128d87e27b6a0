"""The machine's clocks, behind the ``Clock`` port. Nothing else in Hansa reads the time."""

from __future__ import annotations

import time


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()  # noqa: TID251  # this is the adapter the ban points to

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()  # noqa: TID251  # this is the adapter the ban points to
