"""The books: what stands where, what waits, and what is free.

Compiled once from a snapshot. News goes in by small operations (``add``, ``remove``, ``amend``,
``advance``, and ``updates`` for sites and pools). Planning works on a ``draft`` and returns a
``Decision``; only ``book`` makes it true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from hansa.model.history import Group, RunTimes, expecting
from hansa.model.plan import Plan, Stop
from hansa.model.snapshot import Holding, Job, Pool, ShadowPrices, Snapshot, Yielded
from hansa.placement.kernel import packing
from hansa.placement.kernel.gc_pause import quiet
from hansa.placement.kernel.tables import Span
from hansa.placement.rules.caps import build_caps, totals
from hansa.placement.rules.cell_order import Tariff
from hansa.placement.rules.eligibility import Rulebook
from hansa.placement.rules.fleet import Fleet, Ints, compile_fleet
from hansa.placement.rules.job_classes import JobClasses, one_kind
from hansa.placement.rules.quota_tree import build_ledger
from hansa.placement.rules.residency import Atlas
from hansa.placement.state.decision import NO_PLAN, Decision, Room, Start
from hansa.placement.state.held_room import HeldRoom, idle
from hansa.placement.state.holdings import HoldingColumns
from hansa.placement.state.open_sites import OpenSites
from hansa.placement.state.oversubscription import Oversubscription, cell_of
from hansa.placement.state.queue_columns import QueueColumns
from hansa.placement.state.records import Held, Record, yielded_by
from hansa.placement.state.screening import Screening

Preempted = tuple[int, str, str]
"""When, in which pool, and for which institution."""


class League:
    """See the module. ``now_s`` moves with every plan."""

    @quiet()
    def __init__(self, snapshot: Snapshot, preempted: Iterable[Preempted] = ()) -> None:
        """``preempted``: preemptions booked before, which the snapshot does not count yet."""
        self.now_s = snapshot.now_s
        self.learn(snapshot.history)
        self._prices = snapshot.prices
        self._tariff: Tariff | None = None
        self.pools: dict[str, Pool] = {pool.name: pool for pool in reversed(snapshot.pools)}
        self.fleet: Fleet = compile_fleet(snapshot.sites)
        self.records: dict[str, Record] = {}
        self.yielded: dict[str, Yielded] = {}
        """UID of a job that was stopped for another, or is to be → its record of that."""
        self.columns = QueueColumns(len(snapshot.jobs))
        self.preempted: list[Preempted] = [*preempted]
        """Preemptions booked since the snapshot."""
        self.passed_over = np.zeros(0, np.int64)
        self.why = np.zeros(0, np.int64)
        """What the last decision left: see ``Decision``."""
        self.revision = 0
        """How often the books have changed."""
        self.laid_out = 0
        """How often sites or pools have changed: what the rules say holds as long."""
        unique = {job.uid: job for job in reversed(snapshot.jobs)}
        jobs = sorted(unique.values(), key=attrgetter("uid"))
        self._lay_out(jobs)
        self._add_all(jobs)

    def _lay_out(self, jobs: Iterable[Job]) -> None:
        """Work out everything that depends on sites and pools only."""
        fleet, pools = self.fleet, self.pools
        regions = {
            place for site in fleet.sites for place in (site.jurisdiction, *site.legal_control)
        }
        self.caps = build_caps(pools.values(), fleet)
        self.rules = Rulebook(fleet, Atlas(regions), pools, dict(self.caps.limits))
        self.totals = {name: totals(pool, fleet) for name, pool in pools.items()}
        guests = {(job.pool, job.institution) for job in jobs if job.pool in pools}
        self.ledger = build_ledger(pools, self.totals, guests)
        self.kinds = JobClasses(self.rules, self.caps.base.__getitem__)
        self._screening = Screening(pools, self.ledger, self.rules, self.kinds)
        self.elastic = 0
        """Holdings of elastic jobs."""
        self.stopping: dict[int, tuple[Record, Held]] = {}
        self.by_cell: dict[int, list[tuple[Record, Held]]] = {}
        self.holdings = HoldingColumns(pools)
        self.oversubscribed = Oversubscription(fleet, self.kinds, self.by_cell)
        self.open_sites = OpenSites(self.kinds, fleet.cell_site)
        self._held = HeldRoom.none(len(fleet.cells))
        self.supply = self._held.in_supply(idle(fleet))

    # What is read.

    @property
    def prices(self) -> ShadowPrices | None:
        """Shadow prices, possibly stale."""
        return self._prices

    @prices.setter
    def prices(self, prices: ShadowPrices | None) -> None:
        if prices is not self._prices:
            self._prices, self._tariff = prices, None

    @property
    def tariff(self) -> Tariff:
        """What cells cost, made when first asked for after prices changed."""
        if self._tariff is None:
            self._tariff = Tariff(self.fleet, self.caps, self.kinds, self._prices)
        return self._tariff

    @property
    def held(self) -> HeldRoom:
        """Room that is held at present, and what it still leaves over."""
        return self._held

    @property
    def room(self) -> Room:
        """What is left to be given out."""
        return Room(self.supply, self.ledger.accounts, self.caps.counters)

    def learn(self, history: Mapping[Group, RunTimes]) -> None:
        """Expect other run times from now on; jobs that wait already keep theirs."""
        self._run_times = expecting(history)

    def run_time(self, job: Job) -> RunTimes:
        """How long such jobs run: from history, else all of the time it asked for."""
        return self._run_times(job.institution, job.shape.total_gpus, job.max_runtime_s)

    # Decisions.

    def decision(
        self,
        plan: Plan = NO_PLAN,
        starts: Sequence[Start] = (),
        *,
        held: HeldRoom | None = None,
        why: Ints | None = None,
        passed_over: Ints | None = None,
    ) -> Decision:
        """The decision that changes nothing but what is named, and the room that is used up."""
        return Decision(
            plan,
            starts,
            self.room,
            self._held if held is None else held,
            self.why if why is None else why,
            self.passed_over if passed_over is None else passed_over,
            self.revision,
        )

    def draft(self, held: HeldRoom | None = None) -> League:
        """A working copy to plan on: the room is its own, all else is shared and only read.

        ``held``: room to be held instead of what is.
        """
        self._tariff = self.tariff  # made once, and not once a draft
        draft = League.__new__(League)
        vars(draft).update(vars(self))
        draft._take(self.room.copy(), (held or self._held).copy())  # noqa: SLF001  # its own
        return draft

    def book(self, decision: Decision) -> None:
        """Make a decision true: what starts holds its room, what stops is stopping.

        Raises:
            ValueError: The books have changed since it was made.
        """
        if decision.revision != self.revision:
            msg = f"decided on revision {decision.revision} of the books, they are at {self.revision}: decide anew"
            raise ValueError(msg)
        self.revision += 1
        self._take(decision.room, decision.held)
        self.why, self.passed_over = decision.why, decision.passed_over
        for start in decision.starts:
            self._start(start)
        for stop in decision.plan.stops:
            self._stop(stop)

    def _take(self, room: Room, held: HeldRoom) -> None:
        self._held = held
        self.supply = held.in_supply(room.supply)
        if room.accounts is not self.ledger.accounts:
            self.ledger = self.ledger.charged(room.accounts)
        if room.caps is not self.caps.counters:
            self.caps = self.caps.charged(room.caps)

    def _start(self, start: Start) -> None:
        """Note room that the decision has already taken and charged."""
        placed = start.placement
        record = self.records[placed.job_uid]
        holding = Holding(placed.site, 0, placed.workers, self.now_s, gpu_class=placed.gpu_class)
        record.job = replace(record.job, holdings=(*record.job.holdings, holding))
        self._unwait(record)
        self._keep(record, Held(holding, record.kind, start.cell, start.log))

    def _stop(self, stop: Stop) -> None:
        """The room stays held until the job is gone; a preemption counts for whoever gains by it."""
        gaining = self.records.get(stop.in_favour_of)
        if gaining is not None and not stop.workers:
            self.preempted.append((self.now_s, gaining.job.pool, gaining.job.institution))
        record = self.records[stop.job_uid]
        for held in record.held:
            if held.holding.site == stop.site:
                held.holding = replace(held.holding, stopping=True, stopping_to=stop.workers)
                self._note(record, held)
        holdings = tuple(held.holding for held in record.held)
        record.job = replace(record.job, holdings=holdings)
        if stop.in_favour_of:
            self.note_yielded(record, yielded_by(record, stop, self.fleet, self.now_s))

    # News of time and jobs.

    def advance(self, now_s: int) -> None:
        """Let time pass; it never goes back."""
        passed_s = now_s - self.now_s
        if passed_s > 0:
            self.revision += 1
            self.now_s = now_s
            if self._held.ranks:
                self._take(self.room, self._held.later(passed_s))

    def _add_all(self, jobs: Iterable[Job]) -> None:
        """Add many jobs: those that hold resources first, oldest first."""
        held = [job for job in jobs if job.holdings]
        held.sort(key=lambda job: (min(h.since_s for h in job.holdings), job.uid))
        for job in (*held, *(job for job in jobs if not job.holdings)):
            self.add(job)

    def add(self, job: Job) -> None:
        """Take a job in: book what it holds, or let it wait."""
        self.revision += 1
        record = self.records[job.uid] = Record(job, *self._screening.screen(job))
        self.note_yielded(record, job.yielded)
        if job.holdings:
            for holding in job.holdings:
                self._hold(record, holding)
        elif record.fault is None:
            self._wait(record)

    def remove(self, uid: str) -> Sequence[int]:
        """Forget a job; what it held is free. The cells that it held."""
        record = self.records.pop(uid, None)
        if record is None:
            return ()
        self.revision += 1
        self.yielded.pop(uid, None)
        cells = [held.cell for held in record.held]
        for held in tuple(record.held):
            self._release(record, held)
        self._unwait(record)
        return cells

    def amend(self, job: Job) -> None:
        """Take in what is new about the holdings of a job that keeps its room."""
        self.revision += 1
        record = self.records[job.uid]
        for held, holding in zip(record.held, job.holdings, strict=True):
            held.holding = holding
            self.stopping.pop(id(held), None)
            self._note(record, held)
        record.job = job
        self.note_yielded(record, job.yielded)

    def note_yielded(self, record: Record, yielded: Yielded | None) -> None:
        """Remember for whom a job was stopped last."""
        if yielded is not None and yielded != self.yielded.get(record.job.uid):
            record.job = replace(record.job, yielded=yielded)
            self.yielded[record.job.uid] = yielded

    def rescreen(self, pool: str) -> None:
        """See anew which jobs of a pool that hold nothing can be planned: its rules have changed."""
        self.revision += 1
        self._screening = Screening(self.pools, self.ledger, self.rules, self.kinds)
        for record in self.records.values():
            job = record.job
            if job.holdings or job.pool != pool:
                continue
            if record.row >= 0:
                record.fault = self._screening.objection(job, record.kind, record.leaf)
                if record.fault is not None:
                    self._unwait(record)
            else:
                record.kind, record.leaf, record.fault = self._screening.screen(job)
                if record.fault is None:
                    self._wait(record)

    # Who waits.

    def _wait(self, record: Record) -> None:
        job, times = record.job, self.run_time(record.job)
        runtimes = min(job.max_runtime_s, times.p50_s), min(job.max_runtime_s, times.p90_s)
        record.row = self.columns.enter(job, record.kind, record.leaf, runtimes)

    def _unwait(self, record: Record) -> None:
        """Take a job off the queues; nothing is held for it any more."""
        if record.row < 0:
            return
        if record.row in self._held.ranks:
            self._take(self.room, self.held.without((record.row,)))
        self.columns.leave(record.row)
        record.row = -1

    # Holdings.

    def _hold(self, record: Record, holding: Holding) -> None:
        """Take the room of a holding, as far as the site has it."""
        if record.kind < 0 or holding.site not in self.fleet.site_index or holding.workers <= 0:
            return
        cell = cell_of(self.fleet, self.supply, record.job, holding)
        held = Held(holding, record.kind, cell)
        self._keep(record, held)
        self.oversubscribed.seat(self.supply, held)
        self._charge(record, held, 1)

    def _keep(self, record: Record, held: Held) -> None:
        record.held.append(held)
        self.by_cell.setdefault(held.cell, []).append((record, held))
        self.elastic += record.job.shape.min_workers > 0
        self._note(record, held)

    def _note(self, record: Record, held: Held) -> None:
        """Remember what is on its way out, and what the rest could yield."""
        place = held.cell, record.leaf, self.kinds.kinds[held.kind].workers
        held.slot = self.holdings.note(held.slot, record.job, held.holding, place)
        if held.holding.stopping:
            self.stopping[id(held)] = (record, held)

    def _release(self, record: Record, held: Held) -> None:
        """Give back the room of a holding."""
        record.held.remove(held)
        self.elastic -= record.job.shape.min_workers > 0
        self.stopping.pop(id(held), None)
        self.holdings.leave(held.slot)
        there = self.by_cell[held.cell]
        there[:] = [pair for pair in there if pair[1] is not held]
        shape = self.kinds.kinds[held.kind].shape
        pods = packing.pods_of(one_kind(shape), 0)
        packing.shift(self.supply, pods, held.log, Span(0, len(held.log)), -1)
        self.supply.cell_free[held.cell] += held.holding.workers * shape.gpus
        self._charge(record, held, -1)
        if held.holding.site in self.oversubscribed.missing:
            self.oversubscribed.settle(self.supply, held.holding.site)

    def _charge(self, record: Record, held: Held, sign: int) -> None:
        shape, base = self.kinds.kinds[held.kind].shape, self.caps.base[record.job.pool]
        self.room.charge(shape, sign * held.holding.workers, held.cell, base, record.leaf)
