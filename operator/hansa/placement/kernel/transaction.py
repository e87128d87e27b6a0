# mypy: disable-error-code="no-any-return"
"""Gangs that leave their cells and enter others, step by step, and every step taken back.

The one undo there is: what is tried, in an exchange or for a preemption, is tried as steps of a
transaction, and ``rollback`` to a mark takes them back, the last one first.

Part of the kernel: see ``loop`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.packing import pods_of, shift
from hansa.placement.kernel.quota import (
    charge_caps,
    charge_quota,
    charge_use,
    nominal_used,
    refund_quota,
)
from hansa.placement.kernel.tables import (
    CHARGED,
    ENTERED,
    NOBODY,
    REFUNDED,
    Mark,
    Span,
    State,
    Transaction,
)


def admit(tx: Transaction, job: int, kind: int, workers: int, gpus: int) -> int:
    """Take in a gang that stands nowhere yet; returns its number."""
    tx.job.append(job)
    tx.kind.append(kind)
    tx.cell.append(NOBODY)
    tx.workers.append(workers)
    tx.gpus.append(gpus)
    tx.begin.append(len(tx.log))
    tx.end.append(len(tx.log))
    tx.below.append(NOBODY)
    return len(tx.job) - 1


def forget(tx: Transaction) -> None:
    """Leave out the gang admitted last, which stands nowhere."""
    tx.job.pop()
    tx.kind.pop()
    tx.cell.pop()
    tx.workers.pop()
    tx.gpus.pop()
    tx.begin.pop()
    tx.end.pop()
    tx.below.pop()


def mark_of(tx: Transaction) -> Mark:
    """Where the transaction stands now."""
    return Mark(len(tx.step_gang), len(tx.log))


def note(tx: Transaction, gang: int, what: int) -> None:
    """Remember a step: the cell that the gang is about to leave, or what else is done."""
    tx.step_gang.append(gang)
    tx.step_from.append(what)
    tx.step_begin.append(tx.begin[gang])
    tx.step_end.append(tx.end[gang])
    tx.step_cost.append(0)


def leave(state: State, tx: Transaction, gang: int) -> None:
    """Take a gang out of its cell."""
    note(tx, gang, tx.cell[gang])
    lift(state, tx, gang)


def come_back(state: State, tx: Transaction, gang: int, cell: int) -> None:
    """Put a gang that left a cell back on the machines it had there."""
    note(tx, gang, ENTERED)
    tx.cell[gang] = cell
    put(state, tx, gang)


def stand(state: State, tx: Transaction, gang: int, cell: int, begin: int) -> None:
    """Note that a gang has taken the room which the log tells of from ``begin`` on."""
    tx.begin[gang] = begin
    tx.end[gang] = len(tx.log)
    tx.cell[gang] = cell
    note(tx, gang, ENTERED)
    link(state, tx, gang)


def charge(state: State, tx: Transaction, gang: int, sign: int) -> int:
    """Count a gang, or with sign -1 no longer, as placed and as its institution's use.

    Returns:
        GPUs that come under (or leave) the nominal share.
    """
    note(tx, gang, CHARGED if sign > 0 else REFUNDED)
    return count(state, tx, gang, sign)


def rollback(state: State, tx: Transaction, mark: Mark) -> None:
    """Take back every step since a mark, the last one first."""
    while len(tx.step_gang) > mark.steps:
        gang, cell = tx.step_gang.pop(), tx.step_from.pop()
        begin, end = tx.step_begin.pop(), tx.step_end.pop()
        tx.step_cost.pop()
        if cell == CHARGED:
            count(state, tx, gang, -1)
        elif cell == REFUNDED:
            count(state, tx, gang, 1)
        elif cell == ENTERED:
            lift(state, tx, gang)
        else:
            tx.cell[gang], tx.begin[gang], tx.end[gang] = cell, begin, end
            put(state, tx, gang)
    while len(tx.log) > mark.log:
        tx.log.pop()


def commit(tx: Transaction) -> None:
    """Keep every step."""
    tx.step_gang.clear()
    tx.step_from.clear()
    tx.step_begin.clear()
    tx.step_end.clear()
    tx.step_cost.clear()


def lift(state: State, tx: Transaction, gang: int) -> None:
    """A gang's room in its cell is free."""
    kinds, kind, cell = state.kinds, tx.kind[gang], tx.cell[gang]
    unlink(state, tx, gang)
    gpus = tx.gpus[gang]
    span = Span(tx.begin[gang], tx.end[gang])
    shift(state.supply, pods_of(kinds, kind), tx.log, span, -1)
    state.supply.cell_free[cell] += gpus
    charge_caps(state.caps, kinds, kind, cell, -gpus)
    tx.cell[gang] = NOBODY


