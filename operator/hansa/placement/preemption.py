"""Room made for work that is entitled to it: elastic jobs shrink, then others are stopped.

Stopped only are jobs of lower priority, or of an institution that holds more than its nominal
share, as the pool's rule says; never one that has just begun, and within a budget of the gaining
institution. Entitled is who stays within the own nominal share: such jobs come first. The gaining
job waits until the victim's release is there, and what is freed is held for it: nothing here gives
out room that is still held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool
from hansa.placement import shares
from hansa.placement.columns import HUGE, RANK_BITS, WHY_CAPACITY, WHY_QUOTA, WHY_RESERVED
from hansa.placement.league import League, Record
from hansa.placement.scratch import Scratch, Victim
from hansa.placement.supply import Ints
from hansa.placement.waiting import Blocked

MOST_JOBS = 128
"""Sorts of blocked jobs that room is sought for in one plan, those of entitled jobs first."""
MOST_CELLS = 16
"""Cells examined for one job, in order of choice, among those that hold enough to yield."""
MOST_VICTIMS = 64
MOST_MACHINES = 16
"""Machines of a cell that are cleared in turn, to see whether a worker then fits."""
SHARED_GPUS = 2
"""A worker of fewer GPUs fits on any machine that has as many free."""
HOUR_S = 3600

_Turns = tuple[tuple[bool, list[Victim]], ...]
"""Whether institutions must keep their nominal share, and victims in order."""


@dataclass
class MadeRoom:
    """What was stopped, and for whom."""

    stops: list[Stop] = field(default_factory=list)
    gaining: dict[str, str] = field(default_factory=dict)
    """UID of a gaining job → what it waits for."""
    reserved: dict[int, int] = field(default_factory=dict)
    """Row of a job that room was made for → the rank under which that room is held."""


def make_room(
    league: League,
    blocked: Blocked,
    reserved: Mapping[int, int] = MappingProxyType({}),
    ended: Iterable[Stop] = (),
) -> MadeRoom:
    """Find room for blocked jobs: those entitled to it first, then best rank first.

    ``reserved``: row → rank of jobs that hold a reservation. ``ended``: what this plan stops anyway.
    """
    made = MadeRoom()
    may_stop = any(map(_may_stop, league.pools.values()))
    rows = _helped(league, blocked)
    if not len(rows) or not (league.stopping or league.elastic or may_stop):
        return made
    if not any(league.by_cell.values()):
        return made
    scratch = Scratch(league)
    freed = _let_go(scratch, ended)
    search = _Search(scratch, made, reserved, freed)
    rows = _in_order(scratch, rows, is_all=bool(freed or league.elastic or _has_ranks(league)))
    runtimes_s = league.columns.runtime_p90[rows]
    for row, *sort in zip(rows.tolist(), runtimes_s.tolist(), _sorts(league, rows), strict=True):
        if len(search.hopeless) + len(made.gaining) >= MOST_JOBS:
            break
        search.seek(row, *sort)
    return made


def _helped(league: League, blocked: Blocked) -> Ints:
    """Rows of jobs in one piece that room would help."""
    why = blocked.why & (WHY_CAPACITY | WHY_QUOTA | WHY_RESERVED)
    is_helped = (why != 0) & (league.columns.parts[blocked.rows] == 1)
    return np.asarray(blocked.rows[is_helped])


def _in_order(scratch: Scratch, rows: Ints, *, is_all: bool) -> Ints:
    """Rows of entitled jobs first; others only if ``is_all``: where something may yield to them."""
    league, accounts = scratch.league, scratch.accounts
    leaf, need = league.columns.leaf[rows], league.kinds.column("gpus")[league.columns.first[rows]]
    borrows = accounts.gpus[leaf] + need > accounts.nominal[leaf]
    if not is_all:
        return np.asarray(rows[~borrows])
    return np.asarray(rows[np.argsort(borrows, kind="stable")])


def _has_ranks(league: League) -> bool:
    """Whether work somewhere yields to that of higher priority."""
    return any(pool.preemption.lower_priority for pool in league.pools.values())


def _sorts(league: League, rows: Ints) -> list[tuple[int, int, int]]:
    """Per row, what decides who yields to it and where: institution, cells and gang, priority."""
    columns = league.columns
    mask = league.kinds.mask[columns.first[rows]]
    priority = columns.priority[rows] * _has_ranks(league)
    return list(zip(columns.leaf[rows].tolist(), mask.tolist(), priority.tolist(), strict=True))


class _Search:
    """Looks for room, job by job."""

    def __init__(
        self, scratch: Scratch, made: MadeRoom, reserved: Mapping[int, int], freed: set[int]
    ) -> None:
        league = scratch.league
        self.scratch = scratch
        self.made = made
        self._reserved = reserved
        self.hopeless: dict[tuple[int, int, int], int] = {}
        """Sorts that found nothing, with the shortest run time that did not: what others gain later
        does not help them."""
        self._freed = freed
        self._caused = Counter(
            row[1:] for row in league.preempted if league.now_s - row[0] < HOUR_S
        )

    def seek(self, row: int, runtime_s: int, sort: tuple[int, int, int]) -> None:
        """Find room for one job, and book it."""
        if runtime_s >= self.hopeless.get(sort, HUGE) and row not in self._reserved:
            return
        league = self.scratch.league
        record = league.records[league.row_uid[row]]
        self.scratch.rank = self._reserved.get(row, -1)
        self.scratch.runtime_s = runtime_s
        cells = league.tariff.candidates(record.kinds[0])
        usable = cells[league.supply.cell_open[cells] == 1]
        soon = self._soon(record, usable) if self._freed else None
        if soon is not None:
            self.made.gaining[record.job.uid] = f"work at {_site(league, soon)} is stopping"
        elif not self._is_to_be_patient(record) and not self._stop_for(row, record, usable):
            self.hopeless[sort] = min(runtime_s, self.hopeless.get(sort, HUGE))

    def _soon(self, record: Record, cells: Ints) -> int | None:
        """The first cell where what is stopping leaves room, taken."""
        freed = (cell for cell in cells.tolist() if cell in self._freed)
        return next((cell for cell in freed if self.scratch.take(record, cell)), None)

    def _stop_for(self, row: int, record: Record, cells: Ints) -> bool:
        """Take the cell where the fewest jobs and the least work are lost, if any."""
        plans = []
        if not self._may_gain(record):
            return False
        looked_at = cells[self.scratch.could_hold(record, cells)][:MOST_CELLS]
        for cell in looked_at[self.scratch.could_gain(record, looked_at)].tolist():
            chosen = self._victims(record, cell)
            if chosen:
                stopped = sum(victim.workers_left == 0 for victim in chosen)
                plans.append((stopped, sum(v.lost_gpu_s for v in chosen), cell, chosen))
        if not plans:
            return False
        _, _, cell, chosen = min(plans, key=lambda plan: plan[:3])
        job = record.job
        for victim in chosen:
            self.scratch.go(victim)
            self._caused[job.pool, job.institution] += victim.workers_left == 0
            self.made.stops.append(_stop(victim, record))
        self.scratch.take(record, cell, reclaims=self._reclaims(record))
        words = f"{len(chosen)} jobs at {_site(self.scratch.league, cell)} make room"
        self.made.gaining[job.uid] = words
        self._hold(row, record, cell)
        return True

    def _hold(self, row: int, record: Record, cell: int) -> None:
        """Hold the cell for the gaining job until the next full plan, but for what it leaves."""
        supply = self.scratch.league.supply
        self.made.reserved[row] = row
        need = self.scratch.league.kinds.kinds[record.kinds[0]].gpus
        tier = shares.tier_of(self.scratch.league.ledger.accounts, record.leaf, need)
        gains = self.scratch.league.gains.setdefault(cell, {})
        gains[row] = tier << RANK_BITS | row
        # The last in rank of all that room is made for here: each of them may start.
        supply.reserved_key[cell] = max(gains.values())
        supply.reserved_until[cell] = 0
        supply.reserved_spare[cell] = max(0, self.scratch.spare(cell))

    def _may_gain(self, record: Record) -> bool:
        """Whether anything could yield to the job at all."""
        league = self.scratch.league
        rule = league.pools[record.job.pool].preemption
        return self._reclaims(record) or rule.lower_priority or league.elastic > 0

    def _is_to_be_patient(self, record: Record) -> bool:
        """Whether room may still come free for the job before others are stopped for it."""
        league = self.scratch.league
        waited_s = league.now_s - record.job.submitted_s
        return waited_s < league.pools[record.job.pool].preemption.patience_s

    def _reclaims(self, record: Record) -> bool:
        """Whether a job takes back what borrowers hold; then it may also use room that is held."""
        rule = self.scratch.league.pools[record.job.pool].preemption
        return rule.borrowers and self.scratch.is_entitled(record)

    def _victims(self, record: Record, cell: int) -> list[Victim]:
        """The fewest that have to yield at a cell for a job to fit; empty when it cannot.

        First those whose institution keeps its nominal share without them, then any of one that
        holds more; where the cheapest together are not enough, the largest or the smallest first,
        then machine by machine.
        """
        yielding = [v for v in self.scratch.yielding(cell) if v.record.job.pool == record.job.pool]
        by_size = sorted(yielding, key=lambda victim: -victim.gpus)
        attempts = [
            ((True, yielding), (False, yielding)),
            ((False, by_size),),
            ((False, by_size[::-1]),),
            *self._machine_by_machine(record, yielding),
        ]
        return next(filter(None, (self._try(record, cell, turns) for turns in attempts)), [])

    def _machine_by_machine(self, record: Record, yielding: list[Victim]) -> list[_Turns]:
        """Those on one machine first, for every machine where a worker would then fit.

        The cheapest first, and where these use up what their institutions hold too much, the largest.
        """
        shape, free = record.job.shape, self.scratch.supply.machine_gpus
        if shape.gpus < SHARED_GPUS:
            return []
        found = _by_machine(yielding)
        able = [at for at, on in found.items() if free[at] + _gpus(on) >= shape.gpus]
        rest = yielding if shape.workers > 1 else []
        orders = [found[at] for at in able[:MOST_MACHINES]]
        orders += [sorted(victims, key=lambda victim: -victim.gpus) for victims in orders]
        return [((False, victims), (False, rest)) for victims in orders]

    def _try(self, record: Record, cell: int, turns: _Turns) -> list[Victim]:
        """Release victims in order until the job fits, then take back who was not needed."""
        scratch, job = self.scratch, record.job
        pool = scratch.league.pools[job.pool]
        left = pool.preemption.max_per_hour - pool.recent_preemptions.get(job.institution, 0)
        left -= self._caused[job.pool, job.institution]
        found: dict[tuple[str, str], tuple[Victim, list[int]]] = {}
        fits, reclaims = False, self._reclaims(record)
        for keeps_nominal, victims in turns:
            for victim in victims:
                if fits or len(found) == MOST_VICTIMS:
                    break
                if victim.key in found or (victim.workers_left == 0 and left <= 0):
                    continue
                if _is_fair(scratch, record, victim, keeps_nominal=keeps_nominal):
                    left -= victim.workers_left == 0
                    found[victim.key] = victim, scratch.release(victim)
                    fits = scratch.could_take(record, cell, reclaims=reclaims)
        kept: list[tuple[Victim, list[int]]] = []
        for index, (victim, log) in enumerate(reversed(found.values()), 1):
            scratch.retake(victim, log)
            others = len(kept) + len(found) - index
            is_enough = scratch.could_take(record, cell, reclaims=reclaims and others > 0)
            if fits and not (is_enough and _have_to(scratch, record, [v for v, _ in kept])):
                kept.append((victim, log))
                scratch.release(victim)
        for victim, log in kept:
            scratch.retake(victim, log)
        return [victim for victim, _ in reversed(kept)]


def _by_machine(victims: Iterable[Victim]) -> dict[int, list[Victim]]:
    """Victims that hold GPUs of a machine, machine by machine."""
    found: dict[int, list[Victim]] = {}
    for victim in victims:
        log = victim.held.log
        for machine in dict.fromkeys(log[at] for at in range(0, len(log), 2) if log[at + 1]):
            found.setdefault(machine, []).append(victim)
    return found


def _gpus(victims: Iterable[Victim]) -> int:
    return sum(victim.gpus for victim in victims)


def _is_fair(scratch: Scratch, record: Record, victim: Victim, *, keeps_nominal: bool) -> bool:
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
    lends = excess > 0 and (stays or not keeps_nominal)
    return rule.borrowers and lends and not is_own and scratch.is_entitled(record)


def _have_to(scratch: Scratch, record: Record, victims: Iterable[Victim]) -> bool:
    """Whether those who are gone have to yield to the job also if nobody else does.

    Where its own institution's work yields first, the job may stay within the nominal share only so.
    """
    return scratch.is_entitled(record) or all(
        victim.workers_left
        or victim.record.leaf == record.leaf
        or _is_outranked(scratch, record, victim)
        for victim in victims
    )


def _is_outranked(scratch: Scratch, record: Record, gone: Victim) -> bool:
    """Whether rank alone let a victim yield that is gone."""
    accounts, leaf = scratch.accounts, gone.record.leaf
    rule = scratch.league.pools[record.job.pool].preemption
    stays = leaf < 0 or bool(accounts.gpus[leaf] >= accounts.nominal[leaf])
    return rule.lower_priority and gone.record.job.priority < record.job.priority and stays


def _let_go(scratch: Scratch, ended: Iterable[Stop]) -> set[int]:
    """Release what is stopping, or is about to; the cells where something is."""
    league = scratch.league
    leaving = [Victim(*pair, pair[1].holding.stopping_to, 0) for pair in league.stopping.values()]
    for stop in ended:
        record = league.records[stop.job_uid]
        leaving += [Victim(record, h, 0, 0) for h in record.held if h.holding.site == stop.site]
    for victim in leaving:
        scratch.go(victim)
    return {victim.held.cell for victim in leaving}


def _may_stop(pool: Pool) -> bool:
    return pool.preemption.lower_priority or pool.preemption.borrowers


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
