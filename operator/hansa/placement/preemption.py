"""Room made for work that is entitled to it: elastic jobs shrink, then others are stopped.

Stopped only are jobs of lower priority, or of an institution that holds more than its nominal
share, as the pool's rule says; never one that has just begun, and within a budget of the gaining
institution. Entitled is who stays within the own nominal share: such jobs come first. The gaining
job waits until the victim's release is there, and what is freed is held for it: nothing here gives
out room that is still held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool
from hansa.placement import packing, shares
from hansa.placement.columns import RANK_BITS, WHY_CAPACITY, WHY_QUOTA
from hansa.placement.league import Held, League, Record
from hansa.placement.tables import AFTER_ALL, one_kind
from hansa.placement.waiting import Blocked

MOST_JOBS = 128
"""Kinds of blocked jobs that room is sought for in one plan, those of entitled jobs first."""
MOST_CELLS = 16
"""Cells examined for one job, in order of choice, among those that hold enough to yield."""
MOST_VICTIMS = 64
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Victim:
    """Something that could end: all of a holding, or the workers beyond an elastic job's least."""

    record: Record
    held: Held
    workers_left: int
    lost_gpu_s: int

    @property
    def key(self) -> tuple[str, str]:
        """The job, and the site where it yields."""
        return self.record.job.uid, self.held.holding.site

    @property
    def gpus(self) -> int:
        """GPUs that it would free."""
        return (self.held.holding.workers - self.workers_left) * self.record.job.shape.gpus

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Who goes first: who only shrinks, then low priority, then little lost work."""
        job = self.record.job
        return self.workers_left == 0, job.priority, self.lost_gpu_s, job.uid


@dataclass
class MadeRoom:
    """What was stopped, and for whom."""

    stops: list[Stop] = field(default_factory=list)
    gaining: dict[str, str] = field(default_factory=dict)
    """UID of a gaining job → what it waits for."""
    reserved: dict[int, int] = field(default_factory=dict)
    """Row of a job that room was made for → the rank under which that room is held."""


class _Scratch:
    """The league as it will be when all that is stopping has gone; thrown away after the plan."""

    def __init__(self, league: League) -> None:
        self.league = league
        copy = league.supply._replace(
            machine_gpus=league.supply.machine_gpus.copy(),
            machine_cpu=league.supply.machine_cpu.copy(),
            machine_memory=league.supply.machine_memory.copy(),
            cell_free=league.supply.cell_free.copy(),
        )
        self.supply = copy
        self.accounts = league.ledger.accounts._replace(
            used=league.ledger.accounts.used.copy(), gpus=league.ledger.accounts.gpus.copy()
        )
        self.caps = league.caps.counters._replace(left=league.caps.counters.left.copy())
        self.gone: dict[tuple[str, str], int] = {}
        """(job, site) → workers left there."""
        self._yielding: dict[int, list[Victim]] = {}

    def yielding(self, cell: int) -> list[Victim]:
        """What could end at a cell as far as pool and run time go, in the order of victims."""
        if cell not in self._yielding:
            found = (_victim(self.league, *pair) for pair in self.league.by_cell.get(cell, ()))
            self._yielding[cell] = sorted((v for v in found if v is not None), key=_order)
        return [v for v in self._yielding[cell] if v.key not in self.gone]

    def is_entitled(self, record: Record) -> bool:
        """Whether an institution stays within its nominal share with a job."""
        need = self.league.kinds.kinds[record.kinds[0]].gpus
        held, nominal = self.accounts.gpus[record.leaf], self.accounts.nominal[record.leaf]
        return bool(held + need <= nominal)

    def release(self, victim: Victim) -> list[tuple[int, int]]:
        """Give the victim's room back; returns what to take again to undo it."""
        log = list(victim.held.log)
        if victim.workers_left:
            log = _part_of(log, victim.held.holding.workers - victim.workers_left)
        self._move(victim, log, -1)
        return [(log[at], log[at + 1]) for at in range(0, len(log), 2)]

    def retake(self, victim: Victim, pairs: list[tuple[int, int]]) -> None:
        """Undo ``release``."""
        self._move(victim, [number for pair in pairs for number in pair], 1)

    def _move(self, victim: Victim, log: list[int], sign: int) -> None:
        kind = self.league.kinds.kinds[victim.held.kind].shape
        columns = one_kind(kind, self.league.caps.base[victim.record.job.pool])
        for at in range(0, len(log), 2):
            machine, pods = log[at], log[at + 1]
            if pods:
                packing.occupy(
                    self.supply, machine, sign * pods, kind.gpus, kind.cpu_millis, kind.memory_bytes
                )
            else:
                packing.occupy(
                    self.supply, machine, sign, 0, kind.head_cpu_millis, kind.head_memory_bytes
                )
        gpus = sum(log[1::2]) * kind.gpus
        self.supply.cell_free[victim.held.cell] -= sign * gpus
        shares.charge_caps(self.caps, columns, 0, victim.held.cell, sign * gpus)
        if victim.record.leaf >= 0:
            move = shares.charge_quota if sign > 0 else shares.refund_quota
            move(self.accounts, victim.record.leaf, gpus)
            self.accounts.gpus[victim.record.leaf] += sign * gpus

    def take(self, record: Record, cell: int) -> bool:
        """Put a job's gang into a cell if room, caps and quota allow; True when it was."""
        kind = self.league.kinds.kinds[record.kinds[0]]
        columns = one_kind(kind.shape, self.league.caps.base[kind.pool])
        if not shares.quota_allows(self.accounts, record.leaf, kind.gpus):
            return False
        if kind.gpus and shares.cap_room(self.caps, columns, 0, cell) < kind.gpus:
            return False
        if not packing.take_gang(self.supply, cell, columns, 0, kind.workers, []):
            return False
        shares.charge_caps(self.caps, columns, 0, cell, kind.gpus)
        shares.charge_quota(self.accounts, record.leaf, kind.gpus)
        self.accounts.gpus[record.leaf] += kind.gpus
        return True

    def could_take(self, record: Record, cell: int) -> bool:
        """``take`` without taking."""
        kind = self.league.kinds.kinds[record.kinds[0]]
        columns = one_kind(kind.shape, self.league.caps.base[kind.pool])
        log: list[int] = []
        if not shares.quota_allows(self.accounts, record.leaf, kind.gpus):
            return False
        if kind.gpus and shares.cap_room(self.caps, columns, 0, cell) < kind.gpus:
            return False
        if not packing.take_gang(self.supply, cell, columns, 0, kind.workers, log):
            return False
        packing.give_back(self.supply, cell, columns, 0, log, 0, len(log))
        return True


