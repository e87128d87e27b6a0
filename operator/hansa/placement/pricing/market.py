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
from hansa.placement.rules.cell_order import Floats, money
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
    caps: Ints
    """Per kind: where its pool begins in ``cap_rows``."""
    codes: npt.NDArray[np.uint8]
    """Masks × cells: 0 where a mask fits. The league's own rows, which it never changes."""
    room: Opening
    money: Floats
    """Per cell."""
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
    """Waiting work with GPUs, summed up by account, priority and where it may go: the unit of demand."""

    gpus: Ints
    worth: Floats
    leaf: Ints
    place: Ints
    """Per bid: its set of cells."""
    sets: tuple[Ints, ...]
    """Cells where bids fit now."""
    cap_rows: tuple[Ints, ...]
    """Per set and cell: up to three caps; -1 for none."""


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
        caps=kinds.column("cap_base") * 3,
        codes=kinds.codes,
        room=opening(league),
        money=money(fleet),
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
    priority, leaf = market.priority[::every], market.leaf[::every]
    places = _Places(market)
    asked, at_kind = np.unique(market.kind[::every], return_inverse=True)
    place = np.array([places.number(kind) for kind in asked.tolist()], np.int64)[at_kind.ravel()]
    unique, at = np.unique(np.column_stack((leaf, priority, place)), axis=0, return_inverse=True)
    gpus = np.bincount(at.ravel(), market.gpus[::every], minlength=len(unique)).astype(np.int64)
    return Bids(
        every * gpus,
        (gpu_value(0) + unique[:, 1]).astype(np.float64),
        unique[:, 0],
        unique[:, 2],
        tuple(places.sets),
        tuple(places.cap_rows),
    )


class _Places:
    """Sets of cells, each once: most kinds share theirs with many others."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._by_rule: dict[tuple[int, int, int], int] = {}
        self._by_cells: dict[tuple[bytes, int], int] = {}
        self.sets: list[Ints] = []
        self.cap_rows: list[Ints] = []

    def number(self, kind: int) -> int:
        """Return the number of the set of cells where a kind fits now."""
        market = self._market
        rule = int(market.mask[kind]), int(market.gang[kind]), int(market.caps[kind])
        if rule not in self._by_rule:
            self._by_rule[rule] = self._set(*rule)
        return self._by_rule[rule]

    def _set(self, mask: int, gang: int, caps: int) -> int:
        market = self._market
        free = (market.room.is_open == 1) & (market.room.free >= gang)
        cells = np.flatnonzero((market.codes[mask] == 0) & free)
        key = cells.tobytes(), caps
        if key not in self._by_cells:
            self._by_cells[key] = len(self.sets)
            rows = market.cap_rows[caps : caps + len(market.money) * 3].reshape(-1, 3)
            self.sets.append(cells)
            self.cap_rows.append(rows[cells])
        return self._by_cells[key]


def _same(one: object, other: object) -> bool:
    if isinstance(one, Opening) and isinstance(other, Opening):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return one == other
