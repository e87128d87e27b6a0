"""What a plan gains when its own placements may move: never a rule, never value, never the order."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.model.plan import Plan
from hansa.model.snapshot import Job, Machines, Pool, ShadowPrices, Shape, Site, Snapshot
from hansa.placement.kernel import exchange
from hansa.placement.planner import plan
from hansa.placement.state.kernel_io import kernel_input
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import random_snapshot
from tests.unit.placement.oracle import breaches

SEEDS = seeds(120)


def site(name: str, *machines: int, price: int = 1) -> Site:
    groups = tuple(Machines(1, gpus, "g", 1, 10**6, 10**15) for gpus in machines)
    return Site(name, "x", "x", "EE", frozenset({"EE"}), groups, gpu_hour_price={"g": price})


def job(uid: str, gpus: int, *, barred_from: str = "", **more) -> Job:
    refused = dict.fromkeys(barred_from, "no")
    given = {"institution": "ut", "submitted_s": 0, **more}
    return Job(uid, f"n/{uid}", pool="p", shape=Shape(1, gpus), refused_by=refused, **given)


def without_moves(snapshot: Snapshot, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(kernel_input, "MOST_LOOKS", 0)
        return plan(snapshot)


def where(snapshot: Snapshot) -> dict[str, str]:
    return {p.job_uid: p.site for p in plan(snapshot).placements}


STEPS = {
    "one steps aside": (
        (site("a", 4), site("b", 4, price=2)),
        (job("first", 4, priority=9), job("only-a", 4, barred_from="b")),
        {"first": "b", "only-a": "a"},
    ),
    "one pushes another on": (
        (site("a", 4), site("b", 4, price=2), site("c", 4, price=3)),
        (
            job("first", 4, priority=9, barred_from="c"),
            job("second", 4, priority=8, barred_from="a"),
            job("third", 4, barred_from="bc"),
        ),
        {"first": "b", "second": "c", "third": "a"},
    ),
    "one goes where another has left more room than it took": (
        (
            site("a", 4),
            site("b", 5),
            *(site(name, gpus, price=2) for name, gpus in (("c", 2), ("d", 1), ("e", 3))),
        ),
        (
            job("first", 1, priority=9, barred_from="bce"),
            job("second", 3, priority=8, barred_from="cde"),
            job("third", 3, priority=7, barred_from="acd"),
            job("fourth", 2, priority=6, barred_from="ade"),
            job("fifth", 1, priority=5, barred_from="ace"),
            job("only-d", 1, priority=1, barred_from="abce"),
            job("only-a", 4, barred_from="bcde"),
        ),
        {"first": "d", "second": "b", "third": "e", "fourth": "c", "fifth": "b", "only-a": "a"},
    ),
    "nobody steps aside for who comes later if he would lose his place": (
        (site("a", 4),),
        (job("first", 2, priority=9), job("large", 4)),
        {"first": "a"},
    ),
}


@pytest.mark.parametrize(("sites", "jobs", "expected"), STEPS.values(), ids=STEPS)
def test_who_moves(sites, jobs, expected):
    snapshot = Snapshot(1, sites, (Pool("p"),), jobs, prices=ShadowPrices())
    assert where(snapshot) == expected
    assert plan(snapshot, is_compiled=True) == plan(snapshot)


def placed(decided: Plan) -> set[str]:
    return {one.job_uid for one in decided.placements}


@pytest.mark.parametrize("seed", SEEDS)
def test_moves_break_no_rule_and_cost_nothing(seed, monkeypatch):
    rng = np.random.default_rng(5000 + seed)
    snapshot = random_snapshot(rng, jobs=int(rng.integers(10, 60)), sites=int(rng.integers(2, 9)))
    before, after = without_moves(snapshot, monkeypatch), plan(snapshot)
    assert not breaches(snapshot, after)
    assert after == plan(snapshot)
    assert after.certificate.value <= after.certificate.bound
    if after.certificate.value < before.certificate.value * (1 - 1e-9):
        # Whom moves let in comes first, and may take what others would have taken later.
        priority = {one.uid: one.priority for one in snapshot.jobs}
        lost, won = (
            [priority[uid] for uid in placed(one) - placed(other)]
            for one, other in ((before, after), (after, before))
        )
        assert max(won) > max(lost)


@pytest.mark.parametrize("seed", SEEDS)
def test_remembering_where_there_is_room_changes_nothing(seed, monkeypatch):
    rng = np.random.default_rng(7000 + seed)
    snapshot = random_snapshot(rng, jobs=int(rng.integers(30, 90)), sites=int(rng.integers(3, 12)))
    remembered = plan(snapshot)
    monkeypatch.setattr(exchange, "has_list", lambda *_: False)
    assert plan(snapshot) == remembered
