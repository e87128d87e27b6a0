"""A league that took a change in is the league compiled anew with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.events import PoolChanged, SiteGone
from hansa.model.snapshot import (
    PlaceSet,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Share,
)
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.state.event_intake import is_light_pool
from hansa.placement.state.league import League
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import NOW_S, random_snapshot
from tests.unit.placement.leagues.small_leagues import held, job, league, site

CEILINGS = (
    ResidencyRule(),
    ResidencyRule(PlaceSet(frozenset({"EU"}))),
    ResidencyRule(PlaceSet(frozenset({"Nowhere"}))),
)


def changed(pool: Pool, rng: np.random.Generator) -> Pool:
    """The pool with other weights and limits, and at times other law or assurance."""
    shares = tuple(
        replace(
            share,
            weight=int(rng.integers(1, 9)),
            nominal_gpus=int(rng.integers(0, 30)),
            borrowing_limit=None if rng.random() < 0.5 else int(rng.integers(0, 9)),
            lending_limit=None if rng.random() < 0.5 else int(rng.integers(0, 9)),
        )
        for share in pool.shares
    )
    return replace(
        pool,
        shares=shares,
        ceiling=CEILINGS[int(rng.integers(3))],
        assurance=int(rng.integers(2)),
        overlays={name: places - set(sorted(places)[:1]) for name, places in pool.overlays.items()},
        preemption=PreemptionRule(borrowers=bool(rng.integers(2))),
    )


@pytest.mark.parametrize("seed", seeds(40))
def test_a_changed_pool_leaves_the_league_that_compiling_it_anew_gives(seed):
    rng = np.random.default_rng(6000 + seed)
    snapshot = random_snapshot(rng, jobs=40, sites=6)
    planner = IncrementalPlanner(snapshot)
    planner.replan(NOW_S)
    for _ in range(3):
        pool = snapshot.pools[int(rng.integers(len(snapshot.pools)))]
        planner.update([PoolChanged(changed(pool, rng))], now_s=NOW_S)
        kept, fresh = planner._league, League(planner.snapshot())
        kept.tariff.lists()  # candidates are read from these, once they are made
        for name, now in fresh.ledger.accounts._asdict().items():
            if name != "queue" and not name.startswith("heap"):
                assert now.tolist() == getattr(kept.ledger.accounts, name).tolist(), name
        assert kept.caps.counters.left.tolist() == fresh.caps.counters.left.tolist()
        assert kept.supply.cell_free.tolist() == fresh.supply.cell_free.tolist()
        for uid, record in fresh.records.items():
            mine = kept.records[uid]
            assert (mine.row >= 0, bool(mine.held)) == (record.row >= 0, bool(record.held))
            assert record.job.holdings or mine.fault == record.fault
            number, other = mine.kind, record.kind
            assert (number >= 0) == (other >= 0)
            if number >= 0:
                assert kept.kinds.codes_of(number).tolist() == fresh.kinds.codes_of(other).tolist()
                assert sorted(kept.tariff.candidates(number)) == sorted(
                    fresh.tariff.candidates(other)
                )


POOL = Pool("p", shares=(Share("a", "north"),))
HEAVY = {
    "another institution": replace(POOL, shares=(Share("b", "north"),)),
    "another cohort": replace(POOL, shares=(Share("a", "south"),)),
    "another parent of a cohort": replace(POOL, cohort_parents={"north": "all"}),
    "other sites": replace(POOL, site_names=frozenset({"x"})),
    "other classes": replace(POOL, gpu_classes=frozenset({"x"})),
}


@pytest.mark.parametrize("pool", HEAVY.values(), ids=HEAVY)
def test_what_moves_accounts_or_cells_is_compiled_anew(pool):
    assert not is_light_pool(POOL, pool)
    assert is_light_pool(POOL, replace(POOL, shares=(Share("a", "north", 5),), assurance=1))


def test_a_job_whose_site_is_gone_does_not_wait_after_a_change_of_its_pool():
    """It holds room somewhere until its member says otherwise."""
    planner = IncrementalPlanner(league(held("j"), job("k"), sites=(site("a"), site("b"))))
    gone = planner.snapshot().jobs[0].holdings[0].site
    planner.update([SiteGone(gone)], now_s=NOW_S)
    (pool,) = planner.snapshot().pools
    decided = planner.update([PoolChanged(replace(pool, assurance=0))], now_s=NOW_S)
    assert "j" not in {placed.job_uid for placed in decided.placements}
    assert "j" not in {waiting.job_uid for waiting in planner.replan(NOW_S).waiting}
