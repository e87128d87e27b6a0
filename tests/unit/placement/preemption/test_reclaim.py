"""Sharing incentive: who stays within the own nominal share is not kept waiting by borrowers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.events import JobGone
from hansa.model.reasons import Reason
from hansa.model.snapshot import PreemptionRule, Shape
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import plan
from hansa.placement.preemption import reclaim
from tests.unit.placement.leagues.small_leagues import (
    RULE,
    held,
    job,
    league,
    placed,
    pool,
    rack,
    site,
    stopped,
)


def test_work_that_only_borrowing_allows_yields_although_its_owner_then_holds_less_than_its_share():
    shares = pool(ut=4, ua=4)
    decided = plan(league(held("v"), job("j", gpus=4, institution="ua"), pool=shares))
    assert stopped(decided) == ["v"]
    within = plan(league(held("v"), job("j", gpus=4, institution="ua"), pool=pool(ut=8, ua=4)))
    assert stopped(within) == []


def test_who_keeps_its_share_without_a_victim_loses_it_before_others_do():
    """``falls`` has lost less work, but its institution would be left below its share."""
    falls = held("falls", gpus=3, since=4200)
    keeps = [held(f"keeps{gpus}", gpus=gpus, institution="oy") for gpus in (3, 2)]
    entitled = job("j", gpus=2, institution="ua")
    decided = plan(league(falls, *keeps, entitled, pool=pool(ut=1, oy=3, ua=2)))
    assert stopped(decided) == ["keeps2"]


def test_the_largest_is_asked_where_small_ones_are_not_enough():
    """Stopping the two small jobs would use up what their institution holds too much."""
    runs = (held("s1", gpus=1), held("s2", gpus=1), held("big", gpus=6, priority=5))
    decided = plan(league(*runs, job("j", gpus=6, institution="ua"), pool=pool(ut=6, ua=6)))
    assert stopped(decided) == ["big"]


def test_nobody_yields_to_a_job_that_is_entitled_only_without_work_that_then_goes_on():
    """Without ``own`` the job stays within its share, so ``v`` has to yield; without ``v`` it fits."""
    runs = (
        held("own", gpus=1, institution="ua"),
        held("v", gpus=4, priority=50),
        held("else", "b", gpus=2, institution="ua", priority=99),
    )
    shares = replace(
        pool(ut=0, ua=4),
        preemption=PreemptionRule(lower_priority=True, borrowers=True, max_per_hour=100),
    )
    sites = (site("a", machines=(rack(gpus=5),)), site("b", machines=(rack(gpus=2),)))
    gains = job("j", gpus=2, institution="ua", priority=50)
    assert stopped(plan(league(*runs, gains, sites=sites, pool=shares))) == ["own", "v"]


def test_entitled_work_is_not_lost_behind_many_that_rank_higher():
    others = [job(f"o{n:03d}", gpus=1, priority=500 + n) for n in range(300)]
    entitled = job("j", institution="ua")
    decided = plan(league(held("v"), *others, entitled, pool=pool(ut=0, ua=8)))
    assert stopped(decided) == ["v"]
    assert {stop.in_favour_of for stop in decided.stops} == {"j"}


def test_entitled_work_is_not_left_out_behind_many_sorts_that_nobody_can_make_room_for():
    """Two hundred institutions wait for a node that is full of work within its share."""
    crowd = [f"i{n:03d}" for n in range(200)]
    vain = [job(f"o-{of}", institution=of, priority=500, refused_by={"b": "no"}) for of in crowd]
    runs = (held("r", institution="oy"), held("v", "b"))
    entitled = job("j", institution="ua")
    shares = pool(oy=8, ut=0, ua=8, **dict.fromkeys(crowd, 8))
    sites = (site("a"), site("b"))
    decided = plan(league(*runs, *vain, entitled, sites=sites, pool=shares))
    assert {stop.job_uid: stop.in_favour_of for stop in decided.stops} == {"v": "j"}


def test_who_is_not_reached_in_one_plan_comes_first_in_the_next(monkeypatch):
    """One look a plan. ``first`` needs a whole machine, and each is half full of others' own work."""
    monkeypatch.setattr(reclaim, "MOST_JOBS", 1)
    monkeypatch.setattr(reclaim, "MOST_CELLS", 1)
    halves = {"v1": "ut", "v1r": "oy", "v2": "ut", "v2r": "oy"}
    runs = [held(uid, gpus=2, institution=of) for uid, of in halves.items()]
    first = job("first", gpus=4, institution="ua", priority=9)
    second = job("second", gpus=2, institution="fi")
    sites = (site("a", machines=(rack(2, gpus=4),)),)
    shares = pool(oy=4, ut=0, ua=4, fi=2)
    planner = IncrementalPlanner(league(*runs, first, second, sites=sites, pool=shares))
    gains = [[stop.in_favour_of for stop in planner.replan(at).stops] for at in (5000, 5600)]
    assert gains == [[], ["second"]]