def make_room(league: League, blocked: Blocked) -> MadeRoom:
    """Find room for blocked jobs: those entitled to it first, then best rank first."""
    made = MadeRoom()
    may_stop = {name for name, pool in league.pools.items() if _may_stop(pool)}
    if not (league.stopping or league.elastic or may_stop) or not any(league.by_cell.values()):
        return made
    search = _Search(_Scratch(league), made)
    for row in _in_order(search.scratch, blocked):
        if len(search.hopeless) + len(made.gaining) >= MOST_JOBS:
            break
        search.seek(row)
    return made


def _in_order(scratch: _Scratch, blocked: Blocked) -> list[int]:
    """Rows that capacity or quota keeps waiting, entitled ones first."""
    records, uids = scratch.league.records, scratch.league.row_uid
    rows = [row for row, why in blocked if why & (WHY_CAPACITY | WHY_QUOTA)]
    rows = [row for row in rows if len(records[uids[row]].kinds) == 1]
    return sorted(rows, key=lambda row: not scratch.is_entitled(records[uids[row]]))


class _Search:
    """Looks for room, job by job."""

    def __init__(self, scratch: _Scratch, made: MadeRoom) -> None:
        league = scratch.league
        self.scratch = scratch
        self.made = made
        self.hopeless: set[int] = set()
        """Kinds that found nothing: what others gain later does not help them."""
        self._freed = _let_go(scratch)
        self._caused = Counter(row[1:] for row in league.preempted if league.now_s - row[0] < HOUR_S)

    def seek(self, row: int) -> None:
        """Find room for one job, and book it."""
        league = self.scratch.league
        record = league.records[league.row_uid[row]]
        if record.kinds[0] in self.hopeless:
            return
        cells = league.tariff.candidates(record.kinds[0])
        usable = [cell for cell in cells.tolist() if league.supply.cell_open[cell]]
        soon = next((c for c in usable if c in self._freed and self.scratch.take(record, c)), None)
        if soon is not None:
            self.made.gaining[record.job.uid] = f"work at {_site(league, soon)} is stopping"
        elif not self._stop_for(row, record, usable):
            self.hopeless.add(record.kinds[0])

    def _stop_for(self, row: int, record: Record, cells: list[int]) -> bool:
        """Take the cell where the fewest jobs and the least work are lost, if any."""
        plans = []
        if not self._may_gain(record):
            return False
        for cell in islice((c for c in cells if self._is_enough(record, c)), MOST_CELLS):
            chosen = self._victims(record, cell)
            if chosen:
                stopped = sum(victim.workers_left == 0 for victim in chosen)
                plans.append((stopped, sum(v.lost_gpu_s for v in chosen), cell, chosen))
        if not plans:
            return False
        _, _, cell, chosen = min(plans, key=lambda plan: plan[:3])
        job = record.job
        for victim in chosen:
            self.scratch.release(victim)
            self.scratch.gone[victim.key] = victim.workers_left
            self._caused[job.pool, job.institution] += victim.workers_left == 0
            self.made.stops.append(_stop(victim, record))
        self.scratch.take(record, cell)
        words = f"{len(chosen)} jobs at {_site(self.scratch.league, cell)} make room"
        self.made.gaining[job.uid] = words
        self._hold(row, record, cell)
        return True

    def _hold(self, row: int, record: Record, cell: int) -> None:
        """Hold the cell for the gaining job until the next full plan, but for what it leaves."""
        supply, rank = self.scratch.league.supply, AFTER_ALL - 1 - row
        tier = min(1, shares.share_of(self.scratch.league.ledger.accounts, record.leaf))
        supply.reserved_key[cell] = tier << RANK_BITS | rank
        supply.reserved_until[cell] = 0
        supply.reserved_spare[cell] = max(0, self.scratch.supply.cell_free[cell])
        self.made.reserved[row] = rank

    def _may_gain(self, record: Record) -> bool:
        """Whether anything could yield to the job at all."""
        league = self.scratch.league
        rule = league.pools[record.job.pool].preemption
        is_entitled = rule.borrowers and self.scratch.is_entitled(record)
        return is_entitled or rule.lower_priority or league.elastic > 0

    def _is_enough(self, record: Record, cell: int) -> bool:
        """Whether a cell could hold the job if everything that may yield there did."""
        need = self.scratch.league.kinds.kinds[record.kinds[0]].gpus
        room = int(self.scratch.supply.cell_free[cell])
        return room + sum(v.gpus for v in self.scratch.yielding(cell)) >= need

    def _victims(self, record: Record, cell: int) -> list[Victim]:
        """The fewest that have to yield at a cell for a job to fit; empty when it cannot.

        First those whose institution keeps its nominal share without them, then any of one that
        holds more; and where small ones together are not enough, the largest first.
        """
        yielding = [v for v in self.scratch.yielding(cell) if v.record.job.pool == record.job.pool]
        by_size = sorted(yielding, key=lambda victim: -victim.gpus)
        for turns in (((True, yielding), (False, yielding)), ((False, by_size),)):
            chosen = self._try(record, cell, turns)
            if chosen:
                return chosen
        return []

    def _try(
        self, record: Record, cell: int, turns: Iterable[tuple[bool, list[Victim]]]
    ) -> list[Victim]:
        """Release victims in order until the job fits, then take back who was not needed."""
        scratch, job = self.scratch, record.job
        pool = scratch.league.pools[job.pool]
        left = pool.preemption.max_per_hour - pool.recent_preemptions.get(job.institution, 0)
        left -= self._caused[job.pool, job.institution]
        found: dict[tuple[str, str], tuple[Victim, list[tuple[int, int]]]] = {}
        fits = False
        for keeps_nominal, victims in turns:
            for victim in victims:
                if fits or len(found) == MOST_VICTIMS:
                    break
                if victim.key in found or (victim.workers_left == 0 and left <= 0):
                    continue
                if _is_fair(scratch, record, victim, keeps_nominal=keeps_nominal):
                    left -= victim.workers_left == 0
                    found[victim.key] = victim, scratch.release(victim)
                    fits = scratch.could_take(record, cell)
        kept = []
        for victim, pairs in reversed(found.values()):
            scratch.retake(victim, pairs)
            if fits and not scratch.could_take(record, cell):
                kept.append((victim, pairs))
                scratch.release(victim)
        for victim, pairs in kept:
            scratch.retake(victim, pairs)
        return [victim for victim, _ in reversed(kept)]


