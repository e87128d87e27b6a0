"""What is told of an event loop that something holds, over a loop whose time the test moves."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from hansa.process import loop_lag
from hansa.process.loop_lag import EVERY_S, LoopLook, lags, watch_loop

CASES = {
    "in time": (0.0, [0.0]),
    "a little late": (0.01, [0.01]),
    "late for two more": (2 * EVERY_S + 0.001, [0.051, 0.026, 0.001]),
}


@pytest.mark.parametrize(("late_s", "told"), CASES.values(), ids=CASES)
def test_a_late_timer_stands_for_those_that_would_have_come_due(
    late_s: float, told: list[float]
) -> None:
    assert [round(lag_s, 6) for lag_s in lags(late_s)] == told


def test_a_stop_of_hours_counts_as_a_minute_of_timers() -> None:
    assert len([*lags(1e6)]) == loop_lag.MOST_MISSED


def test_a_long_stop_is_noted_and_told_in_the_log_with_what_the_thread_computed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    time_s, cpu_s, noted = [0.0], [0.0], list[LoopLook]()
    held = iter([(EVERY_S + 0.3, 0.1), (EVERY_S, 0.002)])

    async def sleep(_: float) -> None:
        try:
            slept_s, computed_s = next(held)
        except StopIteration:
            raise asyncio.CancelledError from None
        time_s[0] += slept_s
        cpu_s[0] += computed_s

    stand_in = SimpleNamespace(
        sleep=sleep, get_running_loop=lambda: SimpleNamespace(time=lambda: time_s[0])
    )
    monkeypatch.setattr(loop_lag, "asyncio", stand_in)
    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        asyncio.run(watch_loop(noted.append, lambda: cpu_s[0]))
    assert [(round(look.lags_s[0], 6), round(look.cpu_s, 6)) for look in noted] == [
        (0.3, 0.1),
        (0.0, 0.002),
    ]
    told = [(row.message, vars(row)["cpuSeconds"]) for row in caplog.records]
    assert told == [("event loop held", 0.1)]
