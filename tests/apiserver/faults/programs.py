"""A program that Kubernetes keeps running, to be killed: in this process, or as one of its own.

Killed means: its connections break first, so that nothing it does as it ends reaches a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.guard import app as guard_app
from hansa.hub import app as hub_app
from hansa.member import app as member_app
from hansa.placement.pricing import shadow_prices
from tests.apiserver.faults.proxy import FaultLine
from tests.apiserver.faults.shipped import ANSWER_S
from tests.simulation.loop import Process

WATCH_IDLE_S = 10.0
PAUSE_S = 0.2
"""From its end until it is started again."""


class Program:
    """One program over all of its lives."""

    def __init__(self, name: str, lines: list[FaultLine]) -> None:
        self.name, self.lines = name, lines
        self.deaths: list[str] = []
        """Ends that nobody asked for."""
        self.starts = 0
        self._restart: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a life."""
        for line in self.lines:
            line.refused = False
        self.starts += 1
        self._begin()

    def kill(self) -> None:
        """Kill it; it is back in a moment."""
        if self._restart is None or self._restart.done():
            self._cut_off()
            self._end()
            self._restart = asyncio.get_running_loop().create_task(self._come_back())

    async def stop(self) -> None:
        """Kill it for good."""
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        self._cut_off()
        self._end()
        await self._gone()

    async def back(self) -> None:
        """Wait until it is not about to be started."""
        if self._restart is not None:
            await self._restart

    def _cut_off(self) -> None:
        for line in self.lines:
            line.refused = True
            line.hang_up()

    async def _come_back(self) -> None:
        await self._gone()
        await asyncio.sleep(PAUSE_S)
        self.start()

    def look(self) -> None:
        """Take note if it has ended by itself."""

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    async def _gone(self) -> None:
        raise NotImplementedError


class InProcess(Program):
    """Tasks of this process."""

    def __init__(
        self, name: str, lines: list[FaultLine], work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        super().__init__(name, lines)
        self._work = work
        self._life: Process | None = None

    def _begin(self) -> None:
        life = self._life = Process(self.name, SystemClock(), on_death=lambda: None)  # type: ignore[arg-type]  # its clocks are the machine's
        task = life.start(self._work())
        task.add_done_callback(functools.partial(self._ended, life))

    def _ended(self, life: Process, task: asyncio.Task[Any]) -> None:
        if not life.dead:
            self.deaths.append(repr(None if task.cancelled() else task.exception()))
            self.kill()

    def _end(self) -> None:
        if self._life is not None:
            self._life.kill()

    async def _gone(self) -> None:
        if self._life is not None:
            await self._life.gone()


class ChildProcess(Program):
    """A process of its own: ``hansa hub``, ``hansa member`` or ``hansa guard``."""

    def __init__(
        self, name: str, lines: list[FaultLine], verb: str, settings: Mapping[str, str], log: Path
    ) -> None:
        super().__init__(name, lines)
        self._verb, self._settings, self._log = verb, settings, log
        self._process: subprocess.Popen[bytes] | None = None

    def _begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("hansa")), self._verb],
                env=os.environ | dict(self._settings),
                stdout=log,
                stderr=log,
            )

    def look(self) -> None:
        is_killed = self._restart is not None and not self._restart.done()
        if not is_killed and self._process is not None and self._process.poll() is not None:
            self.deaths.append(f"exit code {self._process.returncode}")
            self.kill()

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    async def _gone(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
            self._process = None


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Have the shipped modules use clients that wait no longer than a plan lasts, and find prices here."""
    quick = functools.partial(
        KubeCluster, watch_inactivity_s=WATCH_IDLE_S, request_timeout_s=ANSWER_S
    )

    async def solve(market: Any) -> Any:
        return shadow_prices.solve(market).prices

    stand_ins = [(module, "KubeCluster", quick) for module in (hub_app, member_app, guard_app)]
    stand_ins.append((hub_app, "solve_elsewhere", solve))
    before = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
    for module, name, stand_in in stand_ins:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
