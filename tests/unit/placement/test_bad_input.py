"""Bad input: a reason on the object concerned, never an exception, never a stall of the others."""

from __future__ import annotations

from dataclasses import replace
from resource import RUSAGE_SELF, getrusage
from time import process_time

import pytest

from hansa.model.events import JobArrived, JobGone
from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Holding,
    PlaceSet,
    ResidencyRule,
    Shape,
    Share,
    Snapshot,
)
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import explain, plan
from tests.unit.placement.books_oracle import misbooked
from tests.unit.placement.leagues.good_league import GOOD, POOL, RACK, SITE, league

BAD = replace(GOOD, uid="bad", name="lab/bad")
MILLION = 1_000_000


BAD_JOBS = {
    "no workers": (replace(BAD, shape=Shape(0, 1)), Reason.MISCONFIGURED),
    "negative GPUs": (replace(BAD, shape=Shape(1, -1)), Reason.MISCONFIGURED),
    "endless memory": (replace(BAD, shape=Shape(1, 1, memory_bytes=1 << 62)), Reason.MISCONFIGURED),
    "least above most": (replace(BAD, shape=Shape(1, 1, min_workers=2)), Reason.MISCONFIGURED),
    "class without GPUs": (replace(BAD, shape=Shape(1, 0, "nvidia-l40s")), Reason.MISCONFIGURED),
    "no run time": (replace(BAD, max_runtime_s=0), Reason.MISCONFIGURED),
    "negative budget": (replace(BAD, budget_micros=-1), Reason.MISCONFIGURED),
    "no such pool": (replace(BAD, pool="q"), Reason.UNKNOWN_POOL),
    "no such data": (replace(BAD, data=("sea",)), Reason.UNKNOWN_DATASET),
    "no such place": (
        replace(BAD, residency=ResidencyRule(PlaceSet(frozenset({"Estonia"})))),
        Reason.UNKNOWN_JURISDICTION,
    ),
    "larger than any site": (replace(BAD, shape=Shape(100, 8)), Reason.EXCEEDS_NODE_SHAPE),
    "no such GPU": (replace(BAD, shape=Shape(1, 1, "amd-mi300")), Reason.NO_SUCH_ACCELERATOR),
    "too dear": (replace(BAD, budget_micros=1), Reason.OVER_BUDGET),
    "assurance": (replace(BAD, assurance=4), Reason.ASSURANCE_TOO_LOW),
    "refused": (replace(BAD, refused_by={"tartu": "no"}), Reason.NODE_REFUSED),
    "barred": (replace(BAD, barred=Reason.SUSPENDED, barred_message="held"), Reason.SUSPENDED),
    "barred without a pool": (
        replace(BAD, pool="q", barred=Reason.MISCONFIGURED),
        Reason.MISCONFIGURED,
    ),
}


