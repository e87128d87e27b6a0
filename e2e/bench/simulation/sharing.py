"""Who is kept waiting by borrowers: the sharing incentive, watched from outside the planner.

An institution should be at least as well off as with its nominal share alone (DRF, NSDI 2011). A
job is *kept waiting* at a look if its institution would stay within its nominal share with it, and
it could start on machines of one class at one of its sites were borrowed work not on them: work of
institutions above their own nominal shares that the pool lets the planner stop, preemptible and
past the least run time. Who borrows on machines of another class of that site makes no room by
leaving, and keeps nobody waiting. It is a violation when this lasts from one look to the next: the
job waits, its institution is entitled, and the others borrow and could have been stopped, all the
while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from e2e.bench.simulation.occupancy import Cell, Occupancy
from hansa.model.snapshot import Job, Pool, Shape


@dataclass(slots=True)
class Queue:
    """Waiting jobs of one institution, shape and set of lawful sites, oldest first."""

    shape: Shape
    institution: str
    sites: tuple[str, ...]
    since_s: dict[str, int] = field(default_factory=dict)


class SharingWatch:
    """Told of every change of use; looks at the league now and then."""

    def __init__(self, pools: Iterable[Pool], world: Occupancy) -> None:
        self._world = world
        self._nominal: dict[str, int] = {}
        self._least_s: dict[str, int] = {}
        for pool in pools:
            self._least_s[pool.name] = pool.preemption.min_runtime_s
            self._nominal |= {share.institution: share.nominal_gpus for share in pool.shares}
        self._most: dict[str, int] = {}
        self._least: dict[str, int] = {}
        """Most and fewest GPUs that an institution held since the last look."""
        self._kept: frozenset[str] = frozenset()
        self._last_s = 0
        self.violated: set[str] = set()

    def used(self, institution: str, gpus: int) -> None:
        """Hear that an institution holds so many GPUs from now on."""
        self._most[institution] = max(gpus, self._most.get(institution, 0))
        self._least[institution] = min(gpus, self._least.get(institution, 0))

    def look(
        self,
        now_s: int,
        queues: Collection[Queue],
        running: Collection[tuple[Job, int]],
        used: Mapping[str, int],
    ) -> None:
        """Note who is kept waiting now, and who has been since the last look."""
        entitled = [queue for queue in queues if self._is_entitled(queue)]
        kept = frozenset(self._kept_waiting(entitled, running) if entitled else ())
        self.violated |= kept & self._kept
        self._kept, self._last_s = kept, now_s
        self._most, self._least = dict(used), dict(used)

    def _is_entitled(self, queue: Queue) -> bool:
        nominal = self._nominal.get(queue.institution, 0)
        return self._most.get(queue.institution, 0) + queue.shape.total_gpus <= nominal

    def _kept_waiting(
        self, entitled: list[Queue], running: Collection[tuple[Job, int]]
    ) -> Iterator[str]:
        """The oldest job of each queue that could start without borrowers."""
        borrowed = _Borrowed(self._world, self._excess(), self._stoppable(running))
        for queue in entitled:
            if any(borrowed.blocks(site, queue.shape) for site in queue.sites):
                yield next(iter(queue.since_s))

    def _excess(self) -> dict[str, int]:
        over = {name: held - self._nominal.get(name, 0) for name, held in self._least.items()}
        return {name: gpus for name, gpus in over.items() if gpus > 0}

    def _stoppable(self, running: Collection[tuple[Job, int]]) -> list[Job]:
        return [
            job
            for job, since_s in running
            if job.preemptible and self._last_s - since_s >= self._least_s[job.pool]
        ]


class _Borrowed:
    """What institutions hold beyond their nominal shares, cell by cell, at one moment."""

    def __init__(self, world: Occupancy, excess: Mapping[str, int], stoppable: list[Job]) -> None:
        self._world = world
        self._excess = excess
        self._at: dict[Cell, list[Job]] = {}
        self._leaving: dict[Cell, tuple[list[str], list[str]]] = {}
        self._memo: dict[tuple[Cell, Shape], bool] = {}
        for job in sorted(stoppable, key=lambda job: (job.shape.total_gpus, job.uid)):
            cell = world.cell_of(job.uid)
            if cell and job.institution in excess:
                self._at.setdefault(cell, []).append(job)

    def blocks(self, site: str, shape: Shape) -> bool:
        """Whether a gang would fit into a cell of a site without the borrowed work in it."""
        return any(
            self._fills(cell, shape) for cell in self._world.cells(site, shape) if cell in self._at
        )

    def _fills(self, cell: Cell, shape: Shape) -> bool:
        """The same for one cell, small or large jobs gone first."""
        if (cell, shape) not in self._memo:
            self._memo[cell, shape] = any(
                cell.fits_without(shape, leaving) for leaving in self._may_leave(cell)
            )
        return self._memo[cell, shape]

    def _may_leave(self, cell: Cell) -> tuple[list[str], list[str]]:
        if cell not in self._leaving:
            jobs = self._at[cell]
            self._leaving[cell] = self._taken(jobs), self._taken(jobs[::-1])
        return self._leaving[cell]

    def _taken(self, jobs: list[Job]) -> list[str]:
        """Jobs that can be stopped in this order: each while its institution still borrows."""
        left = dict(self._excess)
        leaving = []
        for job in jobs:
            if left[job.institution] > 0:
                left[job.institution] -= job.shape.total_gpus
                leaving.append(job.uid)
        return leaving
