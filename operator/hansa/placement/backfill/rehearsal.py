"""What would come of stopping work: no stop is made whose gain the next plan would give away.

Room is made by rank and by right, but given out in the plan's order: by share first. Where the two
differ, what was stopped would start again where it stood, be stopped again, and so on for ever. So
the plan that follows is rehearsed: everything that stops has gone and waits, and who is served then
is served from the books alone, as a planner would do it that has just taken over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from hansa.model.plan import Stop
from hansa.model.snapshot import Job, Yielded
from hansa.placement.backfill import full_plan
from hansa.placement.kernel import packing
from hansa.placement.preemption.reclaim import MadeRoom
from hansa.placement.pricing import shadow_prices
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.decision import Start
from hansa.placement.state.held_room import HeldRoom
from hansa.placement.state.league import League
from hansa.placement.state.oversubscription import Oversubscription
from hansa.placement.state.records import yielded_by

MOST_ROUNDS = 4
"""What is left without some stops is rehearsed again; after so many times nothing is stopped."""


def borne_out(
    league: League,
    made: MadeRoom,
    *,
    ended: Sequence[Stop] = (),
    starts: Sequence[Start] = (),
    is_compiled: bool = False,
) -> MadeRoom:
    """The room made for those who will have it.

    ``ended``: what this plan stops anyway; ``starts``: what it starts.
    """
    for left in reversed(range(MOST_ROUNDS)):
        if not made.stops:
            break
        after = _afterwards(league, (*ended, *made.stops), starts, made.reclaiming)
        vain = _too_little(league, made, after)
        vain |= _in_vain(league, made, _begun(after, is_compiled=is_compiled))
        if not vain:
            break
        made = _without(league, made, vain if left else {s.in_favour_of for s in made.stops})
    return made


def _in_vain(league: League, made: MadeRoom, begun: Mapping[str, int]) -> set[str]:
    """UIDs of jobs that would not gain: they do not start, or elsewhere and their victims again.

    ``begun``: who starts afterwards, and where.
    """
    wait = {stop.in_favour_of for stop in made.stops} - begun.keys()
    return wait or {
        stop.in_favour_of
        for stop in made.stops
        for held in league.records[stop.job_uid].held
        if held.holding.site == stop.site
        and begun[stop.in_favour_of] != held.cell == begun.get(stop.job_uid)
    }


def _too_little(league: League, made: MadeRoom, after: League) -> set[str]:
    """UIDs of jobs that do not fit where room is made for them: they counted on stops that are not made."""
    found = set()
    for stop in made.stops:
        shape = league.kinds.kinds[league.records[stop.in_favour_of].kind].shape
        for held in league.records[stop.job_uid].held:
            is_there = held.holding.site == stop.site
            if is_there and not packing.would_take(after.supply, one_kind(shape), 0, held.cell):
                found.add(stop.in_favour_of)
    return found


def _without(league: League, made: MadeRoom, vain: Collection[str]) -> MadeRoom:
    return replace(
        made,
        stops=[stop for stop in made.stops if stop.in_favour_of not in vain],
        gaining={uid: words for uid, words in made.gaining.items() if uid not in vain},
        held=made.held.without([league.records[uid].row for uid in vain]),
    )


def _afterwards(
    league: League, stops: Iterable[Stop], starts: Sequence[Start], reclaiming: Collection[str]
) -> League:
    """The books as they will be once all that stops has gone.

    ``reclaiming``: who will be served first, since it takes what is its own; others come in order.
    """
    left = {
        record.job.uid: {held.holding.site: held.holding.stopping_to}
        for record, held in league.stopping.values()
    }
    promised: dict[str, Yielded] = {}
    for stop in stops:
        if stop.in_favour_of in reclaiming:
            victim = league.records[stop.job_uid]
            promised[stop.job_uid] = yielded_by(victim, stop, league.fleet, league.now_s)
        left.setdefault(stop.job_uid, {})[stop.site] = stop.workers
    after = _copied(league, (*left, *(start.placement.job_uid for start in starts)))
    after.book(after.decision(starts=starts))
    for uid, sites in left.items():
        job = after.records[uid].job
        after.remove(uid)
        after.add(_as_left(replace(job, yielded=promised.get(uid, job.yielded)), sites))
    return after


def _begun(after: League, *, is_compiled: bool) -> dict[str, int]:
    """UIDs of who starts in a full plan, and where."""
    # A small league is repriced with every full plan.
    after.prices = shadow_prices.solve_if_small(after) or after.prices
    given = full_plan.give_out(after, np.flatnonzero(after.columns.waits), is_compiled=is_compiled)
    uids = (after.columns.uids[row] for row in given.begun.tolist())
    return dict(zip(uids, given.cells.tolist(), strict=True))


def _as_left(job: Job, sites: dict[str, int]) -> Job:
    """A job with the workers that it keeps at some sites; 0: none."""
    kept = [
        replace(h, workers=sites.get(h.site, h.workers), stopping=False, stopping_to=0)
        for h in job.holdings
        if sites.get(h.site, h.workers)
    ]
    return replace(job, holdings=tuple(kept))


def _copied(league: League, uids: Iterable[str]) -> League:
    """The books once more: these jobs may be changed there, all others are only read."""
    after = league.draft(HeldRoom.none(len(league.fleet.cells)))
    after.columns, after.holdings = league.columns.copied(), league.holdings.copied()
    after.by_cell = {cell: [*there] for cell, there in league.by_cell.items()}
    after.stopping, after.preempted = dict(league.stopping), [*league.preempted]
    after.records, missing = dict(league.records), dict(league.oversubscribed.missing)
    after.yielded = dict(league.yielded)
    after.oversubscribed = Oversubscription(league.fleet, league.kinds, after.by_cell, missing)
    crowded = [
        at for name in missing for at in league.fleet.cells_of_site[league.fleet.site_index[name]]
    ]
    settled = [record.job.uid for at in crowded for record, _ in after.by_cell.get(at, ())]
    for uid in dict.fromkeys((*uids, *settled)):
        before = league.records[uid]
        own = after.records[uid] = copy(before)
        own.held = [replace(held, log=[*held.log]) for held in before.held]
        for old, new in zip(before.held, own.held, strict=True):
            there = after.by_cell[old.cell]
            there[:] = [(own, new) if pair[1] is old else pair for pair in there]
            if after.stopping.pop(id(old), None) is not None:
                after.stopping[id(new)] = own, new
    return after
