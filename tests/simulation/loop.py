"""Virtual time: an event loop that jumps to its next timer, and processes that can be killed in it.

A process is all tasks that descend from its first one. To kill it is to cancel them at once with their
connections dead, so that no ``finally`` of theirs reaches a server any more.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from heapq import heapify, heappop, heappush
from typing import Any

EPOCH_S = 1_800_000_000.0
"""Wall time at which a simulation begins; its loop begins at 0."""
RESOLUTION_S = 1e-9
"""Timers so near to each other are due at one instant."""
MANY_TIMERS = MANY_TASKS = 100


class _Handle(list[Any]):
    """What is to be done: the call, its arguments and its context. A list, for one is made at each step."""

    __slots__ = ()

    def cancel(self) -> None:
        self[0] = None


class _Timer(float):
    """What is to be done at a time, which it is: a heap of these compares floats."""

    __slots__ = ("handle", "is_scheduled", "loop")
    loop: VirtualLoop
    handle: _Handle
    is_scheduled: bool

    def cancel(self) -> None:
        if self.handle[0] is not None:
            self.handle[0] = None
            self.loop.cancelled += self.is_scheduled


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets, threads or waiting: what would be a wait moves its clock.

    It does things in asyncio's order, also what is due at one instant, in a fraction of asyncio's time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._ready: deque[_Handle] = deque()
        self._timers: list[_Timer] = []
        self.cancelled = 0
        """Timers that are cancelled and not yet dropped."""
        self.set_task_factory(_owned)
        # asyncio asks for these at each step: C answers sooner.
        self.create_future = functools.partial(asyncio.Future, loop=self)  # type: ignore[method-assign]
        self.get_debug = bool  # type: ignore[method-assign]

    def time(self) -> float:
        return self._now_s

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        handle = _Handle((callback, args, copy_context() if context is None else context))
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        timer = _Timer(when)
        timer.loop, timer.is_scheduled = self, True
        timer.handle = _Handle((callback, args, copy_context() if context is None else context))
        heappush(self._timers, timer)
        return timer

    def _run_once(self) -> None:
        """Go round until somebody stops it: asyncio would ask after each round."""
        ready = self._ready
        while True:
            timers = self._drop_cancelled() if self.cancelled else self._timers
            if not ready:
                if not timers:
                    raise RuntimeError("nothing will ever happen again in this simulation")
                self._now_s += max(0.0, timers[0] - self._now_s)
            end_s = self._now_s + RESOLUTION_S
            while timers and timers[0] < end_s:
                timer = heappop(timers)
                timer.is_scheduled = False
                ready.append(timer.handle)
            for _ in range(len(ready)):
                act, args, context = ready.popleft()
                if act is None:
                    continue
                try:
                    context.run(act, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001  # as asyncio does
                    self.call_exception_handler({"message": str(act), "exception": error})
            if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                return

    def _drop_cancelled(self) -> list[_Timer]:
        """Drop those that are next or, where they are more than half of many, all; return what is left."""
        timers = self._timers
        if len(timers) > MANY_TIMERS and self.cancelled > len(timers) / 2:
            for timer in timers:
                timer.is_scheduled = timer.handle[0] is not None
            self._timers = [timer for timer in timers if timer.is_scheduled]
            heapify(self._timers)
            self.cancelled = 0
        else:
            while timers and timers[0].handle[0] is None:
                heappop(timers).is_scheduled = False
                self.cancelled -= 1
        return self._timers

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run it here and now: a thread would bring real time in."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


async def pause(seconds: float) -> None:
    """Do what ``asyncio.sleep`` does, in less time."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    timer = loop.call_later(seconds, _pass, future)
    try:
        await future
    finally:
        timer.cancel()


def _pass(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


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
        self.stalls = False
        """Whether nothing of it reaches the world at present, and nothing of the world it."""
        self._on_death = on_death
        self._awake = asyncio.Event()
        self._awake.set()
        self.clients: dict[str, Any] = {}
        """Server → its connection to it."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._crowd = MANY_TASKS

    def start(self, main: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Begin."""
        context = copy_context()
        context.run(CURRENT.set, self)
        return asyncio.get_running_loop().create_task(main, context=context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """Count a task as this process's."""
        self._tasks.append(task)
        if len(self._tasks) > self._crowd:
            self._crowd = MANY_TASKS + 2 * len(self._undone())

    def stall(self, seconds: float, on_end: Callable[[], object]) -> None:
        """Let nothing of it reach the world, and nothing of the world reach it, for a while."""
        self.stalls = True
        self._awake.clear()
        asyncio.get_running_loop().call_later(seconds, self._end_stall, on_end)

    def _end_stall(self, on_end: Callable[[], object]) -> None:
        if self.stalls:  # nobody has waked it before
            on_end()
            self.wake()

    def wake(self) -> None:
        """Let what waits be sent and heard."""
        self.stalls = False
        self._awake.set()

    async def awake(self) -> None:
        """Return once it does not stall."""
        await self._awake.wait()

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if not self.dead:
            self.dead = True
            self._cancel()
            self._on_death()

    def _cancel(self) -> None:
        for task in self._undone():
            task.cancel()

    def _undone(self) -> list[asyncio.Task[Any]]:
        """Forget the tasks that are done, which is cheaper than to hear of each; return the others."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    async def gone(self) -> None:
        """Wait until nothing of it is left: what a task begins as it ends is ended too."""
        while tasks := self._undone():
            self._cancel()
            await asyncio.wait(tasks, timeout=1)

    async def die(self) -> None:
        """Kill it from within; does not return."""
        asyncio.get_running_loop().call_soon(self.kill)
        await asyncio.get_running_loop().create_future()


CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


def _owned(
    loop: asyncio.AbstractEventLoop, coroutine: Any, *, context: Any = None, **options: Any
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, context=context, **options)
    process = (context or copy_context()).get(CURRENT)
    if process is not None:
        process.own(task)
    return task
