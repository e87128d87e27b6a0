"""The loop of virtual time does what asyncio's own does, in the same order."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import numpy as np
import pytest

from tests.simulation.loop import MANY_TIMERS, VirtualLoop, pause


class JumpingSelector(selectors.DefaultSelector):
    """Passes the time it would wait."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now_s += timeout or 0.0
        return []


class Reference(asyncio.SelectorEventLoop):
    """asyncio's own loop, that waits for nothing."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


MOST_DONE = 1000
SECONDS = (0.0, 0.5, 1.0, 1.0, 1.0 + 5e-10, 7.0)


class Programme:
    """Does at random what loops are for, and notes what is done when."""

    def __init__(self, seed: int, begins: int) -> None:
        self._rng, self._begins = np.random.default_rng(seed), begins
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.done: list[tuple[float, float]] = []

    async def run(self) -> None:
        for _ in range(self._begins):
            self._begin()
        await pause(40.0)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self) -> None:
        loop, name = asyncio.get_running_loop(), self._rng.random()
        seconds = (*SECONDS, self._rng.random())[self._rng.integers(7)]
        kind = self._rng.integers(30)
        if kind < 15:
            self._timers.append(loop.call_later(seconds, self._note, name))
        elif kind < 20:
            loop.call_soon(self._note, name)
        elif kind < 29:
            self._tasks.append(loop.create_task(self._sleep(seconds, name)))
        else:
            # Of a crowd more than half at times, which asyncio then drops at once.
            for one in (*self._chosen(self._timers, 0.7), *self._chosen(self._tasks, 0.2)):
                one.cancel()

    def _chosen(self, things: list[Any], share: float) -> list[Any]:
        return [thing for thing in things if self._rng.random() < share]

    async def _sleep(self, seconds: float, name: float) -> None:
        sleep = asyncio.sleep if self._rng.random() < 0.5 else pause
        async with asyncio.timeout(1.0):
            await sleep(seconds)
        self._note(name)

    def _note(self, name: float) -> None:
        self.done.append((asyncio.get_running_loop().time(), name))
        if len(self.done) < MOST_DONE:
            for _ in range(self._rng.integers(4)):
                self._begin()


def played(loop: asyncio.AbstractEventLoop, programme: Programme) -> list[tuple[float, float]]:
    try:
        loop.run_until_complete(programme.run())
    finally:
        loop.close()
    return programme.done


@pytest.mark.parametrize("begins", [5, 400], ids=["few timers", "many timers"])
def test_things_are_done_in_the_order_of_asyncio(begins):
    lengths = []
    for seed in range(10):
        ours = played(VirtualLoop(), Programme(seed, begins))
        assert ours == played(Reference(), Programme(seed, begins))
        lengths.append(len(ours))
    assert max(lengths) > MANY_TIMERS


def test_a_league_in_which_nothing_will_happen_ends():
    loop = VirtualLoop()
    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        loop.run_until_complete(loop.create_future())
    loop.close()
