"""What a job's status says of each node: what is true there, once for all jobs alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.hub.planner import explanations
from hansa.hub.planner.explanations import MAX_SITES_EXPLAINED, Explanations
from hansa.model.plan import Placement, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.explain.verdicts import Rulings
from hansa.placement.incremental import IncrementalPlanner
from hansa.reconcile.hub.status.pacing import VERDICTS_PAUSE_S
from hansa.reconcile.hub.status.verdict_rows import MAX_VERDICTS, rows_of
from tests.unit.hub import kit
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import NOW_S

GIB = 1 << 30
L40S = "nvidia-l40s"


def site(number):
    rack = Machines(1, 8, L40S, 48 * GIB, 64_000, 512 * GIB)
    return Site(f"s{number:02}", "ut", "ut", "EE", frozenset({"EE"}), (rack,))


def job(uid, gpus=1, **more):
    return Job(uid, f"lab/{uid}", "ut", "p", Shape(1, gpus), int(NOW_S), **more)


def planned(*jobs, count=3):
    """Explanations of a league of so many nodes, what was decided, and its planner."""
    sites = tuple(site(number) for number in range(count))
    planner = IncrementalPlanner(Snapshot(0, sites, (Pool("p"),), jobs), is_compiled=False)
    plan = planner.replan(0)
    told = Explanations()
    told.follow(planner.league)
    said: dict[str, Placement | Waiting] = {row.job_uid: row for row in plan.waiting}
    return told, said | {row.job_uid: row for row in plan.placements}, planner


OTHERS = {
    "placed": ((job("j"),), 3, {"s01": Reason.OUTBID, "s02": Reason.OUTBID}),
    "placed, others are full": (
        (*(job(f"a{n}", 8, priority=9) for n in range(2)), job("j")),
        3,
        {"s00": Reason.WAITING_FOR_CAPACITY, "s01": Reason.WAITING_FOR_CAPACITY},
    ),
    "waiting": (
        (*(job(f"a{n}", 8, priority=9) for n in range(2)), job("j", 8)),
        2,
        {"s00": Reason.WAITING_FOR_CAPACITY, "s01": Reason.WAITING_FOR_CAPACITY},
    ),
    "too large": ((job("j", 9),), 1, {"s00": Reason.EXCEEDS_NODE_SHAPE}),
    "nothing that could be placed": ((replace(job("j"), pool="atlantis"),), 1, {}),
    "placed among very many": ((job("j"),), MAX_SITES_EXPLAINED + 1, {}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_verdicts_are_told_of_the_others(case):
    jobs, count, expected = OTHERS[case]
    told, said, _ = planned(*jobs, count=count)
    assert {row.site: row.reason for row in told.of("j", said["j"])} == expected


def test_jobs_alike_are_explained_once_until_the_next_plan(monkeypatch):
    told, said, planner = planned(job("a", 9), job("b", 9), job("c", 10))
    found, find = [], explanations.rulings
    monkeypatch.setattr(
        explanations, "rulings", lambda *of: found.append(of[1].job.uid) or find(*of)
    )
    first = told.of("a", said["a"])
    assert told.of("b", said["b"]) is first
    assert told.of("c", said["c"]) is not first
    assert found == ["a", "c"]
    told.follow(planner.league)
    assert told.of("b", said["b"]) == first
    assert found == ["a", "c", "b"]


def test_only_the_gravest_are_put_into_words(monkeypatch):
    """A job that no node may take: a large league has a word for few of its nodes."""
    worded = []
    original = Rulings._verdict

    def counted(self, at):
        worded.append(at)
        return original(self, at)

    monkeypatch.setattr(Rulings, "_verdict", counted)
    told, said, _ = planned(job("a", 9), count=5 * MAX_VERDICTS)
    shown = told.of("a", said["a"])
    assert [row.site for row in shown] == sorted(f"s{n:02}" for n in range(5 * MAX_VERDICTS))[
        :MAX_VERDICTS
    ]
    assert len(worded) == MAX_VERDICTS


ONLY = f"s{2 * MAX_VERDICTS - 1:02}"
DRAWN = {
    "may not take it": (9, Reason.EXCEEDS_NODE_SHAPE, Reason.EXCEEDS_NODE_SHAPE),
    "has no room for it": (8, Reason.NODE_REFUSED, Reason.WAITING_FOR_CAPACITY),
}


@pytest.mark.parametrize(("gpus", "others", "reason"), DRAWN.values(), ids=DRAWN)
def test_what_is_true_of_the_node_that_an_audit_was_drawn_for_is_told(gpus, others, reason):
    """All others turn it down, and a status has room for some of them."""
    names = [f"s{n:02}" for n in range(2 * MAX_VERDICTS)]
    full = {"refused_by": dict.fromkeys(names[:-1], "not drawn"), "priority": 9}
    audit = {"refused_by": dict.fromkeys(names[:-1], "not drawn"), "only_site": ONLY}
    told, said, _ = planned(job("full", 8, **full), job("audit", gpus, **audit), count=len(names))
    rows = told.of("audit", said["audit"])
    assert len(rows) == MAX_VERDICTS
    assert {row.reason for row in rows[:-1]} == {others}
    assert (rows[-1].site, rows[-1].reason) == (ONLY, reason)
    assert rows_of(rows)[-1]["node"] == ONLY


def test_no_more_answers_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(explanations, "MOST_KEPT", 2)
    told, said, _ = planned(*(job(f"j{n}", 9 + n) for n in range(4)))
    first = [told.of(f"j{n}", said[f"j{n}"]) for n in range(4)]
    assert len(told._told) == 2
    assert [told.of(f"j{n}", said[f"j{n}"]) for n in range(4)] == first


UNKNOWN = {"no league": (None, "a"), "no such job": (1, "nobody")}


@pytest.mark.parametrize("case", UNKNOWN)
def test_nothing_is_said_of_what_is_not_known(case):
    has_league, uid = UNKNOWN[case]
    told, said, planner = planned(job("a", 9))
    told.follow(planner.league if has_league else None)
    assert told.of(uid, said["a"]) == ()


def test_a_placement_that_was_lost_is_not_explained():
    told, _, _ = planned(job("a"))
    assert told.of("a", Placement("a", "s02", 1, 0)) == ()


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    return store


def started(store, clock):
    hub = kit.led(store, clock)
    hub.plan()
    return hub


def shown(hub, name):
    status = hub.store.objects[kit.job_path(name)]["status"]
    return {row["node"]: row["reason"] for row in status["verdicts"]}


ONE_GPU = [
    {"institution": "clinic", "nominalGpus": 1, "lendingLimitGpus": 0, "borrowingLimitGpus": 0}
]


def test_a_nearly_idle_node_is_not_called_full(store, clock):
    """The quota is in use; fifteen of sixteen GPUs are free."""
    kit.node(store, "tartu", kit.lent(machines=2, each=8))
    kit.pool(store, institutions=ONE_GPU)
    hub = started(store, clock)
    for name in ("a", "b"):
        kit.submit(store, name, **kit.gpus(1))
    hub.settle_down()
    kit.later(hub)
    assert shown(hub, "b") == {"tartu": "WaitingForQuota"}


def test_a_node_that_fills_is_no_news_and_is_told_after_a_while(store, clock):
    """The job waits for its quota all the time; the node has room for it, then not."""
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.namespace(store, "lab", "university")
    others = {"institution": "university", "nominalGpus": 3}
    kit.pool(store, institutions=[*ONE_GPU, others])
    hub = started(store, clock)
    for name in ("a", "b"):
        kit.submit(store, name, **kit.gpus(1))
    hub.settle_down()
    kit.later(hub)
    assert shown(hub, "b") == {"tartu": "WaitingForQuota"}

    kit.submit(store, "fills", "lab", **kit.gpus(3))
    kit.later(hub)
    writes = len(store.writes)
    kit.later(hub)
    driven(hub.controller.tick())
    kit.later(hub, 0)
    assert (len(store.writes), shown(hub, "b")) == (writes, {"tartu": "WaitingForQuota"})

    clock.now_s += VERDICTS_PAUSE_S
    kit.beat(store, "tartu")
    hub.hear()
    hub.plan()
    driven(hub.controller.tick())
    hub.work()
    assert shown(hub, "b") == {"tartu": "WaitingForCapacity"}


def test_equal_answers_are_one_value_for_jobs_that_are_not_alike_and_in_the_next_plan(monkeypatch):
    jobs = [job(f"j{n}", 9, max_runtime_s=600 * (n + 1), priority=n) for n in range(3)]
    told, said, planner = planned(*jobs, job("k", 9, assurance=1))

    first = [told.of(one.uid, said[one.uid]) for one in jobs]
    told.follow(planner.league)
    again = told.of("j0", said["j0"])

    assert len(first[0]) == 3
    assert all(answer is again for answer in first)
    assert rows_of(first[0]) is rows_of(again)
    monkeypatch.setattr(explanations, "MOST_ANSWERS", 1)
    assert told.of("k", said["k"]) != again
    assert len(told._answers) == 1
