"""The planner between full plans: one event in, only what it changes out.

It books its own decisions: a placement it returned is held from then on, a stop it returned is
stopping until ``JobGone`` (or ``JobArrived`` with the new holdings) says otherwise. Whoever loses a
decision tells it so by ``JobArrived`` with the job as it really is. An event looks only at the room
it freed and at the jobs that can use it; nothing that runs is ever moved for a better plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from types import MappingProxyType

import numpy as np

from hansa.model.events import (
    DatasetRulesChanged,
    Event,
    JobArrived,
    JobGone,
    PoolChanged,
    SiteChanged,
    SiteGone,
)
from hansa.model.history import Group, RunTimes
from hansa.model.plan import Placement, Plan, Stop, Waiting
from hansa.model.snapshot import Holding, Job, Pool, ShadowPrices, Site, Snapshot
from hansa.placement.backfill import candidates, reservations
from hansa.placement.backfill.calibration import Calibration
from hansa.placement.explain import waiting
from hansa.placement.explain.waitlist import about, retell
from hansa.placement.kernel import run
from hansa.placement.kernel.tables import WHY_CAP, WHY_QUOTA, Decided
from hansa.placement.planner import Decision, placements, replan
from hansa.placement.preemption import evictions, reclaim
from hansa.placement.pricing import shadow_prices
from hansa.placement.pricing.market import Market, market_of
from hansa.placement.rules.fleet import Ints, is_open
from hansa.placement.state import updates
from hansa.placement.state.kernel_input import some_waiting
from hansa.placement.state.league import Held, League, Record

MOST_ROWS = 32
"""Waiting jobs that one event tries to place."""
NOBODY_GAINS: Mapping[int, int] = MappingProxyType({})
_NONE = np.zeros(0, np.int64)
_room = attrgetter("site", "workers", "gpu_class")


class IncrementalPlanner:
    """Keeps the compiled league between events."""

    def __init__(self, snapshot: Snapshot, *, is_compiled: bool = True) -> None:
        self._base = replace(snapshot, jobs=())
        self._is_compiled = is_compiled
        self._league = League(snapshot)
        self.is_stale = True
        """Whether anything but the time has changed since the last full plan."""
        self._promises = Calibration()
        self.market: Market | None = None
        """What the last plan that was to be repriced began with; None where it found its own prices."""
        self._reserved: dict[int, int] = {}
        self._why = np.zeros(0, np.int64)

    def snapshot(self) -> Snapshot:
        """The league as the planner sees it now, own decisions booked."""
        jobs = tuple(record.job for record in self._league.records.values())
        return replace(self._base, now_s=self._league.now_s, prices=self._league.prices, jobs=jobs)

    @property
    def league(self) -> League:
        """What it has compiled and booked, to be read."""
        return self._league

    def machines_of(self, uid: str) -> tuple[tuple[int, int], ...]:
        """Where in its cell the planner books the workers of a running job: (machine, workers)."""
        held = self._league.records[uid].held[-1]
        lo = int(self._league.supply.cell_lo[held.cell])
        pairs = zip(held.log[::2], held.log[1::2], strict=True)
        return tuple((machine - lo, workers) for machine, workers in pairs if workers)

    def learn(self, history: Mapping[Group, RunTimes]) -> None:
        """Expect other run times from now on; jobs that wait already keep theirs."""
        self._base = replace(self._base, history=history)
        self._league.history = dict(history)

    def keep(self, promises: Calibration) -> None:
        """Go on with what the planner before this one has promised and learned."""
        promises.resume(record.job for record in self._league.records.values())
        self._promises = promises

    def reprice(self, found: ShadowPrices) -> None:
        """Plan by prices found elsewhere, maybe for a league of before: names it lacks do nothing."""
        self._league.prices = found

    def replan(
        self,
        now_s: int,
        arrived: Sequence[Job] = (),
        gone: Iterable[str] = (),
        sites: Sequence[Site] = (),
        *,
        is_repriced: bool = False,
    ) -> Plan:
        """Take in changes as ``update`` does, then plan everything that waits; books and returns it.

        ``is_repriced``: find new shadow prices where that costs next to nothing.
        """
        self._advance(now_s)
        self._take_in(arrived, gone, sites)
        if is_repriced:
            self.market = None if shadow_prices.is_small(self._league) else market_of(self._league)
            self._league.prices = shadow_prices.solve_if_small(self._league) or self._league.prices
        decided = self._replan()
        told = partial(self._promises.told, now_s=now_s)
        return replace(decided, waiting=retell(decided.waiting, told))

    def _replan(self, *, is_told: bool = True) -> Plan:
        """A full plan, booked; see ``planner.replan``."""
        league = self._league
        decision = replan(league, is_compiled=self._is_compiled, is_told=is_told)
        self.is_stale = False
        self._reserved = decision.reserved
        self._why = decision.why
        self._adopt_all(decision.plan.placements, decision)
        self._stopping(decision.plan.stops)
        return decision.plan

    def apply(self, event: Event, *, now_s: int) -> Plan:
        """Take in one event; books and returns the placements and stops it makes possible.

        ``waiting`` names only the job of the event, if it waits; start estimates come with ``replan``.
        """
        self._advance(now_s)
        match event:
            case JobArrived(job):
                return self.update((job,), now_s=now_s)
            case JobGone(uid):
                return self.update((), (uid,), now_s=now_s)
            case SiteChanged(site):
                return self.update((), (), (site,), now_s=now_s)
            case SiteGone(name):
                sites = tuple(site for site in self._base.sites if site.name != name)
                return self._rebuilt(replace(self._base, sites=sites))
            case PoolChanged(pool):
                return self._repooled(pool)
            case DatasetRulesChanged(rules):
                return self._rebuilt(replace(self._base, dataset_rules=dict(rules)))

    def update(
        self,
        arrived: Sequence[Job],
        gone: Iterable[str] = (),
        sites: Sequence[Site] = (),
        *,
        now_s: int,
    ) -> Plan:
        """Take in ``JobArrived``, ``JobGone`` and ``SiteChanged`` for many at once, decided together.

        A job that holds what is booked for it costs next to nothing: nothing is planned for it.
        """
        self._advance(now_s)
        league = self._league
        uids, cells = self._take_in(arrived, gone, sites)
        if self._league is not league:
            return self._only(uids, self.replan(now_s))
        ended = evictions.unlawful_at(league, league.fleet.cells_at(sites))
        self._stopping(ended)
        filled = self._fill(cells, len(sites) + len(cells)) if cells else Plan()
        begun = self._begin([league.records[uid] for uid in uids])
        placed, stopped = filled.placements + begun.placements, ended + begun.stops
        return replace(begun, placements=placed, stops=stopped)

    # What the events do.

    def _take_in(
        self, arrived: Sequence[Job], gone: Iterable[str], sites: Sequence[Site]
    ) -> tuple[tuple[str, ...], list[int]]:
        """Book what jobs hold and let the others wait: whom that concerns, and the cells it freed."""
        news = [job for job in arrived if not self._amend(job)]
        uids = tuple(job.uid for job in news)
        left = (*gone, *uids)
        self.is_stale |= bool(left or sites)
        cells = [cell for uid in left for cell in self._forget(uid)]
        if not self._swap(sites) or any(map(self._is_guest, news)):
            self._compile(self._base, *news)
        else:
            for job in news:
                self._league.add(job)
        return uids, [*cells, *self._league.fleet.cells_at(filter(is_open, sites))]

    def _swap(self, sites: Sequence[Site]) -> bool:
        """Take in changed sites; False when the league has to be compiled anew for them."""
        if not sites:
            return True
        names = {site.name for site in sites}
        others = (site for site in self._base.sites if site.name not in names)
        self._base = replace(self._base, sites=(*others, *sites))
        return updates.swap_sites(self._league, sites)

    def _amend(self, job: Job) -> bool:
        """Take in what is new about a job that keeps its room, or its place among the waiting."""
        record = self._league.records.get(job.uid)
        if record is None or replace(record.job, holdings=job.holdings) != job:
            return False
        if record.job.holdings == job.holdings:
            return True
        booked = [held.holding for held in record.held]
        if not job.holdings or [*map(_room, booked)] != [*map(_room, job.holdings)]:
            return False
        for held, holding in zip(record.held, job.holdings, strict=True):
            held.holding = holding
            self._league.stopping.pop(id(held), None)
            self._league.note(record, held)
        record.job = job
        return True

    def _is_guest(self, job: Job) -> bool:
        """Whether a job is the first of its institution in a pool without shares."""
        league = self._league
        is_known = (job.pool, job.institution) in league.ledger.leaf
        return not is_known and job.pool in league.pools and not league.pools[job.pool].shares

    def _begin(self, records: Sequence[Record]) -> Plan:
        """Start what has just come, where there is room; else make room for it; else say why not."""
        league = self._league
        rows = np.array([record.row for record in records if record.row >= 0], np.int64)
        started = self._run(league.columns.ranked(rows, league.now_s)) if len(rows) else Plan()
        waits = [record for record in records if record.row >= 0]
        rows = np.array([record.row for record in waits], np.int64)
        why = np.array([self._why_of(record) for record in waits], np.int64)
        made = reclaim.make_room(league, waiting.Blocked(rows, why))
        self._stopping(tuple(made.stops))
        self._reserved |= made.reserved
        said = [
            Waiting(record.job.uid, record.fault.reason, record.fault.message)
            for record in records
            if record.fault is not None and not record.held
        ]
        said += [
            waiting.told(league, record, number, made.gaining)
            for record, number in zip(waits, why.tolist(), strict=True)
        ]
        return replace(started, stops=tuple(made.stops), waiting=tuple(said))

    def _repooled(self, pool: Pool) -> Plan:
        """Take in what is new about a pool, then plan all that waits."""
        others = tuple(other for other in self._base.pools if other.name != pool.name)
        base, old = replace(self._base, pools=(*others, pool)), self._league.pools.get(pool.name)
        if old is None or not updates.is_light_pool(old, pool):
            return self._rebuilt(base)
        self._base = base
        updates.swap_pool(self._league, pool)
        return self._untold()

    def _rebuilt(self, base: Snapshot) -> Plan:
        """What changed touches too much: compile the league anew and plan all of it."""
        self._compile(base)
        return self._untold()

    def _untold(self) -> Plan:
        """A full plan as the answer to an event that is of no one job: why jobs wait is not told."""
        decided = self._replan(is_told=False)
        self.is_stale = True
        return decided

    def _only(self, uids: Iterable[str], plan: Plan) -> Plan:
        """A full plan as the answer to news of a few jobs: of the others it tells nothing."""
        self.is_stale, named = True, frozenset(uids)
        return replace(plan, waiting=tuple(about(plan.waiting, named)))

    def _compile(self, base: Snapshot, *more: Job) -> None:
        jobs = (*(record.job for record in self._league.records.values()), *more)
        self._base = base
        before = self._league
        self._league = League(replace(base, now_s=before.now_s, jobs=jobs, prices=before.prices))
        self._league.preempted = before.preempted
        self._reserved, self._why = {}, _NONE

    # How they do it.

    def _advance(self, now_s: int) -> None:
        passed_s = now_s - self._league.now_s
        if passed_s > 0:
            self._league.supply.reserved_until[:] -= passed_s
            self._league.now_s = now_s

    def _forget(self, uid: str) -> list[int]:
        """Remove a job; the cells it leaves."""
        record = self._league.records.get(uid)
        if record is None:
            return []
        self._unreserve(record)
        fleet = self._league.fleet
        sites = {fleet.cells[held.cell].site for held in record.held}
        self._league.remove(uid)
        self._promises.gone(uid)
        return [cell for site in sorted(sites) for cell in fleet.cells_of_site[site]]

    def _fill(self, freed: Sequence[int], events: int) -> Plan:
        """Give room at some cells to the waiting jobs that come first and fit there."""
        league = self._league
        cells = np.array(sorted(set(freed)), np.int64)
        usable = cells[league.supply.cell_open[cells] == 1]
        if not len(usable):
            return Plan()
        held_up = np.zeros(len(league.kinds), bool)
        held_up[: len(self._why)] = (self._why & (WHY_QUOTA | WHY_CAP)) != 0
        handed = self._hand_over(usable)
        found = candidates.who_and_where(league, usable, held_up)
        rows = candidates.best(league, found.rows, events * MOST_ROWS, self._reserved)
        return Plan(handed + self._run(rows, found.cells).placements if len(rows) else handed)

    def _hand_over(self, cells: Ints) -> tuple[Placement, ...]:
        """Start those whom room was made for, each where that was: what is held there is no other's."""
        league = self._league
        placed: tuple[Placement, ...] = ()
        for cell in cells.tolist() if league.gains else ():
            gains = league.gains.get(cell)
            if gains:
                rows = league.columns.ranked(np.array([*gains], np.int64), league.now_s)
                placed += self._run(rows, np.array([cell], np.int64), gains).placements
        return placed

    def _run(
        self, rows: Ints, cells: Ints | None = None, gains: Mapping[int, int] = NOBODY_GAINS
    ) -> Plan:
        """Try to place rows, best first. ``cells``: where; None: wherever each of them may go.

        ``gains``: who may use what is held for those that room was made for.
        """
        league, ranks = self._league, self._reserved
        ranks = {
            row: ranks[row] for row in ranks if ranks[row] >= reservations.BEHIND or row in gains
        }
        state, numbers = some_waiting(league, rows, cells, ranks)
        decided = run.run(state, is_priced=False, is_compiled=self._is_compiled, is_small=True)
        self._note_why(numbers, waiting.reasons(state.kinds))
        if not len(decided.placed.job):
            return Plan()
        found = placements(league, decided.placed._replace(job=rows[decided.placed.job]))
        self._adopt_all(found, decided)
        return Plan(found)

    def _note_why(self, numbers: Ints, why: Ints) -> None:
        missing = len(self._league.kinds) - len(self._why)
        if missing:
            self._why = np.concatenate((self._why, np.zeros(missing, np.int64)))
        self._why[numbers] |= why

    def _why_of(self, record: Record) -> int:
        return int(self._why[record.kind])

    def _adopt_all(self, found: Sequence[Placement], decided: Decided | Decision) -> None:
        """Book what the kernel placed: ``found`` in words."""
        logs = np.split(decided.log, decided.placed.end)[:-1]  # nothing is left after the last
        cells = decided.placed.cell.tolist()
        held = [
            self._adopt(placed, cell, log.tolist())
            for placed, cell, log in zip(found, cells, logs, strict=True)
        ]
        for gang, machine, workers in decided.growth.reshape(-1, 3).tolist():
            held[gang].log += (machine, workers)

    def _adopt(self, placed: Placement, cell: int, log: list[int]) -> Held:
        record = self._league.records[placed.job_uid]
        self._unreserve(record)
        self._promises.started(placed.job_uid, self._league.now_s)
        holding = Holding(
            placed.site, 0, placed.workers, self._league.now_s, gpu_class=placed.gpu_class
        )
        record.job = replace(record.job, holdings=(*record.job.holdings, holding))
        held = Held(holding, record.kind, cell, log)
        self._league.adopt(record, held)
        return held

    def _unreserve(self, record: Record) -> None:
        """A gang that starts or goes no longer needs its reservation."""
        rank = self._reserved.pop(record.row, None)
        if rank is not None:
            reservations.give_up(self._league, record.row, rank)

    def _stopping(self, stops_: tuple[Stop, ...]) -> None:
        """Book stops: the room stays held until the job is gone."""
        for stop in stops_:
            evictions.charge(self._league, stop)
            record = self._league.records[stop.job_uid]
            for held in record.held:
                if held.holding.site == stop.site:
                    held.holding = replace(held.holding, stopping=True, stopping_to=stop.workers)
                    self._league.note(record, held)
            holdings = tuple(held.holding for held in record.held)
            record.job = replace(record.job, holdings=holdings)
