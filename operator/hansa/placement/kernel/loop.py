# mypy: disable-error-code="no-any-return"
# ruff: noqa: PLR0913, PLR0917, FBT001  # numba compiles plain positional columns only
"""The inner loop: who is next, and the first site that can take the whole gang.

Written in the part of Python that numba compiles, on flat columns of integers, so that the same
text runs interpreted (on lists) and compiled (on arrays, ``compiled``) with the same result to
the byte. It sees no names and no rules: legality is already in the candidate lists, and what is not
there cannot be chosen. Capacity, quota and caps only shrink during a run, so a cell that failed a
kind of gang once is never looked at again for it.
"""

from __future__ import annotations

import numpy as np

from hansa.placement.kernel.exchange import make_way
from hansa.placement.kernel.fit import try_cell
from hansa.placement.kernel.packing import take_workers
from hansa.placement.kernel.placed_parts import close_up, enter, lay_out
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
    NOBODY,
    RANK_BITS,
    WHY_CAPACITY,
    WHY_QUOTA,
    WHY_RESERVED,
    Accounts,
    Board,
    Caps,
    Column,
    Jobs,
    Kinds,
    Moves,
    Outcome,
    Records,
    Supply,
    Turn,
)

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


def place_part(
    supply: Supply,
    kinds: Kinds,
    caps: Caps,
    records: Records,
    kind: int,
    turn: Turn,
    stop: int,
) -> bool:
    """Walk the candidates of a job up to ``stop`` and put it into the first that takes it.

    A cell held back for others may still take a shorter job of the kind: the walk of the next one
    begins there.
    """
    mask, need = kinds.mask[kind], kinds.workers[kind] * kinds.gpus[kind]
    candidates, free = kinds.candidates, supply.cell_free
    at = kinds.next[mask]
    held_back = -1
    while at < stop:
        cell = candidates[at]
        if free[cell] < need:
            # As ``try_cell`` says; most candidates are full, and calls are dear in both kernels.
            kinds.seen[mask] |= WHY_CAPACITY
            at = next_with_room(candidates, free, at + 1, stop, need)
            continue
        why = try_cell(supply, kinds, caps, kind, cell, turn, records.log)
        if why == 0:
            records.parts.append(turn.job)
            records.parts.append(kind)
            records.parts.append(cell)
            records.parts.append(kinds.workers[kind])
            records.parts.append(len(records.log))
            kinds.next[mask] = at if held_back < 0 else held_back
            return True
        kinds.seen[mask] |= why
        if why == WHY_RESERVED and held_back < 0:
            held_back = at
        at += 1
    kinds.next[mask] = at if held_back < 0 else held_back
    return False


def place_job(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    job: int,
    leaf: int,
    mode: int,
) -> bool:
    """Place a job whole, or not at all; books quota and use."""
    kind = jobs.kind[job]
    mask, workers = kinds.mask[kind], kinds.workers[kind]
    if kinds.next[mask] >= kinds.end[kind]:
        kinds.why[kind] |= kinds.seen[mask]
        return False
    gpus = workers * kinds.gpus[kind]
    cpu = workers * kinds.cpu[kind] + kinds.head_cpu[kind]
    memory = workers * (kinds.memory[kind] >> 20) + (kinds.head_memory[kind] >> 20)
    if gpus > 0 and not quota_allows(accounts, leaf, gpus):
        kinds.why[kind] |= WHY_QUOTA
        return False
    tier = tier_of(accounts, leaf, gpus)
    turn = Turn(job, tier << RANK_BITS | jobs.rank[job], jobs.runtime[job])
    log_start = len(records.log)
    stop = kinds.good[kind] if mode == GOOD else kinds.end[kind]
    if not place_part(supply, kinds, caps, records, kind, turn, stop) and not (
        mode == MOVING
        and make_way(supply, kinds, jobs, accounts, caps, records, moves, board, kind, turn)
    ):
        kinds.why[kind] |= kinds.seen[mask]
        return False
    if mode == MOVING:
        enter(records, board, log_start)
    charge_quota(accounts, leaf, gpus)
    charge_use(accounts, leaf, gpus, cpu, memory)
    jobs.done[job] = 1
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


