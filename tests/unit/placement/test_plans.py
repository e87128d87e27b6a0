"""Properties of every plan, over random leagues: lawful, within bounds, provable, repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, ShadowPrices, Snapshot
from hansa.placement import engine
from hansa.placement.explanation import explain_job
from hansa.placement.planner import explain, plan
from tests.unit.placement.leagues import NOW_S, breaches, random_snapshot

SEEDS = range(80)


def running(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """The snapshot in which the plan has been carried out, an hour later."""
    held: dict[str, list[Holding]] = {}
    for p in decided.placements:
        held.setdefault(p.job_uid, []).append(
            Holding(p.site, 1, p.workers, NOW_S, gpu_class=p.gpu_class, shard=p.shard)
        )
    jobs = tuple(
        replace(job, holdings=tuple(held.get(job.uid, job.holdings))) for job in snapshot.jobs
    )
    return replace(snapshot, now_s=NOW_S + 3600, jobs=jobs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_breaks_no_rule_and_proves_its_worth(seed):
    rng = np.random.default_rng(seed)
    snapshot = random_snapshot(rng, jobs=int(rng.integers(0, 40)), sites=int(rng.integers(0, 8)))
    first = plan(snapshot, is_compiled=False)
    assert not breaches(snapshot, first)
    assert first.certificate.value <= first.certificate.bound
    assert plan(snapshot) == first
    later = running(snapshot, first)
    assert not breaches(later, plan(later))


@pytest.mark.skipif(engine.COMPILED is None, reason="the fast extra is not installed")
@pytest.mark.parametrize("seed", range(25))
def test_the_compiled_kernel_decides_the_same(seed):
    rng = np.random.default_rng(1000 + seed)
    snapshot = random_snapshot(rng, jobs=60, sites=8)
    assert plan(snapshot, is_compiled=True) == plan(snapshot, is_compiled=False)


@pytest.mark.parametrize("seed", range(25))
def test_the_order_of_the_snapshot_changes_nothing(seed):
    rng = np.random.default_rng(2000 + seed)
    snapshot = random_snapshot(rng, jobs=30)
    jobs, sites = list(snapshot.jobs), list(snapshot.sites)
    rng.shuffle(jobs)
    rng.shuffle(sites)
    mixed = replace(snapshot, jobs=tuple(jobs), sites=tuple(sites))
    assert plan(mixed).placements == plan(snapshot).placements


@pytest.mark.parametrize("seed", range(25))
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


@pytest.mark.parametrize("seed", range(16))
def test_an_explanation_is_true(seed):
    rng = np.random.default_rng(4000 + seed)
    snapshot = random_snapshot(rng, jobs=14)
    decided = plan(snapshot)
    for waiting in decided.waiting[:6]:
        story = explain_job(snapshot, waiting.job_uid, decided)
        assert story is not None
        assert story.reason is waiting.reason
        assert story.sentence
        if story.remedy is not None:
            after = plan(story.remedy.changed)
            assert waiting.job_uid in {placed.job_uid for placed in after.placements}
        else:
            assert waiting.reason not in {Reason.WAITING_FOR_CAPACITY, Reason.WAITING_FOR_QUOTA}


@pytest.mark.parametrize("seed", range(20))
def test_a_job_is_placed_only_where_its_verdict_is_pending(seed):
    snapshot = random_snapshot(np.random.default_rng(5000 + seed), jobs=14)
    for placed in plan(snapshot).placements:
        verdicts = {verdict.site: verdict.reason for verdict in explain(snapshot, placed.job_uid)}
        assert verdicts[placed.site] is Reason.PENDING
        story = explain_job(snapshot, placed.job_uid)
        assert story is not None
        assert placed.site in story.sites
