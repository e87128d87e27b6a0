"""What is remembered of plans: who is told, what a later word replaces, and what is not carried out."""

from __future__ import annotations

import pytest

from hansa.hub.planner.decisions import Decisions
from hansa.model.plan import Placement, Plan, Stop, Waiting
from hansa.model.reasons import Reason
from hansa.placement.explain.waitlist import Waitlist


def place(uid: str, gpu_class: str = "nvidia-l40s") -> Placement:
    return Placement(uid, "tartu", 1, 0, gpu_class)


def stop(uid: str, in_favour_of: str = "") -> Stop:
    return Stop(uid, "tartu", Reason.PENDING, "", in_favour_of=in_favour_of)


def wait(uid: str, reason: Reason = Reason.PENDING, position: int = 0) -> Waiting:
    return Waiting(uid, reason, "", position)


def plan(*decided: Placement | Stop) -> Plan:
    stops = [one for one in decided if isinstance(one, Stop)]
    return Plan(stops=stops, placements=[one for one in decided if isinstance(one, Placement)])


@pytest.fixture
def decisions() -> Decisions:
    return Decisions()


def take(decisions: Decisions, *decided: Placement | Stop, outdated: tuple[str, ...] = ()):
    return list(decisions.take(plan(*decided), outdated))


async def hear(decisions: Decisions, *waiting: Waiting, ended: tuple[str, ...] = ()):
    return await decisions.take_waiting(waiting, lambda uid: uid not in ended)


def test_stops_are_told_before_what_takes_their_room(decisions):
    assert take(decisions, place("a"), stop("b", "a")) == [("b", False), ("a", True)]
    assert (decisions.get("a"), decisions.get("b")) == (place("a"), stop("b", "a"))


def test_nothing_is_carried_out_for_who_changed_while_it_was_planned(decisions):
    told = take(decisions, place("a"), stop("b"), place("c"), outdated=("a", "b"))
    assert told == [("c", True)]
    assert [decisions.get(uid) for uid in "ab"] == [None, None]
    assert decisions.gpu_class("a") == ""
    assert decisions.withdraw(lambda _: False) == []


async def test_who_waits_is_told_once_a_reason(decisions):
    other = Reason.WAITING_FOR_CAPACITY
    assert await hear(decisions, wait("a")) == [("a", False)]
    assert await hear(decisions, wait("a", position=7)) == []
    assert decisions.get("a") == wait("a", position=7)
    assert await hear(decisions, wait("a", other)) == [("a", False)]
    assert await hear(decisions, wait("b"), ended=("b",)) == []
    assert decisions.get("b") is None


async def test_of_a_queue_no_record_is_made_before_somebody_asks(decisions):
    """Fifty thousand that live until the next plan are what garbage collections are longest about."""
    made: list[str] = []

    class Names(tuple[str, ...]):
        __slots__ = ()

        def __getitem__(self, place):
            made.append(super().__getitem__(place))
            return made[-1]

    words = ((Reason.WAITING_FOR_CAPACITY, "full"),)
    queue = Waitlist((wait("u"),), Names("abc"), (0, 0, 0), words, (0, 1, 2), {})
    told = await decisions.take_waiting(queue, lambda uid: uid != "c")
    assert told == [(uid, False) for uid in "uab"]
    assert made == []
    assert decisions.get("b") == Waiting("b", Reason.WAITING_FOR_CAPACITY, "full", 1)
    assert (decisions.get("u"), decisions.get("c"), made) == (wait("u"), None, ["b"])


@pytest.mark.parametrize("before", [place("a"), stop("a")])
async def test_who_was_to_start_or_stop_and_waits_is_told(decisions, before):
    take(decisions, before)
    assert await hear(decisions, wait("a")) == [("a", False)]


STOPS = {
    "nobody gains any more": ([stop("a", "x")], ["a"]),
    "somebody gains": ([stop("a", "y")], []),
    "for nobody's sake": ([stop("a")], []),
    "one of two": ([stop("a", "y"), stop("b", "x")], ["b"]),
    "it was decided anew": ([stop("a", "x"), stop("a", "y")], []),
    "it was placed since": ([stop("a", "x"), place("a")], []),
}


@pytest.mark.parametrize("case", STOPS.values(), ids=STOPS)
def test_a_stop_stands_while_somebody_gains(decisions, case):
    """``x`` waits no more, ``y`` does."""
    decided, withdrawn = case
    for one in decided:
        take(decisions, one)
    kept = {one.job_uid: decisions.get(one.job_uid) for one in decided}

    assert decisions.withdraw(lambda uid: uid == "y") == withdrawn

    for uid, said in kept.items():
        assert decisions.get(uid) is (None if uid in withdrawn else said)
    assert decisions.withdraw(lambda uid: uid == "y") == []


async def test_a_stop_that_somebody_else_took_back_is_not_withdrawn(decisions):
    take(decisions, stop("a", "x"))
    await hear(decisions, wait("a"))
    assert decisions.withdraw(lambda _: False) == []
    assert decisions.get("a") == wait("a")


def test_a_class_outlives_a_new_decision_and_not_its_job(decisions):
    take(decisions, place("a"), place("b", "nvidia-h100"))
    decisions.drop("a")
    assert (decisions.get("a"), decisions.gpu_class("a")) == (None, "nvidia-l40s")
    decisions.forget("a")
    assert (decisions.gpu_class("a"), decisions.gpu_class("b")) == ("", "nvidia-h100")


def test_another_term_begins_with_nothing(decisions):
    take(decisions, place("a"), stop("b", "x"))
    decisions.clear()
    assert [decisions.get(uid) for uid in "ab"] == [None, None]
    assert decisions.gpu_class("a") == ""
    assert decisions.withdraw(lambda _: False) == []
