"""Room that others gave up for a job is that job's, whoever plans next and however often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hansa.model.events import JobArrived, JobGone
from hansa.model.plan import Plan
from hansa.model.snapshot import Job, Shape, Yielded
from hansa.placement.backfill.promises import KEPT_S
from hansa.placement.incremental import IncrementalPlanner
from tests.unit.placement.leagues.small_leagues import (
    held,
    job,
    league,
    placed,
    pool,
    rack,
    site,
    stopped,
)

NOW_S = 9000
SHARES = pool(ut=0, fi=0, ua=8, oy=6)
SHORT = job("s", gpus=1, institution="fi", priority=900, max_runtime_s=60)
"""It would end before the gang can begin, and so may go before it."""


def stopping(*more: Job) -> IncrementalPlanner:
    """``v`` is asked to go for ``j``, beside the three GPUs that are held for ``g`` until ``r`` ends."""
    runs = (held("r", gpus=4, institution="oy", max_runtime_s=100_000), held("v", gpus=1))
    gang = job("g", gpus=8, institution="ua", priority=9)
    entitled = job("j", gpus=2, institution="oy", max_runtime_s=900_000)
    planner = IncrementalPlanner(league(*runs, gang, entitled, *more, pool=SHARES, now_s=NOW_S))
    decided = planner.replan(NOW_S)
    assert {stop.job_uid: stop.in_favour_of for stop in decided.stops} == {"v": "j"}
    return planner


def waits_again(planner: IncrementalPlanner, uid: str = "v") -> Job:
    """Whoever was stopped, as the hub tells of it once its node has released it."""
    (one,) = (one for one in planner.snapshot().jobs if one.uid == uid)
    return replace(one, holdings=())


def told_late(planner: IncrementalPlanner) -> Job:
    """The same, before the record of the stop has come back from the API server."""
    return replace(waits_again(planner), yielded=None)


def same(planner: IncrementalPlanner) -> IncrementalPlanner:
    return planner


def new_leader(planner: IncrementalPlanner) -> IncrementalPlanner:
    return IncrementalPlanner(planner.snapshot())


LEADERS = {"same leader": same, "new leader": new_leader}
Leader = Callable[[IncrementalPlanner], IncrementalPlanner]


@pytest.mark.parametrize("led", LEADERS.values(), ids=LEADERS)
@pytest.mark.parametrize("plans", range(3))
def test_room_is_kept_over_full_plans_until_who_gains_starts_there(led: Leader, plans: int):
    planner = stopping()
    planner.update([JobArrived(SHORT), JobArrived(replace(SHORT, uid="s2"))], now_s=NOW_S + 1)
    for at in range(plans):
        planner = led(planner)
        decided = planner.replan(NOW_S + 2 + at)
        assert stopped(decided) == []
    planner = led(planner)
    begun = placed(planner.replan(NOW_S + 9, [JobArrived(waits_again(planner))]))
    assert begun[0] == "j"


@pytest.mark.parametrize("led", LEADERS.values(), ids=LEADERS)
@pytest.mark.parametrize("tell", [waits_again, told_late])
@pytest.mark.parametrize("is_full", [True, False])
def test_who_yielded_does_not_take_its_room_back(
    led: Leader, tell: Callable[..., Job], *, is_full: bool
):
    """``v`` borrows, but ends before the gang begins: without the record it would come first."""
    planner = stopping()
    news = [JobArrived(tell(planner)), JobArrived(SHORT)]
    planner = led(planner)
    at_s = NOW_S + 1
    decided = planner.replan(at_s, news) if is_full else planner.update(news, now_s=at_s)
    assert placed(decided)[0] == "j"
    assert stopped(planner.replan(NOW_S + 2)) == []


def test_a_leader_elected_after_the_stop_was_done_knows_whose_the_room_is():
    after = stopping().snapshot()
    jobs = tuple(replace(one, holdings=()) if one.uid == "v" else one for one in after.jobs)
    planner = IncrementalPlanner(replace(after, jobs=(*jobs, SHORT), now_s=NOW_S + 5))
    assert placed(planner.replan(NOW_S + 5))[0] == "j"


def starts(planner: IncrementalPlanner, at_s: int, *others: Job) -> Plan:
    """A full plan of a new leader, once ``v`` has gone and short work has come."""
    after, instead = planner.snapshot(), {other.uid: other for other in (SHORT, *others)}
    kept = (one for one in after.jobs if one.uid not in instead)
    jobs = tuple(replace(one, holdings=()) if one.uid == "v" else one for one in kept)
    return IncrementalPlanner(replace(after, jobs=(*jobs, *instead.values()))).replan(at_s)


@pytest.mark.parametrize(("later_s", "first"), {KEPT_S - 1: "j", KEPT_S: "s"}.items())
def test_a_promise_ends_after_a_while(later_s: int, first: str):
    assert placed(starts(stopping(), NOW_S + later_s))[0] == first


def test_nothing_is_kept_for_who_is_gone():
    planner = stopping()
    planner.update([JobGone("j")], now_s=NOW_S + 1)
    decided = planner.replan(NOW_S + 2, [JobArrived(SHORT), JobArrived(waits_again(planner))])
    assert "s" in placed(decided)


@pytest.mark.parametrize(("since_s", "first"), {NOW_S - 1: "j", NOW_S: "s"}.items())
def test_nothing_is_kept_for_who_had_to_yield_itself_since(since_s: int, first: str):
    """``j`` was stopped for another itself, before it was given this or after it had it."""
    planner = stopping()
    (gains,) = (one for one in planner.snapshot().jobs if one.uid == "j")
    turned = replace(gains, yielded=Yielded("x", "a", since_s))
    assert placed(starts(planner, NOW_S + 5, turned))[0] == first


SEATS = {"r": 3, "v": 1}
"""Who fills each machine, by GPUs."""


@pytest.mark.parametrize("led", LEADERS.values(), ids=LEADERS)
def test_who_is_promised_room_has_nobody_else_stopped_for_it(led: Leader):
    """Each of two machines is cleared of one; ``w`` borrows elsewhere, and need not go as well.

    Nor would it come back: ``x`` would take its place.
    """
    runs = [held(f"{uid}{n}", gpus=gpus, since=n) for n in range(2) for uid, gpus in SEATS.items()]
    runs += [held("w", "b", gpus=4, institution="fi", since=3000, max_runtime_s=100_000)]
    waits = [job(uid, gpus=4, institution="ua", max_runtime_s=900_000) for uid in "jk"]
    waits += [job("x", gpus=4, institution="fi", priority=900, refused_by={"a": "no"})]
    sites = (site("a", machines=(rack(2, gpus=4),)), site("b", machines=(rack(gpus=4),)))
    planner = IncrementalPlanner(league(*runs, *waits, sites=sites, pool=SHARES))
    first = planner.replan(5000, [JobGone("r0"), JobGone("r1")])
    assert {stop.job_uid: stop.in_favour_of for stop in first.stops} == {"v1": "j", "v0": "k"}
    for at_s in range(5001, 5005):
        planner = led(planner)
        assert stopped(planner.replan(at_s)) == []


def test_what_is_promised_is_not_counted_for_others_who_come_first():
    """``o`` ranks higher, and has somebody stopped for itself instead of waiting for this room."""
    runs = (held("v", gpus=4, since=4300), held("w", "b", gpus=4, institution="fi", since=4000))
    sites = (site("a", price=2, machines=(rack(gpus=4),)), site("b", machines=(rack(gpus=4),)))
    first = job("j", gpus=4, institution="ua", refused_by={"b": "no"})
    planner = IncrementalPlanner(league(*runs, first, sites=sites, pool=SHARES))
    assert stopped(planner.replan(5000)) == ["v"]
    other = job("o", gpus=4, institution="oy", priority=900, max_runtime_s=60)
    assert stopped(planner.replan(5001, [JobArrived(other)])) == ["w"]


def test_beside_small_work_others_may_have_what_it_leaves():
    """Two GPUs are free, ``v`` leaves four, and ``j`` needs three: the two may be had meanwhile."""
    runs = (held("v", gpus=4), held("r", gpus=2, institution="oy"))
    entitled = job("j", shape=Shape(3, 1), institution="ua", max_runtime_s=900_000)
    planner = IncrementalPlanner(league(*runs, entitled, pool=SHARES))
    assert stopped(planner.replan(5000)) == ["v"]
    others = [JobArrived(job(f"o{n}", gpus=1, institution="fi")) for n in range(9)]
    assert placed(planner.replan(5001, others)) == ["o0", "o1"]
    assert placed(planner.replan(5002, [JobArrived(waits_again(planner))])) == ["j", "o2"]


@pytest.mark.parametrize("led", LEADERS.values(), ids=LEADERS)
def test_beside_large_work_nobody_starts_on_a_machine_that_is_being_cleared(led: Leader):
    runs = (held("v", gpus=3), held("b", gpus=3, institution="oy"))
    sites = (site("a", machines=(rack(2, gpus=4),)),)
    entitled = job("j", gpus=4, institution="ua")
    planner = IncrementalPlanner(league(*runs, entitled, sites=sites, pool=SHARES, now_s=NOW_S))
    assert stopped(planner.replan(NOW_S)) == ["v"]
    planner = led(planner)
    other = job("o", gpus=1, institution="oy", max_runtime_s=60)
    assert placed(planner.replan(NOW_S + 1, [JobArrived(other)])) == []
    assert placed(planner.replan(NOW_S + 2, [JobArrived(waits_again(planner))])) == ["j", "o"]


def test_an_elastic_gang_does_not_grow_into_what_others_are_promised():
    """``e`` needs two of the three GPUs that are free once ``v`` has gone; ``k`` counts on the third."""
    runs = (
        held("r", gpus=1, institution="fi", since=4999),
        held("v", gpus=2),
        held("w", gpus=4, since=1),
    )
    elastic = job("e", shape=Shape(8, 1, min_workers=2), institution="ua", priority=9)
    rigid = job("k", gpus=5, institution="oy")
    planner = IncrementalPlanner(league(*runs, elastic, rigid, pool=SHARES))
    gains = {stop.in_favour_of: stop.job_uid for stop in planner.replan(5000).stops}
    assert gains == {"e": "v", "k": "w"}
    begun = planner.replan(5001, [JobArrived(waits_again(planner, "v"))]).placements
    assert [(one.job_uid, one.workers) for one in begun] == [("e", 2)]
    assert placed(planner.replan(5002, [JobArrived(waits_again(planner, "w"))])) == ["k"]
