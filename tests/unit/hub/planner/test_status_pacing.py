"""Whose place or start is told anew, and when: spread over calls, a minute apart for each job."""

from __future__ import annotations

import pytest

from hansa.hub.planner.status_pacing import (
    MOST_DUE,
    MOST_IN_A_TURN,
    MOST_LOOKED_AT,
    StatusPacing,
)
from hansa.model.plan import Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.reconcile.hub.status.pacing import LEAST_PAUSE_S, VERDICTS_PAUSE_S
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import NOW_S, job_view

TELLS = job_view({"queuePosition": 0})


def queue(count, position=9):
    return [Waiting(f"u{n}", Reason.WAITING_FOR_CAPACITY, "", position) for n in range(count)]


def due(told, *what, **how):
    """Jobs that one call yields, all turns of it done here and now."""

    async def found():
        return [uid async for uid in told.due(*what, **how)]

    return driven(found())


def nothing(_uid):
    return ()


def full(_uid):
    return (Verdict("tartu", Reason.WAITING_FOR_CAPACITY),)


CASES = {
    "its place moved": (TELLS, 9, None, ["u0"]),
    "its place did not move": (TELLS, 0, None, []),
    "told a minute ago": (TELLS, 9, LEAST_PAUSE_S, ["u0"]),
    "told just now": (TELLS, 9, LEAST_PAUSE_S - 1, []),
    "it waits no longer": (None, 9, None, []),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_due(case):
    job, position, ago_s, expected = CASES[case]
    told = StatusPacing()
    if ago_s is not None:
        told.note("u0", NOW_S - ago_s)
    assert due(told, queue(1, position), lambda _: job, nothing, NOW_S) == expected


FILLED = {
    "a node filled minutes ago": (VERDICTS_PAUSE_S, full, ["u0"]),
    "just now": (VERDICTS_PAUSE_S - 1, full, []),
    "none did": (VERDICTS_PAUSE_S, nothing, []),
}


@pytest.mark.parametrize("case", FILLED)
def test_verdicts_follow_what_is_free_at_leisure(case):
    ago_s, verdicts, expected = FILLED[case]
    told = StatusPacing()
    told.note("u0", NOW_S - ago_s)
    assert due(told, queue(1, 0), lambda _: TELLS, verdicts, NOW_S) == expected


def test_a_forgotten_job_counts_as_told_long_ago():
    told = StatusPacing()
    told.note("u0", NOW_S)
    told.forget("u0")
    assert told.at_s("u0") == 0.0


def test_a_long_queue_is_looked_at_in_turns():
    """No call yields more than its bound, and nobody is passed over or told twice."""
    told, waiting = StatusPacing(), queue(MOST_DUE + 5)
    found = []
    for _ in range(2):
        for uid in due(told, waiting, lambda _: TELLS, nothing, NOW_S):
            told.note(uid, NOW_S)
            found.append(uid)
    assert found == [said.job_uid for said in waiting]
    assert due(told, waiting, lambda _: TELLS, nothing, NOW_S) == []


def test_one_call_looks_at_so_many_and_the_next_goes_on():
    told, looked = StatusPacing(), []
    for count in (MOST_LOOKED_AT, 7, MOST_LOOKED_AT):
        before = len(looked)
        assert due(told, queue(MOST_LOOKED_AT + 7), looked.append, nothing, NOW_S) == []
        assert len(looked) - before == count
    assert looked[MOST_LOOKED_AT] == f"u{MOST_LOOKED_AT}"


def test_no_turn_of_the_loop_asks_for_more_verdicts_than_its_bound():
    told, asked = StatusPacing(), []
    rows = told.due(
        queue(MOST_LOOKED_AT, 0), lambda _: TELLS, lambda uid: asked.append(uid) or (), NOW_S
    )
    step, longest = rows.asend(None), 0
    while len(asked) < MOST_LOOKED_AT:
        before = len(asked)
        step.send(None)
        longest = max(longest, len(asked) - before)
    assert longest == MOST_IN_A_TURN


def test_a_look_ends_when_a_plan_begins_and_goes_on_where_it_was():
    """Meanwhile nobody may ask for verdicts: the planner is at work on the league."""
    told, looked, left = StatusPacing(), [], [3]

    def may_ask():
        left[0] -= 1
        return left[0] >= 0

    assert due(told, queue(9, 0), looked.append, nothing, NOW_S, may_ask=may_ask) == []
    assert looked == ["u0", "u1", "u2"]
    due(told, queue(9, 0), looked.append, nothing, NOW_S)
    assert looked[3:] == [f"u{n}" for n in range(3, 9)]


def test_verdicts_that_have_not_changed_are_not_found_again_at_once():
    told, asked = StatusPacing(), []

    def look(after_s):
        due(
            told, queue(1, 0), lambda _: TELLS, lambda uid: asked.append(uid) or (), NOW_S + after_s
        )
        return len(asked)

    assert [look(0), look(VERDICTS_PAUSE_S - 1), look(VERDICTS_PAUSE_S)] == [1, 1, 2]
