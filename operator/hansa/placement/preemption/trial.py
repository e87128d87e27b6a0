"""The league as preemption tries it out: what could yield, and what would then fit."""

from __future__ import annotations

from hansa.placement.kernel import packing, quota
from hansa.placement.kernel.tables import RANK_BITS, RANK_MASK, Kinds
from hansa.placement.preemption import victims
from hansa.placement.preemption.victims import Claims, Victim
from hansa.placement.rules.eligibility import Kind
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import one_kind
from hansa.placement.state.holdings import Flags
from hansa.placement.state.league import League
from hansa.placement.state.records import Record


class Trial:
    """The league as it will be when all that is stopping has gone; thrown away after the plan."""

    def __init__(self, league: League) -> None:
        self.league = league
        copy = league.supply._replace(
            machine_gpus=league.supply.machine_gpus.copy(),
            machine_cpu=league.supply.machine_cpu.copy(),
            machine_memory=league.supply.machine_memory.copy(),
            cell_free=league.supply.cell_free.copy(),
            reserved_key=league.supply.reserved_key.copy(),
            reserved_spare=league.supply.reserved_spare.copy(),
        )
        self.supply = copy
        self.accounts = league.ledger.accounts._replace(
            used=league.ledger.accounts.used.copy(), gpus=league.ledger.accounts.gpus.copy()
        )
        self.caps = league.caps.counters._replace(left=league.caps.counters.left.copy())
        self.gone: dict[tuple[str, str], int] = {}
        """(job, site) → workers left there."""
        self.rank = -1
        """Rank of the reservation that the job in question holds itself."""
        self.runtime_s = 0
        self._yielding: dict[int, list[Victim]] = {}
        self.claims = Claims(league, self.accounts)
        self._able = victims.exposed(league)
        """Who could yield and is not gone, as ``yielding`` has it."""
        self._gain: dict[tuple[str, int, int, int], Flags] = {}
        """What ``could_gain`` has worked out since room or shares last changed."""

    def yielding(self, cell: int) -> list[Victim]:
        """What could end at a cell as far as pool and run time go, in the order of victims."""
        if cell not in self._yielding:
            self._yielding[cell] = victims.standing_in(self.league, cell)
        return [v for v in self._yielding[cell] if v.key not in self.gone]

    def go(self, victim: Victim) -> None:
        """Release a victim for good."""
        self.release(victim)
        self.gone[victim.key] = victim.workers_left
        for held in victim.record.held:
            if held.holding.site == victim.held.holding.site:
                self._able[held.slot] = False
        self._gain.clear()

    def could_gain(self, record: Record, cells: Ints) -> Flags:
        """In which of them it might be enough that those yield who may have to for this job."""
        rule = self.league.pools[record.job.pool].preemption
        need = self.league.kinds.kinds[record.kind].gpus
        key = record.job.pool, record.leaf, need, record.job.priority * rule.lower_priority
        if key not in self._gain:
            found = self.claims.where_enough(record, self._able, self.supply.cell_free)
            self._gain[key] = found
        return self._gain[key][cells]

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

    def release(self, victim: Victim) -> list[int]:
        """Give the victim's room back; returns the log to take it again with."""
        log = list(victim.held.log)
        if victim.workers_left:
            log = _part_of(log, victim.held.holding.workers - victim.workers_left)
        self._move(victim, log, -1)
        return log

    def retake(self, victim: Victim, log: list[int]) -> None:
        """Undo ``release``."""
        self._move(victim, log, 1)

    def _move(self, victim: Victim, log: list[int], sign: int) -> None:
        kind = self.league.kinds.kinds[victim.held.kind].shape
        columns = one_kind(kind, self.league.caps.base[victim.record.job.pool])
        for at in range(0, len(log), 2):
            machine, pods = log[at], log[at + 1]
            worker = sign * pods, kind.gpus, kind.cpu_millis, kind.memory_bytes
            head = sign, 0, kind.head_cpu_millis, kind.head_memory_bytes
            packing.occupy(self.supply, machine, *(worker if pods else head))
        gpus = victim.gpus  # also of workers that have lost their machine: see ``overfull``
        self.supply.cell_free[victim.held.cell] -= sign * gpus
        quota.charge_caps(self.caps, columns, 0, victim.held.cell, sign * gpus)
        if victim.record.leaf >= 0:
            move = quota.charge_quota if sign > 0 else quota.refund_quota
            move(self.accounts, victim.record.leaf, gpus)
            self.accounts.gpus[victim.record.leaf] += sign * gpus

    def take(self, record: Record, cell: int, *, reclaims: bool = False) -> bool:
        """Put a job's gang into a cell if room, caps and quota allow; True when it was."""
        kind, columns = self._gang(record)
        if not self._admits(record, cell, reclaims=reclaims):
            return False
        if not packing.take_gang(self.supply, cell, columns, 0, kind.workers, []):
            return False
        quota.charge_caps(self.caps, columns, 0, cell, kind.gpus)
        quota.charge_quota(self.accounts, record.leaf, kind.gpus)
        self.accounts.gpus[record.leaf] += kind.gpus
        self._gain.clear()
        return True

    def could_take(self, record: Record, cell: int, *, reclaims: bool = False) -> bool:
        """``take`` without taking."""
        kind, columns = self._gang(record)
        log: list[int] = []
        if not self._admits(record, cell, reclaims=reclaims):
            return False
        if not packing.take_gang(self.supply, cell, columns, 0, kind.workers, log):
            return False
        packing.give_back(self.supply, cell, columns, 0, log, 0, len(log))
        return True

    def _gang(self, record: Record) -> tuple[Kind, Kinds]:
        kind = self.league.kinds.kinds[record.kind]
        return kind, one_kind(kind.shape, self.league.caps.base[kind.pool])

    def _admits(self, record: Record, cell: int, *, reclaims: bool) -> bool:
        """Whether quota, caps and what is held there leave a gang its GPUs."""
        kind, columns = self._gang(record)
        if not quota.quota_allows(self.accounts, record.leaf, kind.gpus):
            return False
        if kind.gpus and quota.cap_room(self.caps, columns, 0, cell) < kind.gpus:
            return False
        return self.spare(cell, reclaims=reclaims) >= kind.gpus


def _part_of(log: list[int], workers: int) -> list[int]:
    """Log entries of the last so many workers."""
    part: list[int] = []
    for at in range(len(log) - 2, -1, -2):
        pods = min(workers, log[at + 1])
        if pods > 0:
            part += (log[at], pods)
            workers -= pods
    return part
