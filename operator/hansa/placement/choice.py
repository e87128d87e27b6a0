"""Where a kind goes first: cells by price, shadow price, locality and fragmentation.

Work goes where its data already is, and nowhere else: locality is a rule (``DataElsewhere``), not a
score. Costs that differ by less than ``QUANTUM`` count as equal, for scarcity makes many so; then the
cheaper cell goes first, then the one whose machines leave less of no use to the kind, then the site
whose name comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.model.snapshot import ShadowPrices
from hansa.placement.caps import CapTable
from hansa.placement.columns import Kinds
from hansa.placement.demand import Kind
from hansa.placement.kinds import KindTable
from hansa.placement.supply import Fleet, Ints
from hansa.placement.value import NOMINAL_GPU, PRICE_SPAN, gpu_value

Floats = npt.NDArray[np.float64]

MARGIN = 5.0
"""A kind must be worth this much more than a cell costs to be placed there in the first round."""
QUANTUM = 4.0
"""Thousandths of a plain GPU."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidate lists of all masks, one after the other."""

    cells: Ints
    cost: Floats
    """Money and scarcity of each candidate, in thousandths of a plain GPU."""
    lo: Ints
    """Per mask."""
    hi: Ints


class Tariff:
    """What one GPU costs at every cell: money and scarcity. Made anew when prices change."""

    def __init__(
        self, fleet: Fleet, caps: CapTable, kinds: KindTable, prices: ShadowPrices | None
    ) -> None:
        self._fleet = fleet
        self._caps = caps
        self._kinds = kinds
        self._prices = ShadowPrices() if prices is None else prices
        self.is_priced = prices is not None
        self.money = money(fleet)
        largest = [int(fleet.gpus[c.lo : c.hi].max(initial=1)) for c in fleet.cells]
        self._largest = np.array(largest, np.int64)
        limits = self._prices.caps
        self.cap_prices = np.array([_positive(limits.get(name)) for name in caps.names], np.float64)
        self.scarcity = np.array([self._scarcity(at) for at in range(len(fleet.cells))], np.float64)
        self._costs: dict[str, Floats] = {}
        self._orders: dict[tuple[str, int], Ints] = {}
        self._lists: Lists | None = None
        self._good = np.zeros(0, np.int64)

    def reprice(self, fleet: Fleet) -> None:
        """Take in a fleet whose prices alone have changed."""
        self._fleet, self.money = fleet, money(fleet)
        self._costs, self._orders, self._lists = {}, {}, None
        self._good = np.zeros(0, np.int64)

    def _scarcity(self, at: int) -> float:
        cell = self._fleet.cells[at]
        if not cell.has_gpus:
            return 0.0
        return _positive(
            self._prices.cells.get((self._fleet.sites[cell.site].name, cell.gpu_class))
        )

    def cost(self, pool: str) -> Floats:
        """Per cell: money, scarcity of the cell, scarcity of its caps."""
        if pool not in self._costs:
            size = len(self._fleet.cells)
            base = self._caps.base[pool] * 3
            rows = np.asarray(self._caps.counters.row[base : base + size * 3]).reshape(size, 3)
            of_caps = np.append(self.cap_prices, 0.0)[rows].sum(axis=1)
            # Work without GPUs uses none of a cap.
            self._costs[pool] = self.money + self.scarcity + of_caps * self._fleet.has_gpus
        return self._costs[pool]

    def worth(self, kind: Kind) -> float:
        """Most that one GPU of the kind may cost before others deserve the cell more."""
        key = (kind.pool, kind.institution)
        nominal = min(NOMINAL_GPU, _positive(self._prices.nominals.get(key)))
        return gpu_value(kind.priority) + nominal - _positive(self._prices.quotas.get(key))

    def order(self, kind: Kind) -> Ints:
        """All cells, best first."""
        key = (kind.pool, kind.shape.gpus)
        if key not in self._orders:
            cost = self.cost(kind.pool)
            waste = (self._largest % max(1, kind.shape.gpus)) / self._largest
            self._orders[key] = np.lexsort(
                (self.money, waste, np.round(self.money / QUANTUM), np.round(cost / QUANTUM))
            )
        return self._orders[key]

    def candidates(self, number: int) -> Ints:
        """Cells that may take a kind, best first."""
        order = self.order(self._kinds.kinds[number])
        return np.asarray(order[self._kinds.codes_of(number)[order] == 0])

    def lists(self) -> Lists:
        """Candidates of all masks. Kept until masks are added."""
        masks = self._kinds.masks
        if self._lists is None or len(self._lists.lo) != len(masks):
            found = [self.candidates(number) for number in masks]
            costs = [
                self.cost(self._kinds.kinds[n].pool)[c] for n, c in zip(masks, found, strict=True)
            ]
            ends = np.cumsum([0, *(len(cells) for cells in found)])
            none, free = np.zeros(0, np.int64), np.zeros(0)
            self._lists = Lists(
                np.concatenate([none, *found]), np.concatenate([free, *costs]), ends[:-1], ends[1:]
            )
        return self._lists

    def _good_ends(self) -> Ints:
        """Per kind: end of the candidates that are worth their price. Kept until kinds are added."""
        if len(self._good) != len(self._kinds):
            lists, mask = self.lists(), self._kinds.mask
            worth = np.array([self.worth(kind) for kind in self._kinds.kinds])
            self._good = lists.hi[mask].copy()
            dear = [m for m in range(len(lists.lo)) if lists.hi[m] > lists.lo[m]]
            most = np.full(len(lists.lo), -np.inf)
            if dear:
                most[dear] = np.maximum.reduceat(lists.cost, lists.lo[dear])
            for kind in np.flatnonzero(most[mask] > worth).tolist():
                lo, hi = lists.lo[mask[kind]], lists.hi[mask[kind]]
                ordered = np.maximum.accumulate(lists.cost[lo:hi])
                self._good[kind] = lo + np.searchsorted(ordered, worth[kind] - MARGIN, "right")
        return self._good

    def columns(self) -> Kinds:
        """The kernel's table of all kinds."""
        lists, kinds = self.lists(), self._kinds
        mask = kinds.mask
        columns: tuple[Any, ...] = (
            *kinds.needs(slice(None)),
            np.ascontiguousarray(mask),
            lists.lo.copy(),
            np.zeros(len(lists.lo), np.int64),
            self._good_ends(),
            lists.hi[mask],
            lists.cells,
            np.zeros(len(kinds), np.int64),
        )
        return Kinds(*columns)

    def columns_at(self, numbers: Ints, cells: Ints | None) -> Kinds:
        """The kernel's table of a few kinds that may look at a few cells only; None: at all."""
        kinds = self._kinds
        parts = []
        for number in numbers.tolist():
            cost = self.cost(kinds.kinds[number].pool)
            codes = kinds.codes_of(number)
            looked_at = self.order(kinds.kinds[number]) if cells is None else cells
            mine = looked_at[codes[looked_at] == 0]
            parts.append(mine[np.argsort(cost[mine], kind="stable")])
        ends = np.cumsum([0, *(len(part) for part in parts)])
        columns: tuple[Any, ...] = (
            *kinds.needs(numbers),
            np.arange(len(numbers), dtype=np.int64),
            ends[:-1].copy(),
            np.zeros(len(numbers), np.int64),
            ends[1:].copy(),
            ends[1:].copy(),
            np.concatenate([np.zeros(0, np.int64), *parts]),
            np.zeros(len(numbers), np.int64),
        )
        return Kinds(*columns)


def _positive(price: float | None) -> float:
    """A price as a price: NaN, negative and absent ones are nothing."""
    return price if price is not None and 0.0 < price < np.inf else 0.0


def money(fleet: Fleet) -> Floats:
    """Per cell, its price as a share of the dearest of its sort, in thousandths of a plain GPU."""
    has_gpus = fleet.has_gpus
    dearest_gpu = int(fleet.price[has_gpus].max(initial=1))
    dearest_cpu = int(fleet.price[~has_gpus].max(initial=1))
    top = np.where(has_gpus, dearest_gpu, dearest_cpu)
    return np.asarray(PRICE_SPAN * fleet.price / top)
