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
    value, duals = _Programme(market, bids).solve()
    return Relaxation(_named(market, duals), value)


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


class _Programme:
    """Variables: GPUs granted to each bid, GPUs that each set takes of each cell, nominal GPUs per account."""

    def __init__(self, market: Market, bids: Bids) -> None:
        self._room = room = market.room
        self._leaves = market.leaves
        sizes = [len(cells) for cells in bids.sets]
        arc_set = np.repeat(np.arange(len(sizes)), sizes)
        arc_cell = np.concatenate(bids.sets)
        arc_caps = np.concatenate(bids.cap_rows)
        self._cells = np.unique(arc_cell)
        count = (len(bids.gpus), len(arc_cell), len(self._leaves))
        bid, arc, bonus = np.split(np.arange(sum(count)), np.cumsum(count)[:2])
        rows = (len(sizes), len(self._cells), len(room.cap_left), len(bonus), len(bonus))
        self._starts = np.concatenate(([0], np.cumsum(rows)))
        sets, cells, cap, quota, nominal = self._starts[:-1]
        owner = np.searchsorted(self._leaves, bids.leaf)
        entries: list[tuple[Ints, Ints, float]] = [
            (sets + bids.place, bid, 1.0),
            (sets + arc_set, arc, -1.0),
            (cells + np.searchsorted(self._cells, arc_cell), arc, 1.0),
            (quota + owner, bid, 1.0),
            (nominal + owner, bid, -1.0),
            (nominal + np.arange(len(bonus)), bonus, 1.0),
        ]
        for dimension in range(3):
            named = arc_caps[:, dimension] >= 0
            entries.append((cap + arc_caps[named, dimension], arc[named], 1.0))
        self._gain = np.concatenate(
            (bids.worth, -market.money[arc_cell], np.full(len(bonus), float(NOMINAL_GPU)))
        )
        values = np.concatenate([np.full(len(row), value) for row, _, value in entries])
        at = tuple(np.concatenate([entry[axis] for entry in entries]) for axis in (0, 1))
        shape = (int(self._starts[-1]), len(self._gain))
        self._matrix = coo_matrix((values, at), shape=shape).tocsr()
        free, quotas = room.free[self._cells], room.quota_left[self._leaves]
        nothing = np.zeros(len(sizes)), np.zeros(len(bonus))
        self._limits = np.concatenate((nothing[0], free, room.cap_left, quotas, nothing[1]))
        most_taken = np.full(len(arc), np.inf)
        self._most = np.concatenate((bids.gpus, most_taken, room.nominal_left[self._leaves]))

    def solve(self) -> tuple[float, _Duals]:
        """Value and duals."""
        bounds = np.column_stack((np.zeros(len(self._most)), self._most))
        solved = linprog(-self._gain, self._matrix, self._limits, bounds=bounds, method="highs")
        duals: Floats = np.maximum(0.0, -solved.ineqlin.marginals)
        _, cells, cap, quota, nominal = (
            duals[a:b] for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)
        )
        cell = np.zeros(len(self._room.free))
        cell[self._cells] = cells
        quotas, nominals = np.zeros((2, len(self._room.quota_left)))
        quotas[self._leaves], nominals[self._leaves] = quota, nominal
        return float(-solved.fun), _Duals(self._cells, cell, cap, quotas, nominals)


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
