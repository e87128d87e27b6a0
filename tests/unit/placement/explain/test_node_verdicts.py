"""What is said of each node is true: by the kernel's own hand, in random leagues and in small ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from hansa.model.events import JobArrived, JobGone
from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Job,
    Machines,
    Pool,
    ShadowPrices,
    Shape,
    Share,
    Site,
    Snapshot,
)
from hansa.placement.explain import node_verdicts
from hansa.placement.explain.room_now import obstacles
from hansa.placement.explain.verdicts import rulings
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.kernel import packing, quota
from hansa.placement.kernel.tables import HUGE, WHY_CAPACITY
from hansa.placement.rules.job_classes import one_kind
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import NOW_S, random_job, random_snapshot

SEEDS = 40
GIB = 1 << 30
L40S, MI210 = "nvidia-l40s", "amd-mi210"


@cache
def busy(seed):
    """A planner in the middle of its work, and what it said last."""
    rng = np.random.default_rng(seed)
    snapshot = random_snapshot(rng, jobs=int(rng.integers(4, 30)), sites=int(rng.integers(1, 7)))
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    planner.replan(NOW_S, is_repriced=bool(rng.random() < 0.5))
    more = [random_job(rng, f"late-{n}") for n in range(4)]
    gone = [job.uid for job in snapshot.jobs if rng.random() < 0.2]
    planner.update([*map(JobArrived, more), *map(JobGone, gone)], now_s=NOW_S + 60)
    return planner, planner.replan(NOW_S + 120)


def takes(league, kind, cell):
    """Whether the kernel's hand puts a gang there; everything is as before afterwards."""
    before = [column.copy() for column in league.supply]
    is_taken = packing.would_take(league.supply, one_kind(kind.shape), 0, cell)
    assert all((old == new).all() for old, new in zip(before, league.supply, strict=True))
    return is_taken


def rooms(league, record):
    """Site → cells with room for the gang, lawful and open, one after the other."""
    found = {}
    codes, kind = league.kinds.codes_of(record.kind), league.kinds.kinds[record.kind]
    for cell in np.flatnonzero((codes == 0) & (league.supply.cell_open == 1)).tolist():
        cells = found.setdefault(league.fleet.sites[league.fleet.cells[cell].site].name, [])
        if takes(league, kind, cell):
            cells.append(cell)
    return found


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_room_is_where_the_kernel_finds_it(seed):
    planner, _ = busy(seed)
    league = planner.league
    for number, kind in enumerate(league.kinds.kinds):
        said = {cell for cell, why in obstacles(league, number).items() if why != WHY_CAPACITY}
        open_ = np.flatnonzero(
            (league.kinds.codes_of(number) == 0) & (league.supply.cell_open == 1)
        )
        assert said == {cell for cell in open_.tolist() if takes(league, kind, cell)}


def told(planner, plan):
    """(record, verdicts, held) of every job, as the hub would write them."""
    league = planner.league
    waits = {said.job_uid: said for said in plan.waiting}
    for uid, record in league.records.items():
        there, rows = partial(node_verdicts.seats, league, record), rulings(league, record)
        if uid in waits:
            yield record, node_verdicts.waiting(rows, there, waits[uid]), None
        for held in record.held:
            yield record, node_verdicts.placed(league, rows, there, held), held


def is_capped(league, record, cell):
    kind = league.kinds.kinds[record.kind]
    columns = one_kind(kind.shape, league.caps.base[kind.pool])
    return quota.cap_room(league.caps.counters, columns, 0, cell) < kind.gpus


def is_dearer(league, record, held, cell):
    """More money, or later in the planner's order: money and scarcity, then money, waste, name."""
    kind = league.kinds.kinds[record.kind]
    money = league.rules.hourly_cost(kind, held.holding.workers)
    order = league.tariff.order(kind).tolist()
    return money[cell] > money[held.cell] or order.index(cell) > order.index(held.cell)


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_no_verdict_is_untrue(seed):
    planner, plan = busy(seed)
    league = planner.league
    for record, verdicts, held in told(planner, plan):
        cells = rooms(league, record)
        for row in verdicts:
            here = cells.get(row.site, [])
            match row.reason:
                case Reason.WAITING_FOR_CAPACITY:
                    assert not here
                case Reason.WAITING_FOR_CAP:
                    assert here
                    assert all(is_capped(league, record, cell) for cell in here)
                case Reason.WAITING_FOR_FAIR_SHARE:
                    assert any(league.supply.reserved_key[cell] != HUGE for cell in here)
                case Reason.OUTBID:
                    assert any(is_dearer(league, record, held, cell) for cell in here)
                case Reason.WAITING_FOR_QUOTA | Reason.WAITING_FOR_PREEMPTION | Reason.PENDING:
                    assert here
                case _:
                    assert row.site not in cells or row.reason in node_verdicts.OWN


@pytest.mark.parametrize("most", [1, 2, 5, 32])
def test_the_gravest_few_are_the_first_of_all(most):
    """Fewer words are made, never others: for jobs that wait, and for some that hold a node."""
    planner, plan = busy(0)
    league, waits = planner.league, {said.job_uid: said for said in plan.waiting}
    whole = {id(record): rows for record, rows, _ in told(planner, plan)}
    for uid, record in league.records.items():
        there, ruled = partial(node_verdicts.seats, league, record), rulings(league, record)
        if uid in waits:
            few = node_verdicts.waiting(ruled, there, waits[uid], most)
            assert few == whole[id(record)][:most]
        elif len(record.held) == 1:
            few = node_verdicts.placed(league, ruled, there, record.held[0], most)
            assert few == whole[id(record)][:most]


