"""Properties of every plan, over random leagues: lawful, within bounds, provable, repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import ShadowPrices
from hansa.placement.kernel import run
from hansa.placement.planner import explain, plan
from hansa.placement.pricing.market import market_of
from hansa.placement.pricing.shadow_prices import solve
from hansa.placement.state.league import League
from hansa.placement.whatif.explain_job import explain_job
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import random_snapshot, running
from tests.unit.placement.oracle import breaches


@pytest.mark.parametrize("seed", seeds(80))
def test_a_plan_breaks_no_rule_and_proves_its_worth(seed):
    rng = np.random.default_rng(seed)
    snapshot = random_snapshot(rng, jobs=int(rng.integers(0, 40)), sites=int(rng.integers(0, 8)))
    first = plan(snapshot)
    assert not breaches(snapshot, first)
    assert first.certificate.value <= first.certificate.bound
    assert plan(snapshot, is_compiled=True) == first
    later = running(snapshot, first)
    assert not breaches(later, plan(later))


@pytest.mark.skipif(run.compiled() is None, reason="the fast extra is not installed")
@pytest.mark.parametrize("seed", seeds(25))
def test_the_compiled_kernel_decides_the_same(seed):
    rng = np.random.default_rng(1000 + seed)
    snapshot = random_snapshot(rng, jobs=60, sites=8)
    assert plan(snapshot, is_compiled=True) == plan(snapshot)


@pytest.mark.parametrize("seed", range(12))
def test_a_small_league_finds_the_prices_of_the_background_by_itself(seed):
    snapshot = random_snapshot(np.random.default_rng(7000 + seed), jobs=30)
    assert plan(replace(snapshot, prices=solve(market_of(League(snapshot))).prices)) == plan(
        snapshot
    )


@pytest.mark.parametrize("seed", seeds(25))
def test_the_order_of_the_snapshot_changes_nothing(seed):
    rng = np.random.default_rng(2000 + seed)
    snapshot = random_snapshot(rng, jobs=30)
    jobs, sites = list(snapshot.jobs), list(snapshot.sites)
    rng.shuffle(jobs)
    rng.shuffle(sites)
    mixed = replace(snapshot, jobs=tuple(jobs), sites=tuple(sites))
    assert plan(mixed).placements == plan(snapshot).placements


@pytest.mark.parametrize("seed", seeds(25))
def test_any_prices_bound_the_optimum(seed):
    rng = np.random.default_rng(3000 + seed)
    snapshot = random_snapshot(rng, jobs=30)
    best = plan(snapshot).certificate.value
    for _ in range(5):
        cells = {
            (s.name, m.gpu_class): float(rng.uniform(-10, 3000))
            for s in snapshot.sites
            for m in s.machines
        }
        caps = {("p", "Operator", f"op-{i}"): float(rng.uniform(0, 500)) for i in range(3)}
        priced = plan(replace(snapshot, prices=ShadowPrices(cells, caps)))
        assert priced.certificate.bound >= max(best, priced.certificate.value)


@pytest.mark.parametrize("seed", seeds(20))
def test_a_job_is_placed_only_where_its_verdict_is_pending(seed):
    snapshot = random_snapshot(np.random.default_rng(5000 + seed), jobs=14)
    for placed in plan(snapshot).placements:
        verdicts = {verdict.site: verdict.reason for verdict in explain(snapshot, placed.job_uid)}
        assert verdicts[placed.site] is Reason.PENDING
        story = explain_job(snapshot, placed.job_uid)
        assert story is not None
        assert placed.site in story.sites
