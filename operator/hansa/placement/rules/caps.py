"""Concentration caps: the most of a pool's capacity that its work may hold at one party.

A cap counts against *capacity*, not against what is placed now: a cap on placed share would never
let the first job start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hansa.model.plan import Notice
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool
from hansa.placement.kernel.tables import HUGE, Caps
from hansa.placement.rules.fleet import Fleet, Ints
from hansa.placement.rules.membership import is_member
from hansa.placement.rules.quota_tree import POOL_KIND, Totals

DIMENSIONS = ("Operator", "Vendor", "Jurisdiction")
CapName = tuple[str, str, str]
"""(pool, dimension, value)."""


@dataclass(frozen=True, slots=True)
class CapTable:
    """All caps of all pools, and their residual counters."""

    counters: Caps
    names: tuple[CapName, ...]
    limits: Mapping[str, Ints]
    """Pool → per cell the most GPUs that its caps ever allow; pools without caps are absent."""
    base: Mapping[str, int]
    """Pool → ``cap_base`` of its kinds."""
    notices: tuple[Notice, ...]

    def charged(self, counters: Caps) -> CapTable:
        """The same caps with other counts."""
        return CapTable(counters, self.names, self.limits, self.base, self.notices)


def cells_of(pool: Pool, fleet: Fleet) -> list[int]:
    """Cells with GPUs that belong to a pool."""
    chosen = [is_member(site, pool) for site in fleet.sites]
    return [
        at
        for at, cell in enumerate(fleet.cells)
        if cell.has_gpus and chosen[cell.site] and pool.admits(cell.gpu_class)
    ]


def _covered(pool: Pool, fleet: Fleet, dimension: str) -> list[int]:
    """Cells whose work counts: also those that have lost the GPUs that work there still holds."""
    return [
        at
        for at, cell in enumerate(fleet.cells)
        if is_member(fleet.sites[cell.site], pool) and (cell.has_gpus or dimension != "Vendor")
    ]


def totals(pool: Pool, fleet: Fleet) -> Totals:
    """What the pool's sites have together."""
    wholes = [
        fleet.cells[fleet.cells_of_site[at].start]
        for at, site in enumerate(fleet.sites)
        if is_member(site, pool)
    ]
    return Totals(
        gpus=sum(fleet.cells[at].lent for at in cells_of(pool, fleet)),
        cpu_millis=sum(int(fleet.cpu[cell.lo : cell.hi].sum()) for cell in wholes),
        memory_mib=sum(int(fleet.memory[cell.lo : cell.hi].sum()) >> 20 for cell in wholes),
    )


def build_caps(pools: Iterable[Pool], fleet: Fleet) -> CapTable:
    """Number the caps of every pool and set their counters to what they allow in all."""
    names: dict[CapName, int] = {}
    left: list[int] = []
    rows: list[Ints] = []
    limits: dict[str, Ints] = {}
    base: dict[str, int] = {}
    notices: list[Notice] = []
    for pool in sorted(pools, key=lambda pool: pool.name):
        base[pool.name] = len(rows) * len(fleet.cells)
        row = np.full((len(fleet.cells), 3), -1, np.int64)
        capacity = totals(pool, fleet).gpus if pool.caps else 0
        for cap in pool.caps:
            if cap.dimension not in DIMENSIONS or cap.max_percent not in range(101):
                notices.append(
                    _odd(
                        pool,
                        f"the cap of {cap.max_percent} % on {cap.dimension} means nothing; ignored until corrected",
                    )
                )
                continue
            column = DIMENSIONS.index(cap.dimension)
            for at in _covered(pool, fleet, cap.dimension):
                name = (pool.name, cap.dimension, value_of(fleet, at, cap.dimension))
                if name not in names:
                    names[name] = len(left)
                    left.append(capacity * cap.max_percent // 100)
                number = names[name]
                left[number] = min(left[number], capacity * cap.max_percent // 100)
                row[at, column] = number
        if pool.caps:
            limits[pool.name] = _limits(row, left)
            notices += _tight(pool, capacity, names, left)
        rows.append(row)
    flat = np.concatenate(rows).reshape(-1) if rows else np.zeros(0, np.int64)
    counters = Caps(flat, np.array(left, np.int64))
    return CapTable(counters, tuple(names), limits, base, tuple(notices))


def value_of(fleet: Fleet, cell: int, dimension: str) -> str:
    """Whom a cell counts for: its operator, GPU vendor or country."""
    site = fleet.sites[fleet.cells[cell].site]
    if dimension == "Operator":
        return site.operator
    return fleet.cells[cell].vendor if dimension == "Vendor" else site.jurisdiction[:2]


def _limits(row: Ints, left: list[int]) -> Ints:
    allowed = np.array([*left, HUGE], np.int64)
    return np.asarray(allowed[row].min(axis=1), np.int64)


def _tight(pool: Pool, capacity: int, names: dict[CapName, int], left: list[int]) -> list[Notice]:
    """Caps whose sum leaves capacity that no work may ever hold."""
    found = []
    for cap in pool.caps:
        usable = sum(left[n] for name, n in names.items() if name[:2] == (pool.name, cap.dimension))
        if 0 < usable < capacity or (capacity and usable == 0 and cap.dimension in DIMENSIONS):
            message = (
                f"the cap on {cap.dimension} lets work hold at most {usable} of {capacity} GPUs;"
                " raise it, or spread what is lent over more parties"
            )
            notice = _odd(pool, message, Reason.EXCEEDS_CAP)
            found.append(replace(notice, is_total=usable == 0))
    return found


def _odd(pool: Pool, message: str, reason: Reason = Reason.MISCONFIGURED) -> Notice:
    return Notice(POOL_KIND, pool.name, reason, message)