def put(state: State, tx: Transaction, gang: int) -> None:
    """The reverse of ``lift``, on the same machines."""
    kinds, kind, cell = state.kinds, tx.kind[gang], tx.cell[gang]
    gpus = tx.gpus[gang]
    span = Span(tx.begin[gang], tx.end[gang])
    shift(state.supply, pods_of(kinds, kind), tx.log, span, 1)
    state.supply.cell_free[cell] -= gpus
    charge_caps(state.caps, kinds, kind, cell, gpus)
    link(state, tx, gang)


def link(state: State, tx: Transaction, gang: int) -> None:
    """Put a gang on top of its cell's list."""
    first, cell = state.exchange.first, tx.cell[gang]
    tx.below[gang] = first[cell]
    first[cell] = gang


def unlink(state: State, tx: Transaction, gang: int) -> None:
    """Take a gang off its cell's list."""
    first, cell = state.exchange.first, tx.cell[gang]
    at = first[cell]
    if at == gang:
        first[cell] = tx.below[gang]
        return
    while tx.below[at] != gang:
        at = tx.below[at]
    tx.below[at] = tx.below[gang]


def count(state: State, tx: Transaction, gang: int, sign: int) -> int:
    """``charge``, but nothing is remembered."""
    kinds, accounts, job, kind = state.kinds, state.accounts, tx.job[gang], tx.kind[gang]
    leaf, workers, gpus = state.jobs.leaf[job], tx.workers[gang], tx.gpus[gang]
    before = nominal_used(accounts, leaf, 0)
    if sign > 0:
        charge_quota(accounts, leaf, gpus)
    else:
        refund_quota(accounts, leaf, gpus)
    heads = kinds.heads[kind]
    cpu = workers * kinds.cpu[kind] + heads * kinds.head_cpu[kind]
    memory = workers * (kinds.memory[kind] >> 20) + heads * (kinds.head_memory[kind] >> 20)
    charge_use(accounts, leaf, sign * gpus, sign * cpu, sign * memory)
    state.jobs.done[job] = 1 if sign > 0 else 0
    return nominal_used(accounts, leaf, 0) - before


def lay_out(state: State, tx: Transaction, begun: int) -> None:
    """Begin a pass: every candidate counts again, and gangs from ``begun`` on may move."""
    kinds, exchange = state.kinds, state.exchange
    for mask in range(len(kinds.next)):
        kinds.next[mask] = exchange.lo[mask]
    for cell in range(len(exchange.first)):
        exchange.first[cell] = NOBODY
    for gang in range(begun, len(tx.job)):
        link(state, tx, gang)


def close_up(tx: Transaction) -> None:
    """Leave out what gave way, and put the log in the order of the gangs again."""
    log = [0 for _ in range(0)]
    kept = 0
    for gang in range(len(tx.job)):
        if tx.cell[gang] != NOBODY:
            begin = len(log)
            log.extend([tx.log[at] for at in range(tx.begin[gang], tx.end[gang])])
            tx.job[kept], tx.kind[kept], tx.cell[kept] = tx.job[gang], tx.kind[gang], tx.cell[gang]
            tx.workers[kept], tx.gpus[kept] = tx.workers[gang], tx.gpus[gang]
            tx.begin[kept], tx.end[kept] = begin, len(log)
            kept += 1
    while len(tx.job) > kept:
        forget(tx)
    tx.log.clear()
    tx.log.extend(log)
