"""What an event makes possible: who starts in room that has come free, or as soon as he has come.

Each function decides on the league as it is and leaves it so; one decision is booked before the
next is made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from hansa.model.plan import Plan
from hansa.placement.backfill import candidates, rehearsal
from hansa.placement.explain import waiting
from hansa.placement.kernel import run
from hansa.placement.kernel.tables import WHY_CAP, WHY_QUOTA
from hansa.placement.preemption.reclaim import MadeRoom, make_room
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.decision import Decision
from hansa.placement.state.held_room import BEHIND
from hansa.placement.state.holdings import Flags
from hansa.placement.state.kernel_io.kernel_input import some_waiting
from hansa.placement.state.kernel_io.kernel_output import starts_of
from hansa.placement.state.league import League
from hansa.placement.state.records import Record

MOST_REHEARSED = 4096
"""Waiting jobs among which an event makes room: the rehearsal serves them all."""
MOST_ROWS = 32
"""Waiting jobs that one event tries to place."""


def open_cells(league: League, freed: Sequence[int]) -> Ints:
    """Those of some cells that take new work."""
    cells = np.array(sorted(set(freed)), np.int64)
    return np.asarray(cells[league.supply.cell_open[cells] == 1])


def held_up(league: League) -> Flags:
    """Per job class, whether it has waited for a quota or cap since the last full plan."""
    found = np.zeros(len(league.kinds), bool)
    found[: len(league.why)] = (league.why & (WHY_QUOTA | WHY_CAP)) != 0
    return found


def for_gaining(league: League, cell: int, *, is_compiled: bool) -> Decision:
    """Start those whom room was made for in a cell: what is held there is no other's."""
    gains = league.held.gains[cell]
    rows = league.columns.ranked(np.array([*gains], np.int64), league.now_s)
    return decide(league, rows, np.array([cell], np.int64), gains, is_compiled=is_compiled)


def for_waiting(
    league: League, cells: Ints, is_held_up: Flags, *, events: int, is_compiled: bool
) -> Decision:
    """Give room in some cells to the waiting jobs that come first and fit there.

    ``is_held_up``: those may look at other cells as well. ``events``: how many freed the room.
    """
    found = candidates.who_and_where(league, cells, is_held_up)
    rows = candidates.best(league, found.rows, events * MOST_ROWS, league.held.ranks)
    if not len(rows):
        return league.decision()
    return decide(league, rows, found.cells, is_compiled=is_compiled)


def for_new(league: League, records: Sequence[Record], *, is_compiled: bool) -> Decision:
    """Start what has just come, wherever it may go and there is room."""
    rows = np.array([record.row for record in records if record.row >= 0], np.int64)
    if not len(rows):
        return league.decision()
    return decide(league, league.columns.ranked(rows, league.now_s), is_compiled=is_compiled)


def room_for_new(
    league: League, records: Sequence[Record], *, is_compiled: bool
) -> tuple[Decision, MadeRoom]:
    """Make room for what has just come and did not start, as far as it is entitled to it.

    Where so many wait that the rehearsal takes longer than an event may, the next full plan does it.
    """
    if np.count_nonzero(league.columns.waits) > MOST_REHEARSED:
        records = ()
    rows = np.array([record.row for record in records], np.int64)
    why = np.array([why_of(league, record) for record in records], np.int64)
    made = make_room(league, waiting.Blocked(rows, why))
    made = rehearsal.borne_out(league, made, is_compiled=is_compiled)
    plan = Plan(stops=tuple(made.stops))
    return league.decision(plan, held=made.held, passed_over=made.passed_over), made


def why_of(league: League, record: Record) -> int:
    """Bits WHY_* of what has stood in a job's way."""
    return int(league.why[record.kind])


def decide(
    league: League,
    rows: Ints,
    cells: Ints | None = None,
    gains: Collection[int] = (),
    *,
    is_compiled: bool,
) -> Decision:
    """Try to place rows, best first. ``cells``: where; None: wherever each of them may go.

    ``gains``: rows that may use what is held for those that room was made for.
    """
    draft = league.draft()
    ranks = {row: rank for row, rank in league.held.ranks.items() if rank >= BEHIND or row in gains}
    state, numbers = some_waiting(draft, rows, cells, ranks)
    decided = run.run(state, is_priced=False, is_compiled=is_compiled, is_small=True)
    starts = starts_of(draft, decided, rows[decided.placed.job])
    why = np.zeros(len(league.kinds), np.int64)
    why[: len(league.why)] = league.why
    why[numbers] |= waiting.reasons(state.kinds)
    plan = Plan(tuple(start.placement for start in starts))
    return draft.decision(plan, starts, why=why)
