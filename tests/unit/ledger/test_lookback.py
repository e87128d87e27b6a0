"""Passes do not grow with the tables, and see what was recorded late all the same."""

from __future__ import annotations

import pytest

from hansa.ledger.lookback import BACK_MS, EVERYTHING_EVERY_S, Lookback
from tests.unit.ledger.receipts.ledger_kit import Jumping

NOW_MS = int(Jumping().now() * 1000)
SINCE = {
    "all is dealt with": (NOW_MS, 0.0, NOW_MS - BACK_MS),
    "something old is left": (NOW_MS - 500_000, 0.0, NOW_MS - 500_000 - BACK_MS),
    "the clock was put back": (NOW_MS, -3600.0, NOW_MS - 3_600_000 - BACK_MS),
    "the clock goes on": (NOW_MS, 5.0, NOW_MS - BACK_MS),
    "nothing is older": (BACK_MS - 1, 0.0, 0),
}


class Running(Jumping):
    gone_s = 0.0

    def monotonic(self) -> float:
        return self.gone_s


@pytest.mark.parametrize(("before_ms", "later_s", "since_ms"), SINCE.values(), ids=SINCE)
def test_a_pass_looks_a_while_back(before_ms: int, later_s: float, since_ms: int):
    clock = Jumping()
    look = Lookback(clock)
    assert look.since_ms() == 0
    look.done(before_ms)
    clock.seconds += later_s
    assert look.since_ms() == since_ms


def test_everything_is_looked_at_from_time_to_time():
    clock = Running()
    look = Lookback(clock)
    look.since_ms()
    look.done(NOW_MS)
    clock.gone_s = EVERYTHING_EVERY_S - 1
    assert look.since_ms() == NOW_MS - BACK_MS
    clock.gone_s += 1
    assert look.since_ms() == 0
    assert look.since_ms() == NOW_MS - BACK_MS
