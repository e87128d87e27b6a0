"""The league as preemption tries it out: what could yield, and what would then fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hansa.placement.kernel import packing, quota, run, transaction
from hansa.placement.kernel.tables import (
    NOBODY,
    RANK_BITS,
    RANK_MASK,
    Accounts,
    Jobs,
    Kinds,
    Mark,
    State,
    Supply,
)
from hansa.placement.preemption import victims
from hansa.placement.preemption.victims import Claims, Victim
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.holdings import Flags
from hansa.placement.state.kernel_io.kernel_input import NO_EXCHANGE
from hansa.placement.state.league import League
from hansa.placement.state.records import Record


class Trial:
    """The league as it will be when all that is stopping has gone; thrown away after the plan."""

    def __init__(self, league: League) -> None:
        self.league = league
        self._changed: State | None = None
        """Copied when something first yields or starts: most trials end before."""
        self._tx = run.transaction()
        """Whatever yields or would start, as gangs; ``job`` is the number of the gang itself."""
        self._kinds: dict[tuple[int, bool], int] = {}
        """(kind in the league, whether the head stays) → kind in the trial's own table."""
        self._gangs: dict[tuple[int, int], int] = {}
        """(job, site, workers left) → the gang that yields."""
        self.gone: dict[tuple[str, str], int] = {}
        """(job, site) → workers left there."""
        self.rank = -1
        """Rank of the reservation that the job in question holds itself."""
        self.runtime_s = 0
        self._yielding: dict[int, list[Victim]] = {}
        self._able: dict[str, Ints] = {}
        """Pool → who could yield, as ``yielding`` has it; rows of ``HoldingColumns``."""
        self._yielded: list[int] = []
        """Rows of those who are gone."""
        self._gain: dict[tuple[str, int, int, int], Flags] = {}
        """What ``could_gain`` has worked out since room or shares last changed."""

    @property
    def _state(self) -> State:
        if self._changed is None:
            self._changed = _copy(self.league)
        return self._changed

    @property
    def supply(self) -> Supply:
        """What is free."""
        return self._state.supply

    @property
    def accounts(self) -> Accounts:
        """What institutions hold, to be read."""
        changed = self._changed
        return self.league.ledger.accounts if changed is None else changed.accounts

    @property
    def claims(self) -> Claims:
        """What jobs may ask of others now."""
        return Claims(self.league, self.accounts)

    def yielding(self, cell: int) -> list[Victim]:
        """What could end at a cell as far as pool and run time go, in the order of victims."""
        if cell not in self._yielding:
            self._yielding[cell] = victims.standing_in(self.league, cell)
            for victim in self._yielding[cell]:
                self._gang_of(victim)
        return [v for v in self._yielding[cell] if v.key not in self.gone]

    def go(self, victim: Victim) -> None:
        """Release a victim for good."""
        self.release(victim)
        self.gone[victim.key] = victim.workers_left
        site = victim.held.holding.site
        self._yielded += [h.slot for h in victim.record.held if h.holding.site == site]
        self._gain.clear()

    def could_gain(self, record: Record, cells: Ints) -> Flags:
        """In which of them it might be enough that those yield who may have to for this job."""
        rule = self.league.pools[record.job.pool].preemption
        need = self.league.kinds.kinds[record.kind].gpus
        key = record.job.pool, record.leaf, need, record.job.priority * rule.lower_priority
        if key not in self._gain:
            supply = self.league.supply if self._changed is None else self.supply
            able = self.able(record.job.pool)
            self._gain[key] = self.claims.where_enough(record, able, supply.cell_free)
        return self._gain[key][cells]

    def able(self, pool: str) -> Ints:
        """Rows of ``HoldingColumns``: who could yield in a pool and has not."""
        if pool not in self._able:
            self._able[pool] = victims.exposed(self.league, pool)
        rows = self._able[pool]
        return rows[~np.isin(rows, self._yielded)] if self._yielded else rows

    def is_held(self, cell: int) -> bool:
        """Whether other work within its nominal share is to start in a cell while the job runs."""
        key = int(self.supply.reserved_key[cell])
        is_others = key >> RANK_BITS == 0 and key & RANK_MASK != self.rank
        return is_others and self.runtime_s > self.supply.reserved_until[cell]

    def spare(self, cell: int, *, reclaims: bool = False) -> int:
        """GPUs of a cell that are free and not held, those that victims free among them.

        ``reclaims``: whether to count what is held as well. Otherwise a borrower in a cell where
        room is held would keep others waiting who are entitled to his.
        """
        free = int(self.supply.cell_free[cell])
        if reclaims or not self.is_held(cell):
            return free
        freed = free - int(self.league.supply.cell_free[cell])
        return min(free, int(self.supply.reserved_spare[cell]) + freed)

    def mark(self) -> Mark:
        """How things stand now."""
        return transaction.mark_of(self._tx)

    def rollback(self, mark: Mark) -> None:
        """Put everything as it was at the mark."""
        transaction.rollback(self._state, self._tx, mark)

    def release(self, victim: Victim) -> None:
        """Give the victim's room back."""
        gang = self._gang_of(victim)
        transaction.leave(self._state, self._tx, gang)
        transaction.charge(self._state, self._tx, gang, -1)

    def retake(self, victim: Victim) -> None:
        """Let the victim have its room again."""
        gang = self._gang_of(victim)
        transaction.charge(self._state, self._tx, gang, 1)
        transaction.come_back(self._state, self._tx, gang, victim.held.cell)

    def take(self, record: Record, cell: int, *, reclaims: bool = False) -> bool:
        """Put a job's gang into a cell if room, caps and quota allow; True when it was."""
        kind = self.league.kinds.kinds[record.kind]
        state, tx = self._state, self._tx
        number, begin = self._kind_of(record.kind), len(tx.log)
        if not self._admits(record, number, cell, reclaims=reclaims):
            return False
        if not packing.take_gang(state.supply, state.kinds, number, cell, tx.log):
            return False
        quota.charge_caps(state.caps, state.kinds, number, cell, kind.gpus)
        gang = self._admit(record.leaf, number, kind.workers, kind.gpus)
        transaction.stand(state, tx, gang, cell, begin)
        transaction.charge(state, tx, gang, 1)
        self._gain.clear()
        return True

    def could_take(self, record: Record, cell: int, *, reclaims: bool = False) -> bool:
        """``take`` without taking."""
        number = self._kind_of(record.kind)
        return self._admits(record, number, cell, reclaims=reclaims) and packing.would_take(
            self.supply, self._state.kinds, number, cell
        )

    def _admits(self, record: Record, number: int, cell: int, *, reclaims: bool) -> bool:
        """Whether quota, caps and what is held there leave a gang its GPUs."""
        state, need = self._state, self.league.kinds.kinds[record.kind].gpus
        if not quota.quota_allows(self.accounts, record.leaf, need):
            return False
        if need and quota.cap_room(state.caps, state.kinds, number, cell) < need:
            return False
        return self.spare(cell, reclaims=reclaims) >= need

    def _gang_of(self, victim: Victim) -> int:
        """The victim, or what it yields, as a gang that stands in its cell."""
        # By what it holds: a job has two holdings at a site where a grant of an earlier epoch turned up again.
        key = id(victim.held), victim.workers_left
        if key not in self._gangs:
            held, tx = victim.held, self._tx
            workers = held.holding.workers - victim.workers_left
            # The heads stay with the workers that are left.
            kind = self._kind_of(held.kind, keeps_head=victim.workers_left > 0)
            gang = self._admit(victim.record.leaf, kind, workers, victim.gpus)
            tx.log.extend(_part_of(held.log, workers) if victim.workers_left else held.log)
            tx.cell[gang], tx.end[gang] = held.cell, len(tx.log)
            transaction.link(self._state, tx, gang)
            self._gangs[key] = gang
        return self._gangs[key]

    def _admit(self, leaf: int, kind: int, workers: int, gpus: int) -> int:
        """Take in a gang of an institution that stands nowhere yet."""
        self._state.jobs.leaf.append(leaf)
        self._state.jobs.done.append(0)
        return transaction.admit(self._tx, len(self._tx.job), kind, workers, gpus)

    def _kind_of(self, number: int, *, keeps_head: bool = False) -> int:
        """What a kind of the league is in the trial's own table, where only workers may leave."""
        key = number, keeps_head
        if key not in self._kinds:
            self._kinds[key] = len(self._kinds)
            kind = self.league.kinds.kinds[number]
            shape = kind.shape
            if keeps_head:
                shape = replace(shape, heads=0)
            one = one_kind(shape, self.league.caps.base[kind.pool])
            for column, value in zip(self._state.kinds, one, strict=True):
                column.extend(value)
        return self._kinds[key]


def _copy(league: League) -> State:
    """What a trial changes, as it is now; kinds and jobs come as they are asked for."""
    room = league.room.copy()
    return State(
        room.supply,
        Kinds(*([] for _ in Kinds._fields)),
        Jobs(*([] for _ in Jobs._fields)),
        room.accounts,
        room.caps,
        NO_EXCHANGE._replace(first=[NOBODY] * len(room.supply.cell_free)),
    )


def _part_of(log: list[int], workers: int) -> list[int]:
    """Log entries of the last so many workers."""
    part: list[int] = []
    for at in range(len(log) - 2, -1, -2):
        pods = min(workers, log[at + 1])
        if pods > 0:
            part += (log[at], pods)
            workers -= pods
    return part
