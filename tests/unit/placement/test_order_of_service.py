"""Who is served first, where, and at whose cost: small worked cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.model.history import ANY, RunTimes, size_bucket
from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Holding,
    Machines,
    PlaceSet,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Shape,
    Share,
    Snapshot,
)
from hansa.placement.planner import plan
from hansa.placement.whatif import compare
from tests.unit.placement.leagues.small_leagues import CLASS, GIB, held, job, league, rack, site


def started(snapshot: Snapshot) -> list[str]:
    return [placed.job_uid for placed in plan(snapshot).placements]


def test_higher_priority_goes_first_then_who_came_first():
    assert started(league(job("late", submitted_s=9), job("soon", submitted_s=1))) == ["soon"]
    assert started(league(job("soon"), job("high", priority=9, submitted_s=4000))) == ["high"]


def test_the_cheaper_site_is_chosen_and_ties_go_by_name():
    cheap = plan(league(job("j"), sites=(site("a", price=2_000_000), site("b")))).placements[0]
    assert (cheap.site, cheap.cost_micros_per_hour, cheap.gpu_class) == ("b", 8_000_000, CLASS)
    assert plan(league(job("j"), sites=(site("b"), site("a")))).placements[0].site == "a"


def test_a_small_gang_goes_where_less_is_left_over():
    sites = (site("a", machines=(rack(gpus=5),)), site("b", machines=(rack(gpus=4),)))
    assert plan(league(job("j", gpus=4), sites=sites)).placements[0].site == "b"


def test_who_is_below_nominal_goes_before_borrowers():
    pool = Pool("p", shares=(Share("ut", nominal_gpus=8), Share("ua", nominal_gpus=8)))
    holds = held("h", "a", institution="ut")
    waiting = (job("mine", institution="ua"), job("more", priority=900))
    snapshot = league(holds, *waiting, sites=(site("a"), site("b")), pool=pool)
    assert started(snapshot) == ["mine"]


def test_spare_room_goes_to_the_smaller_weighted_share():
    pool = Pool("p", shares=(Share("ut", weight=1), Share("ua", weight=3)))
    jobs = [job(f"{i}-{n}", gpus=1, institution=i) for i in ("ut", "ua") for n in range(8)]
    first = started(league(*jobs, pool=pool))
    assert sum(uid.startswith("ua") for uid in first) == 6


def test_past_use_counts_when_the_pool_says_so():
    shares = (Share("ua", past_usage_gpu_s=10**6), Share("ut"))
    jobs = (job("a", institution="ua"), job("b", institution="ut", submitted_s=5))
    assert started(league(*jobs, pool=Pool("p", shares=shares))) == ["a"]
    assert started(league(*jobs, pool=Pool("p", shares=shares, usage_half_life_s=3600))) == ["b"]


QUOTAS = {
    "own nominal": (Share("ut", nominal_gpus=8, borrowing_limit=0), 8),
    "borrowing limit": (Share("ut", nominal_gpus=4, borrowing_limit=2), 6),
    "no limit": (Share("ut", nominal_gpus=4), 16),
}


@pytest.mark.parametrize(("share", "most"), QUOTAS.values(), ids=QUOTAS)
def test_quota_is_exact(share, most):
    jobs = [job(f"j{n:02d}", gpus=1) for n in range(20)]
    pool = Pool("p", shares=(share, Share("ua", nominal_gpus=4)))
    decided = plan(league(*jobs, sites=(site("a"), site("b")), pool=pool))
    assert len(decided.placements) == most
    expected = Reason.WAITING_FOR_CAPACITY if most == 16 else Reason.WAITING_FOR_QUOTA
    assert {waiting.reason for waiting in decided.waiting} == {expected}


def test_what_is_not_lent_is_kept_free():
    pool = Pool("p", shares=(Share("ut"), Share("ua", nominal_gpus=8, lending_limit=2)))
    jobs = [job(f"j{n:02d}", gpus=1) for n in range(16)]
    assert len(started(league(*jobs, pool=pool))) == 2


def test_who_has_no_share_is_not_admitted_and_too_much_is_told():
    pool = Pool("p", shares=(Share("ut", nominal_gpus=4, borrowing_limit=0),))
    decided = plan(league(job("big"), job("alien", institution="xx"), pool=pool))
    assert {w.job_uid: w.reason for w in decided.waiting} == {
        "big": Reason.EXCEEDS_POOL_QUOTA,
        "alien": Reason.NOT_ADMITTED_TO_POOL,
    }


def test_an_elastic_job_takes_what_is_left_and_shrinks_before_others_wait():
    elastic = job("e", shape=Shape(8, 1, min_workers=2))
    decided = plan(league(elastic, job("r", gpus=4)))
    assert {p.job_uid: p.workers for p in decided.placements} == {"e": 4, "r": 1}
    runs = replace(elastic, holdings=(Holding("a", 1, 8, 0, gpu_class=CLASS),))
    decided = plan(league(runs, job("r", gpus=4)))
    assert [(s.job_uid, s.workers, s.in_favour_of) for s in decided.stops] == [("e", 2, "r")]
    assert decided.waiting[0].reason is Reason.WAITING_FOR_PREEMPTION


LOWER = PreemptionRule(lower_priority=True, min_runtime_s=600)
PREEMPTIONS = {
    "lower priority yields": (held("v"), LOWER, "v"),
    "equal priority stays": (held("v", priority=5), LOWER, ""),
    "who just began stays": (held("v", since=4900), LOWER, ""),
    "who may not be stopped stays": (held("v", preemptible=False), LOWER, ""),
    "the pool says never": (held("v"), PreemptionRule(), ""),
    "the budget is spent": (held("v"), replace(LOWER, max_per_hour=0), ""),
}


@pytest.mark.parametrize(("victim", "rule", "stopped"), PREEMPTIONS.values(), ids=PREEMPTIONS)
def test_who_yields(victim, rule, stopped):
    decided = plan(league(victim, job("j", priority=5), pool=Pool("p", preemption=rule)))
    assert [stop.job_uid for stop in decided.stops] == ([stopped] if stopped else [])
    assert not decided.placements
    expected = Reason.WAITING_FOR_PREEMPTION if stopped else Reason.WAITING_FOR_CAPACITY
    assert decided.waiting[0].reason is expected


def test_a_borrower_yields_to_who_is_entitled_and_nobody_below_nominal_does():
    shares = (Share("ut", nominal_gpus=0), Share("ua", nominal_gpus=8))
    rule = PreemptionRule(borrowers=True)
    entitled = job("j", institution="ua")
    decided = plan(league(held("v"), entitled, pool=Pool("p", shares=shares, preemption=rule)))
    assert [stop.job_uid for stop in decided.stops] == ["v"]
    rich = (Share("ut", nominal_gpus=8), Share("ua", nominal_gpus=8))
    decided = plan(league(held("v"), entitled, pool=Pool("p", shares=rich, preemption=rule)))
    assert not decided.stops


def test_only_needed_victims_are_stopped_and_not_again_while_they_stop():
    victims = [held(f"v{n}", gpus=2, priority=n) for n in range(4)]
    pool = Pool("p", preemption=LOWER)
    decided = plan(league(*victims, job("j", gpus=4, priority=9), pool=pool))
    assert sorted(stop.job_uid for stop in decided.stops) == ["v0", "v1"]
    stopping = [
        replace(v, holdings=(replace(v.holdings[0], stopping=v.uid in ("v0", "v1")),))
        for v in victims
    ]
    again = plan(league(*stopping, job("j", gpus=4, priority=9), pool=pool))
    assert not again.stops
    assert again.waiting[0].reason is Reason.WAITING_FOR_PREEMPTION


def test_short_work_is_backfilled_before_a_reserved_gang_and_long_work_is_not():
    runs = held("r", gpus=4, max_runtime_s=8000)
    gang = job("gang", gpus=8, priority=9)
    short, long = (
        job("short", gpus=4, max_runtime_s=2000),
        job("long", gpus=4, max_runtime_s=90_000),
    )
    assert started(league(runs, gang, short)) == ["short"]
    decided = plan(league(runs, gang, long))
    assert not decided.placements
    reasons = {waiting.job_uid: waiting.reason for waiting in decided.waiting}
    assert reasons == {"gang": Reason.WAITING_FOR_CAPACITY, "long": Reason.WAITING_FOR_FAIR_SHARE}


def test_start_estimates_follow_the_history():
    history = {("ut", size_bucket(8), ANY): RunTimes.fit([100, 1000, 10_000])}
    decided = plan(league(held("r", since=4900), job("j"), history=history, now_s=5000))
    waiting = decided.waiting[0]
    assert waiting.start_p50_s is not None
    assert waiting.start_p90_s is not None
    assert 5000 < waiting.start_p50_s < waiting.start_p90_s <= 5000 + 10_000
    assert RunTimes.fit([]).count == 0


def test_what_may_not_go_on_is_stopped():
    away = ResidencyRule(PlaceSet(frozenset({"PT"})))
    jobs = (
        held("lawless", residency=away),
        held("idle", "b", barred=Reason.SUSPENDED),
        held("moved", "c"),
    )
    sites = (site("a"), site("b"), site("c", draining=True))
    decided = plan(league(*jobs, sites=sites))
    assert {stop.job_uid: stop.reason for stop in decided.stops} == {
        "lawless": Reason.RESIDENCY_DENIED,
        "idle": Reason.SUSPENDED,
        "moved": Reason.NODE_CORDONED,
    }


def test_work_without_gpus_runs_on_any_machine_and_is_priced_by_cpu():
    plain = site("a", machines=(Machines(1, 0, "", 0, 4000, 8 * GIB),), cpu_hour_price=100)
    decided = plan(league(job("j", shape=Shape(2, 0, cpu_millis=1000)), sites=(plain,)))
    assert decided.placements[0].cost_micros_per_hour == 300
    assert decided.certificate.gap == pytest.approx(0.0, abs=1e-6)


def test_a_lent_limit_holds_and_a_memory_floor_picks_the_class():
    two = (replace(rack(), gpu_class="nvidia-t4", gpu_memory_bytes=16 * GIB), rack())
    mixed = site("a", machines=two, lent_gpus={CLASS: 2})
    wants = [job(f"j{n}", shape=Shape(1, 1, gpu_memory_bytes=40 * GIB)) for n in range(4)]
    decided = plan(league(*wants, sites=(mixed,)))
    assert [p.gpu_class for p in decided.placements] == [CLASS, CLASS]


def test_what_if_tells_what_a_loss_costs():
    before = league(job("j"), held("h", "b"), sites=(site("a"), site("b")))
    lost = compare.compare(before, compare.without_sites(before, frozenset({"a"})))
    assert (lost.lost, lost.gained, lost.moved, lost.uprooted) == (("j",), (), (), ())
    gone = compare.compare(before, compare.without_operator(before, "b"))
    assert gone.uprooted == ("h",)
    none = compare.compare(before, compare.without_vendor(before, "nvidia"))
    assert none.lost == ("j",)
    assert none.uprooted == ("h",)
    more = compare.with_job(before, job("k", priority=9))
    assert compare.compare(before, more).gained == ("k",)
    dear = compare.with_site(before, site("c", price=1))
    assert compare.compare(before, dear).moved == ("j",)
    assert compare.with_pool(before, Pool("q")).pools[-1].name == "q"