@pytest.mark.parametrize(("job", "reason"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_bad_job_gets_a_reason_and_the_others_run(job, reason):
    decided = plan(league(job))
    assert [placed.job_uid for placed in decided.placements] == ["good"]
    assert [(waiting.job_uid, waiting.reason) for waiting in decided.waiting] == [("bad", reason)]
    assert decided.waiting[0].message or job.barred
    explain(league(job), "bad")


BAD_SITES = {
    "negative count": replace(SITE, name="odd", machines=(replace(RACK, count=-1),)),
    "negative GPUs": replace(SITE, name="odd", machines=(replace(RACK, gpus=-8),)),
    "a million machines": replace(SITE, name="odd", machines=(replace(RACK, count=1_000_000),)),
    "price is no number": replace(SITE, name="odd", gpu_hour_price={"nvidia-l40s": float("nan")}),
    "negative price": replace(SITE, name="odd", gpu_hour_price={"nvidia-l40s": -1}),
    "CPU price is endless": replace(SITE, name="odd", cpu_hour_price=float("inf")),
}


@pytest.mark.parametrize("site", BAD_SITES.values(), ids=BAD_SITES)
def test_a_bad_site_gets_a_notice_and_the_others_work(site):
    snapshot = league(BAD)
    decided = plan(replace(snapshot, sites=(site, SITE)))
    assert {placed.job_uid for placed in decided.placements} == {"good", "bad"}
    assert [(notice.name, notice.reason) for notice in decided.notices] == [
        ("odd", Reason.MISCONFIGURED)
    ]


BAD_POOLS = {
    "weight below one": replace(POOL, shares=(Share("ut", nominal_gpus=8, weight=0),)),
    "negative nominal": replace(POOL, shares=(Share("ut", nominal_gpus=-8),)),
    "cohort inside itself": replace(
        POOL,
        shares=(Share("ut", cohort="a", nominal_gpus=8),),
        cohort_parents={"a": "b", "b": "a"},
    ),
    "cap on nothing": replace(POOL, caps=(Cap("Colour", 10),)),
    "cap of 300 %": replace(POOL, caps=(Cap("Operator", 300),)),
    "caps that cannot all hold": replace(POOL, caps=(Cap("Operator", 30), Cap("Vendor", 10))),
}


@pytest.mark.parametrize("pool", BAD_POOLS.values(), ids=BAD_POOLS)
def test_a_bad_pool_gets_a_notice_and_still_works(pool):
    decided = plan(league(pool=pool))
    assert [placed.job_uid for placed in decided.placements] == ["good"]
    assert {notice.name for notice in decided.notices} == {"p"}


def test_a_site_that_shrank_below_what_it_runs_takes_nothing_new():
    jobs = [
        replace(GOOD, uid=f"old-{i}", shape=Shape(2, 8), holdings=(Holding("tartu", 1, 2, 0),))
        for i in range(2)
    ]
    decided = plan(league(*jobs))
    assert not decided.placements
    assert not decided.stops
    assert [notice.name for notice in decided.notices] == ["tartu"]
    assert decided.waiting[0].reason is Reason.WAITING_FOR_CAPACITY


def test_a_site_that_shrank_takes_work_again_once_all_that_runs_there_has_machines():
    """Also work without GPUs, which would take the CPUs of what has lost its machine."""
    tall = Shape(1, 1, cpu_millis=60_000)
    jobs = [
        replace(GOOD, uid=f"old-{i}", shape=tall, holdings=(Holding("tartu", 1, 1, i),))
        for i in range(3)
    ]
    small = replace(GOOD, uid="small", shape=Shape(1))
    waits = replace(GOOD, shape=Shape(1, cpu_millis=2000))
    snapshot = Snapshot(1000, (SITE,), (POOL,), (*jobs, waits))
    planner = IncrementalPlanner(snapshot)
    assert [notice.name for notice in planner.replan(1001).notices] == ["tartu"]
    assert planner.update([JobArrived(small)], now_s=1002).placements == ()
    freed = planner.update([JobGone("old-0")], now_s=1003)
    assert [placed.job_uid for placed in freed.placements] == ["good", "small"]
    assert misbooked(planner) == []
    assert planner.replan(1004).notices == ()


def test_an_overfull_site_stays_so_until_enough_has_ended():
    jobs = [
        replace(GOOD, uid=f"old-{i}", shape=Shape(1, 8), holdings=(Holding("tartu", 1, 1, i),))
        for i in range(4)
    ]
    planner = IncrementalPlanner(Snapshot(1000, (SITE,), (POOL,), tuple(jobs)))
    assert "2 pods too many); nothing new" in planner.replan(1001).notices[0].message
    planner.update([JobGone("old-3")], now_s=1002)
    assert "1 pods too many); nothing new" in planner.replan(1003).notices[0].message
    planner.update([JobGone("old-0")], now_s=1004)
    assert planner.replan(1005).notices == ()


def test_a_head_without_a_machine_counts_as_well():
    shape = Shape(1, 1, head_cpu_millis=70_000)
    odd = replace(BAD, shape=shape, holdings=(Holding("tartu", 1, 1, 0),))
    decided = plan(league(odd))
    assert "1 pods too many" in decided.notices[0].message
    assert [waiting.job_uid for waiting in decided.waiting] == ["good"]


def test_an_empty_league_says_so():
    decided = plan(Snapshot(0, (), (POOL,), (GOOD,)))
    assert [waiting.reason for waiting in decided.waiting] == [Reason.WAITING_FOR_CAPACITY]
    assert plan(Snapshot(0, (), (), ())).placements == ()
    assert plan(Snapshot(0, (), (), (GOOD,))).waiting[0].reason is Reason.UNKNOWN_POOL


def test_very_many_jobs_of_one_kind_do_not_keep_the_others():
    crowd = [replace(GOOD, uid=f"{i:07d}", submitted_s=1) for i in range(20_000)]
    decided = plan(league(*crowd))
    assert len(decided.placements) == 16
    assert decided.placements[0].job_uid == "good"


@pytest.mark.soak
def test_a_million_jobs_of_one_kind_keep_nobody_waiting(record_property):
    """They are one kind, so that each costs a row; what is said of them is not written out."""
    crowd = [replace(GOOD, uid=f"{i:07d}", submitted_s=1) for i in range(MILLION)]
    other = replace(GOOD, uid="other", institution="ua", shape=Shape(2, 2), submitted_s=999)
    snapshot = league(*crowd, other)
    before = getrusage(RUSAGE_SELF).ru_maxrss
    began_s = process_time()
    planner = IncrementalPlanner(snapshot)
    compiled_s = process_time()
    decided = planner.replan(1001)
    planned_s = process_time()
    late = replace(other, uid="late", submitted_s=1001)
    freed = planner.update([JobArrived(late), JobGone("other")], now_s=1002)
    took = getrusage(RUSAGE_SELF).ru_maxrss - before
    told = (
        f"compiled in {compiled_s - began_s:.1f} s, planned in {planned_s - compiled_s:.1f} s,"
        f" one event {process_time() - planned_s:.3f} s CPU, {took >> 10} MiB"
    )
    record_property("a million jobs of one kind", told)
    started = [placed.job_uid for placed in decided.placements]
    assert {"good", "other"} <= set(started)
    assert len(started) == 13
    assert len(decided.waiting) == MILLION + 2 - len(started)
    assert [placed.job_uid for placed in freed.placements] == ["late"]
    assert len(planner._league.kinds) == 2
    assert took << 10 < MILLION * 2000


def test_overlays_in_a_circle_keep_only_those_waiting_who_name_them():
    pool = replace(POOL, overlays={"a": frozenset({"overlay/b"}), "b": frozenset({"overlay/a"})})
    jobs = [
        replace(BAD, uid="allows", residency=ResidencyRule(PlaceSet(frozenset({"overlay/a"})))),
        replace(
            BAD, uid="denies", residency=ResidencyRule(PlaceSet(deny=frozenset({"overlay/b"})))
        ),
    ]
    decided = plan(league(*jobs, pool=pool))
    assert [placed.job_uid for placed in decided.placements] == ["good"]
    said = {waiting.job_uid: (waiting.reason, waiting.message) for waiting in decided.waiting}
    assert {reason for reason, _ in said.values()} == {Reason.POOL_MISCONFIGURED}
    assert said["allows"][1].endswith("overlay/a → overlay/b → overlay/a")
    assert said["denies"][1].endswith("overlay/b → overlay/a → overlay/b")


def test_a_ceiling_in_a_circle_keeps_its_own_pool_waiting_and_no_other():
    circle = ResidencyRule(PlaceSet(frozenset({"overlay/a"})))
    odd = replace(POOL, name="odd", ceiling=circle, overlays={"a": frozenset({"overlay/a"})})
    snapshot = league(replace(BAD, pool="odd"))
    decided = plan(replace(snapshot, pools=(POOL, odd)))
    assert [placed.job_uid for placed in decided.placements] == ["good"]
    assert [(w.job_uid, w.reason) for w in decided.waiting] == [("bad", Reason.POOL_MISCONFIGURED)]


def test_caps_count_what_runs_for_an_institution_that_has_lost_its_share():
    """Half of sixteen GPUs may be of one vendor, and the guest still holds all of that half."""
    pool = replace(POOL, shares=(Share("ut", nominal_gpus=8),), caps=(Cap("Vendor", 50),))
    guest = replace(BAD, institution="ua", shape=Shape(1, 8), holdings=(Holding("tartu", 1, 1, 0),))
    decided = plan(league(guest, pool=pool))
    assert [(w.job_uid, w.reason) for w in decided.waiting] == [("good", Reason.WAITING_FOR_CAP)]


def test_law_ends_work_also_where_its_site_is_of_the_pool_no_more():
    ceiling = ResidencyRule(PlaceSet(frozenset({"FI"})))
    runs = replace(BAD, holdings=(Holding("tartu", 1, 1, 0),))
    elsewhere = replace(POOL, site_names=frozenset({"oulu"}))
    assert plan(league(runs, pool=elsewhere)).stops == ()
    decided = plan(league(runs, pool=replace(elsewhere, ceiling=ceiling)))
    assert [(s.job_uid, s.reason) for s in decided.stops] == [("bad", Reason.RESIDENCY_DENIED)]


def test_a_holding_at_a_site_that_left_is_not_counted():
    orphan = replace(BAD, holdings=(Holding("gone", 1, 1, 0),))
    assert len(plan(league(orphan)).placements) == 1


def test_one_uid_twice_is_one_job():
    assert len(plan(league(GOOD)).placements) == 1
