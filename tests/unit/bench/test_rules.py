"""The independent check finds what is wrong, and yardsticks are in the right order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.bench import exact, peers
from e2e.bench.phx.workload import static_snapshot
from e2e.bench.rules import Rules
from hansa.placement.planner import plan
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from hansa.placement.state.league import League


@pytest.fixture(scope="module", name="rules")
def rules_fixture() -> Rules:
    return Rules(static_snapshot(jobs=400, sites=20, gpus=800, load=2.0, seed=5))


@pytest.fixture(scope="module", name="placed")
def placed_fixture(rules):
    return peers.run(rules, peers.PEERS["priority_fifo_list"]).placed


def test_a_lawful_plan_passes(rules, placed):
    assert placed
    assert rules.violations(placed) == []


def _elsewhere(rules, placed):
    job, cell, gpus = next(row for row in placed if len(rules.cells_for(row[0])) < len(rules.cells))
    other = next(c for c in range(len(rules.cells)) if c not in set(rules.cells_for(job).tolist()))
    return [(job, other, gpus)], (job, cell, gpus)


def test_a_job_outside_its_sites_is_found(rules, placed):
    wrong, _ = _elsewhere(rules, placed)
    assert any("may not run" in text for text in rules.violations(wrong))


def test_a_torn_gang_is_found(rules, placed):
    job, cell, gpus = next(row for row in placed if row[0].shape.workers > 1)
    assert any("torn" in text for text in rules.violations([(job, cell, gpus + job.shape.gpus)]))


def test_a_double_placement_is_found(rules, placed):
    assert any("twice" in text for text in rules.violations([placed[0], placed[0]]))


def test_an_overfilled_cell_is_found(rules, placed):
    job, cell, gpus = placed[0]
    copies = [(replace(job, uid=str(n)), cell, gpus) for n in range(2_000)]
    told = " ".join(rules.violations(copies))
    assert "overfilled" in told
    assert "allowed" in told
    assert f"{job.institution} holds" in told


def test_value_counts_the_nominal_share_once(rules, placed):
    job, cell, gpus = placed[0]
    nominal = rules.share[job.institution].nominal_gpus
    copies = [(replace(job, uid=str(n)), cell, gpus) for n in range(nominal + 10)]
    assert rules.value(copies) == pytest.approx(
        len(copies) * gpus * rules.worth(job, cell) + 1000 * nominal
    )


def test_the_exact_optimum_bounds_everybody_and_agrees_with_the_planner(rules):
    optimum = exact.solve(rules)
    for peer in peers.PEERS.values():
        outcome = peers.run(rules, peer)
        assert rules.violations(outcome.placed) == []
        assert rules.value(outcome.placed) <= optimum.value * (1 + 1e-9)
    relaxed = shadow_prices.solve(market_of(League(rules.snapshot)))
    assert relaxed.value == pytest.approx(optimum.value, rel=1e-6)
    planned = plan(replace(rules.snapshot, prices=relaxed.prices))
    placed = rules.read(planned.placements)
    assert rules.violations(placed) == []
    assert rules.value(placed) == pytest.approx(planned.certificate.value)
    assert planned.certificate.value <= optimum.value <= planned.certificate.bound
