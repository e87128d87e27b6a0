"""What shadow prices are found from: who asks for GPUs, where each may go, and what is free.

Plain columns taken out of a league at one moment: a solver elsewhere works on them while the league
goes on changing, and nothing of a job but its numbers has to travel.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hansa.placement.kernel.tables import HUGE
from hansa.placement.pricing.certificate import Opening, opening
from hansa.placement.rules.cell_order import QUANTUM, Floats, money
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.value import gpu_value

if TYPE_CHECKING:
    from hansa.placement.state.league import League

MOST_JOBS = 50_000
"""Of longer queues, one job in so many stands for its neighbours: prices only guide."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers of a market are called."""

    cells: tuple[tuple[str, str], ...]
    """(site, GPU class)."""
    caps: tuple[tuple[str, str, str], ...]
    accounts: tuple[tuple[tuple[str, str], int], ...]
    """(pool, institution), and its number."""


@dataclass(frozen=True, slots=True)
class Market:
    """Demand, supply and the rules between them at one moment."""

    kind: Ints
    """Per waiting job with GPUs: its kind."""
    priority: Ints
    gpus: Ints
    leaf: Ints
    mask: Ints
    """Per kind: its row of ``codes``."""
    gang: Ints
    """Per kind: GPUs of the fewest useful workers."""
    each: Ints
    """Per kind: GPUs of a worker."""
    caps: Ints
    """Per kind: where its pool begins in ``cap_rows``."""
    codes: npt.NDArray[np.uint8]
    """Masks × cells: 0 where a mask fits. The league's own rows, which it never changes."""
    room: Opening
    money: Floats
    """Per cell."""
    machines: Ints
    """Per machine: GPUs."""
    lo: Ints
    """Per cell: its first machine."""
    hi: Ints
    cap_rows: Ints
    """Per pool and cell: up to three caps; -1 for none."""
    leaves: Ints
    names: Names

    @property
    def is_sold_out(self) -> bool:
        """Whether nobody who asks could be placed, whatever the law: then there is nothing to price."""
        asked = self.gang[self.kind]
        return bool(self.room.free.max(initial=0) < asked.min(initial=HUGE))

    def equals(self, other: Market) -> bool:
        """Whether the same prices would be found."""
        rest = (f.name for f in fields(self) if f.name != "codes")
        return self._is_law_of(other) and all(
            _same(getattr(self, name), getattr(other, name)) for name in rest
        )

    def _is_law_of(self, other: Market) -> bool:
        """Mostly both are the same rows of the same table, and need not be looked at."""
        one, two = self.codes, other.codes
        is_shared = one.base is not None and one.base is two.base
        return one.shape == two.shape and (is_shared or np.array_equal(one, two))


@dataclass(frozen=True, slots=True)
class Bids:
    """Waiting work with GPUs, summed up by kind and priority: the programme's unit of demand."""

    gpus: Ints
    worth: Floats
    leaf: Ints
    cells: tuple[Ints, ...]
    """Per bid: cells where it fits now, best first."""
    cost: tuple[Floats, ...]
    cap_rows: tuple[Ints, ...]


def market_of(league: League) -> Market:
    """Take what prices depend on out of a compiled league: a millisecond or two for a large one."""
    columns, kinds, fleet = league.columns, league.kinds, league.fleet
    rows = np.flatnonzero(columns.waits & (columns.gpus > 0))
    return Market(
        kind=columns.kind[rows],
        priority=columns.priority[rows],
        gpus=columns.gpus[rows],
        leaf=columns.leaf[rows],
        mask=kinds.mask.copy(),
        gang=kinds.column("workers") * kinds.column("gpus"),
        each=kinds.column("gpus").copy(),
        caps=kinds.column("cap_base") * 3,
        codes=kinds.codes,
        room=opening(league),
        money=money(fleet),
        machines=fleet.gpus,
        lo=fleet.lo,
        hi=fleet.hi,
        cap_rows=np.asarray(league.caps.counters.row).copy(),
        leaves=league.ledger.leaves.copy(),
        names=Names(
            tuple((fleet.sites[cell.site].name, cell.gpu_class) for cell in fleet.cells),
            league.caps.names,
            tuple(league.ledger.leaf.items()),
        ),
    )


def bids_of(market: Market) -> Bids:
    """Sum up who asks, and where each may go now."""
    every = max(1, -(-len(market.kind) // MOST_JOBS))
    kinds, priority = market.kind[::every], market.priority[::every]
    keys = np.column_stack((kinds, priority))
    unique, at_first, at = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    gpus = np.bincount(at.ravel(), market.gpus[::every], minlength=len(unique)).astype(np.int64)
    shelf = _Shelf(market)
    places = [shelf.cells(kind) for kind in unique[:, 0].tolist()]
    return Bids(
        every * gpus,
        (gpu_value(0) + unique[:, 1]).astype(np.float64),
        market.leaf[::every][at_first],
        tuple(places),
        tuple(market.money[cells] for cells in places),
        tuple(
            shelf.cap_rows(kind)[cells]
            for kind, cells in zip(unique[:, 0].tolist(), places, strict=True)
        ),
    )


class _Shelf:
    """Cells in the order in which a planner without shadow prices takes them."""

    def __init__(self, market: Market) -> None:
        self._market = market
        parts = zip(market.lo.tolist(), market.hi.tolist(), strict=True)
        largest = [int(market.machines[lo:hi].max(initial=1)) for lo, hi in parts]
        self._largest = np.array(largest, np.int64)
        self._orders: dict[int, Ints] = {}

    def cells(self, kind: int) -> Ints:
        """Cells where a kind fits now, best first."""
        market, order = self._market, self._order(int(self._market.each[kind]))
        free = (market.room.is_open == 1) & (market.room.free >= market.gang[kind])
        return np.asarray(order[((market.codes[market.mask[kind]] == 0) & free)[order]])

    def cap_rows(self, kind: int) -> Ints:
        """Per cell: the caps that the kind's pool has there."""
        size, base = len(self._market.money), int(self._market.caps[kind])
        return np.asarray(self._market.cap_rows[base : base + size * 3].reshape(size, 3))

    def _order(self, each: int) -> Ints:
        if each not in self._orders:
            price = self._market.money
            waste = (self._largest % max(1, each)) / self._largest
            self._orders[each] = np.lexsort((price, waste, np.round(price / QUANTUM)))
        return self._orders[each]


def _same(one: object, other: object) -> bool:
    if isinstance(one, Opening) and isinstance(other, Opening):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return one == other
