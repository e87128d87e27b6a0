"""Room made for work that is entitled to it: elastic jobs shrink, then others are stopped.

Stopped only are jobs of lower priority, or of an institution that stays at or above its nominal
share without them, as the pool's rule says; never one that has just begun, and within a budget of
the gaining institution. The gaining job waits until the victim's release is there: nothing here
gives out room that is still held.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool
from hansa.placement import packing, shares
from hansa.placement.columns import WHY_CAPACITY, WHY_QUOTA
from hansa.placement.league import Held, League, Record
from hansa.placement.tables import one_kind
from hansa.placement.waiting import Blocked

MOST_JOBS = 64
"""Blocked jobs that room is sought for in one plan."""
MOST_CELLS = 16
"""Cells examined for one job, in order of choice."""
MOST_VICTIMS = 20
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Victim:
    """Something that could end: all of a holding, or the workers beyond an elastic job's least."""

    record: Record
    held: Held
    workers_left: int
    lost_gpu_s: int

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
    """Find room for blocked jobs, best rank first."""
    made = MadeRoom()
    by_cell = league.by_cell
    if not (league.stopping or league.elastic or any(_may_stop(p) for p in league.pools.values())):
        return made
    scratch = _Scratch(league)
    freed = _let_go(scratch)
    caused = Counter(row[1:] for row in league.preempted if league.now_s - row[0] < HOUR_S)
    tried = 0
    for row, why in blocked:
        record = league.records[league.row_uid[row]]
        if len(record.kinds) > 1 or not why & (WHY_CAPACITY | WHY_QUOTA) or tried == MOST_JOBS:
            continue
        tried += 1
        cells = league.tariff.candidates(record.kinds[0])
        usable = [cell for cell in cells.tolist() if league.supply.cell_open[cell]]
        soon = next((c for c in usable if c in freed and scratch.take(record, c)), None)
        if soon is not None:
            made.gaining[record.job.uid] = f"work at {_site(league, soon)} is stopping"
        else:
            _seek(scratch, record, usable[:MOST_CELLS], by_cell, caused, made)
    return made


def _seek(  # noqa: PLR0917  # one call, all of it state of the same search
    scratch: _Scratch,
    record: Record,
    cells: list[int],
    by_cell: dict[int, list[tuple[Record, Held]]],
    caused: Counter[tuple[str, str]],
    made: MadeRoom,
) -> None:
    """Take the cell where least work is lost, if any."""
    plans = []
    for cell in cells:
        chosen = _victims(scratch, record, cell, by_cell, caused)
        if chosen:
            stopped = sum(victim.workers_left == 0 for victim in chosen)
            plans.append((stopped, sum(v.lost_gpu_s for v in chosen), cell, chosen))
    if not plans:
        return
    _, _, cell, chosen = min(plans, key=lambda plan: plan[:3])
    job = record.job
    for victim in chosen:
        scratch.release(victim)
        site = victim.held.holding.site
        scratch.gone[victim.record.job.uid, site] = victim.workers_left
        caused[job.pool, job.institution] += victim.workers_left == 0
        made.stops.append(_stop(victim, record))
    scratch.take(record, cell)
    made.gaining[job.uid] = f"{len(chosen)} jobs at {_site(scratch.league, cell)} make room"


def _victims(
    scratch: _Scratch,
    record: Record,
    cell: int,
    by_cell: dict[int, list[tuple[Record, Held]]],
    caused: Counter[tuple[str, str]],
) -> list[Victim]:
    """The fewest that have to yield at a cell for a job to fit; empty when it cannot."""
    league, job = scratch.league, record.job
    pool = league.pools[job.pool]
    left = pool.preemption.max_per_hour - pool.recent_preemptions.get(job.institution, 0)
    left -= caused[job.pool, job.institution]
    found: list[tuple[Victim, list[tuple[int, int]]]] = []
    fits = False
    for victim in sorted(_candidates(scratch, record, pool, by_cell.get(cell, [])), key=_order):
        if fits or len(found) == MOST_VICTIMS or (victim.workers_left == 0 and left <= 0):
            break
        if not _is_fair(scratch, record, victim):
            continue
        left -= victim.workers_left == 0
        found.append((victim, scratch.release(victim)))
        fits = scratch.could_take(record, cell)
    kept = []
    for at in range(len(found) - 1, -1, -1):
        victim, pairs = found[at]
        scratch.retake(victim, pairs)
        if fits and not scratch.could_take(record, cell):
            kept.append(found[at])
            scratch.release(victim)
    for victim, pairs in kept:
        scratch.retake(victim, pairs)
    return [victim for victim, _ in reversed(kept)]


def _candidates(
    scratch: _Scratch, record: Record, pool: Pool, held: list[tuple[Record, Held]]
) -> list[Victim]:
    league = scratch.league
    found = []
    for other, holding in held:
        job, room = other.job, holding.holding
        is_same_pool = job.pool == record.job.pool
        if (
            room.stopping
            or not room.confirmed
            or not is_same_pool
            or (job.uid, room.site) in scratch.gone
        ):
            continue
        elapsed = max(0, league.now_s - room.since_s)
        least = league.kinds.kinds[holding.kind].workers
        lost = elapsed * room.workers * max(1, job.shape.gpus)
        if job.shape.min_workers and room.workers > least:
            found.append(Victim(other, holding, least, 0))
        elif job.preemptible and not job.spread and elapsed >= pool.preemption.min_runtime_s:
            found.append(Victim(other, holding, 0, lost))
    return found


def _is_fair(scratch: _Scratch, record: Record, victim: Victim) -> bool:
    """Whether the pool's rule lets the victim yield: see the module."""
    if victim.workers_left:
        return True
    accounts, job, other = scratch.accounts, record.job, victim.record.job
    rule = scratch.league.pools[job.pool].preemption
    gpus = victim.held.holding.workers * other.shape.gpus
    leaf = victim.record.leaf
    stays = leaf < 0 or accounts.gpus[leaf] - gpus >= accounts.nominal[leaf]
    is_own = leaf == record.leaf
    if rule.lower_priority and other.priority < job.priority and (is_own or stays):
        return True
    need = scratch.league.kinds.kinds[record.kinds[0]].gpus
    is_entitled = accounts.gpus[record.leaf] + need <= accounts.nominal[record.leaf]
    return rule.borrowers and is_entitled and stays and not is_own


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
