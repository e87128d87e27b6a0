"""Room held for gangs that do not fit now (EASY backfill, JSSPP 1995).

First those that stay within their institution's nominal share, then the largest. Each gets the
cell where it is expected to start first. Work behind it may still go there if it ends before, or
fits into what will be left over; work that borrows is behind all that does not. Where a gang might
have its room as soon as borrowers leave, no more of them may come: each would be safe for the
pool's least run time, and one after the other could keep the gang out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hansa.placement.kernel import packing
from hansa.placement.preemption.trial import Trial
from hansa.placement.rules import entitlement
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.expected_ends import NEVER, Releases
from hansa.placement.state.held_room import HeldRoom, order_key
from hansa.placement.state.holdings import Flags
from hansa.placement.state.league import League

MOST_RESERVATIONS = 32
SMALLEST_GANG = 2
MOST_CELLS = 256
"""Candidates looked at for one reservation, in order of choice."""


def for_gangs(league: League, rows: Ints, promised: Iterable[int]) -> HeldRoom:
    """Hold room for the gangs among the waiting ``rows`` that need it most, and nothing else.

    ``promised``: cells where room is being made for others.
    """
    supply, held = league.supply, HeldRoom.none(len(league.fleet.cells))
    gangs = _blocked_gangs(league, rows) if any(league.by_cell.values()) else []
    if not gangs:
        return held
    releases, trial = Releases(league, 0.5), Trial(league)
    taken = set(promised)
    ranks: dict[int, int] = {}
    for row, rank in gangs:
        number = int(league.columns.kind[row])
        kind, cells = league.kinds.kinds[number], league.tariff.candidates(number)
        usable = [c for c in cells[:MOST_CELLS].tolist() if supply.cell_open[c] and c not in taken]
        if not usable:
            continue
        starts = [releases.profile(cell).earliest(kind.gpus) for cell in usable]
        best = int(np.argmin(starts))
        if starts[best] >= NEVER:
            continue
        cell = usable[best]
        taken.add(cell)
        ranks[row] = rank
        tier = _tier(league, row)
        held.key[cell] = order_key(tier, rank)
        held.until[cell] = starts[best]
        held.spare[cell] = max(0, releases.profile(cell).level_at(starts[best]) - kind.gpus)
        held.closed[cell] = tier == 0 and _might_reclaim(trial, row, cell)
    return replace(held, ranks=ranks)


def _blocked_gangs(league: League, rows: Ints) -> list[tuple[int, int]]:
    """(row, rank) of waiting gangs that fit nowhere now: entitled, then large; by tier and rank."""
    ranked = league.columns.ranked(rows, league.now_s)
    ranks = np.flatnonzero(league.columns.gpus[ranked] >= SMALLEST_GANG)
    gpus, borrows = league.columns.gpus[ranked], ~are_entitled(league, ranked)
    found: list[tuple[int, int]] = []
    fits: dict[int, bool] = {}
    for rank in ranks[np.lexsort((ranks, -gpus[ranks], borrows[ranks]))].tolist():
        if len(found) == MOST_RESERVATIONS:
            break
        row = int(ranked[rank])
        number = int(league.columns.kind[row])
        if number not in fits:
            fits[number] = _fits_now(league, number)
        if not fits[number]:
            found.append((row, rank))
    return sorted(found, key=lambda pair: (bool(borrows[pair[1]]), pair[1]))


def are_entitled(league: League, rows: Ints) -> Flags:
    """Which waiting jobs would stay within their institution's nominal share."""
    columns = league.columns
    accounts, leaf = league.ledger.accounts, columns.leaf[rows]
    return entitlement.is_within_nominal(accounts, leaf, columns.gpus[rows])


def _might_reclaim(trial: Trial, row: int, cell: int) -> bool:
    """Whether a gang may soon have a cell because borrowers yield."""
    record = trial.league.records[trial.league.columns.uids[row]]
    return trial.claims.reclaims(record) and bool(trial.could_gain(record, np.array([cell]))[0])


def _tier(league: League, row: int) -> int:
    leaf, gpus = int(league.columns.leaf[row]), int(league.columns.gpus[row])
    return entitlement.tier(league.ledger.accounts, leaf, gpus)


def _fits_now(league: League, number: int) -> bool:
    kind, cells = league.kinds.kinds[number], league.tariff.candidates(number)
    supply = league.supply
    ample = cells[(supply.cell_free[cells] >= kind.gpus) & (supply.cell_open[cells] == 1)]
    columns = one_kind(kind.shape)
    return any(packing.has_slots(supply, columns, 0, c) for c in ample.tolist())