def test_what_is_freed_is_held_for_whom_it_was_freed_for():
    runs = (held("v1", gpus=4), held("v2", gpus=4))
    others = [job(f"o{n:03d}", gpus=4, priority=500) for n in range(300)]
    entitled = job("j", institution="ua")
    planner = IncrementalPlanner(league(*runs, *others, entitled, pool=pool(ut=0, ua=8)))
    assert stopped(planner.replan(5000)) == ["v1", "v2"]
    assert placed(planner.update([JobGone("v1")], now_s=5001)) == []
    assert placed(planner.update([JobGone("v2")], now_s=5002)) == ["j"]


def test_a_gang_that_would_borrow_holds_no_room_against_who_is_entitled():
    """``ut`` is below its share, but not with this gang."""
    runs = held("r", gpus=4, institution="oy", max_runtime_s=100_000)
    gang = job("gang", gpus=8, priority=9)
    entitled = job("j", gpus=4, institution="ua", max_runtime_s=900_000)
    decided = plan(league(runs, gang, entitled, pool=pool(ut=2, ua=4, oy=4)))
    assert placed(decided) == ["j"]


def test_room_is_held_for_an_entitled_gang_before_larger_ones():
    runs = held("r", gpus=4, institution="oy", max_runtime_s=8000)
    large = job("large", gpus=8, priority=9)
    entitled = job("j", gpus=6, institution="ua")
    long = job("long", gpus=4, max_runtime_s=90_000, priority=99)
    decided = plan(league(runs, large, entitled, long, pool=pool(ut=0, ua=6, oy=4)))
    assert placed(decided) == []


def test_what_is_freed_is_not_given_out_again_where_room_is_held_for_another_gang():
    """``g`` waits for ``r``; ``j`` gets the room of two borrowers beside it."""
    runs = (held("r", gpus=4, institution="oy"), held("v1", gpus=2), held("v2", gpus=2))
    gang = job("g", gpus=4, institution="ua", priority=9)
    others = [job(f"o{n:03d}", gpus=2, priority=500) for n in range(3)]
    entitled = job("j", gpus=4, institution="oy")
    planner = IncrementalPlanner(
        league(*runs, gang, *others, entitled, pool=pool(ut=0, ua=4, oy=8), now_s=9000)
    )
    decided = planner.replan(9000)
    gains = {stop.in_favour_of for stop in decided.stops}
    assert stopped(decided) == ["v1", "v2"]
    assert placed(planner.update([JobGone("v1")], now_s=9001)) == []
    assert placed(planner.update([JobGone("v2")], now_s=9002)) == sorted(gains)


def test_work_that_only_a_reservation_keeps_waiting_may_reclaim_too():
    runs = (held("r", gpus=4, institution="oy", max_runtime_s=100_000), held("v", gpus=1))
    gang = job("g", gpus=8, institution="ua", priority=9)
    small = job("j", gpus=1, institution="oy", max_runtime_s=900_000)
    decided = plan(league(*runs, gang, small, pool=pool(ut=0, ua=8, oy=5)))
    assert stopped(decided) == ["v"]
    assert {stop.in_favour_of for stop in decided.stops} == {"j"}


def test_work_without_gpus_does_not_yield_where_its_institution_holds_no_more_than_its_share():
    shape = Shape(1, 0, cpu_millis=60_000)
    runs = (held("v", shape=shape), held("r", gpus=2))
    entitled = job("j", shape=Shape(1, 0, cpu_millis=30_000), institution="ua")
    at_share = plan(league(*runs, entitled, pool=pool(ut=2, ua=4)))
    assert stopped(at_share) == []
    above = plan(league(*runs, entitled, pool=pool(ut=1, ua=4)))
    assert stopped(above) == ["v"]


