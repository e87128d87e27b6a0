"""The exact linear programme over the same work: the yardstick that costs HiGHS seconds.

Gangs are divisible in it, so its optimum is at least that of any plan. Worth is separable (priority
by job, price by cell), so jobs with the same cells share their flow to cells: a column for each
(institution, priority, set of cells) and one for each (set, cell). Nothing is sampled or left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix, vstack

from e2e.bench.phx.supply import Floats
from e2e.bench.phx.traces import Ints
from e2e.bench.report import milliseconds
from e2e.bench.rules import NOMINAL_GPU, PLAIN_GPU, Rules


@dataclass(frozen=True, slots=True)
class Optimum:
    """The programme's value and its cost."""

    value: float
    ms: float
    """Time in HiGHS, without building the programme."""
    columns: int


@dataclass(frozen=True, slots=True)
class _Work:
    """Bids, and arcs from sets of cells to cells."""

    demand: Ints
    worth: Floats
    owner: Ints
    set_of_bid: Ints
    set_of_arc: Ints
    cell_of_arc: Ints
    names: tuple[str, ...]


class _Rows:
    """Rows of ``A x ≤ b``, block by block."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._blocks: list[csr_matrix] = []
        self._bounds: list[Floats] = []

    def add(self, bound: Floats, *terms: tuple[Ints, Ints, float]) -> None:
        """One block: terms are (rows, columns, coefficient)."""
        rows = np.concatenate([term[0] for term in terms])
        columns = np.concatenate([term[1] for term in terms])
        data = np.concatenate([np.full(len(term[0]), term[2]) for term in terms])
        shape = (len(bound), self._width)
        self._blocks.append(coo_matrix((data, (rows, columns)), shape=shape).tocsr())
        self._bounds.append(bound)

    def matrix(self) -> tuple[csr_matrix, Floats]:
        """All blocks stacked."""
        return vstack(self._blocks, format="csr"), np.concatenate(self._bounds)


def solve(rules: Rules, *, limit_s: float = 900.0) -> Optimum:
    """Solve it with HiGHS.

    Raises:
        RuntimeError: no optimum within ``limit_s``.
    """
    work = _work(rules)
    bids, arcs, people = len(work.demand), len(work.cell_of_arc), len(work.names)
    bid, arc, bonus = np.split(np.arange(bids + arcs + people), [bids, bids + arcs])
    rows = _Rows(bids + arcs + people)
    sets = int(work.set_of_arc.max()) + 1
    rows.add(np.zeros(sets), (work.set_of_bid, bid, 1.0), (work.set_of_arc, arc, -1.0))
    rows.add(rules.gpus.astype(float), (work.cell_of_arc, arc, 1.0))
    for cap in rules.caps:
        member = arc[np.isin(work.cell_of_arc, cap.cells)]
        rows.add(np.array([float(cap.gpus)]), (np.zeros_like(member), member, 1.0))
    ceilings = np.array([rules.ceiling(name) for name in work.names], float)
    rows.add(ceilings, (work.owner, bid, 1.0))
    rows.add(np.zeros(people), (work.owner, bid, -1.0), (np.arange(people), bonus, 1.0))
    matrix, bounds = rows.matrix()
    gain = [work.worth, -rules.money[work.cell_of_arc], np.full(people, float(NOMINAL_GPU))]
    nominal = [float(rules.share[name].nominal_gpus) for name in work.names]
    most = np.concatenate((work.demand.astype(float), np.full(arcs, np.inf), nominal))
    since = time.perf_counter()
    found = linprog(
        -np.concatenate(gain),
        A_ub=matrix,
        b_ub=bounds,
        bounds=np.column_stack((np.zeros(len(most)), most)),
        method="highs",
        options={"time_limit": limit_s},
    )
    if found.status != 0:
        raise RuntimeError(f"HiGHS: {found.message}")
    return Optimum(-float(found.fun), milliseconds(since), len(most))


def _work(rules: Rules) -> _Work:
    names = tuple(sorted(rules.share))
    person = {name: i for i, name in enumerate(names)}
    sets: dict[bytes, tuple[int, Ints]] = {}
    demand: dict[tuple[int, str, int], int] = {}
    for job in rules.snapshot.jobs:
        cells = rules.cells_for(job)
        number, _ = sets.setdefault(cells.tobytes(), (len(sets), cells))
        bid = (number, job.institution, job.priority)
        demand[bid] = demand.get(bid, 0) + job.shape.total_gpus
    sizes = [len(cells) for _, cells in sets.values()]
    return _Work(
        demand=np.array(list(demand.values()), np.int64),
        worth=np.array([PLAIN_GPU + bid[2] for bid in demand], float),
        owner=np.array([person[bid[1]] for bid in demand], np.int64),
        set_of_bid=np.array([bid[0] for bid in demand], np.int64),
        set_of_arc=np.repeat(np.arange(len(sizes)), sizes),
        cell_of_arc=np.concatenate([cells for _, cells in sets.values()]),
        names=names,
    )
