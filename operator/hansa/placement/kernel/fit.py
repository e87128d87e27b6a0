# mypy: disable-error-code="no-any-return"
"""Whether a cell takes a gang: its machines, the caps that cover it, and what is reserved there.

Part of the kernel: see ``loop`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.packing import take_gang
from hansa.placement.kernel.quota import cap_room, charge_caps
from hansa.placement.kernel.tables import (
    RANK_BITS,
    WHY_CAP,
    WHY_CAPACITY,
    WHY_RESERVED,
    Column,
    State,
    Supply,
    Turn,
)


def outlives(supply: Supply, cell: int, turn: Turn) -> bool:
    """Whether work would run into a reservation for other work ahead of it (EASY backfill)."""
    if supply.reserved_key[cell] >= turn.key:
        return False
    borrows = turn.key >> RANK_BITS > 0
    is_closed = borrows and supply.reserved_closed[cell] == 1
    return is_closed or turn.runtime > supply.reserved_until[cell]


def try_cell(state: State, log: Column, kind: int, cell: int, turn: Turn) -> int:
    """Put the kind's gang into a cell: 0, or the WHY_* bit of what forbids it."""
    supply, kinds = state.supply, state.kinds
    if supply.cell_open[cell] == 0:
        return WHY_CAPACITY
    need = kinds.workers[kind] * kinds.gpus[kind]
    if supply.cell_free[cell] < need:
        return WHY_CAPACITY
    if need > 0 and cap_room(state.caps, kinds, kind, cell) < need:
        return WHY_CAP
    is_long = outlives(supply, cell, turn)
    if is_long and supply.reserved_spare[cell] < need:
        return WHY_RESERVED
    if not take_gang(supply, kinds, kind, cell, log):
        return WHY_CAPACITY
    charge_caps(state.caps, kinds, kind, cell, need)
    if is_long:
        supply.reserved_spare[cell] -= need
    return 0
