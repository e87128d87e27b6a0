"""What could yield, kept in columns: rows grow, are used again, and take any number."""

from __future__ import annotations

from dataclasses import replace

from hansa.model.snapshot import Holding, Job, Pool, PreemptionRule, Shape, Snapshot
from hansa.placement.preemption import victims
from hansa.placement.state.holdings import HoldingColumns
from hansa.placement.state.league import League


def test_columns_grow_and_rows_are_used_again():
    pools = {"p": Pool("p", preemption=PreemptionRule(borrowers=True))}
    there = HoldingColumns(pools, size=2)
    job = Job("j", "n/j", "ut", "p", Shape(2, 4), 0)
    room = Holding("a", 1, 2, 0)
    rows = [there.note(-1, job, room, (cell, 0, 2)) for cell in range(5)]
    assert rows == [0, 1, 2, 3, 4]
    there.leave(3)
    assert there.note(-1, job, room, (7, 0, 2)) == 3

    def freed():
        return there.gpus_at(there.of_pool(there.yields, "p"), 8).tolist()

    assert freed() == [8, 8, 8, 0, 8, 0, 0, 8]
    assert there.note(4, job, replace(room, stopping=True), (4, 0, 2)) == 4
    assert freed() == [8, 8, 8, 0, 0, 0, 0, 8]


def test_absurd_numbers_are_no_exception():
    job = Job("j", "n/j", "ut", "p", Shape(1, 1), 0, priority=10**30)
    pool = Pool("p", preemption=PreemptionRule(borrowers=True))
    league = League(Snapshot(0, (), (pool,), ()))
    row = league.holdings.note(-1, job, Holding("a", 1, 10**30, -(10**30)), (0, -1, 1))
    assert victims.exposed(league, "p").tolist() == [row]
    league.pools["p"] = Pool("p")
    assert not len(victims.exposed(league, "p"))
