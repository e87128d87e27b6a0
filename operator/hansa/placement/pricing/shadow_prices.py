"""Shadow prices: what a GPU of each cell, cap and quota is worth to those who want it.

A linear programme over kinds of jobs (gangs divisible) solved by HiGHS; its duals are the prices.
Too many pairs of kind and cell exist to write them all down, so columns are generated: start with
a few cells of each kind, solve, add what would pay at the new prices, until nothing would. A plan
works with stale prices or none; only its certificate gets looser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from hansa.model.snapshot import ShadowPrices
from hansa.placement.pricing.market import Bids, Market, bids_of, market_of
from hansa.placement.rules.cell_order import Floats
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.value import NOMINAL_GPU

if TYPE_CHECKING:
    from hansa.placement.state.league import League

SMALL_ARCS = 20_000
"""Pairs of kind and cell up to which a plan finds its own prices in passing."""
FIRST_CELLS = 4
STRIDE = 7919
"""A prime: neighbouring bids begin far apart."""
MORE_CELLS = 2
"""Columns added for one bid in one round."""
PAYS = 2.0
"""Least gain, in thousandths of a plain GPU, for which a column is added: prices need no more."""
MOST_ROUNDS = 5
"""Later rounds move the certified gap by less than a tenth of a per cent."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The solved programme: prices, its value (to within ``PAYS`` a GPU), and what it took.

    Beyond ``market.MOST_JOBS`` jobs the value is an estimate; a plan's certificate never rests on it.
    """

    prices: ShadowPrices
    value: float
    rounds: int
    arcs: int


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
        return Relaxation(ShadowPrices(), 0.0, 0, 0)
    arcs = [_spread(bid, len(cells)) for bid, cells in enumerate(bids.cells)]
    rounds = 1
    value, duals = _Master(market, bids, arcs).solve()
    while rounds < MOST_ROUNDS and _extend(bids, arcs, duals):
        rounds += 1
        value, duals = _Master(market, bids, arcs).solve()
    return Relaxation(_named(market, duals), value, rounds, sum(len(a) for a in arcs))


def renewed(old: ShadowPrices | None, found: ShadowPrices) -> ShadowPrices:
    """What was found, and what was found last of cells where there was nothing to be had this time."""
    return found if old is None else replace(found, cells={**old.cells, **found.cells})


@dataclass(frozen=True, slots=True)
class _Duals:
    asked: Ints
    """Cells in the programme: with room, and wanted."""
    cell: Floats
    cap: Floats
    quota: Floats
    """Per account."""
    nominal: Floats
    demand: Floats
    """Per bid."""


def _spread(bid: int, count: int) -> Ints:
    """A few of a bid's candidates, other ones for every bid: the cheapest alone would all be the same."""
    if not count:
        return np.zeros(0, np.int64)
    steps = np.arange(FIRST_CELLS, dtype=np.int64) * count // FIRST_CELLS
    return np.unique(np.append((steps + bid * STRIDE) % count, 0))


class _Master:
    """The programme restricted to some arcs. Variables: arcs, then nominal GPUs per account."""

    def __init__(self, market: Market, bids: Bids, arcs: list[Ints]) -> None:
        self._room = room = market.room
        self._leaves = market.leaves
        bid = np.repeat(np.arange(len(arcs)), [len(arc) for arc in arcs])
        cell = np.concatenate([bids.cells[b][arc] for b, arc in enumerate(arcs)])
        cost = np.concatenate([bids.cost[b][arc] for b, arc in enumerate(arcs)])
        caps = np.concatenate([bids.cap_rows[b][arc] for b, arc in enumerate(arcs)])
        n, k = len(bid), len(self._leaves)
        self._cells = np.unique(cell)
        leaf_at = np.searchsorted(self._leaves, bids.leaf[bid])
        sizes = (len(bids.gpus), len(self._cells), len(room.cap_left), k, k)
        self._starts = np.concatenate(([0], np.cumsum(sizes)))
        demand, cells, cap, quota, nominal = self._starts[:-1]
        column = np.arange(n)
        entries: list[tuple[Ints, Ints, float]] = [
            (demand + bid, column, 1.0),
            (cells + np.searchsorted(self._cells, cell), column, 1.0),
            (quota + leaf_at, column, 1.0),
            (nominal + leaf_at, column, -1.0),
            (nominal + np.arange(k), n + np.arange(k), 1.0),
        ]
        for dimension in range(3):
            named = caps[:, dimension] >= 0
            entries.append((cap + caps[named, dimension], column[named], 1.0))
        self._objective = -np.concatenate((bids.worth[bid] - cost, np.full(k, float(NOMINAL_GPU))))
        self._matrix = coo_matrix(
            (
                np.concatenate([np.full(len(r), v) for r, _, v in entries]),
                (
                    np.concatenate([r for r, _, _ in entries]),
                    np.concatenate([c for _, c, _ in entries]),
                ),
            ),
            shape=(int(self._starts[-1]), n + k),
        ).tocsr()
        self._limits = np.concatenate(
            (
                bids.gpus,
                room.free[self._cells],
                room.cap_left,
                room.quota_left[self._leaves],
                np.zeros(k),
            )
        )
        self._upper = np.concatenate((np.full(n, np.inf), room.nominal_left[self._leaves]))

    def solve(self) -> tuple[float, _Duals]:
        """Value and duals of the restricted programme."""
        bounds = np.column_stack((np.zeros(len(self._upper)), self._upper))
        solved = linprog(self._objective, self._matrix, self._limits, bounds=bounds, method="highs")
        duals: Floats = np.maximum(0.0, -solved.ineqlin.marginals)
        demand, cells, cap, quota, nominal = (
            duals[a:b] for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)
        )
        cell = np.zeros(len(self._room.free))
        cell[self._cells] = cells
        quotas, nominals = np.zeros((2, len(self._room.quota_left)))
        quotas[self._leaves], nominals[self._leaves] = quota, nominal
        return float(-solved.fun), _Duals(self._cells, cell, cap, quotas, nominals, demand)


def _extend(bids: Bids, arcs: list[Ints], duals: _Duals) -> bool:
    """Add the arcs that would pay at these prices; whether there were any."""
    cap_prices = np.append(duals.cap, 0.0)
    is_more = False
    for bid, arc in enumerate(arcs):
        leaf = bids.leaf[bid]
        price = (
            bids.cost[bid]
            + duals.cell[bids.cells[bid]]
            + cap_prices[bids.cap_rows[bid]].sum(axis=1)
        )
        gain = bids.worth[bid] + duals.nominal[leaf] - duals.quota[leaf] - duals.demand[bid] - price
        gain[arc] = -np.inf
        best = np.argsort(-gain, kind="stable")[:MORE_CELLS]
        best = best[gain[best] > PAYS]
        if len(best):
            arcs[bid] = np.concatenate((arc, best))
            is_more = True
    return is_more


def _named(market: Market, duals: _Duals) -> ShadowPrices:
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
