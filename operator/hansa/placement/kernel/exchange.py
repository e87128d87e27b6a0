# mypy: disable-error-code="no-any-return"
"""Room for a gang that fits nowhere, by moving what this very plan has placed.

Part of the kernel: see ``loop`` for how it is written and why. What runs already is never moved.
A gang placed a moment ago goes to another of its lawful cells, or gives way to one that comes before
it in the order of service. An exchange adds value as a whole, or none of it happens: whoever would
have started still starts, but for those behind the one who gains.
"""

from __future__ import annotations

from hansa.placement.kernel.fit import try_cell
from hansa.placement.kernel.packing import could_leave
from hansa.placement.kernel.quota import cap_room, nominal_used
from hansa.placement.kernel.tables import (
    HUGE,
    NOBODY,
    NOMINAL,
    RANK_BITS,
    REFUNDED,
    Mark,
    State,
    Transaction,
    Turn,
)
from hansa.placement.kernel.transaction import (
    admit,
    charge,
    commit,
    forget,
    leave,
    mark_of,
    rollback,
    stand,
)

ASIDE = 0
"""Ways to leave: to a cell with room, to one where others step aside, or back to the queue."""
THROUGH = 1
WAYS = 3


def go(state: State, tx: Transaction, gang: int) -> None:
    """Take a gang out of its cell; what it paid there is saved."""
    saved = tx.gpus[gang] * state.exchange.money[tx.cell[gang]]
    leave(state, tx, gang)
    tx.step_cost[-1] = -saved


def step_aside(state: State, tx: Transaction, gang: int) -> bool:
    """Move a gang to the first other cell that has room for it."""
    supply, kinds, exchange = state.supply, state.kinds, state.exchange
    kind, old, steps, log = tx.kind[gang], tx.cell[gang], len(tx.step_gang), len(tx.log)
    mask, need, is_up = kinds.mask[kind], tx.gpus[gang], False
    is_short = has_list(state, tx, kind)
    for at in range(exchange.lo[mask], exchange.short_end[mask] if is_short else kinds.end[kind]):
        cell = exchange.short[at] if is_short else kinds.candidates[at]
        if supply.cell_free[cell] < need or supply.cell_open[cell] == 0 or cell == old:
            continue
        exchange.left[0] -= 1
        if not is_up:
            go(state, tx, gang)
            is_up = True
        # A cap keeps it out of most cells with room; ``settle`` would find that out as well, dearly.
        if (need == 0 or cap_room(state.caps, kinds, kind, cell) >= need) and settle(
            state, tx, gang, cell
        ):
            return True
    if is_up:
        rollback(state, tx, Mark(steps, log))
    return False


def has_list(state: State, tx: Transaction, kind: int) -> bool:
    """Whether it is known which candidates of a kind have room; lists them if now is the time.

    Nearly all are full, and the same kinds are asked again and again. Room only shrinks, but for
    what an exchange leaves behind, so a list holds good until one has left something. While one is
    tried, what moved has taken room that it may give back: then nothing is listed. Cells where it
    has made room are closed, but for those counted in ``loose``.
    """
    kinds, exchange, free = state.kinds, state.exchange, state.supply.cell_free
    mask = kinds.mask[kind]
    if exchange.loose[0] > 0:
        return False
    if exchange.stamp[mask] == exchange.risen[0]:
        return True
    for what in tx.step_from:
        if what < NOBODY:
            return False
    need = kinds.workers[kind] * kinds.gpus[kind]
    end = exchange.lo[mask]
    for at in range(exchange.lo[mask], kinds.end[kind]):
        cell = kinds.candidates[at]
        if free[cell] >= need:
            exchange.short[end] = cell
            end += 1
    exchange.short_end[mask] = end
    exchange.stamp[mask] = exchange.risen[0]
    return True


def settle(state: State, tx: Transaction, gang: int, cell: int) -> bool:
    """Put a gang that was lifted into another cell, if that has room."""
    job, need, begin = tx.job[gang], tx.gpus[gang], len(tx.log)
    if state.supply.cell_free[cell] < need or state.supply.reserved_key[cell] != HUGE:
        return False
    turn = Turn(job, HUGE, state.jobs.runtime[job])
    if try_cell(state, tx.log, tx.kind[gang], cell, turn) != 0:
        return False
    stand(state, tx, gang, cell, begin)
    tx.step_cost[-1] = need * state.exchange.money[cell]
    return True


def push_through(state: State, tx: Transaction, gang: int) -> bool:
    """Move a gang to another cell, where smaller ones step aside for it."""
    supply, kinds, exchange = state.supply, state.kinds, state.exchange
    kind, old, mark = tx.kind[gang], tx.cell[gang], mark_of(tx)
    need = tx.gpus[gang]
    free, first, sizes, below = supply.cell_free, exchange.first, tx.gpus, tx.below
    go(state, tx, gang)
    for at in range(exchange.lo[kinds.mask[kind]], kinds.end[kind]):
        cell = kinds.candidates[at]
        exchange.left[0] -= 1
        if exchange.left[0] <= 0:
            break
        if cell == old or supply.cell_open[cell] == 0 or supply.reserved_key[cell] != HUGE:
            continue
        lacking = need - free[cell]
        may_fit = could_leave(sizes, below, first[cell], lacking, need + 1) >= lacking
        if may_fit and swap(state, tx, gang, cell):
            exchange.loose[0] += 1
            return True
    rollback(state, tx, mark)
    return False


