"""Virtual time, true run times, and policies that break their contract."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from e2e.bench.simulation.baselines import Fifo
from e2e.bench.simulation.engine import simulate
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.policy import Decision, Estimate, Start
from e2e.bench.simulation.scenario import Outage, Scenario, draw_outages
from e2e.bench.simulation.summary import series, summarise
from hansa.errors import Terminal

T0_S = 1_000_000


@dataclass
class Scripted:
    """Says at each second what the script says."""

    script: dict[int, Decision]
    band: Estimate | None = None
    seen: list[str] = field(default_factory=list)

    def arrive(self, job, now_s):
        self.seen.append(f"{now_s - T0_S} arrive {job.uid}")

    def finish(self, job, now_s, *, ran_s):
        self.seen.append(f"{now_s - T0_S} finish {job.uid} after {ran_s}")

    def lose(self, job, now_s):
        self.seen.append(f"{now_s - T0_S} lose {job.uid}")

    def site(self, name, now_s, *, up):
        self.seen.append(f"{now_s - T0_S} {name} {'up' if up else 'down'}")

    def tick(self, now_s):
        del now_s

    def decide(self, now_s):
        return self.script.pop(now_s - T0_S, Decision())

    def estimate(self, job, now_s):
        del job, now_s
        return self.band


def _run(scenario, policy):
    return simulate(scenario, policy, world=Occupancy(scenario.snapshot.sites))


def test_jobs_end_when_their_time_is_up(site, job, league):
    scenario = Scenario(league(site("s", "EE", 8)), (job("a", 8), job("b", 8, 10)), (100, 50))
    world = Occupancy(scenario.snapshot.sites)
    record = simulate(scenario, Fifo(scenario.snapshot, world), world=world)
    first, second = record.jobs
    assert (first.started_s - T0_S, first.ended_s - T0_S) == (0, 100)
    assert (second.started_s - T0_S, second.ended_s - T0_S) == (100, 150)
    figures = summarise(record)
    assert figures.mean_wait_s == 45
    assert figures.mean_jct_s == 120
    assert figures.estimate_band_share is None


def test_a_stopped_job_keeps_its_checkpoints_and_waits_again(site, job, league):
    jobs = (job("a", 8, checkpoint_s=60),)
    policy = Scripted({0: Decision((Start("a", "s"),)), 150: Decision((Start("a", "s"),))})
    outages = (Outage("s", T0_S + 130, T0_S + 150),)
    scenario = Scenario(league(site("s", "EE", 8)), jobs, (200,), outages)
    record = _run(scenario, policy)
    assert record.jobs[0].ended_s - T0_S == 150 + 200 - 120
    assert record.jobs[0].lost == 1
    assert policy.seen == [
        "0 arrive a",
        "130 lose a",
        "130 s down",
        "130 arrive a",
        "150 s up",
        "230 finish a after 200",
    ]


def test_preemption_is_counted_and_estimates_are_scored(site, job, league):
    policy = Scripted(
        {
            0: Decision((Start("a", "s"),)),
            10: Decision((Start("b", "s"),), stops=("a",)),
            20: Decision((Start("a", "s"),)),
        },
        band=Estimate(T0_S + 5, T0_S + 15, T0_S + 25),
    )
    jobs = (job("a", 8), job("c", 8, 1), job("b", 8, 10))
    scenario = Scenario(league(site("s", "EE", 8)), jobs, (1000, 10, 10), tick_s=5)
    policy.script[1020] = Decision((Start("c", "s"),))
    figures = summarise(_run(scenario, policy))
    assert figures.preemptions == 1
    assert figures.estimates == 1
    assert figures.estimate_band_share == 0


BREACHES = {
    "outside the law": (Decision((Start("a", "pt"),)), "may not run at pt"),
    "no room": (Decision((Start("a", "ee"), Start("b", "ee"))), "no room"),
    "nobody starts": (Decision(), "2 jobs never ended"),
}


@pytest.mark.parametrize(("decision", "message"), BREACHES.values(), ids=BREACHES)
def test_a_policy_that_breaks_its_contract_is_caught(decision, message, site, job, league):
    jobs = (job("a", 8, country="EE"), job("b", 8, country="EE"))
    scenario = Scenario(league(site("ee", "EE", 8), site("pt", "PT", 8)), jobs, (10, 10))
    with pytest.raises(Terminal, match=message):
        _run(scenario, Scripted({0: decision}))


BAD_SCENARIOS = {
    "lengths": ([(1, 0)], (), {}, "one duration"),
    "durations": ([(1, 0)], (0,), {}, "> 0"),
    "order": ([(1, 5), (1, 0)], (1, 1), {}, "order"),
    "no GPUs": ([(0, 0)], (1,), {}, "needs GPUs"),
    "no time between ticks": ([(1, 0)], (1,), {"tick_s": 0}, "tick_s"),
}


@pytest.mark.parametrize("case", BAD_SCENARIOS.values(), ids=BAD_SCENARIOS)
def test_meaningless_scenarios_are_refused(case, site, job, league):
    sizes, durations, fields, message = case
    jobs = tuple(job(f"j{n}", gpus, at_s) for n, (gpus, at_s) in enumerate(sizes))
    with pytest.raises(ValueError, match=message):
        Scenario(league(site("s", "EE", 8)), jobs, durations, **fields)


def test_an_empty_scenario_ends_at_once(site, league):
    scenario = Scenario(league(site("s", "EE", 8)), (), ())
    assert summarise(_run(scenario, Scripted({}))).jobs == 0


def test_series_have_one_value_a_sample(site, job, league):
    scenario = Scenario(
        league(site("s", "EE", 8)), (job("a", 8), job("b", 8)), (900, 900), sample_s=300
    )
    world = Occupancy(scenario.snapshot.sites)
    columns = series(simulate(scenario, Fifo(scenario.snapshot, world), world=world))
    assert {len(values) for values in columns.values()} == {len(columns["hours"])}
    assert max(columns["gpus:alpha"]) == 8
    assert max(columns["queued"]) == 1


def test_outages_come_from_the_seed_and_in_order(site):
    sites = (site("a", "EE", 8), site("b", "LV", 8))
    drawn = [
        draw_outages(
            np.random.default_rng(seed), sites, start_s=0, end_s=10_000_000, mean_up_s=500_000
        )
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [outage.down_s for outage in drawn[0]] == sorted(o.down_s for o in drawn[0])
    assert all(outage.up_s - outage.down_s >= 60 for outage in drawn[0])
