"""Conditions laid over what stands there, also where another wrote that."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.reconcile.conditions import StatedCondition, merged
from tests.hostile import mutated

OLD = {"type": "Running", "status": "True", "reason": "x", "lastTransitionTime": "then"}
SAID = StatedCondition("Running", "True", "Running", "A worker runs.")


def test_a_time_moves_only_when_the_status_does():
    (kept,) = merged([OLD], [SAID], now_s=0, generation=1)
    (moved,) = merged([OLD | {"status": "False"}], [SAID], now_s=0, generation=1)
    assert kept["lastTransitionTime"] == "then"
    assert moved["lastTransitionTime"] == "1970-01-01T00:00:00Z"


def test_a_condition_without_a_time_begins_now():
    """A hub may have taken it away: the member once died of that."""
    old = {key: value for key, value in OLD.items() if key != "lastTransitionTime"}
    (row,) = merged([old], [SAID], now_s=0, generation=1)
    assert row["lastTransitionTime"] == "1970-01-01T00:00:00Z"


@given(st.randoms(use_true_random=False))
def test_no_condition_that_stands_there_raises(rng):
    old = mutated(rng, [OLD, OLD | {"type": "Accepted"}], changes=3)
    rows = [row for row in old if isinstance(row, dict)] if isinstance(old, list) else []
    assert merged(rows, [SAID], now_s=0, generation=1)