def _victim(league: League, other: Record, holding: Held) -> Victim | None:
    """What a holding could yield: nothing while it stops, or has just begun."""
    job, room = other.job, holding.holding
    if room.stopping or not room.confirmed:
        return None
    elapsed = max(0, league.now_s - room.since_s)
    least = league.kinds.kinds[holding.kind].workers
    if job.shape.min_workers and room.workers > least:
        return Victim(other, holding, least, 0)
    if not job.preemptible or job.spread or job.pool not in league.pools:
        return None
    if elapsed < league.pools[job.pool].preemption.min_runtime_s:
        return None
    return Victim(other, holding, 0, elapsed * room.workers * max(1, job.shape.gpus))


def _is_fair(scratch: _Scratch, record: Record, victim: Victim, *, keeps_nominal: bool) -> bool:
    """Whether the pool's rule lets the victim yield: see the module.

    ``keeps_nominal``: only if its institution keeps its nominal share without it.
    """
    if victim.workers_left:
        return True
    accounts, job, other = scratch.accounts, record.job, victim.record.job
    rule = scratch.league.pools[job.pool].preemption
    leaf = victim.record.leaf
    excess = 1 if leaf < 0 else int(accounts.gpus[leaf] - accounts.nominal[leaf])
    stays = leaf < 0 or excess >= victim.gpus
    is_own = leaf == record.leaf
    if rule.lower_priority and other.priority < job.priority and (is_own or stays):
        return True
    lends = stays if keeps_nominal else excess > 0
    return rule.borrowers and lends and not is_own and scratch.is_entitled(record)


