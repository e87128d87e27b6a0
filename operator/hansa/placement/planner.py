"""The planner: what starts where, what stops, and why everything else waits.

A pure function of the snapshot: the same snapshot always gives the same plan. ``replan`` is the
cycle; it works on a draft of a compiled ``League``, which the incremental planner keeps.
"""

from __future__ import annotations

import numpy as np

from hansa.model.plan import Certificate, Plan
from hansa.model.snapshot import Snapshot
from hansa.placement.backfill import full_plan, promises, rehearsal
from hansa.placement.explain import waiting
from hansa.placement.explain.notices import notices
from hansa.placement.explain.verdicts import verdicts as explain
from hansa.placement.kernel.gc_pause import quiet
from hansa.placement.preemption import reclaim, unlawful
from hansa.placement.pricing import certificate, shadow_prices
from hansa.placement.state.decision import Decision
from hansa.placement.state.expected_ends import Started
from hansa.placement.state.league import League

__all__ = ["explain", "plan", "replan"]


def plan(snapshot: Snapshot, *, is_compiled: bool = False) -> Plan:
    """The full plan for a snapshot. ``is_compiled``: see ``run.run``; one plan is not worth it."""
    league = League(snapshot)
    if league.prices is None:
        league.prices = shadow_prices.solve_if_small(league)
    return replan(league, is_compiled=is_compiled).plan


@quiet()
def replan(league: League, *, is_compiled: bool = False, is_told: bool = True) -> Decision:
    """Plan everything that waits. ``league`` stays as it is until the decision is booked.

    ``is_told``: whether anybody wants to hear why jobs wait; without, ``waiting`` is empty.

    1. End what may not go on. 2. Give room to whom it was promised, and hold room for the largest
    blocked gangs. 3. Give out what is free by share, rank and price. 4. Make room by shrinking and
    preemption for who is entitled to it and, so the rehearsal, will have it. 5. Tell the others why
    they wait. 6. Prove how good it is.
    """
    rows, opening = np.flatnonzero(league.columns.waits), certificate.opening(league)

    ended = unlawful.unlawful(league)

    given = full_plan.give_out(league, rows, is_compiled=is_compiled)
    begun, cells, gpus, starts = given.begun, given.cells, given.gpus, given.starts

    blocked = waiting.Blocked.after(given.state, given.ranked)
    after = promises.held_on(given.draft, given.draft.held, given.promised, set(begun.tolist()))
    draft = given.draft.draft(after)
    made_room = rehearsal.borne_out(
        draft,
        reclaim.make_room(draft, blocked, ended),
        ended=ended,
        starts=starts,
        is_compiled=is_compiled,
    )

    started = Started.of(cells, draft.columns.runtime_p90[begun], gpus)
    told = waiting.explained(draft, blocked, made_room.gaining, started) if is_told else ()

    value = certificate.value_of(draft, np.column_stack((begun, cells, gpus)), opening)
    proof = Certificate(value, certificate.bound(draft, opening, rows))

    placements, stops = tuple(start.placement for start in starts), (*ended, *made_room.stops)
    return draft.decision(
        Plan(placements, stops, told, proof, notices(draft)),
        starts,
        held=made_room.held,
        why=waiting.reasons(given.state.kinds),
        passed_over=made_room.passed_over,
    )
