"""Virtual time: an event loop that jumps to its next timer, and processes that can be killed in it.

A process is all tasks that descend from its first one. To kill it is to cancel them at once with their
connections dead, so that no ``finally`` of theirs reaches a server any more.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

EPOCH_S = 1_800_000_000.0
"""Wall time at which a simulation begins; its loop begins at 0."""
RESOLUTION_S = 1e-9
"""Timers so near to each other are due at one instant."""
MANY_TIMERS = 100


class _Handle:
    """What is to be done: ``asyncio.Handle`` without its debugging."""

    __slots__ = ("act", "args", "context", "is_cancelled")

    def __init__(
        self, act: Callable[..., object], args: Any, context: contextvars.Context | None
    ) -> None:
        self.act, self.args = act, args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class _Timer(float):
    """What is to be done at a time, which it is: a heap of these compares floats."""

    __slots__ = ("act", "args", "context", "is_cancelled", "is_scheduled", "loop")
    loop: VirtualLoop
    act: Callable[..., object]
    args: Any
    context: contextvars.Context
    is_cancelled: bool
    is_scheduled: bool

    def cancel(self) -> None:
        if not self.is_cancelled:
            self.is_cancelled = True
            self.loop.cancelled += self.is_scheduled


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets, threads or waiting: what would be a wait moves its clock.

    It does things in asyncio's order, also what is due at one instant, in a fraction of asyncio's time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._ready: deque[_Handle | _Timer] = deque()
        self._timers: list[_Timer] = []
        self.cancelled = 0
        """Timers that are cancelled and not yet dropped."""
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self._now_s

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Any:
        handle = _Handle(callback, args, context)
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
        timer.loop, timer.act, timer.args = self, callback, args
        timer.context = contextvars.copy_context() if context is None else context
        timer.is_cancelled, timer.is_scheduled = False, True
        heapq.heappush(self._timers, timer)
        return timer

    def _run_once(self) -> None:
        self._drop_cancelled()
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise RuntimeError("nothing will ever happen again in this simulation")
            self._now_s += max(0.0, timers[0] - self._now_s)
        end_s = self._now_s + RESOLUTION_S
        while timers and timers[0] < end_s:
            timer = heapq.heappop(timers)
            timer.is_scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            one = ready.popleft()
            if one.is_cancelled:
                continue
            try:
                one.context.run(one.act, *one.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  # as asyncio does
                self.call_exception_handler({"message": str(one.act), "exception": error})

    def _drop_cancelled(self) -> None:
        """Drop those that are next or, where they are more than half of many, all."""
        timers = self._timers
        if len(timers) > MANY_TIMERS and self.cancelled > len(timers) / 2:
            for timer in timers:
                timer.is_scheduled = not timer.is_cancelled
            self._timers = [timer for timer in timers if timer.is_scheduled]
            heapq.heapify(self._timers)
            self.cancelled = 0
        else:
            while timers and timers[0].is_cancelled:
                heapq.heappop(timers).is_scheduled = False
                self.cancelled -= 1

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
        self._on_death = on_death
        self._awake = asyncio.Event()
        self._awake.set()
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

    def stall(self, seconds: float, on_end: Callable[[], object]) -> None:
        """Let nothing of it reach the world, and nothing of the world reach it, for a while."""
        self._awake.clear()
        asyncio.get_running_loop().call_later(seconds, self._end_stall, on_end)

    def _end_stall(self, on_end: Callable[[], object]) -> None:
        if not self._awake.is_set():  # nobody has waked it before
            on_end()
            self.wake()

    def wake(self) -> None:
        """Let what waits be sent and heard."""
        self._awake.set()

    async def awake(self) -> None:
        """Return once it does not stall."""
        if not self._awake.is_set():
            await self._awake.wait()

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
