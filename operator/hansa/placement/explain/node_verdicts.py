"""What is true of each node for one job right now: for the verdicts in its status.

Rules come first, as ``verdicts`` tells them. Of a node that may take the job, what is said depends on
what is free there and on what the job itself waits for: only a node without room for the gang is
called full, and only one that has room and comes later in the planner's order is called dearer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hansa.model.plan import Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job
from hansa.placement.explain.room_now import obstacles
from hansa.placement.explain.verdicts import Rulings
from hansa.placement.kernel.tables import HUGE, WHY_CAP, WHY_CAPACITY, WHY_RESERVED
from hansa.placement.rules import entitlement
from hansa.placement.rules.cell_order import QUANTUM
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.league import League
from hansa.placement.state.records import Held, Record

FREE = 0
_NEAREST = (FREE, WHY_RESERVED, WHY_CAP, WHY_CAPACITY)
OWN = frozenset(
    {
        Reason.MISCONFIGURED,
        Reason.NOT_ADMITTED_TO_POOL,
        Reason.NO_INSTITUTION,
        Reason.UNKNOWN_DATASET,
        Reason.UNKNOWN_PROJECT,
        Reason.PROJECT_CLOSED,
        Reason.PROJECT_OVER_BUDGET,
        Reason.EXCEEDS_POOL_QUOTA,
        Reason.WAITING_FOR_RELEASE,
        Reason.SUSPENDED,
    }
)
"""Reasons that keep a job from every node, whatever is free there."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where at a site a gang would stand, and what is in the way there."""

    why: int
    """0, or a bit WHY_*."""
    place: int
    """Rank of the cell in the planner's order."""
    cell: int


def lasts_s(league: League, job: Job) -> int:
    """Seconds that decide whether a job may use room that is held; 0 while none is held."""
    if (league.supply.reserved_key == HUGE).all():
        return 0
    return math.ceil(min(job.max_runtime_s, league.run_time(job).p90_s))


def seats(league: League, record: Record) -> dict[str, Seat]:
    """Site that may take a job and takes work → its best seat: the freest, then the first in order."""
    if record.kind < 0:
        return {}
    best: dict[str, Seat] = {}
    if record.kind < 0:
        return best
    fleet, until_s = league.fleet, league.supply.reserved_until
    is_closed, need = league.supply.reserved_closed, record.job.shape.total_gpus
    borrows = entitlement.tier(league.ledger.accounts, record.leaf, need) > 0
    runtime_s = lasts_s(league, record.job)
    places = _places(league, record.kind).tolist()
    for cell, found in obstacles(league, record.kind).items():
        may_pass = runtime_s <= until_s[cell] and not (borrows and is_closed[cell])
        why = FREE if found == WHY_RESERVED and may_pass else found
        site, seat = fleet.sites[fleet.cells[cell].site].name, Seat(why, places[cell], cell)
        if site not in best or _rank(seat) < _rank(best[site]):
            best[site] = seat
    return best


Seats = Callable[[], Mapping[str, Seat]]
"""Finds them: for most jobs nobody asks, as what refuses them is graver than where they would stand."""


def waiting(
    ruled: Rulings, there: Seats, said: Waiting, most: int | None = None
) -> tuple[Verdict, ...]:
    """A verdict for each site while the job waits, gravest first; ``most``: for so many at the most.

    The only site that an audit may be at is one of them, whatever is true of it.
    """
    told, only = _gravest(ruled, there, said, most), ruled.record.job.only_site
    if not only or len(told) != most or any(row.site == only for row in told):
        return told
    kept = (row for row in _gravest(ruled, there, said, None) if row.site == only)
    return (*told[:-1], next(kept, told[-1]))


def _gravest(ruled: Rulings, there: Seats, said: Waiting, most: int | None) -> tuple[Verdict, ...]:
    refused = ruled.refused(most)
    if said.reason in OWN:
        own = [Verdict(site, said.reason, said.message) for site in ruled.passing()]
        return tuple(sorted([*refused, *own], key=_grave)[:most])
    if len(refused) == most:
        return tuple(refused)
    seats, pool = there(), ruled.record.job.pool
    rows = [_unplaced(site, seats.get(site), pool, said) for site in ruled.passing()]
    return tuple([*refused, *sorted(rows, key=_grave)][:most])


