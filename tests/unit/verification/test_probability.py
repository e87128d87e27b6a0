"""The probability of an audit: cheating never pays where anything is at stake, and new members are always looked at."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.probability import Sampling, Stake, threshold
from hansa.verification.tickets import SPACE

PLAIN = Sampling()
MONEY = st.integers(0, 10**15)
STAKES = st.builds(Stake, MONEY, MONEY, MONEY, MONEY)

CASES = {
    "a new member": (Stake(1_000, 1_100, 0), 1),
    "little held": (Stake(1_000, 1_100, 1_100), Fraction(2 * 1_000 * 100, 95 * 2_200)),
    "a hundred runs held": (Stake(1_000, 1_100, 110_000), Fraction(2_000 * 100, 95 * 111_100)),
    "the floor": (Stake(1_000, 1_100, 10**9), Fraction(1, 100)),
    "a bond counts as money held": (
        Stake(1_000, 1_100, 0, 110_000),
        Fraction(2_000 * 100, 95 * 111_100),
    ),
    "unpaid work of a new member": (Stake(1_000, 0, 0), 1),
    "work that costs nothing": (Stake(0, 1_100, 0), Fraction(1, 100)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_how_often(case):
    stake, expected = case
    assert 0 <= threshold(stake, PLAIN) - expected * SPACE < 1


@given(STAKES)
def test_faking_loses_money_wherever_it_can(stake):
    at_risk = stake.unsettled + stake.bond + stake.payment
    gain = stake.cost - Fraction(threshold(stake, PLAIN), SPACE) * PLAIN.detection * at_risk
    if PLAIN.detection * at_risk > stake.cost > 0:
        assert gain < 0


@given(STAKES, MONEY)
def test_more_at_stake_is_looked_at_no_more_often(stake, more):
    assert threshold(replace(stake, unsettled=stake.unsettled + more), PLAIN) <= threshold(
        stake, PLAIN
    )
    assert threshold(replace(stake, cost=stake.cost + more), PLAIN) >= threshold(stake, PLAIN)
    assert threshold(stake, PLAIN) >= SPACE // 100


BAD = {
    "floor: 11/10 is no probability": lambda: Sampling(floor=Fraction(11, 10)),
    "floor: -1 is no probability": lambda: Sampling(floor=Fraction(-1)),
    "safety: 1/2 makes cheating pay": lambda: Sampling(safety=Fraction(1, 2)),
    "detection: 0 is outside": lambda: Sampling(detection=Fraction(0)),
    "detection: 2 is outside": lambda: Sampling(detection=Fraction(2)),
    "amounts are never negative": lambda: Stake(-1, 1, 1),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_parameters_are_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
