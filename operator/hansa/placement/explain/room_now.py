"""Which cells would take a gang of a kind this very moment, and what stands in the way at the others.

The same answer as the kernel's (``fit.try_cell``), found for all cells at once and without taking
anything: for telling, never for deciding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hansa.placement.kernel import packing, quota
from hansa.placement.kernel.tables import HUGE, WHY_CAP, WHY_CAPACITY, WHY_RESERVED
from hansa.placement.rules.eligibility import MOST_WORKERS, JobClass
from hansa.placement.rules.fleet import Ints, range_sums
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.league import League

Flags = npt.NDArray[np.bool_]


def obstacles(league: League, number: int) -> dict[int, int]:
    """Per cell that may take a kind and takes work: 0 where it has room now, else a bit WHY_*.

    ``WHY_RESERVED``: for work that outlasts the time until which the cell is held for other work.
    """
    supply, kind = league.supply, league.kinds.kinds[number]
    usable = np.flatnonzero((league.kinds.codes_of(number) == 0) & (supply.cell_open == 1))
    found = dict.fromkeys(usable.tolist(), WHY_CAPACITY)
    ample = usable[supply.cell_free[usable] >= kind.gpus]
    is_plain = kind.pool not in league.caps.limits and bool((supply.reserved_key == HUGE).all())
    for cell in _roomy(league, kind, ample):
        found[cell] = 0 if is_plain else _held_back(league, kind, cell)
    return found


def _held_back(league: League, kind: JobClass, cell: int) -> int:
    """What keeps the gang out of a cell that has room for it."""
    supply, columns = league.supply, one_kind(kind.shape, league.caps.base[kind.pool])
    if kind.gpus and quota.cap_room(league.caps.counters, columns, 0, cell) < kind.gpus:
        return WHY_CAP
    is_reserved = supply.reserved_key[cell] != HUGE and supply.reserved_spare[cell] < kind.gpus
    return WHY_RESERVED if is_reserved else 0


def _roomy(league: League, kind: JobClass, cells: Ints) -> list[int]:
    """Those of some cells whose machines take all workers and all heads."""
    if not len(cells):
        return []
    supply, pods = league.supply, _pods(league, kind)
    lo, hi = supply.cell_lo[cells], supply.cell_hi[cells]
    has_slots = range_sums(pods, lo, hi) >= kind.workers
    cells, lo, hi = cells[has_slots], lo[has_slots], hi[has_slots]
    beside = _takes_head(league, kind, np.zeros_like(pods))
    among = _takes_head(league, kind, np.minimum(pods, kind.workers))
    site_lo, site_hi = supply.site_lo[cells], supply.site_hi[cells]
    heads = (
        range_sums(among, lo, hi)
        + range_sums(beside, site_lo, site_hi)
        - range_sums(beside, lo, hi)
    )
    # Heads that have no place beside the fullest packing may have one beside the real one.
    columns = one_kind(kind.shape)
    return [
        cell
        for cell, is_sure in zip(cells.tolist(), (heads >= kind.shape.heads).tolist(), strict=True)
        if is_sure or packing.would_take(supply, columns, 0, cell)
    ]


def _pods(league: League, kind: JobClass) -> Ints:
    """Per machine, the workers of a kind that it takes now."""
    supply, shape = league.supply, kind.shape
    pods = np.full(len(supply.machine_gpus), MOST_WORKERS, np.int64)
    for free, need in (
        (supply.machine_gpus, shape.gpus),
        (supply.machine_cpu, shape.cpu_millis),
        (supply.machine_memory, shape.memory_bytes),
    ):
        if need > 0:
            pods = np.minimum(pods, np.maximum(free, 0) // need)
    return pods


def _takes_head(league: League, kind: JobClass, workers: Ints) -> Ints:
    """Per machine, 1 where the head fits beside so many workers."""
    supply, shape = league.supply, kind.shape
    cpu = supply.machine_cpu - workers * shape.cpu_millis
    memory = supply.machine_memory - workers * shape.memory_bytes
    return np.asarray(
        (cpu >= shape.head_cpu_millis) & (memory >= shape.head_memory_bytes), np.int64
    )
