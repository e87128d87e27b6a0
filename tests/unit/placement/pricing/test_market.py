"""A market is the league of one moment, and tells whether another moment's prices would differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.events import JobArrived, JobGone, PoolChanged, SiteChanged
from hansa.model.reasons import Reason
from hansa.model.snapshot import PlaceSet, Pool, ResidencyRule, ShadowPrices, Shape, Share
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import market_of
from hansa.placement.state.league import League
from tests.unit.placement.leagues.random_leagues import random_job, random_snapshot
from tests.unit.placement.leagues.small_leagues import held, job, league, site

CLOSED = Reason.NODE_UNREACHABLE
SITES = (site("a"), site("b", price=2_000_000))
JOBS = (held("r"), job("j"), job("k", priority=3))
POOL = Pool("p", shares=(Share("ut", nominal_gpus=8),))


def planner_of():
    return IncrementalPlanner(league(*JOBS, sites=SITES, pool=POOL))


def event(what):
    return lambda planner: planner.update([what], now_s=5001)


LAW = ResidencyRule(PlaceSet(frozenset({"FI"})))
OTHER = {
    "a job came": event(JobArrived(job("l"))),
    "a job went": event(JobGone("k")),
    "room was freed": lambda planner: planner._league.remove("r"),
    "a site closed": event(SiteChanged(site("b", unavailable=CLOSED))),
    "a site asks for more": event(SiteChanged(site("a", price=9_000_000))),
    "a pool's law": event(PoolChanged(replace(POOL, ceiling=LAW))),
    "a pool's shares": event(PoolChanged(replace(POOL, shares=(Share("ut", nominal_gpus=4),)))),
}
SAME = {
    "nothing": lambda _: None,
    "time": lambda planner: planner._league.advance(9_000),
    "compiled anew": lambda planner: planner._compile(()),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_market_is_another(case):
    planner = planner_of()
    before = market_of(planner._league)
    OTHER[case](planner)
    assert not market_of(planner._league).equals(before)


@pytest.mark.parametrize("case", SAME)
def test_a_market_of_the_same_is_the_same(case):
    planner = planner_of()
    before = market_of(planner._league)
    SAME[case](planner)
    assert market_of(planner._league).equals(before)


def test_a_market_stays_what_it_was_whatever_the_league_does():
    """Found later from what was taken then: prices of then."""
    rng = np.random.default_rng(11)
    for number in range(30):
        snapshot = random_snapshot(rng, jobs=40)
        planner = IncrementalPlanner(snapshot)
        taken, then = market_of(planner._league), shadow_prices.solve(market_of(League(snapshot)))
        pool = replace(snapshot.pools[0], ceiling=(LAW, ResidencyRule())[number % 2])
        planner.replan(snapshot.now_s)
        planner.update([PoolChanged(pool)], now_s=snapshot.now_s)
        for name in ("x", "y"):
            arrived = JobArrived(random_job(rng, name))
            planner.update([arrived], now_s=snapshot.now_s)
        closed = replace(snapshot.sites[0], unavailable=CLOSED)
        planner.update([SiteChanged(closed)], now_s=snapshot.now_s)
        assert shadow_prices.solve(taken) == then


def test_a_planner_says_what_prices_are_to_be_found_from_elsewhere(monkeypatch):
    """What it began with: afterwards nothing that could be placed is left to price."""
    roomy = league(job("j"), job("k"), sites=SITES)
    small = IncrementalPlanner(roomy)
    small.replan(5000, is_repriced=True)
    assert small.market is None
    monkeypatch.setattr(shadow_prices, "SMALL_ARCS", 1)
    planner = IncrementalPlanner(roomy)
    began = market_of(planner._league)
    planner.replan(5000, is_repriced=True)
    assert planner.market.equals(began)
    planner.replan(5000)
    assert planner.market.equals(began)


SOLD_OUT = {
    "nobody asks": (league(sites=SITES), True),
    "somebody asks": (league(job("j"), sites=SITES), False),
    "nothing is free": (league(held("r"), job("j")), True),
    "too little is free": (league(held("r", gpus=4), job("j", gpus=5)), True),
    "enough for the smallest": (league(held("r", gpus=4), job("i"), job("j", gpus=4)), False),
    "a site is closed": (league(job("j"), sites=(site("a", unavailable=CLOSED),)), True),
    "work without GPUs": (league(job("j", shape=Shape(1, 0))), True),
}


@pytest.mark.parametrize("case", SOLD_OUT)
def test_a_market_is_sold_out_where_nobody_who_asks_could_be_placed(case):
    snapshot, is_sold_out = SOLD_OUT[case]
    assert market_of(League(snapshot)).is_sold_out is is_sold_out


def test_prices_of_full_cells_outlive_the_next_programme():
    old = ShadowPrices({("a", "x"): 5.0, ("b", "x"): 1.0}, {("p", "Vendor", "x"): 2.0})
    new = ShadowPrices({("b", "x"): 0.0, ("c", "x"): 3.0}, quotas={("p", "ut"): 4.0})
    assert shadow_prices.renewed(None, new) is new
    cells = {("a", "x"): 5.0, ("b", "x"): 0.0, ("c", "x"): 3.0}
    assert shadow_prices.renewed(old, new) == replace(new, cells=cells)
