"""Machines are cleared for work that fits nowhere else, and are that work's alone until it starts."""

from __future__ import annotations

import pytest

from hansa.model.events import JobArrived, JobGone
from hansa.model.snapshot import Shape
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import plan
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


def test_a_machine_is_cleared_where_the_cheapest_victims_are_spread_over_many():
    """``fi`` holds two GPUs too many, on three machines; on one of them all others borrow."""
    sites = (site("a", machines=(rack(count=3, gpus=4),)),)
    machines = (
        (("e1", "fi", 1), ("e2", "fi", 1), ("n1", "oy", 2)),
        (("c1", "fi", 1), ("c2", "fi", 1), ("b", "ut", 2)),
        (("n2", "oy", 2), ("a1", "fi", 1), ("a2", "fi", 1)),
    )
    runs = [
        held(uid, gpus=gpus, institution=institution, since=n)
        for n, (uid, institution, gpus) in enumerate(sum(machines, ()))
    ]
    entitled = job("j", gpus=4, institution="ua")
    shares = pool(fi=4, oy=4, ut=0, ua=4)
    assert stopped(plan(league(*runs, entitled, sites=sites, pool=shares))) == ["b", "c1", "c2"]


def test_two_machines_are_cleared_for_a_gang_and_nothing_beside_them():
    """``fi`` holds eight GPUs too many: those on the two machines that it has alone, none elsewhere."""
    sites = (site("a", machines=(rack(count=4, gpus=4),)),)
    alone = [(f"{machine}{n}", "fi", 1) for machine in "ab" for n in range(4)]
    machines = (("c", "fi", 1), ("n1", "oy", 3), *alone, ("n2", "oy", 3), ("d", "fi", 1))
    runs = [
        held(uid, gpus=gpus, institution=institution, since=n)
        for n, (uid, institution, gpus) in enumerate(machines)
    ]
    entitled = job("j", shape=Shape(2, 4), institution="ua")
    decided = plan(league(*runs, entitled, sites=sites, pool=pool(fi=2, oy=6, ua=8)))
    assert stopped(decided) == [uid for uid, *_ in alone]


def test_what_is_made_room_for_in_one_cell_starts_whoever_can_first():
    runs = [held(f"v{n}", gpus=2) for n in range(4)]
    large, small = (
        job("j", gpus=6, institution="ua"),
        job("k", gpus=2, institution="oy", priority=9),
    )
    planner = IncrementalPlanner(league(*runs, large, small, pool=pool(ut=0, ua=6, oy=2)))
    stops = planner.replan(9000).stops
    gone = sorted(stops, key=lambda stop: stop.in_favour_of, reverse=True)
    begun = [placed(planner.update([JobGone(stop.job_uid)], now_s=9001)) for stop in gone]
    assert [stop.in_favour_of for stop in gone] == ["k", "j", "j", "j"]
    assert begun == [["k"], [], [], ["j"]]


def test_nobody_starts_on_a_machine_that_is_being_cleared_although_another_has_room():
    """``j`` needs a machine, and one GPU is free on that and on another: ``o`` has to wait for it."""
    runs = (held("a", gpus=3), held("b", gpus=3, institution="oy"))
    sites = (site("a", machines=(rack(2, gpus=4),)),)
    shares = pool(oy=8, ut=0, ua=4)
    entitled = job("j", gpus=4, institution="ua")
    planner = IncrementalPlanner(league(*runs, entitled, sites=sites, pool=shares, now_s=9000))
    assert stopped(planner.replan(9000)) == ["a"]
    other = job("o", gpus=1, institution="oy", max_runtime_s=90_000)
    news = (JobArrived(other), JobGone("a"))
    begun = [placed(planner.update([event], now_s=9001)) for event in news]
    assert begun == [[], ["j", "o"]]


@pytest.mark.parametrize("first", ["va", "vb"])
def test_room_is_made_for_one_and_not_taken_by_another_who_gains_elsewhere(first):
    """``j`` could use what is freed at ``b`` as well, but ``k`` may not run at ``a``."""
    runs = (held("va", since=4200), held("vb", "b"))
    anywhere = job("j", institution="ua", priority=9)
    bound = job("k", institution="ua", refused_by={"a": "no"})
    sites = (site("a", price=2_000_000), site("b"))
    snapshot = league(*runs, anywhere, bound, sites=sites, pool=pool(ut=0, ua=16))
    planner = IncrementalPlanner(snapshot)
    gains = {stop.job_uid: stop.in_favour_of for stop in planner.replan(5000).stops}
    assert gains == {"va": "j", "vb": "k"}
    order = [first, *sorted(gains.keys() - {first})]
    begun = [placed(planner.update([JobGone(uid)], now_s=5001)) for uid in order]
    assert begun == [[gains[uid]] for uid in order]
