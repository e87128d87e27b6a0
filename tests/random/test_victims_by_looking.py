"""What could yield, summed up in columns: it spares a look at cells, and changes no decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.events import Event, JobArrived, JobGone
from hansa.model.plan import Plan
from hansa.model.snapshot import PreemptionRule, Share, Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.preemption import trial
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.records import Record
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import random_job, random_snapshot

LEAGUES = [20, pytest.param(80, marks=pytest.mark.soak)]
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


@pytest.mark.parametrize("rule", RULES, ids=["shrink", "priority", "borrowers", "both"])
@pytest.mark.parametrize("leagues", LEAGUES)
def test_summing_up_finds_what_looking_at_each_finds(rule, leagues, monkeypatch):
    stops = 0
    for seed in range(leagues):
        rng = np.random.default_rng(9000 + seed)
        snapshot = crowded(rng, rule)
        happened = list(events(rng, snapshot))
        told = lived(snapshot, happened)
        with monkeypatch.context() as patch:
            patch.setattr("hansa.placement.preemption.reclaim.Trial", Looking)
            assert told == lived(snapshot, happened)
        stops += sum(len(plan.stops) for plan in told)
    assert stops >= leagues // 4


@pytest.mark.parametrize("seed", seeds(40))
def test_sums_are_those_of_the_victims(seed):
    rng = np.random.default_rng(seed)
    snapshot = crowded(rng, RULES[seed % len(RULES)])
    planner = IncrementalPlanner(snapshot, is_compiled=False)
    planner.replan(snapshot.now_s)
    for number, event in enumerate(events(rng, snapshot)):
        planner.update([event], now_s=snapshot.now_s + 400 * number)
    league = planner._league
    tried, size = trial.Trial(league), len(league.fleet.cells)

    def is_summed_up() -> bool:
        able = np.concatenate([tried.able(pool) for pool in league.pools])
        freed = [sum(v.gpus for v in tried.yielding(cell)) for cell in range(size)]
        return league.holdings.gpus_at(able, size).tolist() == freed

    assert is_summed_up()
    for cell in range(size):
        for victim in tried.yielding(cell)[:1]:
            tried.go(victim)
            assert is_summed_up()