def placed(
    league: League, ruled: Rulings, there: Seats, held: Held, most: int | None = None
) -> tuple[Verdict, ...]:
    """A verdict for each site but the one that got the job, gravest first."""
    choice, seats = _Choice.of(league, held), there()
    rows = [_passed_over(choice, site, seats) for site in ruled.passing()]
    told = [*ruled.refused(most and most + 1), *sorted(rows, key=_grave)]
    return tuple([row for row in told if row.site != held.holding.site][:most])


def _grave(row: Verdict) -> tuple[int, str]:
    return row.reason.gravity, row.site


@dataclass(frozen=True, slots=True)
class _Choice:
    """Where a job went, and by what the planner compared it with other cells."""

    pool: str
    cell: int
    place: int
    money: Ints
    """Per cell, millionths of the currency for one hour."""
    cost: Ints
    """Per cell, money and scarcity in steps that count."""

    @classmethod
    def of(cls, league: League, held: Held) -> _Choice:
        kind = league.kinds.kinds[held.kind]
        return cls(
            pool=kind.pool,
            cell=held.cell,
            place=int(_places(league, held.kind)[held.cell]),
            money=league.rules.hourly_cost(kind, held.holding.workers),
            cost=np.round(league.tariff.cost(kind.pool) / QUANTUM).astype(np.int64),
        )


def _unplaced(site: str, seat: Seat | None, pool: str, said: Waiting) -> Verdict:
    if seat is None or seat.why == WHY_CAPACITY:
        return _full(site)
    if said.reason is Reason.WAITING_FOR_QUOTA:
        return Verdict(site, said.reason, said.message)
    if said.reason is Reason.WAITING_FOR_PREEMPTION:
        free = Verdict(site, said.reason, said.message)
    else:
        words = "it has room by now: the next plan may place the job there"
        free = Verdict(site, Reason.PENDING, words)
    return _barred(site, seat, pool) or free


def _passed_over(choice: _Choice, site: str, there: Mapping[str, Seat]) -> Verdict:
    seat = there.get(site)
    if seat is None or seat.why == WHY_CAPACITY:
        return _full(site)
    return _barred(site, seat, choice.pool) or _compared(choice, site, seat)


def _full(site: str) -> Verdict:
    return Verdict(
        site, Reason.WAITING_FOR_CAPACITY, "it may take the job, but has no room for it now"
    )


def _barred(site: str, seat: Seat, pool: str) -> Verdict | None:
    """What keeps others than the institution or the machines keep the gang out of free room."""
    if seat.why == WHY_CAP:
        words = f"it has room, but a concentration cap of pool {pool} is reached there"
        return Verdict(site, Reason.WAITING_FOR_CAP, words)
    if seat.why == WHY_RESERVED:
        words = "it has room, held for work ahead of the job"
        return Verdict(site, Reason.WAITING_FOR_FAIR_SHARE, words)
    return None


def _compared(choice: _Choice, site: str, seat: Seat) -> Verdict:
    """What a site with room costs against the one that was chosen, and which of them comes first."""
    asked = int(choice.money[seat.cell])
    more = asked - int(choice.money[choice.cell])
    words = f"it has room, and costs {_amount(asked)} an hour: {_gap(more)}"
    if more > 0:
        return Verdict(site, Reason.OUTBID, words)
    if seat.place < choice.place:
        return Verdict(site, Reason.PENDING, f"{words}; a job that is placed stays where it is")
    if choice.cost[seat.cell] > choice.cost[choice.cell]:
        why = "its GPUs are scarcer, and kept for work that needs them more"
    else:
        why = "it comes later by the GPUs that would be left over, or by name"
    return Verdict(site, Reason.OUTBID, f"{words}; {why}")


def _gap(more: int) -> str:
    if not more:
        return "no more and no less"
    return f"{_amount(abs(more))} {'more' if more > 0 else 'less'}"


def _amount(micros: int) -> str:
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


def _places(league: League, number: int) -> Ints:
    """Per cell its rank in the planner's order for a kind."""
    order = league.tariff.order(league.kinds.kinds[number])
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _rank(seat: Seat) -> tuple[int, int]:
    return _NEAREST.index(seat.why), seat.place
