"""Who may try for room that has become free: some waiting jobs, so that one event stays cheap."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from hansa.placement.backfill import reservations
from hansa.placement.rules.cell_order import Floats
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.holdings import Flags
from hansa.placement.state.league import League

MOST_RANKED = 256
"""Waiting jobs that are ranked for one event."""
PRIORITY_STEP = 1e6
LAST = 2e12


class Takers(NamedTuple):
    """Waiting rows, and the cells that they may try."""

    rows: Ints
    cells: Ints


def who_and_where(league: League, cells: Ints, held_up: Flags) -> Takers:
    """Who can use some cells, or waited for a quota or cap: then other cells count as well.

    ``held_up``: per kind, whether it waited for a quota or cap.
    """
    kinds, columns, free = league.kinds, league.columns, league.supply.cell_free
    can = kinds.that_fit(cells, free[cells])[kinds.mask]
    rows = columns.waits.nonzero()[0]
    rows = rows[(can | held_up)[columns.kind[rows]]]
    if held_up[columns.kind[rows]].any():
        cells = np.flatnonzero((league.supply.cell_open == 1) & (free > 0))
    return Takers(rows, cells)


def best(league: League, rows: Ints, most: int, reserved: Collection[int]) -> Ints:
    """At most so many: who holds a reservation, who is entitled, then of each institution alike."""
    columns, most = league.columns, min(most, MOST_RANKED)
    if len(rows) > MOST_RANKED:
        waited = league.now_s - columns.submitted[rows]
        score = (
            np.minimum(waited / columns.runtime[rows], PRIORITY_STEP - 1)
            + PRIORITY_STEP * columns.priority[rows]
            - LAST * _behind(league, rows, reserved)
        )
        score[_first_of_each(columns.leaf[rows], score)] += 3 * LAST
        rows = rows[np.argpartition(-score, MOST_RANKED)[:MOST_RANKED]]
    ranked = columns.ranked(rows, league.now_s)
    if len(ranked) <= most:
        return ranked
    leaf = columns.leaf[ranked]
    order = np.argsort(leaf, kind="stable")
    starts = np.searchsorted(leaf[order], leaf[order])
    turn = np.empty(len(ranked), np.int64)
    turn[order] = np.arange(len(ranked)) - starts
    behind = _behind(league, ranked, reserved)
    chosen = np.lexsort((np.arange(len(ranked)), turn, behind))[:most]
    return np.asarray(ranked[np.sort(chosen)])


def _first_of_each(leaf: Ints, score: Floats) -> Ints:
    """The best of each institution, so that none is forgotten behind the crowd of another."""
    best = np.full(int(leaf.max()) + 1, -np.inf)
    np.maximum.at(best, leaf, score)
    tied = (score == best[leaf]).nonzero()[0]
    return np.asarray(tied[np.unique(leaf[tied], return_index=True)[1]])


def _behind(league: League, rows: Ints, reserved: Collection[int]) -> Ints:
    """0 for jobs that room is held for, 1 for others within their nominal share, 2 for the rest."""
    holds = np.zeros(len(league.columns.waits), bool)
    holds[[*reserved]] = True
    return np.where(holds[rows], 0, 2 - reservations.are_entitled(league, rows))
