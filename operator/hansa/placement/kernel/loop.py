# mypy: disable-error-code="no-any-return"
# ruff: noqa: FBT001  # numba compiles positional arguments only
"""The inner loop: who is next, and the first site that can take the whole gang.

Written in the part of Python that numba compiles, on flat columns of integers, so that the same
text runs interpreted (on lists) and compiled (on arrays, ``compiled``) with the same result to
the byte. It sees no names and no rules: legality is already in the candidate lists, and what is not
there cannot be chosen. Capacity, quota and caps only shrink during a run, so a cell that failed a
kind of gang once is never looked at again for it.
"""

from __future__ import annotations

from hansa.placement.kernel.exchange import make_way
from hansa.placement.kernel.fit import try_cell
from hansa.placement.kernel.packing import take_pods, worker_of
from hansa.placement.kernel.quota import (
    build_heaps,
    cap_room,
    charge_caps,
    charge_quota,
    charge_use,
    quota_allows,
    rekey,
    tier_of,
)
from hansa.placement.kernel.tables import (
    HUGE,
    RANK_BITS,
    WHY_CAPACITY,
    WHY_QUOTA,
    WHY_RESERVED,
    Column,
    Jobs,
    Kinds,
    State,
    Transaction,
    Turn,
)
from hansa.placement.kernel.transaction import admit, close_up, lay_out, link

GOOD = 0
"""Modes of a pass: only what is worth its price, what fits, or what fits if others move."""
FILLING = 1
MOVING = 2


def next_with_room(candidates: Column, free: Column, begin: int, stop: int, need: int) -> int:
    """Where from ``begin`` on the first candidate stands that has as many GPUs free; or ``stop``."""
    at = begin
    while at < stop and free[candidates[at]] < need:
        at += 1
    return at


def find_cell(state: State, tx: Transaction, kind: int, turn: Turn, stop: int) -> int:
    """Walk the candidates of a job up to ``stop`` and put it into the first that takes it, or -1.

    A cell held back for others may still take a shorter job of the kind: the walk of the next one
    begins there.
    """
    kinds, free = state.kinds, state.supply.cell_free
    mask, need = kinds.mask[kind], kinds.workers[kind] * kinds.gpus[kind]
    candidates, at = kinds.candidates, kinds.next[mask]
    held_back, found = -1, -1
    while at < stop:
        cell = candidates[at]
        if free[cell] < need:
            # As ``try_cell`` says; most candidates are full, and calls are dear in both kernels.
            kinds.seen[mask] |= WHY_CAPACITY
            at = next_with_room(candidates, free, at + 1, stop, need)
            continue
        why = try_cell(state, tx.log, kind, cell, turn)
        if why == 0:
            found = cell
            break
        kinds.seen[mask] |= why
        if why == WHY_RESERVED and held_back < 0:
            held_back = at
        at += 1
    kinds.next[mask] = at if held_back < 0 else held_back
    return found


def place_job(state: State, tx: Transaction, job: int, leaf: int, mode: int) -> bool:
    """Place a job whole, or not at all; books quota and use."""
    kinds, accounts, kind = state.kinds, state.accounts, state.jobs.kind[job]
    mask, workers = kinds.mask[kind], kinds.workers[kind]
    if kinds.next[mask] >= kinds.end[kind]:
        kinds.why[kind] |= kinds.seen[mask]
        return False
    gpus = workers * kinds.gpus[kind]
    if gpus > 0 and not quota_allows(accounts, leaf, gpus):
        kinds.why[kind] |= WHY_QUOTA
        return False
    tier = tier_of(accounts, leaf, gpus)
    turn = Turn(job, tier << RANK_BITS | state.jobs.rank[job], state.jobs.runtime[job])
    begin = len(tx.log)
    cell = find_cell(state, tx, kind, turn, kinds.good[kind] if mode == GOOD else kinds.end[kind])
    if cell >= 0:
        gang = admit(tx, job, kind, workers, gpus)
        tx.cell[gang], tx.begin[gang] = cell, begin
        if mode == MOVING:
            link(state, tx, gang)
    elif mode != MOVING or not make_way(state, tx, kind, turn):
        kinds.why[kind] |= kinds.seen[mask]
        return False
    heads = kinds.heads[kind]
    cpu = workers * kinds.cpu[kind] + heads * kinds.head_cpu[kind]
    memory = workers * (kinds.memory[kind] >> 20) + heads * (kinds.head_memory[kind] >> 20)
    charge_quota(accounts, leaf, gpus)
    charge_use(accounts, leaf, gpus, cpu, memory)
    state.jobs.done[job] = 1
    return True