def swap(state: State, tx: Transaction, gang: int, cell: int) -> bool:
    """Have smaller gangs of a cell step aside until one that was lifted fits there."""
    need, steps, log, is_moved = tx.gpus[gang], len(tx.step_gang), len(tx.log), False
    other = state.exchange.first[cell]
    while other != NOBODY:
        following = tx.below[other]
        if tx.gpus[other] <= need and step_aside(state, tx, other):
            is_moved = True
            if settle(state, tx, gang, cell):
                return True
        other = following
    if is_moved:
        rollback(state, tx, Mark(steps, log))
    return False


def give_way(state: State, tx: Transaction, gang: int, turn: Turn) -> bool:
    """Take a gang out altogether, if its job comes after the one that gains."""
    jobs, job = state.jobs, tx.job[gang]
    is_alike = turn.key >> RANK_BITS == 0 or jobs.leaf[job] == jobs.leaf[turn.job]
    if not is_alike or jobs.rank[job] <= jobs.rank[turn.job]:
        return False
    go(state, tx, gang)
    lost = NOMINAL * charge(state, tx, gang, -1)
    tx.step_cost[-1] = tx.gpus[gang] * state.exchange.worth[job] - lost
    return True


def ask(state: State, tx: Transaction, gang: int, turn: Turn, way: int) -> bool:
    """Have a gang leave its cell in one of three ways; nobody moves into the cell meanwhile."""
    cell = tx.cell[gang]
    state.supply.cell_open[cell] = 0
    if way == ASIDE:
        is_gone = step_aside(state, tx, gang)
    elif way == THROUGH:
        is_gone = push_through(state, tx, gang)
    else:
        is_gone = give_way(state, tx, gang, turn)
    state.supply.cell_open[cell] = 1
    return is_gone


def accept(state: State, tx: Transaction, kind: int) -> None:
    """Keep an exchange, and let those who gave way try again."""
    kinds, exchange = state.kinds, state.exchange
    exchange.made[0] += 1
    mask = kinds.mask[kind]
    kinds.next[mask] = exchange.lo[mask]
    for step in range(len(tx.step_gang)):
        if tx.step_from[step] == REFUNDED:
            mask = kinds.mask[tx.kind[tx.step_gang[step]]]
            kinds.next[mask] = exchange.lo[mask]
    commit(tx)


def empty(state: State, tx: Transaction, cell: int, turn: Turn) -> bool:
    """Have one gang of a cell after the other leave, until the one whose turn it is stands there."""
    kind = state.jobs.kind[turn.job]
    for way in range(WAYS):
        gang = state.exchange.first[cell]
        while gang != NOBODY:
            following = tx.below[gang]
            if ask(state, tx, gang, turn, way):
                begin = len(tx.log)
                if try_cell(state, tx.log, kind, cell, turn) == 0:
                    workers = state.kinds.workers[kind]
                    new = admit(tx, turn.job, kind, workers, workers * state.kinds.gpus[kind])
                    stand(state, tx, new, cell, begin)
                    return True
            gang = following
    return False


def clear(state: State, tx: Transaction, cell: int, turn: Turn) -> bool:
    """Empty a cell as far as a gang needs it, and put the gang there; or change nothing."""
    supply, kinds, accounts, exchange = state.supply, state.kinds, state.accounts, state.exchange
    kind, leaf = state.jobs.kind[turn.job], state.jobs.leaf[turn.job]
    need, free, mark = kinds.workers[kind] * kinds.gpus[kind], supply.cell_free[cell], mark_of(tx)
    is_in = empty(state, tx, cell, turn)
    if is_in:
        bonus = nominal_used(accounts, leaf, need) - nominal_used(accounts, leaf, 0)
        gain = need * (exchange.worth[turn.job] - exchange.money[cell]) + NOMINAL * bonus
        for cost in tx.step_cost:
            gain -= cost
        if gain > 0:
            if exchange.loose[0] > 0 or supply.cell_free[cell] > free:
                exchange.risen[0] += 1
            exchange.loose[0] = 0
            accept(state, tx, kind)
            return True
    rollback(state, tx, mark)
    if is_in:
        forget(tx)
    exchange.loose[0] = 0
    return False


def make_way(state: State, tx: Transaction, kind: int, turn: Turn) -> bool:
    """Find the first cell where others can make room for a gang."""
    supply, kinds, exchange = state.supply, state.kinds, state.exchange
    mask = kinds.mask[kind]
    need = kinds.workers[kind] * kinds.gpus[kind]
    free, first, sizes, below = supply.cell_free, exchange.first, tx.gpus, tx.below
    for at in range(exchange.lo[mask], kinds.end[kind]):
        cell = kinds.candidates[at]
        exchange.left[0] -= 1
        if exchange.left[0] <= 0:
            return False
        if supply.cell_open[cell] == 0 or supply.reserved_key[cell] != HUGE or need == 0:
            continue
        lacking = need - free[cell]
        may_fit = could_leave(sizes, below, first[cell], lacking, HUGE) >= lacking
        if may_fit and clear(state, tx, cell, turn):
            return True
    return False
