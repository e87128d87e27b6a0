"""How long whoever becomes ready waits for the event loop: a probe, a scrape, a renewal of the Lease.

What holds the loop holds all of them, so it is measured all the time and by the loop itself: a timer
that is due every ``EVERY_S`` notes how late it came. One that came very late stands for all that would
have come due meanwhile, each a step less late; else a stop of ten seconds would count as one of many.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

log = logging.getLogger(__name__)

EVERY_S = 0.025
TOLD_FROM_S = 0.25
"""A stop so long is told in the log: a scrape shows that there was one, the log when."""
MOST_MISSED = 2400
"""Timers that one stop stands for at the most: a minute's worth."""


@dataclass(frozen=True, slots=True)
class LoopLook:
    """What one look at the loop found."""

    lags_s: tuple[float, ...]
    """Of the timer, and of those that would have come due while it was late."""
    cpu_s: float
    """What the loop's thread computed since the look before: its own share of the lag."""


async def watch_loop(
    note: Callable[[LoopLook], None], thread_cpu_s: Callable[[], float]
) -> NoReturn:
    """Give each look at the loop to ``note``, until cancelled.

    ``thread_cpu_s``: CPU seconds of the calling thread. A machine that is too busy makes timers late,
    too; what the thread computed meanwhile tells the two apart.
    """
    loop = asyncio.get_running_loop()
    while True:
        due_s, before_s = loop.time() + EVERY_S, thread_cpu_s()
        await asyncio.sleep(EVERY_S)
        late_s, cpu_s = max(0.0, loop.time() - due_s), thread_cpu_s() - before_s
        if late_s >= TOLD_FROM_S:
            held = {"seconds": round(late_s, 3), "cpuSeconds": round(cpu_s, 3)}
            log.warning("event loop held", extra=held)
        note(LoopLook(tuple(lags(late_s)), cpu_s))


def lags(late_s: float) -> Iterator[float]:
    """Yield the lag of a timer and of those that would have come due while it was late.

    >>> [round(lag_s, 3) for lag_s in lags(0.06)]
    [0.06, 0.035, 0.01]
    """
    for missed in range(min(MOST_MISSED, int(late_s / EVERY_S) + 1)):
        yield late_s - missed * EVERY_S
