"""Room held for gangs that do not fit now (EASY backfill, JSSPP 1995).

First those that stay within their institution's nominal share, then the largest. Each gets the
cell where it is expected to start first. Work behind it may still go there if it ends before, or
fits into what will be left over; work that borrows is behind all that does not. Where a gang might
have its room as soon as borrowers leave, no more of them may come: each would be safe for the
pool's least run time, and one after the other could keep the gang out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hansa.placement.kernel import packing, quota
from hansa.placement.kernel.tables import HUGE, RANK_BITS
from hansa.placement.preemption.trial import Trial
from hansa.placement.preemption.victims import reclaims
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.expected_ends import NEVER, Releases
from hansa.placement.state.kernel_input import one_kind
from hansa.placement.state.league import League

MOST_RESERVATIONS = 32
SMALLEST_GANG = 2
BEHIND = 1 << 28
"""Ranks below this belong to jobs that room is being made for; see ``preemption``."""
MOST_CELLS = 256
"""Candidates looked at for one reservation, in order of choice."""


def reserve(league: League, rows: Ints) -> dict[int, int]:
    """Set the reservation columns of the supply anew.

    Returns:
        Row of a gang that holds a reservation → its rank.
    """
    supply = league.supply
    supply.reserved_key[:] = HUGE
    supply.reserved_closed[:] = 0
    league.gains.clear()
    gangs = _blocked_gangs(league, rows) if any(league.by_cell.values()) else []
    if not gangs:
        return {}
    releases, trial = Releases(league, 0.5), Trial(league)
    taken: set[int] = set()
    reserved: dict[int, int] = {}
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
        reserved[row] = rank
        tier = _tier(league, row)
        supply.reserved_key[cell] = tier << RANK_BITS | rank
        supply.reserved_until[cell] = starts[best]
        spare = releases.profile(cell).level_at(starts[best]) - kind.gpus
        supply.reserved_spare[cell] = max(0, spare)
        supply.reserved_closed[cell] = tier == 0 and _might_reclaim(trial, row, cell)
    return reserved


def step_back(league: League, reserved: Mapping[int, int]) -> dict[int, int]:
    """After the plan: let reservations come behind those for whom room is about to be made."""
    keys = league.supply.reserved_key
    keys[keys != HUGE] += BEHIND
    return {row: rank + BEHIND for row, rank in reserved.items()}


def give_up(league: League, row: int, rank: int) -> None:
    """Hold nothing for a job any more; in a cell where room is made for others, hold it for these."""
    keys = league.supply.reserved_key
    keys[(keys & (HUGE - 1)) % (1 << 31) == rank] = HUGE
    for cell, gains in league.gains.items():
        if gains.pop(row, None) is not None and gains:
            keys[cell] = max(gains.values())


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


def are_entitled(league: League, rows: Ints) -> npt.NDArray[np.bool_]:
    """Which waiting jobs would stay within their institution's nominal share."""
    accounts, leaf = league.ledger.accounts, league.columns.leaf[rows]
    return np.asarray(accounts.gpus[leaf] + league.columns.gpus[rows] <= accounts.nominal[leaf])


def _might_reclaim(trial: Trial, row: int, cell: int) -> bool:
    """Whether a gang may soon have a cell because borrowers yield."""
    record = trial.league.records[trial.league.row_uid[row]]
    return reclaims(trial, record) and bool(trial.could_gain(record, np.array([cell]))[0])


def _tier(league: League, row: int) -> int:
    leaf, gpus = int(league.columns.leaf[row]), int(league.columns.gpus[row])
    return quota.tier_of(league.ledger.accounts, leaf, gpus)


def _fits_now(league: League, number: int) -> bool:
    kind, cells = league.kinds.kinds[number], league.tariff.candidates(number)
    supply = league.supply
    ample = cells[(supply.cell_free[cells] >= kind.gpus) & (supply.cell_open[cells] == 1)]
    columns = one_kind(kind.shape)
    return any(packing.has_slots(supply, columns, 0, c) for c in ample.tolist())
