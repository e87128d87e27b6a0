"""The columns of candidates that a plan begins with are what codes, order and prices say one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.snapshot import ShadowPrices
from hansa.placement.rules.cell_order import MARGIN
from hansa.placement.state.league import League
from tests.seeds import seeds
from tests.unit.placement.leagues.random_leagues import CLASSES, INSTITUTIONS, random_snapshot

DEAREST = 3_000.0
"""Above what any GPU of these leagues is worth, so that some candidates are not worth their price."""


def league_of(seed):
    rng = np.random.default_rng(7000 + seed)
    snapshot = random_snapshot(rng, jobs=40, sites=8)
    prices = ShadowPrices(
        {
            (site.name, name): float(rng.uniform(0, DEAREST))
            for site in snapshot.sites
            for name in CLASSES
        },
        nominals={("p", name): float(rng.uniform(0, 1_000)) for name in INSTITUTIONS[:2]},
    )
    return League(replace(snapshot, prices=prices))


def candidates(league, number):
    order = league.tariff.order(league.kinds.kinds[number]).tolist()
    return [cell for cell in order if league.kinds.codes_of(number)[cell] == 0]


@pytest.mark.parametrize("seed", seeds(30))
def test_candidates_stand_in_order_and_end_where_they_are_not_worth_their_price(seed):
    league = league_of(seed)
    tariff, columns = league.tariff, league.tariff.columns()
    for number, kind in enumerate(league.kinds.kinds):
        begin = int(columns.next[league.kinds.mask_of(number)])
        expected = candidates(league, number)
        assert columns.candidates[begin : columns.end[number]].tolist() == expected
        cost, worth = tariff.cost(kind.pool)[expected], tariff._worth()[number]
        dear = np.flatnonzero(cost > worth - MARGIN)
        good = int(dear[0]) if (cost > worth).any() else len(expected)
        assert columns.good[number] - begin == good
