"""A process and its tasks: a failure is told and takes all down; an end is in order."""

import asyncio
import logging
import os
import signal

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.errors import Retryable, Terminal
from hansa.process.app import (
    Supervisor,
    TaskFailed,
    beside,
    going_on,
    regularly,
    run_process,
    together,
    until_signalled,
)


class Log:
    """What happened, in order."""

    def __init__(self):
        self.told = []

    async def for_ever(self, name):
        try:
            self.told.append(f"{name} begins")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.told.append(f"{name} ends")

    async def fails(self, error):
        await asyncio.sleep(0)
        raise error


async def returns():
    """End, as no task of a process should."""


def told(caplog):
    return [(r.task, r.exc_info is not None) for r in caplog.records if r.levelno == logging.ERROR]


async def test_a_failing_task_is_told_by_name_and_takes_the_others_down(caplog):
    log = Log()
    with pytest.raises(TaskFailed):
        await together(log.for_ever("other"), log.fails(ZeroDivisionError("never should")))

    assert log.told == ["other begins", "other ends"]
    assert told(caplog) == [("Log.fails", True)]


async def test_a_failure_on_purpose_is_told_without_a_trace(caplog):
    with pytest.raises(TaskFailed):
        await together(Log().fails(Terminal("no way")))

    assert told(caplog) == [("Log.fails", False)]
    assert caplog.records[-1].error == "no way"


async def test_a_task_that_returns_has_failed(caplog):
    with pytest.raises(TaskFailed, match="returns"):
        await asyncio.wait_for(together(returns()), PATIENCE_S)

    assert told(caplog) == [("returns", False)]


async def test_a_failure_deep_down_is_told_once(caplog):
    with pytest.raises(TaskFailed, match=r"Log\.fails"):
        await together(together(Log().fails(ZeroDivisionError())))

    assert told(caplog) == [("Log.fails", True)]


async def test_what_runs_beside_ends_after_the_body():
    log = Log()

    async def lead():
        async with beside(log.for_ever("election")):
            await log.for_ever("writers")

    leading = asyncio.create_task(lead())
    while len(log.told) < 2:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)

    assert log.told[-2:] == ["writers ends", "election ends"]


async def test_what_runs_beside_takes_the_body_down_when_it_fails():
    log = Log()
    with pytest.raises(TaskFailed):
        async with beside(log.fails(ZeroDivisionError())):
            await log.for_ever("writers")

    assert log.told == ["writers begins", "writers ends"]


async def test_a_body_that_is_done_ends_what_runs_beside():
    log = Log()
    async with asyncio.timeout(PATIENCE_S), beside(log.for_ever("server")):
        await asyncio.sleep(0)

    assert log.told == ["server begins", "server ends"]


async def test_a_body_that_fails_is_heard_as_it_is():
    log = Log()
    with pytest.raises(Retryable, match="not now"):
        async with beside(log.for_ever("election")):
            await log.fails(Retryable("not now"))


async def test_a_supervisor_says_when_its_work_has_failed():
    supervisor = Supervisor(lambda: Log().fails(ZeroDivisionError()))
    await supervisor.start()
    await asyncio.wait_for(supervisor.ending.wait(), PATIENCE_S)

    with pytest.raises(TaskFailed):
        supervisor.result()


async def test_work_that_was_told_to_end_has_not_failed():
    log = Log()
    supervisor = Supervisor(lambda: log.for_ever("work"))
    await supervisor.stop()
    await supervisor.start()
    await asyncio.sleep(0)
    assert not supervisor.ending.is_set()

    await supervisor.stop()
    await supervisor.stop()
    supervisor.result()

    assert log.told == ["work begins", "work ends"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_work(number):
    log = Log()

    async def work():
        os.kill(os.getpid(), number)
        await log.for_ever("work")

    await asyncio.wait_for(until_signalled(work), PATIENCE_S)

    assert log.told == ["work begins", "work ends"]


async def test_a_process_without_signal_ends_with_its_work():
    with pytest.raises(TaskFailed):
        await asyncio.wait_for(until_signalled(returns), PATIENCE_S)


async def cannot():
    raise Terminal("not in a pod")


async def fails_told():
    await together(returns())


@pytest.mark.parametrize(
    ("program", "words"), [(cannot, "cannot run"), (fails_told, "task failed")]
)
def test_a_process_that_fails_ends_with_code_1_and_one_line(program, words, caplog):
    with pytest.raises(SystemExit) as end:
        run_process(program)

    assert end.value.code == 1
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [words]


def test_a_process_that_ends_well_just_ends():
    run_process(returns)


async def test_a_duty_that_fails_comes_round_again(caplog):
    outcomes = [Retryable("away"), TimeoutError(), None]
    done = asyncio.Event()

    async def duty():
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        done.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        task = group.create_task(regularly(duty, lambda: 0))
        await done.wait()
        task.cancel()

    assert [r.duty for r in caplog.records if r.getMessage() == "duty failed"] == ["duty"] * 2


async def test_a_fault_in_a_duty_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(PATIENCE_S):
            await regularly(lambda: Log().fails(ZeroDivisionError()), lambda: 0)


async def test_a_duty_that_reads_what_others_wrote_outlives_what_it_did_not_foresee(caplog):
    await going_on(lambda: Log().fails(ZeroDivisionError("odd")))()

    assert "duty not understood" in caplog.text
    assert caplog.records[0].exc_info
    with pytest.raises(Retryable):
        await going_on(lambda: Log().fails(Retryable("no")))()
