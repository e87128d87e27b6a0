"""What may befall a promise of room while it is kept: it shuts nobody out whom it cannot serve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hansa.model.events import JobArrived, SiteChanged
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, Machines, Shape, Yielded
from hansa.placement.backfill import promises
from hansa.placement.backfill.promises import KEPT_S
from hansa.placement.incremental import IncrementalPlanner
from tests.unit.placement.leagues.small_leagues import (
    CLASS,
    GIB,
    held,
    job,
    league,
    placed,
    pool,
    rack,
    site,
    stopped,
)

SHARES = pool(ut=0, fi=0, ua=8, oy=6)
OTHER = "amd-mi210"


def stopping(**of_victim: Any) -> IncrementalPlanner:
    """``v`` at ``a`` is asked to go for ``j``; ``w`` at ``b`` borrows as well, and has more to lose."""
    runs = (
        held("v", gpus=4, since=4300, **of_victim),
        held("w", "b", gpus=4, institution="fi", since=4000),
    )
    sites = (site("a", price=2, machines=(rack(gpus=4),)), site("b", machines=(rack(gpus=4),)))
    gains = job("j", gpus=4, institution="ua")
    planner = IncrementalPlanner(league(*runs, gains, sites=sites, pool=SHARES))
    assert stopped(planner.replan(5000)) == ["v"]
    return planner


def known(planner: IncrementalPlanner, uid: str) -> Job:
    (one,) = (one for one in planner.snapshot().jobs if one.uid == uid)
    return one


CLOSED: dict[str, dict[str, Any]] = {
    "cordoned": {"draining": True},
    "not heard of": {"unavailable": Reason.NODE_UNREACHABLE},
}


@pytest.mark.parametrize("how", CLOSED.values(), ids=CLOSED)
def test_who_waits_for_room_at_a_node_that_has_closed_gets_room_elsewhere(how: dict[str, Any]):
    planner = stopping()
    closed = replace(planner.snapshot().sites[0], **how)
    planner.update([SiteChanged(closed)], now_s=5001)
    assert stopped(planner.replan(5002)) == ["w"]


def test_who_may_not_go_where_room_is_made_shuts_nobody_out_there():
    """``o`` takes the four GPUs that are free at ``a``, whether ``v`` has gone or not."""
    runs = (held("v", gpus=4), held("w", "b", gpus=8, institution="oy", max_runtime_s=99_000))
    gains = job("j", gpus=6, institution="ua", max_runtime_s=900_000)
    sites = (site("a"), site("b"))
    planner = IncrementalPlanner(league(*runs, gains, sites=sites, pool=pool(ut=0, ua=8, oy=12)))
    assert stopped(planner.replan(5000)) == ["v"]
    refused = replace(known(planner, "j"), refused_by={"a": "no"})
    planner.update([JobArrived(refused)], now_s=5001)
    other = job("o", gpus=4, institution="oy")
    assert placed(planner.replan(5002, [JobArrived(other)])) == ["o"]


@pytest.mark.parametrize("is_gone", [False, True])
def test_the_stop_before_does_not_hide_the_last_one(is_gone: bool):  # noqa: FBT001  # drawn
    """Until the API server has it, ``v`` tells of the stop before."""
    before = Yielded("x", "b", 100)
    planner = stopping(yielded=before)
    told = replace(known(planner, "v"), yielded=before)
    told = replace(told, holdings=()) if is_gone else told
    planner.update([JobArrived(told)], now_s=5001)
    assert known(planner, "v").yielded == Yielded("j", "a", 5000, CLASS)


@pytest.mark.parametrize(("back_s", "is_kept"), {5: True, KEPT_S: False}.items())
def test_a_leader_whose_clock_is_far_behind_keeps_no_promise(back_s: int, is_kept: bool):  # noqa: FBT001  # drawn
    after = stopping().snapshot()
    jobs = tuple(replace(one, holdings=()) if one.uid == "v" else one for one in after.jobs)
    planner = IncrementalPlanner(replace(after, now_s=after.now_s - back_s, jobs=jobs))
    assert bool(promises.made(planner.league).standing) is is_kept


@pytest.mark.parametrize(("mine", "others"), [(CLASS, OTHER), (OTHER, CLASS)])
def test_room_of_one_class_is_no_promise_of_another(mine: str, others: str):
    """``g`` waits for all eight GPUs of the others, four of which are free: ``j`` may not have them."""
    two = (rack(), Machines(1, 8, OTHER, 64 * GIB, 64_000, 512 * GIB))
    sites = (replace(site("a", machines=two), gpu_hour_price={CLASS: 1, OTHER: 1}),)

    def runs(uid: str, gpu_class: str, institution: str, max_runtime_s: int) -> Job:
        holdings = (Holding("a", 1, 1, 0, gpu_class=gpu_class),)
        more = {"holdings": holdings, "max_runtime_s": max_runtime_s}
        return job(uid, gpus=4, institution=institution, **more)

    there = (runs("v", mine, "ut", 90_000), runs("r", mine, "oy", 9000))
    there += (runs("s", others, "oy", 20_000),)
    gang = job("g", shape=Shape(1, 8, others), institution="ua", priority=9)
    gains = job("j", gpus=4, institution="ua", max_runtime_s=900_000)
    shares = pool(ut=0, ua=12, oy=8)
    planner = IncrementalPlanner(league(*there, gang, gains, sites=sites, pool=shares))
    assert stopped(planner.replan(5000)) == ["v"]
    decided = planner.replan(5001, [JobArrived(replace(known(planner, "v"), holdings=()))])
    assert [(one.job_uid, one.gpu_class) for one in decided.placements] == [("j", mine)]


def test_who_gains_is_told_of_the_node_where_its_own_room_is_made():
    """``v1`` goes for ``k`` at ``b``, the cheaper of two where work stops: ``j`` is told of ``a``."""
    runs = (held("v", gpus=4, since=4300), held("v1", "b", gpus=4, since=4300))
    sites = (site("a", machines=(rack(gpus=4),)), site("b", price=2, machines=(rack(gpus=4),)))
    waits = (job("j", gpus=4, institution="ua"), job("k", gpus=4, institution="ua", submitted_s=1))
    planner = IncrementalPlanner(league(*runs, *waits, sites=sites, pool=SHARES))
    first = planner.replan(5000)
    where = {stop.in_favour_of: stop.site for stop in first.stops}
    assert where.keys() == {"j", "k"}
    for at_s in (5001, 5002):
        planner = IncrementalPlanner(planner.snapshot())
        said = {one.job_uid: one.message for one in planner.replan(at_s).waiting}
        assert said == {uid: f"work at {name} is stopping" for uid, name in where.items()}
