"""The textbook rules do what the textbook says."""

from __future__ import annotations

import pytest

from e2e.bench.simulation.baselines import BestEffortFifo, Easy, FairShare, Fifo
from e2e.bench.simulation.engine import simulate
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.scenario import Scenario
from e2e.bench.simulation.summary import summarise

T0_S = 1_000_000


def _starts(policy, snapshot, jobs, durations):
    world = Occupancy(snapshot.sites)
    scenario = Scenario(snapshot, jobs, durations)
    record = simulate(scenario, policy(snapshot, world), world=world)
    return {row.uid: row.started_s - T0_S for row in record.jobs}, record


POLICIES = {
    # a holds half the site for 100 s; b needs all of it; c and d need the free half.
    "FIFO holds back all behind the head": (Fifo, {"a": 0, "b": 100, "c": 110, "d": 110}),
    "EASY lets through what ends before": (Easy, {"a": 0, "b": 100, "c": 3, "d": 110}),
    "best effort skips what does not fit": (BestEffortFifo, {"a": 0, "b": 103, "c": 3, "d": 53}),
    "fair share skips what does not fit": (FairShare, {"a": 0, "b": 103, "c": 3, "d": 53}),
}


@pytest.mark.parametrize(("policy", "expected"), POLICIES.values(), ids=POLICIES)
def test_who_goes_first(policy, expected, site, job, league):
    jobs = (
        job("a", 4, 0, max_runtime_s=100),
        job("b", 8, 1, max_runtime_s=10),
        job("c", 4, 3, max_runtime_s=60),
        job("d", 4, 4, max_runtime_s=600),
    )
    starts, _ = _starts(policy, league(site("s", "EE", 8)), jobs, (100, 10, 50, 50))
    assert starts == expected


def test_a_blocked_head_blocks_only_where_it_may_run(site, job, league):
    jobs = (job("a", 8, 0), job("b", 8, 1, country="EE"), job("c", 8, 2, country="PT"))
    snapshot = league(site("ee", "EE", 8), site("pt", "PT", 8))
    starts, _ = _starts(Fifo, snapshot, jobs, (100, 10, 10))
    assert starts == {"a": 0, "b": 100, "c": 2}


def test_backfill_may_use_what_the_head_leaves_over(site, job, league):
    jobs = (
        job("a", 8, 0, max_runtime_s=100),
        job("b", 16, 1, max_runtime_s=10),
        job("c", 8, 2, max_runtime_s=9000),
    )
    starts, _ = _starts(
        Easy, league(site("s", "EE", 8, 8)), (*jobs, job("d", 4, 3)), (100, 10, 9, 9)
    )
    assert starts == {"a": 0, "b": 100, "c": 110, "d": 110}
    starts, _ = _starts(Easy, league(site("s", "EE", 8, 4, 4, 8)), jobs, (100, 10, 9))
    assert starts == {"a": 0, "b": 100, "c": 2}


def test_fair_share_serves_the_institution_that_has_least(site, job, league):
    jobs = (
        job("a1", 8, 0),
        job("a2", 8, 1),
        job("b1", 8, 2, institution="beta"),
    )
    starts, _ = _starts(
        FairShare, league(site("s", "EE", 8, 8)), (*jobs, job("a3", 8, 3)), (9, 90, 9, 9)
    )
    assert starts["b1"] == 9
    assert starts["a3"] == 18


def test_borrowers_who_stay_violate_the_sharing_incentive(site, job, league):
    """Alpha borrows all; beta, within its nominal share, waits for hours."""
    jobs = (job("a1", 8), job("a2", 8), job("b", 8, 10, institution="beta"))
    snapshot = league(site("s", "EE", 8, 8), alpha=8, beta=8)
    _, record = _starts(Fifo, snapshot, jobs, (50_000, 50_000, 100))
    assert record.sharing_violations == 1
    assert summarise(record).jain < 1


def test_the_same_seed_gives_the_same_record(site, job, league):
    jobs = tuple(job(f"j{n}", (1, 2, 4, 8)[n % 4], n * 7) for n in range(40))
    snapshot = league(site("s", "EE", 8), site("t", "LV", 4, 4))
    runs = [_starts(Easy, snapshot, jobs, (300,) * 40)[1] for _ in range(2)]
    assert runs[0] == runs[1]
