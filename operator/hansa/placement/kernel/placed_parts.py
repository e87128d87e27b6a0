# mypy: disable-error-code="no-any-return"
# ruff: noqa: PLR0913, PLR0917, FBT001  # numba compiles plain positional columns only
"""Which parts of a plan stand where, so that they can be lifted and put elsewhere.

Part of the kernel: see ``kernel`` for how it is written and why.
"""

from __future__ import annotations

from hansa.placement.kernel.packing import give_back, retake
from hansa.placement.kernel.quota import charge_caps, charge_quota, charge_use, refund_quota
from hansa.placement.kernel.tables import (
    NOBODY,
    Accounts,
    Board,
    Caps,
    Jobs,
    Kinds,
    Moves,
    Records,
    Supply,
)


def lay_out(kinds: Kinds, records: Records, moves: Moves, board: Board, begun: int) -> None:
    """Begin a pass: every candidate counts again, and gangs from part ``begun`` on may move."""
    for mask in range(len(kinds.next)):
        kinds.next[mask] = moves.lo[mask]
    for cell in range(len(board.first)):
        board.first[cell] = NOBODY
    board.start.clear()
    board.next.clear()
    begin = 0
    for at in range(0, len(records.parts), 5):
        append(records, board, begin, at >= begun)
        begin = records.parts[at + 4]


def enter(records: Records, board: Board, begin: int) -> None:
    """Take in the part placed last, if it is not known yet; its log begins at ``begin``."""
    if len(board.start) * 5 < len(records.parts):
        append(records, board, begin, True)


def append(records: Records, board: Board, begin: int, is_movable: bool) -> None:
    """Take in the next part."""
    part = len(board.start)
    board.start.append(begin)
    board.next.append(NOBODY)
    if is_movable:
        link(records, board, part)


def link(records: Records, board: Board, part: int) -> None:
    """Put a part on top of its cell's list."""
    cell = records.parts[part * 5 + 2]
    board.next[part] = board.first[cell]
    board.first[cell] = part


def unlink(records: Records, board: Board, part: int) -> None:
    """Take a part off its cell's list."""
    cell = records.parts[part * 5 + 2]
    at = board.first[cell]
    if at == part:
        board.first[cell] = board.next[part]
        return
    while board.next[at] != part:
        at = board.next[at]
    board.next[at] = board.next[part]


def lift(
    supply: Supply, kinds: Kinds, caps: Caps, records: Records, board: Board, part: int
) -> None:
    """Take a part out of its cell."""
    kind, cell = records.parts[part * 5 + 1], records.parts[part * 5 + 2]
    unlink(records, board, part)
    end = records.parts[part * 5 + 4]
    workers = give_back(supply, cell, kinds, kind, records.log, board.start[part], end)
    charge_caps(caps, kinds, kind, cell, -workers * kinds.gpus[kind])


def put(
    supply: Supply,
    kinds: Kinds,
    caps: Caps,
    records: Records,
    board: Board,
    part: int,
    cell: int,
    begin: int,
    end: int,
) -> None:
    """Put a part back where it was, on the same machines."""
    kind = records.parts[part * 5 + 1]
    records.parts[part * 5 + 2] = cell
    records.parts[part * 5 + 4] = end
    board.start[part] = begin
    retake(supply, cell, kinds, kind, records.log, begin, end)
    charge_caps(caps, kinds, kind, cell, kinds.workers[kind] * kinds.gpus[kind])
    link(records, board, part)


def charge(
    kinds: Kinds, jobs: Jobs, accounts: Accounts, records: Records, part: int, sign: int
) -> int:
    """Count a part, or with sign -1 no longer, as placed and as its institution's use.

    Returns:
        GPUs that come under (or leave) the nominal share.
    """
    job, kind = records.parts[part * 5], records.parts[part * 5 + 1]
    leaf, workers = jobs.leaf[job], kinds.workers[kind]
    gpus = workers * kinds.gpus[kind]
    before = min(accounts.gpus[leaf], accounts.nominal[leaf])
    if sign > 0:
        charge_quota(accounts, leaf, gpus)
    else:
        refund_quota(accounts, leaf, gpus)
    cpu = workers * kinds.cpu[kind] + kinds.head_cpu[kind]
    memory = workers * (kinds.memory[kind] >> 20) + (kinds.head_memory[kind] >> 20)
    charge_use(accounts, leaf, sign * gpus, sign * cpu, sign * memory)
    jobs.done[job] = 1 if sign > 0 else 0
    records.parts[part * 5 + 3] = workers if sign > 0 else 0
    return min(accounts.gpus[leaf], accounts.nominal[leaf]) - before


def close_up(records: Records, board: Board) -> None:
    """Leave out what gave way, and put the log in the order of the parts again."""
    parts = [0 for _ in range(0)]
    log = [0 for _ in range(0)]
    for part in range(len(board.start)):
        at = part * 5
        if records.parts[at + 3] > 0:
            log.extend(records.log[board.start[part] : records.parts[at + 4]])
            parts.extend(records.parts[at : at + 4])
            parts.append(len(log))
    records.parts.clear()
    records.log.clear()
    records.parts.extend(parts)
    records.log.extend(log)