def test_what_ends_anyway_is_stopped_once_and_its_room_counts():
    """A suspended elastic job would shrink for ``j``; but it goes altogether."""
    shape = Shape(4, 2, min_workers=1)
    ends = held("v", workers=4, shape=shape, barred=Reason.SUSPENDED)
    runs = held("r", "b", institution="oy")
    sites = (site("a"), site("b"))
    waits = job("j", gpus=4, institution="ua")
    decided = plan(league(ends, runs, waits, sites=sites, pool=pool(ut=8, oy=0, ua=8)))
    assert [(stop.job_uid, stop.reason) for stop in decided.stops] == [("v", Reason.SUSPENDED)]
    assert decided.waiting[-1].reason is Reason.WAITING_FOR_PREEMPTION


def test_a_job_that_stops_twice_at_one_site_leaves_both_its_places():
    """A grant of an earlier epoch has turned up again: the plan ends, and counts on the room of both."""
    twice = held("v", gpus=4)
    one = replace(twice.holdings[0], stopping=True)
    twice = replace(twice, holdings=(one, replace(one, epoch=one.epoch + 1)))
    waits = job("j", gpus=8, institution="ua")
    decided = plan(league(twice, waits, pool=pool(ut=8, ua=8)))
    assert stopped(decided) == []
    assert [one.reason for one in decided.waiting] == [Reason.WAITING_FOR_PREEMPTION]


def test_what_stops_where_it_has_no_machine_any_more_is_no_longer_held():
    """``ut`` holds its share and no more once ``leaves`` is gone, so that ``w`` need not yield."""
    stays, leaves = held("stays"), held("leaves", since=9)
    leaves = replace(leaves, holdings=(replace(leaves.holdings[0], stopping=True),))
    runs = (stays, leaves, held("w", "b", gpus=4), held("r", "b", gpus=4, institution="oy"))
    entitled = job("j", gpus=4, institution="ua")
    sites = (site("a"), site("b"))
    assert stopped(plan(league(*runs, entitled, sites=sites, pool=pool(ut=12, oy=4, ua=8)))) == []
    assert stopped(plan(league(*runs, entitled, sites=sites, pool=pool(ut=11, oy=4, ua=8)))) == [
        "w"
    ]


def test_who_reclaims_may_use_what_is_held_beside_a_borrower():
    """``g`` waits for ``r`` and holds the three GPUs that are free; ``j`` needs one of them."""
    runs = (held("r", gpus=4, institution="oy", max_runtime_s=100_000), held("v", gpus=1))
    gang = job("g", gpus=8, institution="ua", priority=9)
    entitled = job("j", gpus=2, institution="oy", max_runtime_s=900_000)
    planner = IncrementalPlanner(
        league(*runs, gang, entitled, pool=pool(ut=0, ua=8, oy=6), now_s=9000)
    )
    assert stopped(planner.replan(9000)) == ["v"]
    assert placed(planner.update([JobGone("v")], now_s=9001)) == ["j"]


def test_what_is_held_is_not_taken_where_nobody_borrows():
    runs = (held("r", gpus=4, institution="oy", max_runtime_s=100_000),)
    gang = job("g", gpus=8, institution="ua", priority=9)
    entitled = job("j", gpus=2, institution="oy", max_runtime_s=900_000)
    decided = plan(league(*runs, gang, entitled, pool=pool(ua=8, oy=6)))
    assert placed(decided) == stopped(decided) == []


def test_what_is_hopeless_for_long_work_is_not_for_short():
    """Room is held for ``g`` until ``r`` ends: ``short`` may shrink ``e`` for its turn before that."""
    shape = Shape(4, 1, min_workers=2)
    runs = (
        held("r", gpus=4, institution="oy", max_runtime_s=60_000),
        held("e", shape=shape, workers=4, institution="fi"),
    )
    gang = job("g", gpus=6, institution="ua", priority=9)
    waits = [
        job(uid, gpus=2, institution="oy", submitted_s=at, max_runtime_s=runtime_s)
        for at, (uid, runtime_s) in enumerate({"long": 900_000, "short": 1000}.items())
    ]
    decided = plan(league(*runs, gang, *waits, pool=pool(ua=8, oy=4, fi=8), now_s=9000))
    assert {stop.in_favour_of for stop in decided.stops} == {"short"}


