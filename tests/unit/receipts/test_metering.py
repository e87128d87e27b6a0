"""Receipts of a run cover its time from acceptance to release, each second once, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.times import rfc3339
from hansa.receipts.metering import EVERY_S, LONGEST_S, Sight, due
from tests.unit.receipts.receipt_kit import NOW_S, held, history, receipts, run_of

DAY = LONGEST_S


@given(
    looks=st.lists(st.integers(-10_000, 3 * DAY), max_size=12),
    end=st.integers(-100, 3 * DAY),
    ended=st.one_of(st.none(), st.integers(-100, 3 * DAY)),
    joules=st.one_of(st.none(), st.integers(0, 10**12)),
)
def test_every_second_once(looks: list[int], end: int, ended: int | None, joules: int | None):
    sights = [Sight(NOW_S + at, energy_joules=joules) for at in looks]
    over = Sight(
        NOW_S + end,
        over=True,
        ended_s=None if ended is None else NOW_S + ended,
        end_reason="Succeeded",
        energy_joules=joules,
    )
    found = receipts(run_of(), *sights, over)
    at, part = NOW_S, 0
    for receipt in found:
        assert (receipt.start_s, receipt.part) == (at, part + 1)
        at, part = receipt.end_s, receipt.part
        span_s = receipt.end_s - receipt.start_s
        assert span_s <= DAY
        assert receipt.usage.gpu_seconds <= 2 * span_s
        assert (receipt.usage.energy_joules or 0) <= 2 * 5000 * span_s
    assert [receipt.last for receipt in found] == [False] * (len(found) - 1) + [True]
    assert at == max([NOW_S, NOW_S + end, *(s.now_s for s in sights if _shows(found, s))])


def _shows(found, sight: Sight) -> bool:
    return any(receipt.end_s == sight.now_s for receipt in found)


@given(ended=st.integers(0, 5000), end=st.integers(0, 5000), looks=st.sets(st.integers(0, 5000)))
def test_what_was_held_is_counted_until_the_run_ended(ended: int, end: int, looks: set[int]):
    sights = [
        Sight(NOW_S + at, ended_s=NOW_S + ended if at >= ended else None)
        for at in sorted(looks)
        if at <= end
    ]
    over = Sight(NOW_S + end, over=True, ended_s=NOW_S + ended, end_reason="Stopped")
    found = receipts(run_of(), *sights, over)
    assert sum(receipt.usage.gpu_seconds for receipt in found) == 2 * min(ended, end)
    assert sum(receipt.usage.cpu_milliseconds for receipt in found) == 3000 * min(ended, end)


DUE = {
    "too_early": (Sight(NOW_S + EVERY_S - 1), []),
    "live": (Sight(NOW_S + EVERY_S), [(0, EVERY_S, False)]),
    "late": (Sight(NOW_S + 1000), [(0, 1000, False)]),
    "two_days": (Sight(NOW_S + 2 * DAY), [(0, DAY, False), (DAY, 2 * DAY, False)]),
    "over": (Sight(NOW_S + 7, over=True), [(0, 7, True)]),
    "over_at_once": (Sight(NOW_S, over=True), [(0, 0, True)]),
    "over_before_it_began": (Sight(NOW_S - 50, over=True), [(0, 0, True)]),
    "the_clock_went_back": (Sight(NOW_S - 5000), []),
}


@pytest.mark.parametrize(("sight", "expected"), DUE.values(), ids=DUE.keys())
def test_what_is_due(sight: Sight, expected: list[tuple[int, int, bool]]):
    found = [(s.start_s - NOW_S, s.end_s - NOW_S, s.last) for s in due(run_of(), sight)]
    assert found == expected


def test_energy_of_two_days_is_shared_by_time_and_none_is_lost():
    found = receipts(run_of(), Sight(NOW_S + 2 * DAY + 300, energy_joules=1_000_001))
    assert sum(receipt.usage.energy_joules or 0 for receipt in found) == 1_000_001
    assert len(found) == 3


def test_energy_that_cannot_be_is_not_told():
    (receipt,) = receipts(run_of(), Sight(NOW_S + 300, energy_joules=300 * 2 * 5000 + 1))
    assert receipt.usage.energy_joules is None


def test_gpus_are_told_within_the_receipts_own_time():
    early, late = held("a", NOW_S - 90, NOW_S + 10), held("b", NOW_S + 250, NOW_S + 400)
    (receipt,) = receipts(run_of(), Sight(NOW_S + 300, held=(early, late)))
    assert [(g.start, g.end) for g in receipt.held] == [
        (rfc3339(NOW_S), rfc3339(NOW_S + 10)),
        (rfc3339(NOW_S + 250), rfc3339(NOW_S + 300)),
    ]


def test_only_the_last_has_a_reason_and_a_result():
    assert [receipt.end_reason for receipt in history()] == [None, None, "Succeeded"]
