# mypy: disable-error-code="no-any-return"
# ruff: noqa: PLR0913, PLR0917, FBT001  # numba compiles plain positional columns only
"""Room for a gang that fits nowhere, by moving what this very plan has placed.

Part of the kernel: see ``kernel`` for how it is written and why. What runs already is never moved.
A gang placed a moment ago goes to another of its lawful cells, or gives way to one that comes before
it in the order of service. An exchange adds value as a whole, or none of it happens: whoever would
have started still starts, but for those behind the one who gains.

A *trail* holds five numbers a change: part, its old cell (NOBODY: it gave way), begin and end of its
old log, and what the change costs.
"""

from __future__ import annotations

from hansa.placement.kernel.fit import try_cell
from hansa.placement.kernel.packing import give_back
from hansa.placement.kernel.placed_parts import append, charge, lift, link, put
from hansa.placement.kernel.quota import cap_room, charge_caps
from hansa.placement.kernel.tables import (
    HUGE,
    NOBODY,
    NOMINAL,
    RANK_BITS,
    Accounts,
    Board,
    Caps,
    Column,
    Jobs,
    Kinds,
    Moves,
    Records,
    Supply,
    Turn,
)

ASIDE = 0
"""Ways to leave: to a cell with room, to one where others step aside, or back to the queue."""
THROUGH = 1
WAYS = 3


def step_aside(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    part: int,
    trail: Column,
) -> bool:
    """Move a part to the first other cell that has room for it."""
    kind, old = records.parts[part * 5 + 1], records.parts[part * 5 + 2]
    begin, end = board.start[part], records.parts[part * 5 + 4]
    mask, need, is_up = kinds.mask[kind], kinds.workers[kind] * kinds.gpus[kind], False
    is_short = has_list(supply, kinds, moves, kind, len(trail) == 0)
    for at in range(moves.lo[mask], moves.short_end[mask] if is_short else kinds.end[kind]):
        cell = moves.short[at] if is_short else kinds.candidates[at]
        if supply.cell_free[cell] < need or supply.cell_open[cell] == 0 or cell == old:
            continue
        moves.left[0] -= 1
        if not is_up:
            lift(supply, kinds, caps, records, board, part)
            is_up = True
        # A cap keeps it out of most cells with room; ``settle`` would find that out as well, dearly.
        if (need == 0 or cap_room(caps, kinds, kind, cell) >= need) and settle(
            supply, kinds, jobs, caps, records, moves, board, part, cell, trail
        ):
            return True
    if is_up:
        put(supply, kinds, caps, records, board, part, old, begin, end)
    return False


def has_list(supply: Supply, kinds: Kinds, moves: Moves, kind: int, may_list: bool) -> bool:
    """Whether it is known which candidates of a kind have room; lists them if now is the time.

    Nearly all are full, and the same kinds are asked again and again. Room only shrinks, but for
    what an exchange leaves behind, so a list holds good until one has left something. While one is
    tried, what moved has taken room that it may give back: then nothing is listed. Cells where it
    has made room are closed, but for those counted in ``loose``.
    """
    mask = kinds.mask[kind]
    if moves.loose[0] > 0:
        return False
    if moves.stamp[mask] == moves.risen[0]:
        return True
    if not may_list:
        return False
    need = kinds.workers[kind] * kinds.gpus[kind]
    end = moves.lo[mask]
    for at in range(moves.lo[mask], kinds.end[kind]):
        cell = kinds.candidates[at]
        if supply.cell_free[cell] >= need:
            moves.short[end] = cell
            end += 1
    moves.short_end[mask] = end
    moves.stamp[mask] = moves.risen[0]
    return True


def settle(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    part: int,
    cell: int,
    trail: Column,
) -> bool:
    """Put a part that was lifted into another cell, if that has room."""
    job, kind, old = (
        records.parts[part * 5],
        records.parts[part * 5 + 1],
        records.parts[part * 5 + 2],
    )
    need = kinds.workers[kind] * kinds.gpus[kind]
    if supply.cell_free[cell] < need or supply.reserved_key[cell] != HUGE:
        return False
    start = len(records.log)
    turn = Turn(job, HUGE, jobs.runtime[job])
    if try_cell(supply, kinds, caps, kind, cell, turn, records.log) != 0:
        return False
    trail.append(part)
    trail.append(old)
    trail.append(board.start[part])
    trail.append(records.parts[part * 5 + 4])
    trail.append(need * (moves.money[cell] - moves.money[old]))
    records.parts[part * 5 + 2] = cell
    records.parts[part * 5 + 4] = len(records.log)
    board.start[part] = start
    link(records, board, part)
    return True