@pytest.mark.parametrize(("now_s", "expected"), {8299: [], 8300: ["v"]}.items())
def test_nobody_is_stopped_while_the_pool_has_patience(now_s, expected):
    patient = replace(pool(ut=0, ua=8), preemption=replace(RULE, patience_s=300))
    entitled = job("j", institution="ua", submitted_s=8000)
    decided = plan(league(held("v"), entitled, pool=patient, now_s=now_s))
    assert stopped(decided) == expected
    old = job("k", institution="ua", submitted_s=1000, priority=-1)
    assert stopped(plan(league(held("v"), entitled, old, pool=patient, now_s=now_s))) == ["v"]


def test_what_is_held_for_one_stays_held_when_another_has_started_in_the_cell():
    runs = [held(f"v{n}", gpus=2) for n in range(4)]
    large, small = (
        job("j", gpus=6, institution="ua"),
        job("k", gpus=2, institution="oy", priority=9),
    )
    others = [job(f"o{n}", gpus=1, priority=500) for n in range(9)]
    snapshot = league(*runs, large, small, *others, pool=pool(ut=0, ua=6, oy=2))
    planner = IncrementalPlanner(snapshot)
    stops = sorted(planner.replan(9000).stops, key=lambda stop: stop.in_favour_of, reverse=True)
    begun = [placed(planner.update([JobGone(stop.job_uid)], now_s=9001)) for stop in stops]
    assert begun == [["k"], [], [], ["j"]]


def test_the_largest_of_a_machine_is_asked_where_others_use_up_what_is_too_much():
    """``fi`` holds one GPU too many: ``c`` is too small, and where ``b`` runs ``j`` never fits."""
    sites = (site("a", machines=(rack(gpus=3), rack())),)
    runs = (
        held("b", gpus=3, institution="fi", since=0, priority=-1),
        held("c", gpus=1, institution="fi", since=1, priority=-2),
        held("d", gpus=3, institution="fi", since=2),
        held("n", gpus=3, institution="oy", since=3),
    )
    entitled, shares = job("j", gpus=4, institution="ua"), pool(fi=6, oy=3, ua=4)
    assert stopped(plan(league(*runs, entitled, sites=sites, pool=shares))) == ["d"]


LOSSES = {
    "who began last": ({}, {}, "late"),
    "who has just saved": ({"checkpoint_s": 900}, {}, "early"),
    "who has saved less long ago": ({"checkpoint_s": 901}, {"checkpoint_s": 1000}, "late"),
    "who would lose less time": ({"checkpoint_s": 1800}, {}, "early"),
    "who would lose less time on fewer GPUs": ({"gpus": 8, "checkpoint_s": 1800}, {}, "late"),
    "a time that is none": ({"checkpoint_s": -5}, {"checkpoint_s": -5}, "late"),
}


@pytest.mark.parametrize(("early", "late", "expected"), LOSSES.values(), ids=LOSSES)
def test_who_loses_least_yields(early, late, expected):
    """At 5000, ``early`` has run for 4500 seconds and ``late`` for 1000; both fill their sites."""
    runs = (
        held("early", since=500, **{"gpus": 4, **early}),
        held("late", "b", since=4000, **{"gpus": 4, **late}),
    )
    sites = tuple(
        site(name, machines=(rack(gpus=run.shape.total_gpus),))
        for name, run in zip("ab", runs, strict=True)
    )
    entitled = job("j", gpus=4, institution="ua")
    assert stopped(plan(league(*runs, entitled, sites=sites, pool=pool(ua=4)))) == [expected]


COMERS = {
    "a short one that borrows, where borrowers can make room for the gang": ("oy", 0, []),
    "a short one within its share": ("ut", 0, ["short"]),
    "a short one that borrows, where others than borrowers are in the way": ("oy", 8, ["short"]),
}


@pytest.mark.parametrize("case", COMERS)
def test_no_more_borrowers_come_where_a_gang_waits_for_those_there_to_leave(case):
    """Each would be safe for the least run time, and one after the other could keep the gang out."""
    owner, nominal, expected = COMERS[case]
    runs = [held("v", gpus=4, institution="fi"), held("w", gpus=2, institution="oy")]
    shares = replace(pool(fi=nominal, oy=0, ut=4, ua=8), preemption=replace(RULE, patience_s=9000))
    gang = job("gang", gpus=8, institution="ua", priority=9, submitted_s=4000)
    short = job("short", gpus=1, institution=owner, max_runtime_s=600)
    assert placed(plan(league(*runs, gang, short, pool=shares))) == expected
