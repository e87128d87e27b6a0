"""A process's tasks: supervised while they run, told when one fails, ended in order.

A task that fails is told in the log at once, by its name. Then everything is taken down in order and
the process ends with exit code 1, so that Kubernetes starts it anew: half a process must not go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeAlias

from hansa.errors import HansaError

log = logging.getLogger(__name__)
Work: TypeAlias = Coroutine[Any, Any, object]
"""Runs until it is cancelled: one that returns has failed."""
END_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TaskFailed(Exception):
    """A task failed and the log has said why."""


@contextlib.asynccontextmanager
async def beside(*works: Work) -> AsyncIterator[None]:
    """Run ``works`` beside the body. A failure cancels the body; the works end only after it.

    Raises ``TaskFailed``. What the body must not outlive belongs into ``works``: its election, say.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_watched(work)) for work in works]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def together(*works: Work) -> None:
    """Run ``works`` until one fails or all are cancelled; none outlives the others."""
    async with beside(*works):
        await asyncio.Event().wait()


async def _watched(work: Work) -> NoReturn:
    name = getattr(work, "__qualname__", "task")
    try:
        await work
    except TaskFailed:
        raise
    except Exception as error:
        _tell(name, str(error), trace=None if isinstance(error, HansaError) else error)
        raise TaskFailed(name) from error
    _tell(name, "it returned, and is not meant to")
    raise TaskFailed(name)


def _tell(task: str, error: str, *, trace: Exception | None = None) -> None:
    log.error("task failed", extra={"task": task, "error": error}, exc_info=trace)


class Supervisor:
    """Begins the work of a process, watches it, and ends it."""

    def __init__(self, work: Callable[[], Work]) -> None:
        """``work`` is called by ``start``."""
        self._work = work
        self._task: asyncio.Task[NoReturn] | None = None
        self.ending = asyncio.Event()
        """Set when the process is to end: from outside, or because its work has failed."""

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(_watched(self._work()))
        self._task.add_done_callback(lambda _: self.ending.set())

    async def stop(self) -> None:
        """Cancel the work and wait for its end. Once is enough; twice is harmless."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def result(self) -> None:
        """Raise ``TaskFailed`` if the work ended by itself."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()


async def until_signalled(work: Callable[[], Work]) -> None:
    """Run a process without kopf until SIGTERM or SIGINT; raises ``TaskFailed``."""
    supervisor, loop = Supervisor(work), asyncio.get_running_loop()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, supervisor.ending.set)
    await supervisor.start()
    try:
        await supervisor.ending.wait()
    finally:
        await supervisor.stop()
    supervisor.result()


def run_process(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process to its end; where it cannot run or a task fails, exit with code 1, reason told."""
    try:
        asyncio.run(program())
    except TaskFailed:
        raise SystemExit(1) from None
    except HansaError as error:
        log.error("cannot run", extra={"error": str(error)})  # noqa: TRY400  # the message is enough
        raise SystemExit(1) from None


async def regularly(
    duty: Callable[[], Awaitable[object]], pause_s: Callable[[], float]
) -> NoReturn:
    """Do ``duty`` for ever; a failure is logged and the next turn comes as usual."""
    while True:
        try:
            await duty()
        except (HansaError, TimeoutError) as error:
            name = getattr(duty, "__name__", "duty")
            log.warning("duty failed", extra={"duty": name, "error": str(error)})
        await asyncio.sleep(pause_s())


def going_on(duty: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    """Return a duty that outlives what it did not foresee, for duties that read what others wrote.

    ``regularly`` lets such a fault end the process. Where others can bring it about that will not do.
    """

    @functools.wraps(duty)
    async def outliving() -> None:
        try:
            await duty()
        except (HansaError, TimeoutError):
            raise
        except Exception:
            log.exception("duty not understood", extra={"duty": getattr(duty, "__name__", "duty")})

    return outliving
