"""Sites that run more than they have, as one does that shrinks: they take nothing new for a while.

Whoever has lost its machine is remembered, and gets one as soon as others end. Until all have one,
the machines of the site look full, also to work without GPUs: what the member does with pods that
have no machine is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hansa.model.snapshot import Shape
from hansa.placement.kernel import packing
from hansa.placement.kernel.tables import HUGE, Supply
from hansa.placement.state.kernel_input import one_kind

if TYPE_CHECKING:
    from hansa.placement.state.league import Held, League

FULL = HUGE >> 1
"""Taken from the CPU of every machine of such a site, so that nothing fits there."""


def seat(league: League, held: Held) -> None:
    """Take machines for a holding that is new in the books, as far as its site has them."""
    shape = league.kinds.kinds[held.kind].shape
    league.supply.cell_free[held.cell] -= held.holding.workers * shape.gpus
    name = held.holding.site
    if name in league.overfull:
        settle(league, name)
        return
    missing = _sit(league.supply, held, shape)
    if missing:
        league.overfull[name] = missing
        _look_full(league, name, 1)


def settle(league: League, name: str) -> None:
    """Give room that was freed at an overfull site to those who run there without a machine."""
    _look_full(league, name, -1)
    kinds, missing = league.kinds.kinds, 0
    for cell in league.fleet.cells_of_site[league.fleet.site_index[name]]:
        for _, held in league.by_cell.get(cell, ()):
            missing += _sit(league.supply, held, kinds[held.kind].shape)
    del league.overfull[name]
    if missing:
        league.overfull[name] = missing
        _look_full(league, name, 1)


def _sit(supply: Supply, held: Held, shape: Shape) -> int:
    """Find machines for the workers, and for the head, that have none; returns who is left."""
    columns = one_kind(shape)
    lacking = held.holding.workers - sum(held.log[1::2])
    supply.cell_free[held.cell] += lacking * shape.gpus
    worker, head = packing.worker_of(columns, 0), packing.head_of(columns, 0)
    left = lacking - packing.take_workers(supply, worker, held.cell, lacking, held.log)
    supply.cell_free[held.cell] -= left * shape.gpus
    if 0 in held.log[1::2]:
        return left
    lo, hi = supply.site_lo[held.cell], supply.site_hi[held.cell]
    machine = packing.tightest(supply, lo, hi, head)
    if machine < 0:
        return left + 1
    packing.occupy(supply, machine, 1, head)
    held.log += (machine, 0)
    return left


def _look_full(league: League, name: str, sign: int) -> None:
    cell = league.fleet.cells_of_site[league.fleet.site_index[name]].start
    lo, hi = league.fleet.site_lo[cell], league.fleet.site_hi[cell]
    league.supply.machine_cpu[lo:hi] -= sign * FULL
