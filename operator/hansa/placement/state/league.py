"""The league compiled: fleet, tree of shares, caps, jobs as kinds, and what is free.

Built once from a snapshot and then kept up to date by small operations (``add``, ``remove``,
``book``, ``release``); planning reads it and never the snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from hansa.model.history import RunTimes, expected
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, Pool, ShadowPrices, Snapshot
from hansa.placement.kernel import packing, quota
from hansa.placement.kernel.tables import HUGE, Supply
from hansa.placement.rules.caps import build_caps, totals
from hansa.placement.rules.eligibility import Rulebook, job_fault
from hansa.placement.rules.fleet import Fleet, compile_fleet, is_open
from hansa.placement.rules.job_classes import (
    MAX_PRIORITY,
    JobClasses,
    band_of,
    budget_of,
    kind_of,
    refused_of,
)
from hansa.placement.rules.quota_tree import build_ledger
from hansa.placement.rules.residency import Atlas, Fault
from hansa.placement.rules.tariff import Tariff
from hansa.placement.rules.value import units
from hansa.placement.state import oversubscription
from hansa.placement.state.gc_pause import quiet
from hansa.placement.state.holdings import HoldingColumns
from hansa.placement.state.kernel_input import one_kind
from hansa.placement.state.queue_columns import QueueColumns


@dataclass(slots=True)
class Held:
    """Room that a holding takes: pairs (machine, pods) of its cell; 0 pods is the head."""

    holding: Holding
    kind: int
    cell: int
    log: list[int] = field(default_factory=list)
    slot: int = -1
    """Row in ``HoldingColumns``; -1 while it is not booked."""


@dataclass(slots=True)
class Record:
    """A job as the planner keeps it."""

    job: Job
    kind: int = -1
    leaf: int = -1
    fault: Fault | None = None
    """Why it cannot be planned at all, whatever is free."""
    held: list[Held] = field(default_factory=list)
    row: int = -1
    """Row in the columns of waiting jobs; -1 while it does not wait."""


class League:
    """See the module. ``now_s`` moves with every plan."""

    @quiet()
    def __init__(self, snapshot: Snapshot) -> None:
        self.now_s = snapshot.now_s
        self.history = dict(snapshot.history)
        self._prices = snapshot.prices
        self._tariff: Tariff | None = None
        self.pools: dict[str, Pool] = {pool.name: pool for pool in reversed(snapshot.pools)}
        self.dataset_rules = dict(snapshot.dataset_rules)
        self.fleet: Fleet = compile_fleet(snapshot.sites)
        self.records: dict[str, Record] = {}
        self._spare_rows: list[int] = []
        self.columns = QueueColumns.empty(len(snapshot.jobs))
        self.row_uid: list[str] = []
        self.preempted: list[tuple[int, str, str]] = []
        """Preemptions booked since the snapshot: when, in which pool, for which institution."""
        self.gains: dict[int, dict[int, int]] = {}
        """Cell → row of a job that room is made for there → key of its reservation."""
        self.passed_over = np.zeros(0, np.int64)
        """Rows that no room has been sought for yet because others came first, in order."""
        self._serial = 0
        unique = {job.uid: job for job in reversed(snapshot.jobs)}
        jobs = sorted(unique.values(), key=attrgetter("uid"))
        self._lay_out(jobs)
        self.add_all(jobs)

    def _lay_out(self, jobs: Iterable[Job]) -> None:
        """Work out everything that depends on sites and pools only."""
        fleet = self.fleet
        regions = {
            place for site in fleet.sites for place in (site.jurisdiction, *site.legal_control)
        }
        self.caps = build_caps(self.pools.values(), fleet)
        atlas = Atlas(regions)
        self.rules = Rulebook(fleet, atlas, self.pools, self.dataset_rules, dict(self.caps.limits))
        self.totals = {name: totals(pool, fleet) for name, pool in self.pools.items()}
        guests = {(job.pool, job.institution) for job in jobs if job.pool in self.pools}
        self.ledger = build_ledger(self.pools, self.totals, guests)
        self.kinds = JobClasses(self.rules, self.caps.base.__getitem__)
        self._faults: dict[int, Fault | None] = {}
        self.elastic = 0
        """Holdings of elastic jobs."""
        self.stopping: dict[int, tuple[Record, Held]] = {}
        self.by_cell: dict[int, list[tuple[Record, Held]]] = {}
        self.holdings = HoldingColumns(self.pools)
        size = len(fleet.cells)
        self.supply = Supply(
            machine_gpus=fleet.gpus.copy(),
            machine_cpu=fleet.cpu.copy(),
            machine_memory=fleet.memory.copy(),
            cell_lo=fleet.lo,
            cell_hi=fleet.hi,
            site_lo=fleet.site_lo,
            site_hi=fleet.site_hi,
            cell_free=fleet.lent.copy(),
            cell_open=fleet.is_open.copy(),
            reserved_key=np.full(size, HUGE, np.int64),
            reserved_until=np.zeros(size, np.int64),
            reserved_spare=np.zeros(size, np.int64),
            reserved_closed=np.zeros(size, np.int64),
        )
        self.overfull: dict[str, int] = {}
        """Site → pods that it runs without having a machine for them."""
        self.open_sites: dict[int, int] = {}
        """Mask → sites that take such work now."""

    @property
    def prices(self) -> ShadowPrices | None:
        """Shadow prices, possibly stale."""
        return self._prices

    @prices.setter
    def prices(self, prices: ShadowPrices | None) -> None:
        self._prices = prices
        self._tariff = None

    @property
    def tariff(self) -> Tariff:
        """What cells cost, made when first asked for after prices changed."""
        if self._tariff is None:
            self._tariff = Tariff(self.fleet, self.caps, self.kinds, self._prices)
        return self._tariff

    # Jobs.

    def add_all(self, jobs: Iterable[Job]) -> None:
        """Add many jobs: those that hold resources first, oldest first."""
        held = [job for job in jobs if job.holdings]
        for job in sorted(held, key=lambda job: (min(h.since_s for h in job.holdings), job.uid)):
            self.add(job)
        for job in jobs:
            if not job.holdings:
                self.add(job)

    def add(self, job: Job) -> Record:
        """Take a job in: book what it holds, or let it wait."""
        record = Record(job)
        self.records[job.uid] = record
        record.fault = self._classify(record)
        if job.holdings:
            for holding in job.holdings:
                self.book(record, holding)
        elif record.fault is None:
            self._wait(record)
        return record

    def remove(self, uid: str) -> Record | None:
        """Forget a job; what it held is free."""
        record = self.records.pop(uid, None)
        if record is not None:
            for held in tuple(record.held):
                self.release(record, held)
            self.unwait(record)
        return record

    def _wait(self, record: Record) -> None:
        row = self._spare_rows.pop() if self._spare_rows else len(self.row_uid)
        if row == len(self.row_uid):
            self.row_uid.append("")
        columns, job = self.columns, record.job
        columns.reserve(row)
        self.row_uid[row] = job.uid
        columns.kind[row] = record.kind
        columns.leaf[row] = record.leaf
        columns.priority[row] = min(MAX_PRIORITY, max(0, job.priority))
        columns.submitted[row] = job.submitted_s
        times = self.run_time(job)
        columns.runtime[row] = max(1, int(min(job.max_runtime_s, times.p50_s)))
        columns.runtime_p90[row] = max(1, math.ceil(min(job.max_runtime_s, times.p90_s)))
        columns.gpus[row] = job.shape.total_gpus
        columns.units[row] = units(job.shape.total_gpus)
        columns.serial[row] = self._serial
        columns.waits[row] = True
        self._serial += 1
        record.row = row

    def unwait(self, record: Record) -> None:
        """Take a job off the queues."""
        if record.row >= 0:
            self.columns.waits[record.row] = False
            self._spare_rows.append(record.row)
            record.row = -1

    def _classify(self, record: Record) -> Fault | None:
        job = record.job
        if job.barred is not None:
            fault: Fault | None = Fault(job.barred, job.barred_message)
        elif job.pool not in self.pools:
            return Fault(Reason.UNKNOWN_POOL, f"there is no pool {job.pool}")
        else:
            fault = None
        wrong = job_fault(job)
        if wrong:
            return Fault(Reason.MISCONFIGURED, wrong)
        if job.pool not in self.pools:
            return fault
        record.leaf = self.ledger.leaf.get((job.pool, job.institution), -1)
        record.kind = self._kind_of(job)
        if fault is not None:
            return fault
        return self._unplannable(record)

    def _unplannable(self, record: Record) -> Fault | None:
        """What in the rules of its pool or data keeps a sound job from ever being placed."""
        job = record.job
        if record.leaf < 0:
            return Fault(
                Reason.NOT_ADMITTED_TO_POOL, f"{job.institution} has no share of pool {job.pool}"
            )
        return self._kind_fault(record.kind) or self._too_much(record)

    def reclassify(self, pool: str) -> None:
        """See anew which jobs of a pool that hold nothing can be planned: its rules have changed."""
        self._faults.clear()
        for record in self.records.values():
            if record.job.holdings or record.job.pool != pool:
                continue
            waits = record.row >= 0
            record.fault = self._unplannable(record) if waits else self._classify(record)
            if waits and record.fault is not None:
                self.unwait(record)
            elif not waits and record.fault is None:
                self._wait(record)

    def _kind_fault(self, number: int) -> Fault | None:
        if number not in self._faults:
            self._faults[number] = self.rules.fault(self.kinds.kinds[number])
        return self._faults[number]

    def _too_much(self, record: Record) -> Fault | None:
        gpus = self.kinds.kinds[record.kind].gpus
        ceiling = int(self.ledger.ceiling[record.leaf])
        if gpus <= ceiling:
            return None
        return Fault(
            Reason.EXCEEDS_POOL_QUOTA,
            f"needs {gpus} GPUs; {record.job.institution} may never hold more than {ceiling} in {record.job.pool}",
        )

    # Kinds.

    def run_time(self, job: Job) -> RunTimes:
        """How long such jobs run: from history, else all of the time it asked for."""
        asked_s = job.max_runtime_s
        seen = expected(
            self.history, job.institution, gpus=job.shape.total_gpus, max_runtime_s=asked_s
        )
        return seen or RunTimes(1, math.log(max(1, asked_s)), 0.0)

    def _kind_of(self, job: Job) -> int:
        shape, residency = self.kinds.intern(job.shape), self.kinds.intern(job.residency)
        key = (
            job.pool, job.institution, shape, residency, job.data, job.assurance, refused_of(job),
            budget_of(job), band_of(job.priority),
        )  # fmt: skip
        return self.kinds.find(key, lambda: kind_of(job))

    # Holdings.

    def book(self, record: Record, holding: Holding) -> None:
        """Take the room of a holding, as far as the site has it."""
        site = self.fleet.site_index.get(holding.site)
        if record.kind < 0 or site is None or holding.workers <= 0:
            return
        held = Held(holding, record.kind, self._cell_for(site, record.job, holding))
        self._keep(record, held)
        oversubscription.seat(self, held)
        self._charge(record, held, 1)

    def adopt(self, record: Record, held: Held) -> None:
        """Note room that the kernel has already taken and charged."""
        self.unwait(record)
        self._keep(record, held)

    def _keep(self, record: Record, held: Held) -> None:
        record.held.append(held)
        self.by_cell.setdefault(held.cell, []).append((record, held))
        self.elastic += record.job.shape.min_workers > 0
        self.note(record, held)

    def note(self, record: Record, held: Held) -> None:
        """Remember what is on its way out, and what the rest could yield."""
        place = held.cell, record.leaf, self.kinds.kinds[held.kind].workers
        held.slot = self.holdings.note(held.slot, record.job, held.holding, place)
        if held.holding.stopping:
            self.stopping[id(held)] = (record, held)

    def release(self, record: Record, held: Held) -> None:
        """Give back the room of a holding."""
        record.held.remove(held)
        self.elastic -= record.job.shape.min_workers > 0
        self.stopping.pop(id(held), None)
        self.holdings.leave(held.slot)
        there = self.by_cell[held.cell]
        there[:] = [pair for pair in there if pair[1] is not held]
        shape = self.kinds.kinds[held.kind].shape
        packing.shift(self.supply, one_kind(shape), 0, held.log, -1)
        self.supply.cell_free[held.cell] += held.holding.workers * shape.gpus
        self._charge(record, held, -1)
        if held.holding.site in self.overfull:
            oversubscription.settle(self, held.holding.site)

    def _charge(self, record: Record, held: Held, sign: int) -> None:
        shape, workers = self.kinds.kinds[held.kind].shape, held.holding.workers
        gpus = workers * shape.gpus
        columns = one_kind(shape, self.caps.base[record.job.pool])
        quota.charge_caps(self.caps.counters, columns, 0, held.cell, sign * gpus)
        if record.leaf < 0:
            return
        accounts = self.ledger.accounts
        move = quota.charge_quota if sign > 0 else quota.refund_quota
        move(accounts, record.leaf, gpus)
        cpu = workers * shape.cpu_millis + shape.head_cpu_millis
        memory = workers * (shape.memory_bytes >> 20) + (shape.head_memory_bytes >> 20)
        quota.charge_use(accounts, record.leaf, sign * gpus, sign * cpu, sign * memory)

    def _cell_for(self, site: int, job: Job, holding: Holding) -> int:
        """The cell a holding is in: as recorded, else the first of a fitting class with room."""
        cells = self.fleet.cells_of_site[site]
        if not job.shape.gpus or len(cells) == 1:
            return cells.start
        wanted = holding.gpu_class or job.shape.gpu_class
        alike = [
            at
            for at in cells[1:]
            if self.fleet.cells[at].gpu_class == (wanted or self.fleet.cells[at].gpu_class)
            and self.fleet.cells[at].gpu_memory_bytes >= job.shape.gpu_memory_bytes
        ] or list(cells[1:])
        need = holding.workers * job.shape.gpus
        return next((at for at in alike if self.supply.cell_free[at] >= need), alike[0])

    def is_open(self, cell: int) -> bool:
        """Whether a cell's site takes new work."""
        return is_open(self.fleet.sites[self.fleet.cells[cell].site])
