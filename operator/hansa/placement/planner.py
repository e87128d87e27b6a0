"""The planner: what starts where, what stops, and why everything else waits.

A pure function of the snapshot: the same snapshot always gives the same plan. ``replan`` is the
cycle; it works on a compiled ``League``, which the incremental planner keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hansa.model.plan import Certificate, Placement, Plan
from hansa.model.snapshot import Snapshot
from hansa.placement.backfill import reservations
from hansa.placement.explain import waiting
from hansa.placement.explain.notices import notices
from hansa.placement.explain.verdicts import verdicts as explain
from hansa.placement.kernel import run
from hansa.placement.kernel.tables import Placed
from hansa.placement.preemption import evictions, reclaim
from hansa.placement.pricing import certificate, shadow_prices
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.expected_ends import Started
from hansa.placement.state.gc_pause import quiet
from hansa.placement.state.kernel_input import all_waiting
from hansa.placement.state.league import League

__all__ = ["Decision", "explain", "placements", "plan", "replan"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, and the numbers behind it for whoever books it."""

    plan: Plan
    placed: Placed
    """``job`` is the row of the job."""
    log: Ints
    growth: Ints
    why: Ints
    """Per kind, bits WHY_*."""
    reserved: dict[int, int] = field(default_factory=dict)
    """Row → rank of jobs that hold a reservation."""


def plan(snapshot: Snapshot, *, is_compiled: bool = False) -> Plan:
    """The full plan for a snapshot. ``is_compiled``: see ``run.run``; one plan is not worth it."""
    league = League(snapshot)
    if league.prices is None:
        league.prices = shadow_prices.solve_if_small(league)
    return replan(league, is_compiled=is_compiled).plan


@quiet()
def replan(league: League, *, is_compiled: bool = False, is_told: bool = True) -> Decision:
    """Plan everything that waits. Takes the room it gives out from ``league``.

    ``is_told``: whether anybody wants to hear why jobs wait; without, ``waiting`` is empty.

    1. End what may not go on. 2. Hold room for the largest blocked gangs. 3. Give out what is free
    by share, rank and price. 4. Make room by shrinking and preemption for who is entitled to it.
    5. Tell the others why they wait. 6. Prove how good it is.
    """
    rows = np.flatnonzero(league.columns.waits)
    room = certificate.opening(league)
    ended = evictions.unlawful(league)
    reserved = reservations.reserve(league, rows)
    state, ranked = all_waiting(league, rows)
    decided = run.run(state, is_priced=league.tariff.is_priced, is_compiled=is_compiled)
    reserved = reservations.step_back(league, reserved)
    placed = decided.placed._replace(job=ranked[decided.placed.job])
    gpus = placed.workers * league.kinds.column("gpus")[league.columns.kind[placed.job]]
    blocked = waiting.Blocked.after(state, ranked)
    made_room = reclaim.make_room(league, blocked, reserved, ended)
    value = certificate.value_of(league, np.column_stack((placed.job, placed.cell, gpus)), room)
    started = Started.of(placed.cell, league.columns.runtime_p90[placed.job], gpus)
    result = Plan(
        placements(league, placed),
        (*ended, *made_room.stops),
        waiting.explained(league, blocked, made_room.gaining, started) if is_told else (),
        Certificate(value, certificate.bound(league, room, rows)),
        notices(league),
    )
    return Decision(
        result,
        placed,
        decided.log,
        decided.growth,
        waiting.reasons(state.kinds),
        reserved | made_room.reserved,
    )


def placements(league: League, placed: Placed) -> tuple[Placement, ...]:
    """What the kernel placed, in the order of decision; ``job`` is the row of the job."""
    fleet = league.fleet
    cells = [fleet.cells[number] for number in placed.cell.tolist()]
    columns = (
        (league.row_uid[row] for row in placed.job.tolist()),
        (fleet.sites[cell.site].name for cell in cells),
        placed.workers.tolist(),
        _costs(league, placed),
        (cell.gpu_class for cell in cells),
    )
    return tuple(map(Placement._make, zip(*columns, strict=True)))


def _costs(league: League, placed: Placed) -> list[int]:
    """Millionths of the currency for an hour of each gang; prices may be beyond a column's size."""
    rows, cells, workers, _ = placed
    kinds = league.columns.kind[rows]
    gpus, cpu, head = (league.kinds.column(name)[kinds] for name in ("gpus", "cpu", "head_cpu"))
    asked = np.where(gpus > 0, workers * gpus, workers * cpu + head).tolist()
    shadow_prices, per = league.fleet.price[cells].tolist(), np.where(gpus > 0, 1, 1000).tolist()
    return [price * units // of for price, units, of in zip(shadow_prices, asked, per, strict=True)]
