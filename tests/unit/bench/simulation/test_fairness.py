from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.bench.simulation.fairness import fair_shares, jain

SHARES = {
    "all get what they ask for": ({"a": 1, "b": 2}, {"a": 1, "b": 1}, 10, {"a": 1, "b": 2}),
    "spare goes to the others": ({"a": 1, "b": 20}, {"a": 1, "b": 1}, 10, {"a": 1, "b": 9}),
    "by weight": ({"a": 20, "b": 20}, {"a": 3, "b": 1}, 8, {"a": 6, "b": 2}),
    "no weight, no share": ({"a": 20, "b": 20}, {"a": 1}, 8, {"a": 8, "b": 0}),
    "nothing there": ({"a": 5}, {"a": 1}, 0, {"a": 0}),
}


@pytest.mark.parametrize(("demand", "weight", "capacity", "expected"), SHARES.values(), ids=SHARES)
def test_fair_shares(demand, weight, capacity, expected):
    assert fair_shares(demand, weight, capacity) == pytest.approx(expected)


@given(
    demand=st.dictionaries(st.sampled_from("abcde"), st.integers(0, 50), min_size=1),
    capacity=st.integers(0, 100),
)
def test_fair_shares_give_out_all_that_is_wanted_and_no_more(demand, capacity):
    shares = fair_shares(demand, dict.fromkeys(demand, 1), capacity)
    assert sum(shares.values()) == pytest.approx(min(capacity, sum(demand.values())))
    assert all(shares[name] <= demand[name] + 1e-9 for name in demand)


JAIN = {
    "even": ([2.0, 2.0, 2.0], 1.0),
    "one has all": ([1.0, 0.0, 0.0, 0.0], 0.25),
    "nobody": ([], 1.0),
    "nothing": ([0.0, 0.0], 1.0),
}


@pytest.mark.parametrize(("values", "expected"), JAIN.values(), ids=JAIN)
def test_jain(values, expected):
    assert jain(values) == pytest.approx(expected)