def push_through(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    part: int,
    trail: Column,
) -> bool:
    """Move a part to another cell, where smaller ones step aside for it."""
    kind, old = records.parts[part * 5 + 1], records.parts[part * 5 + 2]
    begin, end = board.start[part], records.parts[part * 5 + 4]
    need = kinds.workers[kind] * kinds.gpus[kind]
    lift(supply, kinds, caps, records, board, part)
    for at in range(moves.lo[kinds.mask[kind]], kinds.end[kind]):
        cell = kinds.candidates[at]
        moves.left[0] -= 1
        if moves.left[0] <= 0:
            break
        if (
            cell == old
            or supply.cell_open[cell] == 0
            or supply.reserved_key[cell] != HUGE
            or not may_have(supply, kinds, records, board, cell, need, need + 1)
        ):
            continue
        mark, log_start = len(trail), len(records.log)
        other = board.first[cell]
        while other != NOBODY:
            following = board.next[other]
            small = records.parts[other * 5 + 1]
            if (
                kinds.workers[small] * kinds.gpus[small] <= need
                and step_aside(supply, kinds, jobs, caps, records, moves, board, other, trail)
                and settle(supply, kinds, jobs, caps, records, moves, board, part, cell, trail)
            ):
                moves.loose[0] += 1
                return True
            other = following
        undo(supply, kinds, jobs, accounts, caps, records, board, trail, mark, log_start)
    put(supply, kinds, caps, records, board, part, old, begin, end)
    return False


def may_have(
    supply: Supply,
    kinds: Kinds,
    records: Records,
    board: Board,
    cell: int,
    need: int,
    below: int,
) -> bool:
    """Whether there would be room in a cell if all its parts of fewer than ``below`` GPUs left."""
    room = supply.cell_free[cell]
    part = board.first[cell]
    while part != NOBODY and room < need:
        kind = records.parts[part * 5 + 1]
        gpus = kinds.workers[kind] * kinds.gpus[kind]
        if gpus < below:
            room += gpus
        part = board.next[part]
    return room >= need


def give_way(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    part: int,
    turn: Turn,
    trail: Column,
) -> bool:
    """Take a part out altogether, if its job comes after the one that gains."""
    job, kind, cell = (
        records.parts[part * 5],
        records.parts[part * 5 + 1],
        records.parts[part * 5 + 2],
    )
    is_alike = turn.key >> RANK_BITS == 0 or jobs.leaf[job] == jobs.leaf[turn.job]
    if not is_alike or jobs.rank[job] <= jobs.rank[turn.job]:
        return False
    trail.append(part)
    trail.append(NOBODY)
    trail.append(board.start[part])
    trail.append(records.parts[part * 5 + 4])
    lift(supply, kinds, caps, records, board, part)
    lost = NOMINAL * charge(kinds, jobs, accounts, records, part, -1)
    gpus = kinds.workers[kind] * kinds.gpus[kind]
    trail.append(gpus * (moves.worth[job] - moves.money[cell]) - lost)
    return True


def undo(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    board: Board,
    trail: Column,
    mark: int,
    log_start: int,
) -> None:
    """Put everything back, last change first."""
    while len(trail) > mark:
        trail.pop()
        end, begin, cell, part = trail.pop(), trail.pop(), trail.pop(), trail.pop()
        if cell == NOBODY:
            cell = records.parts[part * 5 + 2]
            charge(kinds, jobs, accounts, records, part, 1)
        else:
            lift(supply, kinds, caps, records, board, part)
        put(supply, kinds, caps, records, board, part, cell, begin, end)
    while len(records.log) > log_start:
        records.log.pop()


