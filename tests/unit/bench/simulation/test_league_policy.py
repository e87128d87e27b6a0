"""The real planner inside the simulator."""

from __future__ import annotations

from e2e.bench.simulation.engine import simulate
from e2e.bench.simulation.league import LeaguePolicy
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.scenario import Outage, Scenario
from e2e.bench.simulation.summary import summarise

T0_S = 1_000_000


def _record(scenario):
    world = Occupancy(scenario.snapshot.sites)
    return simulate(scenario, LeaguePolicy(scenario.snapshot), world=world)


def test_every_job_ends_whatever_fails(site, job, league):
    jobs = tuple(
        job(f"j{n:02d}", (1, 2, 8, 16)[n % 4], n * 20, country=("World", "EE")[n % 2])
        for n in range(24)
    )
    outages = (Outage("ee", T0_S + 100, T0_S + 900), Outage("lv", T0_S + 300, T0_S + 500))
    snapshot = league(site("ee", "EE", 8, 8), site("lv", "LV", 8, 4, 4), alpha=16)
    scenario = Scenario(snapshot, jobs, tuple(100 + 37 * n for n in range(24)), outages)
    record = _record(scenario)
    assert all(row.ended_s > row.started_s >= row.arrived_s for row in record.jobs)
    assert record == _record(scenario)


def test_a_site_that_fails_in_the_second_of_a_start_starts_nothing(site, job, league):
    jobs = (job("a", 8), job("b", 8, 10))
    outages = (Outage("s", T0_S + 100, T0_S + 200),)
    record = _record(Scenario(league(site("s", "EE", 8)), jobs, (100, 50), outages))
    assert [(row.started_s - T0_S, row.ended_s - T0_S) for row in record.jobs] == [
        (0, 100),
        (200, 250),
    ]


def test_borrowers_make_room_for_those_within_their_share(site, job, league):
    jobs = (
        job("a1", 8),
        job("a2", 8),
        job("b", 8, 10, institution="beta"),
    )
    snapshot = league(site("s", "EE", 8, 8), alpha=8, beta=8)
    record = _record(Scenario(snapshot, jobs, (50_000, 50_000, 100)))
    figures = summarise(record)
    assert figures.sharing_violations == 0
    assert figures.preemptions == 1
