"""Shadow prices: what a GPU of each cell, cap and quota is worth to those who want it.

A linear programme over all that waits (gangs divisible) solved by HiGHS; its duals are the prices. Worth
is that of the job and cost that of the cell, so jobs that may go to the same cells share their flow to
them: one column for each bid, and one for each pair of such a set and a cell. That leaves nothing out
and is a hundredth of a column for each pair of job and cell. A plan works with stale prices or none;
only its certificate gets looser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hansa.model.snapshot import ShadowPrices
from hansa.placement.pricing.market import Market, bids_of, market_of

if TYPE_CHECKING:
    from hansa.placement.pricing.programme import Duals
    from hansa.placement.state.league import League

SMALL_ARCS = 20_000
"""Pairs of kind and cell up to which a plan finds its own prices in passing."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The solved programme: prices, and the most that any plan of what waits could be worth.

    Beyond ``market.MOST_JOBS`` jobs the value is an estimate; a plan's certificate never rests on it.
    """

    prices: ShadowPrices
    value: float


def is_small(league: League) -> bool:
    """Whether prices cost next to nothing to find."""
    asked = np.zeros(len(league.kinds), bool)
    asked[league.columns.kind[league.columns.waits]] = True
    return int(asked.sum()) * len(league.fleet.cells) <= SMALL_ARCS


def solve_if_small(league: League) -> ShadowPrices | None:
    """Prices where they cost next to nothing to find, else None; None also where nothing waits."""
    if not league.columns.waits.any() or not is_small(league):
        return None
    return solve(market_of(league)).prices


def solve(market: Market) -> Relaxation:
    """Prices of what waits. Seconds for a large league: run it in the background."""
    bids = bids_of(market)
    if not len(bids.gpus):
        return Relaxation(ShadowPrices(), 0.0)
    from hansa.placement.pricing.programme import Programme  # noqa: PLC0415  # a second, for who needs it

    value, duals = Programme(market, bids).solve()
    return Relaxation(_named(market, duals), value)


def renewed(old: ShadowPrices | None, found: ShadowPrices) -> ShadowPrices:
    """What was found, and what was found last of cells where there was nothing to be had this time."""
    return found if old is None else replace(found, cells={**old.cells, **found.cells})


def _named(market: Market, duals: Duals) -> ShadowPrices:
    names = market.names
    cells: dict[tuple[str, str], float] = {}
    for at in duals.asked.tolist():
        key = names.cells[at]
        cells[key] = max(cells.get(key, 0.0), float(duals.cell[at]))
    return ShadowPrices(
        cells,
        {name: float(p) for name, p in zip(names.caps, duals.cap, strict=True) if p > 0},
        {key: float(duals.quota[at]) for key, at in names.accounts if duals.quota[at] > 0},
        {key: float(duals.nominal[at]) for key, at in names.accounts if duals.nominal[at] > 0},
    )