def ask(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    part: int,
    turn: Turn,
    trail: Column,
    way: int,
) -> bool:
    """Have a part leave its cell in one of three ways; nobody moves into the cell meanwhile."""
    cell = records.parts[part * 5 + 2]
    supply.cell_open[cell] = 0
    if way == ASIDE:
        is_gone = step_aside(supply, kinds, jobs, caps, records, moves, board, part, trail)
    elif way == THROUGH:
        is_gone = push_through(
            supply, kinds, jobs, accounts, caps, records, moves, board, part, trail
        )
    else:
        is_gone = give_way(
            supply, kinds, jobs, accounts, caps, records, moves, board, part, turn, trail
        )
    supply.cell_open[cell] = 1
    return is_gone


def accept(
    kinds: Kinds,
    records: Records,
    moves: Moves,
    board: Board,
    kind: int,
    cell: int,
    turn: Turn,
    gang_start: int,
    trail: Column,
) -> None:
    """Keep an exchange: note the gang as placed, and let those who gave way try again."""
    records.parts.append(turn.job)
    records.parts.append(kind)
    records.parts.append(cell)
    records.parts.append(kinds.workers[kind])
    records.parts.append(len(records.log))
    append(records, board, gang_start, True)
    moves.made[0] += 1
    mask = kinds.mask[kind]
    kinds.next[mask] = moves.lo[mask]
    for at in range(0, len(trail), 5):
        if trail[at + 1] == NOBODY:
            mask = kinds.mask[records.parts[trail[at] * 5 + 1]]
            kinds.next[mask] = moves.lo[mask]


def clear(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    kind: int,
    cell: int,
    turn: Turn,
) -> bool:
    """Empty a cell as far as a gang needs it, and put the gang there; or change nothing."""
    leaf = jobs.leaf[turn.job]
    need, free = kinds.workers[kind] * kinds.gpus[kind], supply.cell_free[cell]
    log_start = gang_start = len(records.log)
    trail = [0 for _ in range(0)]
    is_in = False
    for way in range(WAYS):
        part = board.first[cell]
        while part != NOBODY and not is_in:
            following = board.next[part]
            if ask(
                supply, kinds, jobs, accounts, caps, records, moves, board, part, turn, trail, way
            ):
                gang_start = len(records.log)
                is_in = try_cell(supply, kinds, caps, kind, cell, turn, records.log) == 0
            part = following
    if is_in:
        nominal, now = accounts.nominal[leaf], accounts.gpus[leaf]
        bonus = min(now + need, nominal) - min(now, nominal)
        gain = need * (moves.worth[turn.job] - moves.money[cell]) + NOMINAL * bonus
        for at in range(4, len(trail), 5):
            gain -= trail[at]
        if gain > 0:
            if moves.loose[0] > 0 or supply.cell_free[cell] > free:
                moves.risen[0] += 1
            moves.loose[0] = 0
            accept(kinds, records, moves, board, kind, cell, turn, gang_start, trail)
            return True
        workers = give_back(supply, cell, kinds, kind, records.log, gang_start, len(records.log))
        charge_caps(caps, kinds, kind, cell, -workers * kinds.gpus[kind])
    undo(supply, kinds, jobs, accounts, caps, records, board, trail, 0, log_start)
    moves.loose[0] = 0
    return False


def make_way(
    supply: Supply,
    kinds: Kinds,
    jobs: Jobs,
    accounts: Accounts,
    caps: Caps,
    records: Records,
    moves: Moves,
    board: Board,
    kind: int,
    turn: Turn,
) -> bool:
    """Find the first cell where others can make room for a gang."""
    mask = kinds.mask[kind]
    need = kinds.workers[kind] * kinds.gpus[kind]
    for at in range(moves.lo[mask], kinds.end[kind]):
        cell = kinds.candidates[at]
        moves.left[0] -= 1
        if moves.left[0] <= 0:
            return False
        if supply.cell_open[cell] == 0 or supply.reserved_key[cell] != HUGE or need == 0:
            continue
        if may_have(supply, kinds, records, board, cell, need, HUGE) and clear(
            supply, kinds, jobs, accounts, caps, records, moves, board, kind, cell, turn
        ):
            return True
    return False
