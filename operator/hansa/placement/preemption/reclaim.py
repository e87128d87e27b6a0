"""Room made for work that is entitled to it: elastic jobs shrink, then others are stopped.

Stopped only are jobs of lower priority, or of an institution that holds more than its nominal
share, as the pool's rule says; never one that has just begun, and within a budget of the gaining
institution. Entitled is who stays within the own nominal share: such jobs come first. The gaining
job waits until the victim's release is there, and what is freed is held for it: nothing here gives
out room that is still held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hansa.model.plan import Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool, Shape
from hansa.placement.explain.waiting import Blocked
from hansa.placement.kernel.tables import HUGE, WHY_CAPACITY, WHY_QUOTA, WHY_RESERVED
from hansa.placement.preemption.trial import Trial
from hansa.placement.preemption.victim_choice import SHARED_GPUS, choose_victims
from hansa.placement.preemption.victims import Victim
from hansa.placement.rules import entitlement
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.held_room import HeldRoom
from hansa.placement.state.league import League
from hansa.placement.state.records import Record

MOST_JOBS = 128
MOST_CELLS = 16
"""Cells compared for one job, in order of choice, among those where enough may yield.

So many times so many are looked at in one plan. Whoever is not reached comes first in the next.
"""
HOUR_S = 3600

_Way = tuple[int, int, int, list[Victim]]
"""Jobs stopped, work lost, the cell, and who would have to yield there."""


@dataclass(frozen=True, slots=True)
class MadeRoom:
    """What was stopped, and for whom."""

    stops: Sequence[Stop]
    gaining: Mapping[str, str]
    """UID of a gaining job → what it waits for."""
    held: HeldRoom
    """What is held, for those too that room was made for."""
    passed_over: Ints
    """Rows that were not reached, in order: they come first in the next plan."""
    reclaiming: frozenset[str] = frozenset()
    """UIDs of those among the gaining who take back what is theirs: see ``rehearsal``."""


def make_room(league: League, blocked: Blocked, ended: Iterable[Stop] = ()) -> MadeRoom:
    """Find room for blocked jobs: those entitled to it first, then best rank first.

    ``ended``: what this plan stops anyway.
    """
    none = MadeRoom((), {}, league.held, league.passed_over)
    may_stop = any(map(_may_stop, league.pools.values()))
    rows = _helped(blocked)
    if not len(rows) or not (league.stopping or league.elastic or may_stop):
        return none
    if not any(league.by_cell.values()):
        return none
    trial = Trial(league)
    freed = _let_go(trial, ended)
    search = _Search(trial, freed)
    rows = _in_order(trial, rows, is_all=bool(freed or league.elastic or _has_ranks(league)))
    reached = search.seek_all(rows)
    passed_over = _passed_over(league, rows, reached)
    return MadeRoom(
        search.stops, search.gaining, search.held, passed_over, frozenset(search.reclaiming)
    )


def _helped(blocked: Blocked) -> Ints:
    """Rows of jobs that room would help."""
    why = blocked.why & (WHY_CAPACITY | WHY_QUOTA | WHY_RESERVED)
    return np.asarray(blocked.rows[why != 0])


def _in_order(trial: Trial, rows: Ints, *, is_all: bool) -> Ints:
    """Rows of entitled jobs first, in each group first who was passed over; before all who gains already.

    Others only if ``is_all``: where something may yield to them.
    """
    league, accounts = trial.league, trial.accounts
    leaf, need = league.columns.leaf[rows], league.kinds.column("gpus")[league.columns.kind[rows]]
    borrows = ~entitlement.is_within_nominal(accounts, leaf, need)
    if not is_all:
        rows, borrows = rows[~borrows], borrows[~borrows]
    if len(rows) == 1:  # the news of one job
        return rows
    place = np.full(len(league.columns.waits), HUGE, np.int64)
    place[league.passed_over] = np.arange(len(league.passed_over))
    others = ~np.isin(rows, [*_promised(league)])
    return np.asarray(rows[np.lexsort((place[rows], borrows, others))])


def _promised(league: League) -> dict[int, int]:
    """Rows for which room has been made by an earlier plan, and is not free yet: in which cell."""
    return {row: cell for cell, rows in league.held.gains.items() for row in rows}


def _passed_over(league: League, rows: Ints, reached: int) -> Ints:
    """Who has not been reached, in order: those of this plan, and those it did not ask for."""
    before = league.passed_over
    if len(before):
        before = before[~np.isin(before, rows)]
    return np.concatenate((before, rows[reached:]))


def _has_ranks(league: League) -> bool:
    """Whether work somewhere yields to that of higher priority."""
    return any(pool.preemption.lower_priority for pool in league.pools.values())


def _sorts(league: League, rows: Ints) -> list[tuple[int, int, int]]:
    """Per row, what decides who yields to it and where: institution, cells and gang, priority."""
    columns = league.columns
    mask = league.kinds.mask[columns.kind[rows]]
    priority = columns.priority[rows] * _has_ranks(league)
    return list(zip(columns.leaf[rows].tolist(), mask.tolist(), priority.tolist(), strict=True))


class _Search:
    """Looks for room, job by job."""

    def __init__(self, trial: Trial, freed: set[int]) -> None:
        league = trial.league
        self.trial = trial
        self.stops: list[Stop] = []
        self.gaining: dict[str, str] = {}
        self.held = league.held
        self.reclaiming: set[str] = set()
        self._reserved = league.held.ranks
        self._promised = _promised(league)
        self.hopeless: dict[tuple[int, int, int], int] = {}
        """Sorts that found nothing, with the shortest run time that did not: what others gain later
        does not help them."""
        self._vain: dict[tuple[int, int, Shape, int], int] = {}
        """The same for one cell: institution, priority, gang and cell."""
        self._looks = 0
        self._freed = freed
        self._caused = Counter(
            row[1:] for row in league.preempted if league.now_s - row[0] < HOUR_S
        )

    def seek_all(self, rows: Ints) -> int:
        """Find room for jobs in this order; how many were reached before there were looks enough."""
        league = self.trial.league
        self._looks = MOST_CELLS * min(len(rows), MOST_JOBS)
        runtimes_s = league.columns.runtime_p90[rows].tolist()
        sought = zip(rows.tolist(), runtimes_s, _sorts(league, rows), strict=True)
        for reached, (row, *sort) in enumerate(sought):
            if self._looks <= 0:
                return reached
            self.seek(row, *sort)
        return len(rows)

    def seek(self, row: int, runtime_s: int, sort: tuple[int, int, int]) -> None:
        """Find room for one job, and book it."""
        if runtime_s >= self.hopeless.get(sort, HUGE) and row not in self._reserved:
            return
        league = self.trial.league
        record = league.records[league.columns.uids[row]]
        self.trial.rank = self._reserved.get(row, -1)
        self.trial.runtime_s = runtime_s
        cells = league.tariff.candidates(record.kind)
        usable = cells[league.supply.cell_open[cells] == 1]
        soon = self._soon(row, record, usable) if self._freed else None
        soon = self._promised.get(row) if soon is None else soon
        if soon is not None:
            self.gaining[record.job.uid] = f"work at {_site(league, soon)} is stopping"
        elif self._is_to_be_patient(record):
            pass
        elif not self._stop_for(row, record, usable):
            self.hopeless[sort] = min(runtime_s, self.hopeless.get(sort, HUGE))

    def _soon(self, row: int, record: Record, cells: Ints) -> int | None:
        """The first cell where what is stopping leaves room, taken; where it was promised before all."""
        own = self._promised.get(row)
        freed = [cell for cell in cells.tolist() if cell in self._freed]
        freed.sort(key=lambda cell: cell != own)
        return next((cell for cell in freed if self.trial.take(record, cell)), None)

    def _stop_for(self, row: int, record: Record, cells: Ints) -> bool:
        """Take the cell where the fewest jobs and the least work are lost, if any."""
        if not self._may_gain(record):
            return False
        plans = self._ways(row, record, cells)
        if not plans:
            return False
        _, _, cell, chosen = min(plans, key=lambda plan: plan[:3])
        job = record.job
        for victim in chosen:
            self.trial.go(victim)
            self._caused[job.pool, job.institution] += victim.workers_left == 0
            self.stops.append(_stop(victim, record))
        reclaims = self.trial.claims.reclaims(record)
        self.reclaiming |= {job.uid} if reclaims else set()
        self.trial.take(record, cell, reclaims=reclaims)
        words = f"{len(chosen)} jobs at {_site(self.trial.league, cell)} make room"
        self.gaining[job.uid] = words
        self._hold(row, record, cell)
        return True

    def _ways(self, row: int, record: Record, cells: Ints) -> list[_Way]:
        """What would have to yield in the first cells where that is enough."""
        ways: list[_Way] = []
        for cell in cells[self.trial.could_gain(record, cells)].tolist():
            if self._looks <= 0 or len(ways) == MOST_CELLS:
                break
            chosen = self._look(row, record, cell)
            if chosen:
                stopped = sum(victim.workers_left == 0 for victim in chosen)
                ways.append((stopped, sum(v.lost_gpu_s for v in chosen), cell, chosen))
        return ways

    def _look(self, row: int, record: Record, cell: int) -> list[Victim]:
        """Who would have to yield at a cell, unless such another has looked there in vain."""
        job = record.job
        rule = self.trial.league.pools[job.pool].preemption
        key = record.leaf, job.priority * rule.lower_priority, job.shape, cell
        runtime_s = self.trial.runtime_s
        if runtime_s >= self._vain.get(key, HUGE) and row not in self._reserved:
            return []
        self._looks -= 1
        chosen = choose_victims(self.trial, record, cell, most=self._stops_left(record))
        if not chosen:
            self._vain[key] = min(runtime_s, self._vain.get(key, HUGE))
        return chosen

    def _stops_left(self, record: Record) -> int:
        """How many may still be stopped for the job's institution in this hour."""
        job = record.job
        pool = self.trial.league.pools[job.pool]
        caused = self._caused[job.pool, job.institution]
        caused += pool.recent_preemptions.get(job.institution, 0)
        return pool.preemption.max_per_hour - caused

    def _hold(self, row: int, record: Record, cell: int) -> None:
        """Hold the cell for the gaining job until the next full plan, but for what it leaves."""
        league, kinds = self.trial.league, self.trial.league.kinds.kinds
        tier = entitlement.tier(league.ledger.accounts, record.leaf, kinds[record.kind].gpus)
        wanted = league.columns.kind[[row, *self.held.gains.get(cell, ())]].tolist()
        # Beside work of few GPUs others may start; they could stand on a machine that is being cleared.
        is_shared = all(kinds[kind].shape.gpus < SHARED_GPUS for kind in wanted)
        spare = max(0, self.trial.spare(cell)) if is_shared else 0
        self.held = self.held.with_gain(cell, row, tier=tier, spare=spare)

    def _may_gain(self, record: Record) -> bool:
        """Whether anything could yield to the job at all."""
        league = self.trial.league
        rule = league.pools[record.job.pool].preemption
        return self.trial.claims.reclaims(record) or rule.lower_priority or league.elastic > 0

    def _is_to_be_patient(self, record: Record) -> bool:
        """Whether room may still come free for the job before others are stopped for it."""
        league = self.trial.league
        waited_s = league.now_s - record.job.submitted_s
        return waited_s < league.pools[record.job.pool].preemption.patience_s


def _let_go(trial: Trial, ended: Iterable[Stop]) -> set[int]:
    """Release what is stopping, or is about to; the cells where something is."""
    league = trial.league
    leaving = [Victim(*pair, pair[1].holding.stopping_to, 0) for pair in league.stopping.values()]
    for stop in ended:
        record = league.records[stop.job_uid]
        leaving += [Victim(record, h, 0, 0) for h in record.held if h.holding.site == stop.site]
    for victim in leaving:
        trial.go(victim)
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
