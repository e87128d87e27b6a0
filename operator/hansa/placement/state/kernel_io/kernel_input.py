"""From the compiled league to the kernel's columns, for all waiting jobs or for a few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hansa.placement.kernel.tables import NOBODY, Exchange, Jobs, Kinds, State
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.value import PLAIN_GPU
from hansa.placement.state.league import League
from hansa.placement.state.queue_columns import run_starts

AFTER_ALL = 1 << 29
"""Ranks of a partial run start here: behind every gang that holds a reservation."""


MOST_LOOKS = 50_000
"""Cells that one plan looks at to move what it has placed."""
NO_EXCHANGE = Exchange(*(np.zeros(1, np.int64) for _ in Exchange._fields))


def all_waiting(league: League, rows: Ints) -> tuple[State, Ints]:
    """State of a full plan, and the rows in order of rank: the kernel's numbers of the jobs."""
    ranked = league.columns.ranked(rows, league.now_s)
    kind = league.columns.kind[ranked]
    jobs, queues = _jobs(league, ranked, kind, np.arange(len(ranked), dtype=np.int64))
    kinds = league.tariff.columns()
    return _state(league, kinds, jobs, queues, _exchange(league, kinds, ranked)), ranked


def some_waiting(
    league: League, ranked: Ints, cells: Ints | None, reserved: Mapping[int, int]
) -> tuple[State, Ints]:
    """State of a partial plan that looks at a few cells only; None: at all that are eligible.

    ``reserved``: row → rank under which it holds a reservation. Returns the state and the kinds,
    as the kernel's numbers stand for them.
    """
    numbers, at = _distinct(league.columns.kind[ranked])
    rank = AFTER_ALL + np.arange(len(ranked), dtype=np.int64)
    places = {row: at for at, row in enumerate(ranked.tolist())} if reserved else {}
    for row in reserved.keys() & places.keys():
        rank[places[row]] = reserved[row]
    jobs, queues = _jobs(league, ranked, at, rank)
    kinds = league.tariff.columns_at(numbers, cells)
    return _state(league, kinds, jobs, queues, NO_EXCHANGE), numbers


def _distinct(values: Ints) -> tuple[Ints, Ints]:
    """Distinct values, and the place of every value among them."""
    if len(values) == 1:  # the news of one job: the most frequent of all
        return values, np.zeros(1, np.int64)
    return np.unique(values, return_inverse=True)


def _state(league: League, kinds: Kinds, jobs: Jobs, queues: Ints, exchange: Exchange) -> State:
    accounts = league.ledger.accounts._replace(queue=queues)
    return State(league.supply, kinds, jobs, accounts, league.caps.counters, exchange)


def _exchange(league: League, kinds: Kinds, ranked: Ints) -> Exchange:
    return Exchange(
        lo=kinds.next.copy(),
        worth=1000 * (PLAIN_GPU + league.columns.priority[ranked]),
        money=np.round(1000 * league.tariff.money).astype(np.int64),
        left=np.array([MOST_LOOKS], np.int64),
        made=np.zeros(1, np.int64),
        short=np.zeros(len(kinds.candidates), np.int64),
        short_end=np.zeros(len(kinds.next), np.int64),
        stamp=np.full(len(kinds.next), -1, np.int64),
        risen=np.zeros(1, np.int64),
        loose=np.zeros(1, np.int64),
        first=np.full(len(league.fleet.cells), NOBODY, np.int64),
    )


def _jobs(league: League, ranked: Ints, kind: Ints, rank: Ints) -> tuple[Jobs, Ints]:
    """Jobs by queue, and the queue that each account has."""
    leaf = league.columns.leaf[ranked]
    one = np.zeros(1, np.int64)  # the news of one job: the most frequent of all
    order = np.lexsort((rank, leaf)) if len(leaf) != 1 else one
    queued = leaf[order]
    starts = run_starts(queued) if len(leaf) != 1 else one
    leaves, size = queued[starts], len(order)
    bounds = np.concatenate((starts, (size, size)))
    # An institution without waiting jobs gets an empty queue: it must not look like a cohort.
    queue = league.ledger.accounts.queue.copy()
    queue[league.ledger.leaves] = len(leaves)
    queue[leaves] = np.arange(len(leaves))
    jobs = Jobs(
        kind=kind,
        rank=rank,
        runtime=league.columns.runtime_p90[ranked],
        done=np.zeros(len(ranked), np.int64),
        leaf=leaf,
        queue_lo=bounds[:-1],
        queue_hi=bounds[1:],
        queue_at=np.zeros(len(bounds) - 1, np.int64),
        order=order,
    )
    return jobs, queue
