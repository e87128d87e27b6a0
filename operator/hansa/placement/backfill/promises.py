"""Room that others gave up for a job is that job's: in the next full plan too, and for a new leader.

Whoever yields carries the record of it (``Job.yielded``), which the hub keeps in that job's status.
What was promised is held while he is on the way out. Then who gains starts there before all others,
whatever is held there for larger work; a promise that has not been kept after ``KEPT_S`` is void.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hansa.model.snapshot import Yielded
from hansa.placement.kernel import run
from hansa.placement.kernel.tables import HUGE
from hansa.placement.preemption.victim_choice import SHARED_GPUS
from hansa.placement.rules import entitlement
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.decision import Start
from hansa.placement.state.held_room import HeldRoom
from hansa.placement.state.kernel_io.kernel_input import some_waiting
from hansa.placement.state.kernel_io.kernel_output import gpus_of, starts_of
from hansa.placement.state.league import League
from hansa.placement.state.records import Record

KEPT_S = 1800
"""A stop takes minutes. What a job has not started on by then is anybody's."""

Promised = Mapping[int, Sequence[int]]
"""Cell → waiting rows that room was made for there."""


@dataclass(frozen=True, slots=True)
class Served:
    """Who has started where room was made for it."""

    draft: League
    """The league with them, and with nothing held."""
    starts: tuple[Start, ...]
    begun: Ints
    """Their rows, cells and GPUs, in that order."""
    cells: Ints
    gpus: Ints


class Made(NamedTuple):
    """Who waits for room that others gave up for it, and where."""

    standing: Promised
    """All of it is free now."""
    pending: Promised
    """Somebody is still on the way out."""


def made(league: League) -> Made:
    """The promises that count at this moment."""
    found = _promises(league)
    return Made(
        _by_cell((cell, row) for cell, row, is_free in found if is_free),
        _by_cell((cell, row) for cell, row, is_free in found if not is_free),
    )


def serve(league: League, promised: Promised, *, is_compiled: bool) -> Served:
    """Start those whom room was made for, where it was made and as far as it is there."""
    none = np.zeros(0, np.int64)
    if not promised:
        return Served(league, (), none, none, none)
    draft = league.draft(_only_whole(league, promised))
    starts: list[Start] = []
    begun: list[int] = []
    gpus: list[int] = []
    for cell, rows in promised.items():
        left = np.array([row for row in rows if row not in begun], np.int64)
        if not len(left):
            continue
        ranked = draft.columns.ranked(left, draft.now_s)
        state, _ = some_waiting(draft, ranked, np.array([cell], np.int64), {})
        decided = run.run(state, is_priced=False, is_compiled=is_compiled, is_small=True)
        some = ranked[decided.placed.job]
        starts += starts_of(draft, decided, some)
        begun += some.tolist()
        gpus += gpus_of(draft, decided, some).tolist()
    return Served(
        draft.draft(HeldRoom.none(len(league.fleet.cells))),
        tuple(starts),
        np.array(begun, np.int64),
        np.array([start.cell for start in starts], np.int64),
        np.array(gpus, np.int64),
    )


def shut(league: League, held: HeldRoom, promised: Promised) -> HeldRoom:
    """What is held, and promised cells besides: nobody may start there in a full plan."""
    if not promised:
        return held
    key, until, spare = held.key.copy(), held.until.copy(), held.spare.copy()
    cells = [*promised]
    key[cells], until[cells] = -1, 0
    spare[cells] = [_left_over(league, cell, rows) for cell, rows in promised.items()]
    return replace(held, key=key, until=until, spare=spare)


def held_on(league: League, held: HeldRoom, promised: Promised, begun: Collection[int]) -> HeldRoom:
    """What is held from now on: behind those whom room is made for, promised cells for these.

    ``begun``: rows that have started meanwhile, elsewhere.
    """
    after = held.behind()
    if not promised:
        return after
    key = after.key.copy()
    key[[*promised]] = HUGE
    after = replace(after, key=key)
    for cell, rows in promised.items():
        for row in rows:
            if row not in begun:
                leaf, gpus = int(league.columns.leaf[row]), int(league.columns.gpus[row])
                tier = entitlement.tier(league.ledger.accounts, leaf, gpus)
                after = after.with_gain(cell, row, tier=tier, spare=int(held.spare[cell]))
    return after


def _promises(league: League) -> list[tuple[int, int, bool]]:
    """Cell, row of who gains there, and whether all that was asked to has gone; in this order."""
    found: dict[tuple[int, int], bool] = {}
    for uid, yielded in league.yielded.items():
        gains = league.records.get(yielded.to)
        if gains is None or gains.row < 0 or not _counts(league, gains, yielded):
            continue
        leaving = [
            held.cell
            for held in league.records[uid].held
            if held.holding.stopping and held.holding.site == yielded.site
        ]
        for cell in leaving or _cells(league, yielded):
            # Where it may not go any more, others may, and it may have room made elsewhere.
            if league.supply.cell_open[cell] and league.kinds.may_go(gains.kind, cell):
                found[cell, gains.row] = found.get((cell, gains.row), True) and not leaving
    return [(*at, found[at]) for at in sorted(found)]


def _counts(league: League, gains: Record, yielded: Yielded) -> bool:
    """Whether a promise stands: a while, and until who gains has to yield itself."""
    own = gains.job.yielded
    is_new = own is None or own.since_s < yielded.since_s
    # The leader before may have had a clock that was ahead.
    return is_new and abs(league.now_s - yielded.since_s) < KEPT_S


def _cells(league: League, yielded: Yielded) -> list[int]:
    """Where the room is: all over its site, where nobody knows of which class it was."""
    fleet = league.fleet
    if yielded.site not in fleet.site_index:
        return []
    mine, name = fleet.cells_of_site[fleet.site_index[yielded.site]], yielded.gpu_class
    return [cell for cell in mine if name in ("", fleet.cells[cell].gpu_class)]


def _by_cell(found: Iterable[tuple[int, int]]) -> Promised:
    there: dict[int, list[int]] = {}
    for cell, row in found:
        there.setdefault(cell, []).append(row)
    return there


def _only_whole(league: League, promised: Promised) -> HeldRoom:
    """Held behind everybody, so that elastic gangs do not grow into what others wait for."""
    held = HeldRoom.none(len(league.fleet.cells))
    held.key[[*promised]] = HUGE - 1
    return held


def _left_over(league: League, cell: int, rows: Sequence[int]) -> int:
    """GPUs that those who gain in a cell will leave to others, who might stand in their way else."""
    kinds = [league.kinds.kinds[int(league.columns.kind[row])] for row in rows]
    if any(kind.shape.gpus >= SHARED_GPUS for kind in kinds):
        return 0
    leaving = sum(
        (held.holding.workers - held.holding.stopping_to) * record.job.shape.gpus
        for record, held in league.stopping.values()
        if held.cell == cell
    )
    free = int(league.supply.cell_free[cell])
    return max(0, free + leaving - sum(kind.gpus for kind in kinds))
