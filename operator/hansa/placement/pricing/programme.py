"""The linear programme whose duals are the shadow prices. To load it takes a second: scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from hansa.placement.pricing.market import Bids, Market
from hansa.placement.rules.cell_order import Floats
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.value import NOMINAL_GPU


@dataclass(frozen=True, slots=True)
class Duals:
    """What one GPU more would be worth."""

    asked: Ints
    """Cells in the programme: with room, and wanted."""
    cell: Floats
    cap: Floats
    quota: Floats
    """Per account."""
    nominal: Floats


class Programme:
    """Variables: GPUs granted to each bid, GPUs that each set takes of each cell, nominal GPUs per account."""

    def __init__(self, market: Market, bids: Bids) -> None:
        """Write it down: rows for sets, cells, caps, quotas and nominal shares."""
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

    def solve(self) -> tuple[float, Duals]:
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
        return float(-solved.fun), Duals(self._cells, cell, cap, quotas, nominals)
