"""How many sites take a job class now: the same one by one, all at once, and after one has closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.reasons import Reason
from hansa.placement.rules.fleet import is_open
from hansa.placement.state.event_intake import swap_site
from hansa.placement.state.league import League
from tests.unit.placement.leagues.random_leagues import NOW_S, random_snapshot


def open_sites(league: League, number: int) -> int:
    """By sets, site by site."""
    passes = league.kinds.codes_of(number) == 0
    sites = {league.fleet.cells[cell].site for cell in np.flatnonzero(passes).tolist()}
    return sum(is_open(league.fleet.sites[site]) for site in sites)


@pytest.mark.parametrize("seed", range(30))
def test_sites_that_take_a_class_now_are_counted_once_each(seed):
    league = League(random_snapshot(np.random.default_rng(7000 + seed), jobs=40, sites=8))
    for _ in range(2):
        expected = [open_sites(league, number) for number in range(len(league.kinds))]
        counts = league.open_sites.of_all(league.supply.cell_open)
        assert [counts[league.kinds.mask_of(n)] for n in range(len(league.kinds))] == expected
        league.open_sites.forget()
        one_by_one = [
            league.open_sites.of(n, league.supply.cell_open) for n in range(len(league.kinds))
        ]
        assert one_by_one == expected
        site = league.fleet.sites[seed % 8]
        swap_site(league, seed % 8, replace(site, unavailable=Reason.NODE_PAUSED))
    assert league.now_s == NOW_S
