"""The machine's clocks, behind the ``Clock`` port. Nothing else in Hansa reads the time."""

from __future__ import annotations

import time

_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux stops CLOCK_MONOTONIC in suspend: whoever held a Lease then would hold it still on waking."""


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()  # noqa: TID251  # this is the adapter the ban points to

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back, and goes on while the machine sleeps."""
        return time.clock_gettime(_SLEEPLESS)

    def thread_cpu(self) -> float:
        """Return CPU seconds of the calling thread so far: what it did, however busy the machine is."""
        return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