def _let_go(scratch: _Scratch) -> set[int]:
    """Release what is stopping; the cells where something is."""
    freed = set()
    for record, held in scratch.league.stopping.values():
        scratch.release(Victim(record, held, held.holding.stopping_to, 0))
        freed.add(held.cell)
    return freed


def _may_stop(pool: Pool) -> bool:
    return pool.preemption.lower_priority or pool.preemption.borrowers


def _part_of(log: list[int], workers: int) -> list[int]:
    """Log entries of the last so many workers."""
    part: list[int] = []
    for at in range(len(log) - 2, -1, -2):
        pods = min(workers, log[at + 1])
        if pods > 0:
            part += (log[at], pods)
            workers -= pods
    return part


def _order(victim: Victim) -> tuple[bool, int, int, str]:
    return victim.order


def _stop(victim: Victim, record: Record) -> Stop:
    job = record.job
    verb = f"shrunk to {victim.workers_left} workers" if victim.workers_left else "stopped"
    message = f"{verb} in favour of {job.name} of {job.institution}"
    return Stop(
        victim.record.job.uid, victim.held.holding.site, Reason.WAITING_FOR_PREEMPTION, message,
        victim.workers_left, job.uid,
    )  # fmt: skip


def _site(league: League, cell: int) -> str:
    return league.fleet.sites[league.fleet.cells[cell].site].name
