"""What others do with the same queue, under the same rules: greedy in one order, sites in another.

``priority_fifo_list`` is what MultiKueue's incremental dispatch comes to (Kueue's queue order, then
clusters in the order of the list). All three skip what does not fit, and obey residency, quotas,
caps and gangs as the plan does; none is charged for its API writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from e2e.bench.phx.traces import Ints
from e2e.bench.report import milliseconds
from e2e.bench.rules import Placed, Rules
from hansa.model.snapshot import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """A peer's plan and what it took, compiled rules given."""

    placed: Placed
    ms: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Order of jobs, order of sites."""

    jobs: Callable[[Job], tuple[int, ...]]
    cheapest: bool


PEERS: Mapping[str, Peer] = {
    "priority_fifo_list": Peer(lambda job: (-job.priority, job.submitted_s), cheapest=False),
    "priority_cheapest": Peer(lambda job: (-job.priority, job.submitted_s), cheapest=True),
    "fifo_list": Peer(lambda job: (job.submitted_s,), cheapest=False),
}


def run(rules: Rules, peer: Peer) -> Outcome:
    """Plan the snapshot's queue on its idle league."""
    classes = {rules.key(job): rules.cells_for(job) for job in rules.snapshot.jobs}
    since = time.perf_counter()
    room = _Room(rules)
    walk = {key: _ordered(rules, cells, peer) for key, cells in classes.items()}
    start = dict.fromkeys(walk, 0)
    placed: Placed = []
    for job in sorted(rules.snapshot.jobs, key=lambda job: (*peer.jobs(job), job.uid)):
        if room.quota_left(job.institution) < job.shape.total_gpus:
            continue
        key = rules.key(job)
        cells = walk[key]
        at = start[key]
        while at < len(cells) and not room.fits(cells[at], job):
            at += 1
        start[key] = at
        if at < len(cells):
            room.take(cells[at], job)
            placed.append((job, cells[at], job.shape.total_gpus))
    return Outcome(placed, milliseconds(since))


def _ordered(rules: Rules, cells: Ints, peer: Peer) -> list[int]:
    if peer.cheapest:
        cells = cells[np.argsort(rules.money[cells], kind="stable")]
    return [int(cell) for cell in cells]


class _Room:
    """Residual machines, caps and quotas. Nothing is given back, so a full cell stays full."""

    def __init__(self, rules: Rules) -> None:
        self._free = [sorted(cell.machines) for cell in rules.cells]
        self._left = [cell.gpus for cell in rules.cells]
        self._caps = [row.gpus for row in rules.caps]
        self._caps_of: list[list[int]] = [[] for _ in rules.cells]
        for number, row in enumerate(rules.caps):
            for cell in row.cells:
                self._caps_of[int(cell)].append(number)
        self._quota = {name: rules.ceiling(name) for name in rules.share}
        self._kept = {name: rules.kept(name) for name in rules.share}
        self._spare = sum(self._left) - sum(self._kept.values())

    def quota_left(self, institution: str) -> int:
        """GPUs the institution may still take: its own ceiling, and what others lend."""
        return min(self._quota[institution], self._kept[institution] + self._spare)

    def fits(self, cell: int, job: Job) -> bool:
        """Whether the whole gang goes into the cell now."""
        shape = job.shape
        if self._left[cell] < shape.total_gpus:
            return False
        if any(self._caps[row] < shape.total_gpus for row in self._caps_of[cell]):
            return False
        return sum(free // shape.gpus for free in self._free[cell]) >= shape.workers

    def take(self, cell: int, job: Job) -> None:
        """Give the gang its GPUs, fullest machines first."""
        shape, free = job.shape, self._free[cell]
        left = shape.workers
        for machine, room in enumerate(free):
            workers = min(left, room // shape.gpus)
            free[machine] -= workers * shape.gpus
            left -= workers
        free.sort()
        self._left[cell] -= shape.total_gpus
        for row in self._caps_of[cell]:
            self._caps[row] -= shape.total_gpus
        self._charge(job.institution, shape.total_gpus)

    def _charge(self, institution: str, gpus: int) -> None:
        own = min(gpus, self._kept[institution])
        self._kept[institution] -= own
        self._spare -= gpus - own
        self._quota[institution] -= gpus