def test_the_random_leagues_have_all_there_is_to_tell():
    seen = {
        (row.reason, held is not None)
        for seed in range(SEEDS)
        for _, verdicts, held in told(*busy(seed))
        for row in verdicts
    }
    full, dearer = Reason.WAITING_FOR_CAPACITY, Reason.OUTBID
    assert {(full, False), (full, True), (dearer, True), (Reason.WAITING_FOR_QUOTA, False)} <= seen
    assert (Reason.WAITING_FOR_CAP, False) in seen
    assert (dearer, False) not in seen


def site(name, price=1, machines=2, **more):
    rack = Machines(machines, 8, L40S, 48 * GIB, 64_000, 512 * GIB)
    money = {L40S: price * 1_000_000}
    return Site(name, "ut", name, "EE", frozenset({"EE"}), (rack,), {}, money, **more)


def job(uid, gpus=1, **more):
    return Job(uid, uid, "ut", "p", Shape(1, gpus), NOW_S, **more)


LITTLE = Pool("p", shares=(Share("ut", nominal_gpus=1, borrowing_limit=0, lending_limit=0),))
CAPPED = Pool("p", caps=(Cap("Operator", 10),))
SCARCE = ShadowPrices(cells={("b", L40S): 500.0})
SAID = {
    "quota is in use, and the node is nearly idle": (
        (site("a"),), LITTLE, (job("j0"), job("j1")), "j1",
        {"a": ("WaitingForQuota", "may hold at most 1")},
    ),
    "the only node is full": (
        (site("a", machines=1),), Pool("p"), (job("j0", 8), job("j1")), "j1",
        {"a": ("WaitingForCapacity", "no room")},
    ),
    "a cap is reached at one, the other is full": (
        (site("a", machines=8), site("b", machines=1)), CAPPED,
        (job("j0", 7), job("j1", 7, refused_by={"a": "no"}), job("j2", 7)), "j2",
        {"a": ("WaitingForConcentrationCap", "pool p"), "b": ("WaitingForCapacity", "no room")},
    ),
    "it is suspended": (
        (site("a"),), Pool("p"), (job("j0", barred=Reason.SUSPENDED, barred_message="held"),), "j0",
        {"a": ("Suspended", "held")},
    ),
    "another costs more": (
        (site("a"), site("b", 3)), Pool("p"), (job("j0", 2),), "j0",
        {"b": ("HigherCost", "costs 6 an hour: 4 more")},
    ),
    "a cheaper one is full": (
        (site("a", machines=1), site("b", 3)), Pool("p"), (job("j0", 8), job("j1", 2)), "j1",
        {"a": ("WaitingForCapacity", "no room")},
    ),
    "another costs the same": (
        (site("a"), site("b")), Pool("p"), (job("j0"),), "j0",
        {"b": ("HigherCost", "no more and no less; it comes later by")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_is_said(case):
    sites, pool, jobs, uid, expected = SAID[case]
    planner = IncrementalPlanner(Snapshot(NOW_S, sites, (pool,), jobs), is_compiled=False)
    plan = planner.replan(NOW_S)
    rows = {row.site: row for r, rows, _ in told(planner, plan) if r.job.uid == uid for row in rows}
    assert {name: row.reason.value for name, row in rows.items()} == {
        name: reason for name, (reason, _) in expected.items()
    }
    for name, (_, words) in expected.items():
        assert words in rows[name].message


def standing_of(planner, uid):
    league = planner.league
    record = league.records[uid]
    there, rows = partial(node_verdicts.seats, league, record), rulings(league, record)
    (row,) = node_verdicts.placed(league, rows, there, record.held[0])
    return row.reason, row.message


def test_a_cheaper_node_with_scarce_gpus_comes_later():
    sites = (site("a", 2), site("b", 1))
    snapshot = Snapshot(NOW_S, sites, (Pool("p"),), (job("j"),), prices=SCARCE)
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    (placed,) = planner.replan(NOW_S).placements
    assert placed.site == "a"
    reason, words = standing_of(planner, "j")
    assert reason is Reason.OUTBID
    assert "costs 1 an hour: 1 less; its GPUs are scarcer" in words


def test_a_cheaper_node_that_came_free_later_is_not_called_dearer():
    sites = (site("a", machines=1), site("b", 3))
    jobs = (job("first", 8), job("j", 2))
    planner = IncrementalPlanner(Snapshot(NOW_S, sites, (Pool("p"),), jobs), is_compiled=False)
    assert {p.job_uid: p.site for p in planner.replan(NOW_S).placements} == {"first": "a", "j": "b"}
    assert standing_of(planner, "j")[0] is Reason.WAITING_FOR_CAPACITY
    planner.update([JobGone("first")], now_s=NOW_S)
    reason, words = standing_of(planner, "j")
    assert reason is Reason.PENDING
    assert "4 less; a job that is placed stays" in words


HELD = {"ends before it is needed": (50, "Pending"), "outlasts it": (5000, "WaitingForFairShare")}


@pytest.mark.parametrize("case", HELD)
def test_room_that_is_held_for_others_is_not_free_to_long_work(case):
    runtime_s, expected = HELD[case]
    snapshot = Snapshot(NOW_S, (site("a"),), (Pool("p"),), (job("j", max_runtime_s=runtime_s),))
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    plan = planner.replan(NOW_S)
    planner.update([JobArrived(replace(snapshot.jobs[0], holdings=()))], now_s=NOW_S)
    supply, record = planner.league.supply, planner.league.records["j"]
    supply.reserved_key[:], supply.reserved_until[:], supply.reserved_spare[:] = 1, 100, 0
    assert not plan.waiting
    there = node_verdicts.seats(planner.league, record)
    choice = node_verdicts._barred("a", there["a"], "p")
    assert (choice.reason.value if choice else "Pending") == expected