def run_pass(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    heads: Column,
    is_below_only: bool,
    mode: int,
) -> None:
    """Serve the queues by share until nothing more fits (or only borrowers are left)."""
    for queue in range(len(jobs.queue_lo)):
        heads[queue] = skip_hopeless(kinds, jobs, queue, jobs.queue_lo[queue], mode)
    build_heaps(accounts, jobs, heads)
    while accounts.heap_n[0] > 0:
        if is_below_only and accounts.heap_key[accounts.heap_lo[0]] >> RANK_BITS > 0:
            return
        leaf = 0
        while accounts.queue[leaf] < 0:
            leaf = accounts.heap_item[accounts.heap_lo[leaf]]
        queue = accounts.queue[leaf]
        job = jobs.order[heads[queue]]
        place_job(supply, kinds, jobs, accounts, caps, records, moves, board, job, leaf, mode)
        heads[queue] = skip_hopeless(kinds, jobs, queue, heads[queue] + 1, mode)
        rekey(accounts, jobs, heads, leaf)


def grow(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    growth: Column,
) -> None:
    """Give elastic gangs placed just now more workers from what nobody else could use."""
    for at in range(0, len(records.parts), 5):
        job, kind, cell = records.parts[at], records.parts[at + 1], records.parts[at + 2]
        gpus, leaf = kinds.gpus[kind], jobs.leaf[job]
        more = kinds.extra[kind]
        if more == 0 or supply.reserved_key[cell] != HUGE:
            continue
        if gpus > 0:
            room = min(supply.cell_free[cell], cap_room(caps, kinds, kind, cell))
            more = min(more, max(0, room) // gpus)
        while more > 0 and not quota_allows(accounts, leaf, more * gpus):
            more -= 1
        start = len(records.log)
        more = take_workers(supply, cell, kinds, kind, more, records.log)
        charge_caps(caps, kinds, kind, cell, more * gpus)
        charge_quota(accounts, leaf, more * gpus)
        memory = more * (kinds.memory[kind] >> 20)
        charge_use(accounts, leaf, more * gpus, more * kinds.cpu[kind], memory)
        records.parts[at + 3] += more
        for entry in range(start, len(records.log), 2):
            growth.append(at // 5)
            growth.append(records.log[entry])
            growth.append(records.log[entry + 1])


def run(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    moves: Moves,
    heads: Column,
    is_priced: bool,
) -> tuple[Outcome, Outcome, Outcome]:
    """Plan everything that waits: first the institutions below their nominal share, then all.

    With shadow prices each of the two first takes what is worth its price, then fills up. In the
    end what the same pass has placed may move, until that helps nobody any more.

    Returns:
        ``Records.parts``, ``Records.log``, and triples part, machine, workers of elastic growth.
    """
    parts = [0 for _ in range(0)]
    log = [0 for _ in range(0)]
    growth = [0 for _ in range(0)]
    records = Records(parts, log)
    board = Board([NOBODY for _ in supply.cell_free], [0 for _ in range(0)], [0 for _ in range(0)])
    for is_below_only in (True, False):
        begun, made, is_more = len(parts), 0, True
        mode = GOOD if is_priced else FILLING
        while is_more:
            if mode == MOVING:
                made = moves.made[0]
                lay_out(kinds, records, moves, board, begun)
            run_pass(
                supply,
                kinds,
                jobs,
                accounts,
                caps,
                records,
                moves,
                board,
                heads,
                is_below_only,
                mode,
            )
            if mode == MOVING:
                close_up(records, board)
                is_more = moves.made[0] > made
            elif mode == FILLING and moves.left[0] <= 0:
                is_more = False
            else:
                mode += 1
    end = len(log)
    grow(supply, kinds, jobs, accounts, caps, records, growth)
    return (
        np.array(parts, dtype=np.int64),
        np.array(log[:end], dtype=np.int64),
        np.array(growth, dtype=np.int64),
    )
