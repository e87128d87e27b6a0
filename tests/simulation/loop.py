"""Virtual time: an event loop that jumps to its next timer, and processes that can be killed in it.

A process is all tasks that descend from its first one. To kill it is to cancel them at once with their
connections dead, so that no ``finally`` of theirs reaches a server any more.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

EPOCH_S = 1_800_000_000.0
"""Wall time at which a simulation begins; its loop begins at 0."""


class _Selector(selectors.BaseSelector):
    """Waits for nothing: what would be a wait moves the loop's clock."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again in this simulation")
        self.now_s += max(0.0, timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> Any:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_map(self) -> Any:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without sockets, threads or waiting."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self._virtual.now_s

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run it here and now: a thread would bring real time in."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


class Clock:
    """One process's clocks: right at first, then set wrong by the story."""

    def __init__(self, loop: asyncio.AbstractEventLoop, offset_s: float = 0.0) -> None:
        self._loop = loop
        self.offset_s = offset_s

    def now(self) -> float:
        return EPOCH_S + self._loop.time() + self.offset_s

    def monotonic(self) -> float:
        return self._loop.time()

    def thread_cpu(self) -> float:
        return 0.0


class Process:
    """One life of a program, from its start to its end or its murder."""

    def __init__(self, name: str, clock: Clock, *, on_death: Callable[[], object]) -> None:
        self.name = name
        self.clock = clock
        self.dead = False
        self._on_death = on_death
        self.clients: dict[str, Any] = {}
        """Server → its connection to it."""
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def start(self, main: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Begin."""
        context = contextvars.copy_context()
        context.run(CURRENT.set, self)
        return asyncio.get_running_loop().create_task(main, context=context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """Count a task as this process's."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if not self.dead:
            self.dead = True
            self._cancel()
            self._on_death()

    def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    async def gone(self) -> None:
        """Wait until nothing of it is left: what a task begins as it ends is ended too."""
        while self._tasks:
            self._cancel()
            await asyncio.wait(list(self._tasks), timeout=1)

    async def die(self) -> None:
        """Kill it from within; does not return."""
        asyncio.get_running_loop().call_soon(self.kill)
        await asyncio.get_running_loop().create_future()


CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


def _owned(
    loop: asyncio.AbstractEventLoop, coroutine: Any, *, context: Any = None, **options: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, context=context, **options)
    process = (context or contextvars.copy_context()).get(CURRENT)
    if process is not None:
        process.own(task)
    return task
