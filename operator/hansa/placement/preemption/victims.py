"""Who may have to yield to a job: what stands where, judged by the pool's rule and by entitlement.

Exactly, one by one, for what ``victim_choice`` looks at closely; as a bound, on columns, for what it
need not look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hansa.model.snapshot import PreemptionRule
from hansa.placement.kernel.tables import Accounts
from hansa.placement.rules import entitlement
from hansa.placement.rules.entitlement import NOBODY
from hansa.placement.rules.fleet import Ints
from hansa.placement.state.holdings import Flags, offer_of
from hansa.placement.state.league import League
from hansa.placement.state.records import Held, Record


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


def exposed(league: League, name: str) -> Ints:
    """Rows of ``HoldingColumns`` that could yield in a pool: who shrinks, and whom it may stop.

    Nobody yields in the second he began: one plan would start and stop him.
    """
    there, rule = league.holdings, league.pools[name].preemption
    may_stop = rule.lower_priority or rule.borrowers
    rows = there.of_pool(there.yields if may_stop else there.yields & there.shrinks, name)
    if not len(rows):
        return rows
    ran_s = league.now_s - there.since_s[rows]
    over = entitlement.excesses(league.ledger.accounts)[there.leaf[rows]]
    may_end = entitlement.may_be_stopped(rule, over) & (ran_s >= rule.min_runtime_s)
    return np.asarray(rows[(ran_s > 0) & (there.shrinks[rows] | may_end)])


def standing_in(league: League, cell: int) -> list[Victim]:
    """What could end in a cell, in the order of victims; who need not now never has to."""
    found = (_victim(league, *pair) for pair in league.by_cell.get(cell, ()))
    return sorted((victim for victim in found if victim is not None), key=_order)


def _victim(league: League, other: Record, holding: Held) -> Victim | None:
    """What a holding could yield: nothing while it stops, or has just begun."""
    job, room = other.job, holding.holding
    offer = offer_of(job, room, league.kinds.kinds[holding.kind].workers)
    elapsed = league.now_s - room.since_s
    if offer is None or job.pool not in league.pools or elapsed <= 0:
        return None
    if offer.workers_left:
        return Victim(other, holding, offer.workers_left, 0)
    rule = league.pools[job.pool].preemption
    over = entitlement.excess(league.ledger.accounts, other.leaf)
    if elapsed < rule.min_runtime_s or not entitlement.may_be_stopped(rule, over):
        return None
    lost_s = job.unsaved_s(elapsed)
    return Victim(other, holding, 0, lost_s * room.workers * max(1, job.shape.gpus))


def _order(victim: Victim) -> tuple[bool, int, int, str]:
    return victim.order


@dataclass(frozen=True, slots=True)
class Claims:
    """What jobs may ask of others, as accounts stand at the moment."""

    league: League
    accounts: Accounts
    """Of the league as it would be: see ``Trial``."""

    def is_entitled(self, record: Record) -> bool:
        """Whether an institution stays within its nominal share with a job."""
        need = self.league.kinds.kinds[record.kind].gpus
        return entitlement.tier(self.accounts, record.leaf, need) == 0

    def reclaims(self, record: Record) -> bool:
        """Whether a job takes back what borrowers hold; then it may also use room that is held."""
        return entitlement.reclaims(self._rule(record), is_entitled=self.is_entitled(record))

    def may_take_from(self, record: Record, victim: Victim, *, keeps_nominal: bool) -> bool:
        """Whether a victim has to yield to a job.

        ``keeps_nominal``: only if its institution keeps its nominal share without it.
        """
        if victim.workers_left or self._is_outranked(record, victim):
            return True
        leaf, rule = victim.record.leaf, self._rule(record)
        over = entitlement.excess(self.accounts, leaf)
        if keeps_nominal and leaf != NOBODY and over < victim.gpus:
            return False
        return bool(
            entitlement.yields_to_owner(
                rule, over, is_own=leaf == record.leaf, is_entitled=self.is_entitled(record)
            )
        )

    def have_to(self, record: Record, gone: Iterable[Victim]) -> bool:
        """Whether those who are gone have to yield to the job also if nobody else does.

        Where its own institution's work yields first, the job may stay within the nominal share only
        so.
        """
        return self.is_entitled(record) or all(
            victim.workers_left
            or victim.record.leaf == record.leaf
            or self._is_outranked(record, victim, is_gone=True)
            for victim in gone
        )

    def where_enough(self, record: Record, rows: Ints, cell_free: Ints) -> Flags:
        """Per cell, whether it might be enough that those yield who may have to for this job.

        A bound: whoever yields makes it no fairer to ask the next one of the same institution, and
        leaves the job's own at most as far within its nominal share as if all of it there had gone.
        ``rows``: of ``HoldingColumns``, those of the job's pool that could yield and have not.
        """
        there, size, rule = self.league.holdings, len(cell_free), self._rule(record)
        if not len(rows):
            return np.zeros(size, bool)
        need = self.league.kinds.kinds[record.kind].gpus
        leaf, fair = there.leaf[rows], there.shrinks[rows]
        over, is_own = entitlement.excesses(self.accounts)[leaf], leaf == record.leaf
        if rule.lower_priority:
            stays = (leaf == NOBODY) | (over >= there.gpus[rows])
            fair |= entitlement.yields_to_rank(
                rule, record.job.priority, there.priority[rows], is_own=is_own, stays=stays
            )
        if rule.borrowers:
            own_gpus = there.gpus_at(rows[is_own], size)[there.cell[rows]]
            is_entitled = entitlement.is_within_nominal(self.accounts, record.leaf, need - own_gpus)
            fair |= entitlement.yields_to_owner(rule, over, is_own=is_own, is_entitled=is_entitled)
        rows = rows[fair]
        some = np.bincount(there.cell[rows], minlength=size) > 0
        return np.asarray(some & (cell_free + there.gpus_at(rows, size) >= need))

    def _is_outranked(self, record: Record, victim: Victim, *, is_gone: bool = False) -> bool:
        """Whether rank alone lets a victim yield, or has let it if it ``is_gone``."""
        leaf, job = victim.record.leaf, record.job
        kept = entitlement.excess(self.accounts, leaf) + victim.gpus * is_gone
        is_own = leaf == record.leaf and not is_gone
        stays = leaf == NOBODY or kept >= victim.gpus
        priority = victim.record.job.priority
        rule = self._rule(record)
        return bool(
            entitlement.yields_to_rank(rule, job.priority, priority, is_own=is_own, stays=stays)
        )

    def _rule(self, record: Record) -> PreemptionRule:
        return self.league.pools[record.job.pool].preemption
