"""Place and expected start are told anew only when they moved by half, and never within a minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.plan import Waiting
from hansa.model.reasons import Reason
from hansa.model.times import rfc3339
from hansa.reconcile.hub.status import pacing
from tests.unit.reconcile.hub.hub_objects import NOW_S, UID


def wait(position=10, p50=1000, p90=5000, reason=Reason.WAITING_FOR_CAPACITY):
    p50, p90 = (None if p is None else int(NOW_S) + p for p in (p50, p90))
    return Waiting(UID, reason, "", position, p50, p90)


MOVES = {
    "nothing": (wait(), wait(), False),
    "a place": (wait(), wait(9), False),
    "a third of the places": (wait(), wait(7), False),
    "half of the places": (wait(), wait(5), True),
    "back by a half": (wait(), wait(15), True),
    "the last place": (wait(1), wait(0), True),
    "a minute of a long wait": (wait(), wait(p50=1060), False),
    "half a minute of a short one": (wait(p50=60, p90=90), wait(p50=90, p90=90), False),
    "a minute of a short one": (wait(p50=60, p90=90), wait(p50=120, p90=90), True),
    "a third of the wait": (wait(), wait(p50=1350), False),
    "half of the wait": (wait(), wait(p50=1500), True),
    "later at nine in ten": (wait(), wait(p90=7500), True),
    "an estimate appears": (wait(p50=None), wait(), True),
    "an estimate is gone": (wait(), wait(p90=None), True),
    "no figures yet": (wait(reason=Reason.SUSPENDED), wait(), True),
    "in no queue": (wait(), wait(0, reason=Reason.SUSPENDED), False),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_matters(name):
    before, after, expected = MOVES[name]

    assert pacing.moved(pacing.of(before), after, NOW_S) is expected


@pytest.mark.parametrize("told", [{}, {"p50": "soon", "p90": "later"}, {"p50": None}])
def test_an_estimate_nobody_can_read_is_told_anew(told):
    status = pacing.of(wait()) | {"startEstimate": told}

    assert pacing.moved(status, wait(), NOW_S)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 59.9))
def test_never_within_a_minute(before, after, pause_s):
    told = pacing.of(wait(before))

    assert not pacing.due(told, wait(after), now_s=NOW_S, written_s=NOW_S - pause_s)


@given(st.integers(0, 10**6), st.integers(1, 10**9), st.integers(1, 10**9))
def test_what_was_just_told_has_not_moved(position, p50, p90):
    said = wait(position, p50, p90)

    assert not pacing.due(pacing.of(said), said, now_s=NOW_S, written_s=0.0)


def test_a_wait_of_hours_is_told_anew_some_ten_times():
    """A thousand jobs are ahead and start one by one over four hours, as was expected."""
    waited_s, writes, written_s = 4 * 3600, 0, NOW_S
    told = pacing.of(wait(1000, waited_s, 2 * waited_s))
    for now_s in range(int(NOW_S), int(NOW_S) + waited_s):
        left_s = int(NOW_S) + waited_s - now_s
        said = wait(1000 * left_s // waited_s, waited_s, 2 * waited_s)
        if pacing.due(told, said, now_s=now_s, written_s=written_s):
            told, written_s, writes = pacing.of(said), now_s, writes + 1
    assert 0 < writes <= 11


RECEDING = {"always now": 1, "always in five minutes": 300, "always tomorrow": 86_400}


@pytest.mark.parametrize("left_s", RECEDING.values(), ids=RECEDING)
def test_a_start_that_recedes_for_hours_is_told_some_ten_times(left_s):
    since_s, hours_s = int(NOW_S), 8 * 3600
    told = _waiting_since(since_s, wait(3, left_s, left_s))
    written_s, writes = since_s, 0
    for now_s in range(since_s, since_s + hours_s, 5):
        said = wait(3, now_s - since_s + left_s, now_s - since_s + left_s)
        if pacing.due(told, said, now_s=now_s, written_s=written_s):
            told, written_s, writes = _waiting_since(since_s, said), now_s, writes + 1
    assert writes <= 12


def test_a_start_that_comes_nearer_is_told_within_a_minute_whatever_the_wait():
    told = _waiting_since(int(NOW_S) - 86_400, wait(8, 7200, 7200))
    for sooner in (wait(4, 7200, 7200), wait(8, 3600, 7200)):
        assert pacing.due(told, sooner, now_s=NOW_S, written_s=NOW_S - pacing.LEAST_PAUSE_S)


def _waiting_since(since_s, said):
    placed = {"type": "Placed", "status": "False", "lastTransitionTime": rfc3339(since_s)}
    return pacing.of(said) | {"conditions": [placed]}
