"""Between full plans: what an event changes, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.events import (
    JobArrived,
    JobGone,
    PoolChanged,
    SiteChanged,
    SiteGone,
)
from hansa.model.reasons import Reason
from hansa.model.snapshot import Machines, Pool, PreemptionRule, Shape, Share, Site, Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from tests.unit.placement.leagues.random_leagues import random_job, random_snapshot
from tests.unit.placement.leagues.small_leagues import held, job, league, rack, site


def placed(plan) -> list[str]:
    return [placement.job_uid for placement in plan.placements]


def test_room_that_is_freed_goes_to_who_is_first():
    planner = IncrementalPlanner(league(held("r"), job("low"), job("high", priority=9)))
    assert placed(planner.replan(5000)) == []
    assert placed(planner.update([JobGone("r")], now_s=5001)) == ["high"]
    assert placed(planner.update([JobGone("nobody")], now_s=5002)) == []
    assert {j.uid: bool(j.holdings) for j in planner.snapshot().jobs} == {
        "low": False,
        "high": True,
    }


def test_an_arrival_starts_or_says_why_not():
    planner = IncrementalPlanner(league())
    planner.replan(5000)
    assert placed(planner.update([JobArrived(job("a"))], now_s=5001)) == ["a"]
    plan = planner.update([JobArrived(job("b"))], now_s=5002)
    assert [(w.job_uid, w.reason) for w in plan.waiting] == [("b", Reason.WAITING_FOR_CAPACITY)]
    plan = planner.update([JobArrived(replace(job("c"), pool="q"))], now_s=5003)
    assert [w.reason for w in plan.waiting] == [Reason.UNKNOWN_POOL]


def test_an_arrival_may_make_others_yield_once():
    rule = PreemptionRule(lower_priority=True)
    planner = IncrementalPlanner(league(held("v"), pool=Pool("p", preemption=rule)))
    planner.replan(5000)
    plan = planner.update([JobArrived(job("j", priority=9))], now_s=5001)
    assert [stop.job_uid for stop in plan.stops] == ["v"]
    assert plan.waiting[0].reason is Reason.WAITING_FOR_PREEMPTION
    assert planner.replan(5002).stops == ()
    assert placed(planner.update([JobGone("v")], now_s=5003)) == ["j"]


def test_freed_quota_lets_the_next_start_elsewhere():
    pool = Pool("p", shares=(Share("ut", nominal_gpus=8, borrowing_limit=0),))
    planner = IncrementalPlanner(
        league(held("r"), job("j"), sites=(site("a"), site("b")), pool=pool)
    )
    assert planner.replan(5000).waiting[0].reason is Reason.WAITING_FOR_QUOTA
    assert placed(planner.update([JobGone("r")], now_s=5001)) == ["j"]


def test_a_site_that_closes_keeps_its_work_and_one_that_opens_gets_some():
    closed = site("a", unavailable=Reason.NODE_UNREACHABLE)
    planner = IncrementalPlanner(league(job("j"), sites=(closed,)))
    assert planner.replan(5000).waiting[0].reason is Reason.NODE_UNREACHABLE
    assert placed(planner.update([SiteChanged(site("a"))], now_s=5001)) == ["j"]
    plan = planner.update([SiteChanged(closed)], now_s=5002)
    assert (plan.placements, plan.stops) == ((), ())
    draining = planner.update([SiteChanged(replace(site("a"), draining=True))], now_s=5003)
    assert [stop.reason for stop in draining.stops] == [Reason.NODE_CORDONED]


def test_a_new_price_moves_nothing_and_guides_the_next():
    sites = (site("a", price=2), site("b", price=1))
    planner = IncrementalPlanner(league(job("j", gpus=1), sites=sites))
    assert planner.replan(5000).placements[0].site == "b"
    plan = planner.update([SiteChanged(site("a", price=0))], now_s=5001)
    assert (plan.placements, plan.stops) == ((), ())
    assert planner.update([JobArrived(job("k", gpus=1))], now_s=5002).placements[0].site == "a"


def test_a_budget_makes_a_price_a_rule():
    poor = job("j", gpus=1, max_runtime_s=3600, budget_micros=10)
    planner = IncrementalPlanner(league(poor, sites=(site("a", price=100),)))
    assert planner.replan(5000).waiting[0].reason is Reason.OVER_BUDGET
    assert placed(planner.update([SiteChanged(site("a", price=5))], now_s=5001)) == ["j"]


def test_new_guests_are_taken_in():
    planner = IncrementalPlanner(league())
    planner.replan(5000)
    assert placed(planner.update([JobArrived(job("g", institution="new"))], now_s=5002)) == ["g"]


@pytest.mark.parametrize(
    "shape", [Shape(1, 4), Shape(4, 1, min_workers=1)], ids=["whole", "elastic"]
)
def test_nobody_is_started_and_stopped_by_one_plan(shape):
    """What ``r1`` leaves is too little for ``high``, and would be taken back at once."""
    rule = PreemptionRule(lower_priority=True, min_runtime_s=0, max_per_hour=100)
    runs = (held("r1", gpus=4), held("r2", gpus=4))
    planner = IncrementalPlanner(
        league(*runs, job("low", shape=shape), pool=Pool("p", preemption=rule))
    )
    assert placed(planner.replan(5000)) == []
    plan = planner.update([JobArrived(job("high", priority=9)), JobGone("r1")], now_s=5001)
    assert (placed(plan), plan.stops) == (["low"], ())
    stops = planner.replan(5002).stops
    assert [stop.job_uid for stop in stops] == ["low", "r2"]
    assert {stop.in_favour_of for stop in stops} == {"high"}


def test_many_changes_at_once_are_decided_together():
    """Three arrive and one goes: room goes by rank, not by the order in which they are named."""
    planner = IncrementalPlanner(league(held("r"), sites=(site("a"), site("b"))))
    planner.replan(5000)
    came = [job("low"), job("high", priority=9), job("mid", priority=5)]
    plan = planner.update([*map(JobArrived, came), JobGone("r"), JobGone("nobody")], now_s=5001)
    assert sorted(placed(plan)) == ["high", "mid"]
    assert [(w.job_uid, w.reason) for w in plan.waiting] == [("low", Reason.WAITING_FOR_CAPACITY)]
    guests = [job("g", institution="new"), job("h", institution="newer")]
    assert (
        len(planner.update([*map(JobArrived, guests), JobGone("high")], now_s=5002).placements) == 1
    )
    assert planner.is_stale, "what the full plan said of the others was not told"


def test_a_full_plan_takes_in_changes_first():
    planner = IncrementalPlanner(league(held("r"), job("low")))
    planner.replan(5000)
    assert placed(planner.replan(5001, [JobArrived(job("high", priority=9)), JobGone("r")])) == [
        "high"
    ]
    plan = planner.replan(5002, [JobArrived(job("g", institution="new")), JobGone("high")])
    assert len(plan.placements) == len(plan.waiting) == 1


AMENDED = {
    "confirmed": ({"epoch": 3, "since_s": 5002, "confirmed": True}, True),
    "stopping": ({"stopping": True}, True),
    "elsewhere": ({"site": "b"}, False),
    "smaller": ({"workers": 4}, False),
    "another class": ({"gpu_class": "other"}, False),
}


@pytest.mark.parametrize("case", AMENDED)
def test_news_of_a_booked_holding_moves_nothing(case):
    """What the hub hears of a decision already booked is noted; a holding elsewhere is rebooked."""
    changes, is_amended = AMENDED[case]
    planner = IncrementalPlanner(league(sites=(site("a"),)))
    planner.replan(5000)
    planner.update([JobArrived(job("j"))], now_s=5001)
    (booked,) = planner.snapshot().jobs
    record = planner._league.records["j"]
    told = replace(booked, holdings=tuple(replace(h, **changes) for h in booked.holdings))

    plan = planner.update([JobArrived(told)], now_s=5003)

    assert (plan.placements, plan.waiting) == ((), ())
    assert planner.snapshot().jobs == (told,)
    assert (planner._league.records["j"] is record) is is_amended
    stopping = [held.holding for _, held in planner._league.stopping.values()]
    assert stopping == [h for h in told.holdings if h.stopping]
    again = planner.update([JobArrived(replace(told, holdings=booked.holdings))], now_s=5004)
    assert (again.placements, planner._league.stopping) == ((), {})


def test_preemptions_are_counted_until_their_hour_is_over():
    rule = PreemptionRule(lower_priority=True, max_per_hour=1)
    jobs = [held(name, gpus=4) for name in ("u", "v")]
    planner = IncrementalPlanner(league(*jobs, pool=Pool("p", preemption=rule)))
    planner.replan(5000)
    stops = [
        len(planner.update([JobArrived(job(f"j{at}", gpus=4, priority=9))], now_s=at).stops)
        for at in (5001, 5002, 5003 + 3600)
    ]
    assert stops[:2] == [1, 0]
    assert stops[2] + len(planner.replan(5004 + 3600).stops) == 1


def test_an_elastic_and_a_spread_job_are_booked_whole():
    planner = IncrementalPlanner(league(sites=(site("a", machines=(rack(2),)),)))
    planner.replan(5000)
    grown = planner.update([JobArrived(job("e", shape=Shape(12, 1, min_workers=2)))], now_s=5001)
    assert grown.placements[0].workers == 12
    assert placed(planner.update([JobArrived(job("f", gpus=8))], now_s=5002)) == []
    planner.update([JobGone("e")], now_s=5003)
    assert {j.uid for j in planner.snapshot().jobs if j.holdings} == {"f"}


def test_a_plan_with_nothing_to_gain_misses_nothing():
    """Neither an idle league nor a full one with work waiting reports a gap."""
    for jobs in ((), (held("r"), job("j"))):
        assert IncrementalPlanner(league(*jobs)).replan(5000).certificate.gap == 0.0


def test_prices_found_elsewhere_are_used():
    planner = IncrementalPlanner(league(job("j"), job("k")))
    found = shadow_prices.solve(market_of(planner._league)).prices
    assert found.cells[("a", "nvidia-l40s")] > 0
    planner.reprice(found)
    assert planner.replan(5000).certificate.gap < 1e-6


def test_prices_that_cost_little_are_refreshed_in_passing():
    planner = IncrementalPlanner(league(job("j"), job("k")))
    planner.replan(5000, is_repriced=True)
    kept = planner.snapshot().prices
    assert kept is not None
    planner.replan(5000, [JobGone("j"), JobGone("k")], is_repriced=True)
    assert planner.snapshot().prices is kept


def test_sites_that_close_and_open_are_taken_in_before_anything_is_placed():
    open_, shut = site("a"), site("b", unavailable=Reason.NODE_UNREACHABLE)
    planner = IncrementalPlanner(league(sites=(open_, shut)))
    planner.replan(5000)
    shut, open_ = (
        replace(open_, unavailable=Reason.NODE_CORDONED),
        replace(shut, unavailable=None),
    )
    plan = planner.update(
        [*map(JobArrived, (job("j"), job("k"))), *map(SiteChanged, (shut, open_))], now_s=5001
    )
    assert [(p.site, len(plan.waiting)) for p in plan.placements] == [("b", 1)]
    grown = site("a", machines=(rack(2),))
    assert len(planner.update([SiteChanged(grown)], now_s=5002).placements) == 1
    drained = [replace(grown, draining=True), replace(open_, draining=True)]
    assert len(planner.update([*map(SiteChanged, drained)], now_s=5003).stops) == 2


def test_events_stay_close_to_full_plans():
    """Over many events the jobs that run are worth what a full plan would give."""
    rng = np.random.default_rng(5)
    snapshot = random_snapshot(rng, jobs=80, sites=8)
    planner = IncrementalPlanner(snapshot)
    planner.replan(snapshot.now_s)
    now_s, missed = snapshot.now_s, 0
    for step in range(150):
        now_s += 60
        running = [j.uid for j in planner.snapshot().jobs if j.holdings]
        if running and step % 2:
            planner.update([JobGone(running[int(rng.integers(len(running)))])], now_s=now_s)
        else:
            planner.update([JobArrived(random_job(rng, f"n{step}"))], now_s=now_s)
        if step % 30 == 29:
            missed += len(planner.replan(now_s).placements)
    assert missed <= 2


def test_very_many_takers_are_cut_to_the_best_of_each():
    crowd = [job(f"{i:05d}", gpus=1, institution=f"i{i % 3}") for i in range(1500)]
    planner = IncrementalPlanner(league(*crowd, held("r", gpus=4), sites=(site("a"),)))
    planner.replan(5000)
    assert len(placed(planner.update([JobGone("r")], now_s=5001))) == 4


def test_nobody_is_forgotten_behind_the_crowd_of_another_institution():
    crowd = [job(f"{i:05d}", gpus=1) for i in range(600)]
    late = job("late", gpus=1, institution="ua", submitted_s=4999)
    planner = IncrementalPlanner(league(*crowd, late, held("r"), sites=(site("a"),)))
    planner.replan(5000)
    assert "late" in placed(planner.update([JobGone("r")], now_s=5001))


def test_a_reserved_gang_keeps_its_turn():
    snapshot: Snapshot = league(held("r", gpus=4, max_runtime_s=8000), job("gang", priority=9))
    planner = IncrementalPlanner(snapshot)
    planner.replan(5000)
    late = planner.update([JobArrived(job("long", gpus=4, max_runtime_s=90_000))], now_s=5001)
    assert late.waiting[0].reason is Reason.WAITING_FOR_FAIR_SHARE
    assert placed(planner.update([JobGone("r")], now_s=5002)) == ["gang"]


def test_a_machine_of_no_gpus_is_a_site_too():
    plain = Site("a", "ut", "ut", "EE", frozenset({"EE"}), (Machines(1, 0, "", 0, 8000, 64 << 30),))
    planner = IncrementalPlanner(league(sites=(plain,)))
    planner.replan(5000)
    assert placed(planner.update([JobArrived(job("j", shape=Shape(1, 0)))], now_s=5001)) == ["j"]


def test_what_nobody_was_told_is_no_promise():
    """News of a pool is answered without a word about those who wait; the next full plan tells."""
    start = league(held("r"), job("j"))
    planner = IncrementalPlanner(start)
    pool = replace(start.pools[0], preemption=PreemptionRule(max_per_hour=1))
    assert planner.update([PoolChanged(pool)], now_s=5000).waiting == ()
    assert planner.is_stale
    assert not planner._promises._order
    assert [said.job_uid for said in planner.replan(5001).waiting] == ["j"]
    assert [*planner._promises._order] == ["j"]


def test_a_job_that_lost_its_site_waits_again_once_it_is_released():
    planner = IncrementalPlanner(league(held("j"), sites=(site("a"), site("b"))))
    planner.update([SiteGone("a")], now_s=5000)
    (orphan,) = planner.snapshot().jobs
    plan = planner.update([JobArrived(replace(orphan, holdings=()))], now_s=5001)
    assert [(placed.job_uid, placed.site) for placed in plan.placements] == [("j", "b")]
