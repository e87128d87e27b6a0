"""What could yield, summed up in columns: it spares a look at cells, and changes no decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.events import Event, JobArrived, JobGone
from hansa.model.plan import Plan
from hansa.model.snapshot import Holding, Job, Pool, PreemptionRule, Shape, Share, Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.preemption import trial, victims
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.holdings import HoldingColumns
from hansa.placement.state.league import League
from hansa.placement.state.records import Record
from tests.unit.placement.leagues import random_job, random_snapshot

SEEDS = range(40)
RULES = (
    PreemptionRule(),
    PreemptionRule(lower_priority=True, min_runtime_s=600, max_per_hour=100),
    PreemptionRule(borrowers=True, min_runtime_s=600, max_per_hour=100),
    PreemptionRule(lower_priority=True, borrowers=True, min_runtime_s=0, max_per_hour=100),
)


class Looking(trial.Trial):
    """Looks at every victim of every cell."""

    def could_gain(self, record: Record, cells: Ints):
        need = self.league.kinds.kinds[record.kind].gpus
        freed = [sum(victim.gpus for victim in self.yielding(cell)) for cell in cells.tolist()]
        return self.supply.cell_free[cells] + np.array(freed, np.int64) >= need


def events(rng: np.random.Generator, snapshot: Snapshot):
    """Arrivals, elastic ones among them, ends, and news of what runs."""
    uids = [job.uid for job in snapshot.jobs]
    for number in range(30):
        if rng.random() < 0.25:
            yield JobGone(str(rng.choice(uids)))
            continue
        job = random_job(rng, f"new-{number:02d}", rules=False)
        if rng.random() < 0.3:
            job = replace(job, shape=replace(job.shape, workers=6, min_workers=1))
        uids.append(job.uid)
        yield JobArrived(job)


def lived(snapshot: Snapshot, happened: list[Event]) -> list[Plan]:
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    told = [planner.replan(snapshot.now_s)]
    for number, event in enumerate(happened):
        told.append(planner.update([event], now_s=snapshot.now_s + 400 * number))
    return [*told, planner.replan(snapshot.now_s + 20_000)]


def crowded(rng: np.random.Generator, rule: PreemptionRule) -> Snapshot:
    """Few sites, little promised, and nothing said of who may go where."""
    snapshot = random_snapshot(rng, jobs=20, sites=3)
    free = [random_job(rng, job.uid, rules=False) for job in snapshot.jobs]
    names = sorted({job.institution for job in free})
    shares = tuple(Share(name, nominal_gpus=int(rng.integers(0, 6))) for name in names)
    pool = replace(snapshot.pools[0], shares=shares, caps=(), preemption=rule, site_names=None)
    return replace(snapshot, pools=(pool, *snapshot.pools[1:]), jobs=tuple(free))


@pytest.mark.no_cover
@pytest.mark.parametrize("rule", RULES, ids=["shrink", "priority", "borrowers", "both"])
def test_summing_up_finds_what_looking_at_each_finds(rule, monkeypatch):
    stops = 0
    for seed in SEEDS:
        rng = np.random.default_rng(9000 + seed)
        snapshot = crowded(rng, rule)
        happened = list(events(rng, snapshot))
        told = lived(snapshot, happened)
        with monkeypatch.context() as patch:
            patch.setattr("hansa.placement.preemption.reclaim.Trial", Looking)
            assert told == lived(snapshot, happened)
        stops += sum(len(plan.stops) for plan in told)
    assert stops > len(SEEDS) // 4


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_are_those_of_the_victims(seed):
    rng = np.random.default_rng(seed)
    snapshot = crowded(rng, RULES[seed % len(RULES)])
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    planner.replan(snapshot.now_s)
    for number, event in enumerate(events(rng, snapshot)):
        planner.update([event], now_s=snapshot.now_s + 400 * number)
    league = planner._league
    tried, size = trial.Trial(league), len(league.fleet.cells)
    sums = league.holdings.gpus_at(tried._able.nonzero()[0], size)
    assert sums.tolist() == [sum(v.gpus for v in tried.yielding(cell)) for cell in range(size)]


def test_columns_grow_and_rows_are_used_again():
    pools = {"p": Pool("p", preemption=PreemptionRule(borrowers=True))}
    there = HoldingColumns(pools, size=2)
    job = Job("j", "n/j", "ut", "p", Shape(2, 4), 0)
    room = Holding("a", 1, 2, 0)
    rows = [there.note(-1, job, room, (cell, 0, 2)) for cell in range(5)]
    assert rows == [0, 1, 2, 3, 4]
    there.leave(3)
    assert there.note(-1, job, room, (7, 0, 2)) == 3

    def freed():
        return there.gpus_at(there.of_pool(there.yields, "p"), 8).tolist()

    assert freed() == [8, 8, 8, 0, 8, 0, 0, 8]
    assert there.note(4, job, replace(room, stopping=True), (4, 0, 2)) == 4
    assert freed() == [8, 8, 8, 0, 0, 0, 0, 8]


def test_absurd_numbers_are_no_exception():
    job = Job("j", "n/j", "ut", "p", Shape(1, 1), 0, priority=10**30)
    pool = Pool("p", preemption=PreemptionRule(borrowers=True))
    league = League(Snapshot(0, (), (pool,), ()))
    row = league.holdings.note(-1, job, Holding("a", 1, 10**30, -(10**30)), (0, -1, 1))
    assert victims.exposed(league)[row]
    league.pools["p"] = Pool("p")
    assert not victims.exposed(league)[row]
