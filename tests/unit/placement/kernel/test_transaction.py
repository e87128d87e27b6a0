"""What is tried in a transaction leaves nothing behind once it is rolled back."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.placement.kernel import fit, run, transaction
from hansa.placement.kernel.tables import HUGE, NOBODY, Turn
from hansa.placement.state.kernel_io.kernel_input import all_waiting
from hansa.placement.state.league import League
from tests.unit.placement.leagues.random_leagues import random_snapshot

SEEDS = range(20)


def contents(state, tx):
    """All columns, the lists of cells in any order: who comes back is on top."""
    cells = []
    for top in state.exchange.first.tolist():
        cells.append(set())
        gang = top
        while gang != NOBODY:
            cells[-1].add(gang)
            gang = tx.below[gang]
    tables = {name: table._asdict() for name, table in state._asdict().items()}
    del tables["exchange"]["first"]
    told = {name: list(column) for name, column in tx._asdict().items() if name != "below"}
    return cells, told, {
        f"{table}.{name}": column.tolist()
        for table, columns in tables.items()
        for name, column in columns.items()
    }  # fmt: skip


def enter(state, tx, gang):
    """Put a gang into the first cell that takes it."""
    kind, begin = tx.kind[gang], len(tx.log)
    for cell in state.kinds.candidates[state.kinds.next[state.kinds.mask[kind]] :].tolist():
        if fit.try_cell(state, tx.log, kind, cell, Turn(tx.job[gang], HUGE, 1)) == 0:
            transaction.stand(state, tx, gang, cell, begin)
            return True
    return False


def step(state, tx, rng):
    """One step that makes sense: who stands leaves and is refunded, who does not comes somehow."""
    gang = int(rng.integers(len(tx.job)))
    cell = tx.cell[gang]
    if cell != NOBODY:
        transaction.leave(state, tx, gang)
        transaction.charge(state, tx, gang, -1)
        if rng.random() < 0.3:
            transaction.charge(state, tx, gang, 1)
            transaction.come_back(state, tx, gang, cell)
    elif enter(state, tx, gang):
        transaction.charge(state, tx, gang, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollback_takes_back_every_step(seed):
    rng = np.random.default_rng(seed)
    league = League(random_snapshot(rng, jobs=30, sites=6))
    state, ranked = all_waiting(league, np.flatnonzero(league.columns.waits))
    tx, moved = run.transaction(), 0
    for job in range(len(ranked)):
        kind = int(state.jobs.kind[job])
        workers = int(state.kinds.workers[kind])
        transaction.admit(tx, job, kind, workers, workers * int(state.kinds.gpus[kind]))
    for _ in range(40 if len(tx.job) else 0):
        step(state, tx, rng)
    mark, before = transaction.mark_of(tx), contents(state, tx)
    for _ in range(60 if len(tx.job) else 0):
        step(state, tx, rng)
        moved += contents(state, tx) != before
    transaction.rollback(state, tx, mark)
    after = contents(state, tx)
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert {name: after[1][name] for name in ("cell", "workers", "log")} == {
        name: before[1][name] for name in ("cell", "workers", "log")
    }
    standing = [gang for gang, cell in enumerate(tx.cell) if cell != NOBODY]
    for name in ("begin", "end"):
        assert [after[1][name][g] for g in standing] == [before[1][name][g] for g in standing]
    assert not len(ranked) or moved