def skip_hopeless(kinds: Kinds, jobs: Jobs, queue: int, at: int, mode: int) -> int:
    """The next job of a queue that is waiting and whose kind has candidates left."""
    order, done, kind_of, end = jobs.order, jobs.done, jobs.kind, jobs.queue_hi[queue]
    following, mask, why = kinds.next, kinds.mask, kinds.why
    stop = kinds.good if mode == GOOD else kinds.end
    while at < end:
        job = order[at]
        if done[job] == 0:
            kind = kind_of[job]
            if following[mask[kind]] < stop[kind] and why[kind] & WHY_QUOTA == 0:
                return at
        at += 1
    return at


def run_pass(state: State, tx: Transaction, is_below_only: bool, mode: int) -> None:
    """Serve the queues by share until nothing more fits (or only borrowers are left)."""
    kinds, jobs, accounts = state.kinds, state.jobs, state.accounts
    for queue in range(len(jobs.queue_lo)):
        jobs.queue_at[queue] = skip_hopeless(kinds, jobs, queue, jobs.queue_lo[queue], mode)
    build_heaps(accounts, jobs)
    while accounts.heap_n[0] > 0:
        if is_below_only and accounts.heap_key[accounts.heap_lo[0]] >> RANK_BITS > 0:
            return
        leaf = 0
        while accounts.queue[leaf] < 0:
            leaf = accounts.heap_item[accounts.heap_lo[leaf]]
        queue = accounts.queue[leaf]
        place_job(state, tx, jobs.order[jobs.queue_at[queue]], leaf, mode)
        jobs.queue_at[queue] = skip_hopeless(kinds, jobs, queue, jobs.queue_at[queue] + 1, mode)
        rekey(accounts, jobs, leaf)


def grow(state: State, tx: Transaction, growth: Column) -> None:
    """Give elastic gangs placed just now more workers from what nobody else could use."""
    supply, kinds, accounts, caps = state.supply, state.kinds, state.accounts, state.caps
    for gang in range(len(tx.job)):
        kind, cell, leaf = tx.kind[gang], tx.cell[gang], state.jobs.leaf[tx.job[gang]]
        gpus, more = kinds.gpus[kind], kinds.extra[kind]
        if more == 0 or supply.reserved_key[cell] != HUGE:
            continue
        if gpus > 0:
            room = min(supply.cell_free[cell], cap_room(caps, kinds, kind, cell))
            more = min(more, max(0, room) // gpus)
        while more > 0 and not quota_allows(accounts, leaf, more * gpus):
            more -= 1
        pairs = [0 for _ in range(0)]
        more = take_pods(supply, worker_of(kinds, kind), cell, more, pairs)
        charge_caps(caps, kinds, kind, cell, more * gpus)
        charge_quota(accounts, leaf, more * gpus)
        memory = more * (kinds.memory[kind] >> 20)
        charge_use(accounts, leaf, more * gpus, more * kinds.cpu[kind], memory)
        tx.workers[gang] += more
        for at in range(0, len(pairs), 2):
            growth.append(gang)
            growth.append(pairs[at])
            growth.append(pairs[at + 1])


def run(state: State, tx: Transaction, growth: Column, is_priced: bool) -> None:
    """Plan everything that waits: first the institutions below their nominal share, then all.

    With shadow prices each of the two first takes what is worth its price, then fills up. In the
    end what the same pass has placed may move, until that helps nobody any more.

    ``growth``: is given triples gang, machine, workers that elastic gangs get on top.
    """
    exchange = state.exchange
    for is_below_only in (True, False):
        begun, made, is_more = len(tx.job), 0, True
        mode = GOOD if is_priced else FILLING
        while is_more:
            if mode == MOVING:
                made = exchange.made[0]
                lay_out(state, tx, begun)
            run_pass(state, tx, is_below_only, mode)
            if mode == MOVING:
                close_up(tx)
                is_more = exchange.made[0] > made
            elif mode == FILLING and exchange.left[0] <= 0:
                is_more = False
            else:
                mode += 1
    grow(state, tx, growth)
