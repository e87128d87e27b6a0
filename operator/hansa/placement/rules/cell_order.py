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
from hansa.placement.kernel.tables import Kinds
from hansa.placement.rules.caps import CapTable
from hansa.placement.rules.eligibility import JobClass
from hansa.placement.rules.fleet import Fleet, Ints
from hansa.placement.rules.job_classes import JobClasses
from hansa.placement.rules.value import NOMINAL_GPU, PRICE_SPAN, gpu_value

Floats = npt.NDArray[np.float64]

MARGIN = 5.0
"""A kind must be worth this much more than a cell costs to be placed there in the first round."""
NOWHERE = np.zeros(0, np.int64)
QUANTUM = 4.0
"""Thousandths of a plain GPU."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Candidate lists of all masks, one after the other."""

    cells: Ints
    step: Ints
    """What each candidate costs, as a place in ``costs``."""
    costs: Floats
    """Sums of money and scarcity that occur, rising, in thousandths of a plain GPU."""
    lo: Ints
    """Per mask."""
    hi: Ints

    @property
    def cost(self) -> Floats:
        """What each candidate costs."""
        return np.asarray(self.costs[self.step])


class Tariff:
    """What one GPU costs at every cell: money and scarcity. Made anew when prices change."""

    def __init__(
        self, fleet: Fleet, caps: CapTable, kinds: JobClasses, prices: ShadowPrices | None
    ) -> None:
        self._fleet = fleet
        self._caps = caps
        self._kinds = kinds
        self._prices = ShadowPrices() if prices is None else prices
        self.is_priced = prices is not None
        self.money = money(fleet)
        self._largest = _largest(fleet)
        limits = self._prices.caps
        self.cap_prices = np.array([_positive(limits.get(name)) for name in caps.names], np.float64)
        self.scarcity = np.array([self._scarcity(at) for at in range(len(fleet.cells))], np.float64)
        self._costs: dict[str, Floats] = {}
        self._orders: dict[tuple[str, int], Ints] = {}
        self._lists: Lists | None = None
        self._cheapest: dict[int, Ints] = {}
        """Per mask, where a few kinds look: cells that may take it, by cost alone."""
        self._good = np.zeros(0, np.int64)

    def reprice(self, fleet: Fleet) -> None:
        """Take in a fleet whose prices alone have changed."""
        self._fleet, self.money = fleet, money(fleet)
        self._costs, self._orders = {}, {}
        self.forget()

    def forget(self) -> None:
        """Cells or their order have changed: make the lists anew."""
        self._lists, self._cheapest = None, {}
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

    def order(self, kind: JobClass) -> Ints:
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
        lists, mask = self._lists, self._kinds.mask_of(number)
        if lists is not None and mask < len(lists.lo):
            return np.asarray(lists.cells[lists.lo[mask] : lists.hi[mask]])
        order = self.order(self._kinds.kinds[number])
        return np.asarray(order[self._kinds.codes_of(number)[order] == 0])

    def lists(self) -> Lists:
        """Candidates of all masks. Kept until masks are added."""
        masks = self._kinds.masks
        if self._lists is None or len(self._lists.lo) != len(masks):
            self._lists = self._all_lists([self._kinds.kinds[number] for number in masks])
        return self._lists

    def _all_lists(self, kinds: list[JobClass]) -> Lists:
        """Sort pairs of mask and cell, each cell as its place in the order of the mask."""
        size, none = len(self._fleet.cells), np.zeros(len(kinds), np.int64)
        if not size * len(kinds):
            return Lists(none[:0], none[:0], np.zeros(0), none, none)
        groups: dict[tuple[str, int], int] = {}
        group = [groups.setdefault((k.pool, k.shape.gpus), len(groups)) for k in kinds]
        sample = dict(zip(group, kinds, strict=True))
        samples = [sample[number] for number in range(len(groups))]
        orders = np.array([self.order(kind) for kind in samples], np.int64)
        costs, steps = np.unique([self.cost(kind.pool) for kind in samples], return_inverse=True)
        passes, counts = self._kinds.passes
        mask, ends = np.repeat(np.arange(len(kinds)), counts), np.cumsum(counts)
        of_mask, before = size * np.array(group, np.int64)[mask], size * mask
        places = np.argsort(orders, axis=1).reshape(-1)[of_mask + passes]
        cells = orders.reshape(-1)[of_mask + np.sort(before + places) - before]
        return Lists(cells, steps.reshape(-1)[of_mask + cells], costs, ends - counts, ends)

    def _worth(self) -> Floats:
        """Per kind: the most that one GPU may cost before others deserve the cell more."""
        prices = self._prices
        nominal = [min(NOMINAL_GPU, _positive(prices.nominals.get(k))) for k in self._kinds.payers]
        quota = [_positive(prices.quotas.get(key)) for key in self._kinds.payers]
        gain = np.array(nominal, np.float64) - quota
        plain = gpu_value(0) + self._kinds.column("priority")
        return np.asarray(plain + gain[self._kinds.column("payer")])

    def _good_ends(self) -> Ints:
        """Per kind: end of the candidates that are worth their price. Kept until kinds are added."""
        if len(self._good) != len(self._kinds):
            lists, mask, worth = self.lists(), self._kinds.mask, self._worth()
            size, hi = len(lists.costs), lists.hi[mask]
            # The highest step so far in each list, in one column that never falls.
            of_list = np.repeat(np.arange(len(lists.lo)), lists.hi - lists.lo)
            rising = np.maximum.accumulate(size * of_list + lists.step)
            most = np.append(rising, 0)[hi - 1] - size * mask
            is_dear = most >= np.searchsorted(lists.costs, worth, side="right")
            steps = np.searchsorted(lists.costs, worth - MARGIN, side="right")
            ends = np.searchsorted(rising, size * mask + steps)
            self._good = np.where(is_dear & (hi > lists.lo[mask]), ends, hi)
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
        mine, counts = self._anywhere(numbers) if cells is None else self._among(numbers, cells)
        ends = np.cumsum(counts)
        columns: tuple[Any, ...] = (
            *kinds.needs(numbers),
            np.arange(len(numbers), dtype=np.int64),
            ends - counts,
            np.zeros(len(numbers), np.int64),
            ends,
            ends.copy(),
            mine,
            np.zeros(len(numbers), np.int64),
        )
        return Kinds(*columns)

    def _anywhere(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Candidates of some kinds, cheapest first, and how many each has."""
        parts = [self._cheapest_of(number) for number in numbers.tolist()]
        counts = np.array([len(part) for part in parts], np.int64)
        return parts[0] if len(parts) == 1 else np.concatenate([NOWHERE, *parts]), counts

    def _cheapest_of(self, number: int) -> Ints:
        mask = self._kinds.mask_of(number)
        if mask not in self._cheapest:
            kind = self._kinds.kinds[number]
            order, cost = self.order(kind), self.cost(kind.pool)
            mine = order[self._kinds.codes_of(number)[order] == 0]
            self._cheapest[mask] = mine[np.argsort(cost[mine], kind="stable")]
        return self._cheapest[mask]

    def _among(self, numbers: Ints, cells: Ints) -> tuple[Ints, Ints]:
        """The same among a few cells."""
        kinds = self._kinds
        pools = [kinds.kinds[number].pool for number in numbers.tolist()]
        looked_at = np.empty((len(pools), len(cells)), np.int64)
        passes = np.empty(looked_at.shape, bool)
        for pool in dict.fromkeys(pools):
            mine = np.array([name == pool for name in pools])
            rising = cells[np.argsort(self.cost(pool)[cells], kind="stable")]
            looked_at[mine] = rising
            # Whole rows first: picked one by one, codes take ten times as long.
            passes[mine] = kinds.codes[kinds.mask[numbers[mine]]].take(rising, axis=1) == 0
        return looked_at[passes], passes.sum(axis=1)


def _positive(price: float | None) -> float:
    """A price as a price: NaN, negative and absent ones are nothing."""
    return price if price is not None and 0.0 < price < np.inf else 0.0


def _largest(fleet: Fleet) -> Ints:
    """Per cell, the GPUs of its largest machine; at least one."""
    largest = np.ones(len(fleet.cells), np.int64)
    some = np.flatnonzero(fleet.hi > fleet.lo)
    if len(some):
        # The machine behind the last one: what begins there ends nowhere.
        gpus = np.append(fleet.gpus, 0)
        bounds = np.column_stack((fleet.lo[some], fleet.hi[some])).reshape(-1)
        largest[some] = np.maximum(1, np.maximum.reduceat(gpus, bounds)[::2])
    return largest


def money(fleet: Fleet) -> Floats:
    """Per cell, its price as a share of the dearest of its sort, in thousandths of a plain GPU."""
    has_gpus = fleet.has_gpus
    dearest_gpu = int(fleet.price[has_gpus].max(initial=1))
    dearest_cpu = int(fleet.price[~has_gpus].max(initial=1))
    top = np.where(has_gpus, dearest_gpu, dearest_cpu)
    return np.asarray(PRICE_SPAN * fleet.price / top)
