"""The league's rules once more, apart from the planner: for its peers, the exact LP and the check.

A *cell* is the machines of one GPU class at one site; a gang lives in one cell. Legality comes from
``e2e.lawful``, which works with sets; nothing here imports the planner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from e2e.bench.phx.supply import Floats
from e2e.bench.phx.traces import Ints
from e2e.lawful import Lawful
from hansa.model.plan import Placement
from hansa.model.snapshot import Job, Pool, Shape, Site, Snapshot

Flags = npt.NDArray[np.bool_]
Placed = list[tuple[Job, int, int]]
"""(job, cell, GPUs) of what is placed."""

PLAIN_GPU = 1000
PRICE_SPAN = 100.0
NOMINAL_GPU = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """Machines of one GPU class at one site."""

    site: Site
    gpu_class: str
    gpu_memory_bytes: int
    machines: tuple[int, ...]
    """GPUs of each."""

    @property
    def gpus(self) -> int:
        """GPUs of the cell."""
        return sum(self.machines)

    def slots(self, gpus: int) -> int:
        """Workers of ``gpus`` GPUs that fit when it is idle."""
        return sum(size // gpus for size in self.machines)


@dataclass(frozen=True, slots=True)
class CapRow:
    """A concentration cap: at most ``gpus`` in these cells together."""

    name: str
    gpus: int
    cells: Ints


class Rules:
    """A static snapshot with one pool, compiled for lookups by job and cell."""

    def __init__(self, snapshot: Snapshot) -> None:
        (self.pool,) = snapshot.pools
        self.snapshot = snapshot
        self.cells = [cell for site in snapshot.sites for cell in _cells(site)]
        self.gpus: Ints = np.array([cell.gpus for cell in self.cells], np.int64)
        prices = [cell.site.gpu_hour_price[cell.gpu_class] for cell in self.cells]
        self.money: Floats = PRICE_SPAN * np.array(prices, float) / max(prices)
        self.caps = _caps(self.pool, self.cells)
        self.index = {(c.site.name, c.gpu_class): i for i, c in enumerate(self.cells)}
        self.share = {share.institution: share for share in self.pool.shares}
        self._site_row = {site.name: i for i, site in enumerate(snapshot.sites)}
        self._cell_site = np.array([self._site_row[cell.site.name] for cell in self.cells])
        self._open = np.array([cell.site.unavailable is None for cell in self.cells], bool)
        self._lawful = Lawful(snapshot)
        self._legal: dict[object, Flags] = {}
        self._fits: dict[Shape, Flags] = {}
        self._both: dict[object, Ints] = {}

    def key(self, job: Job) -> object:
        """Jobs with equal keys may go to the same cells."""
        return job.residency, job.assurance, job.data, job.shape, tuple(job.refused_by)

    def cells_for(self, job: Job) -> Ints:
        """Cells, in list order, that may take the job by every rule but present use."""
        key = self.key(job)
        if key not in self._both:
            mask = self._law(job)[self._cell_site] & self._shape(job.shape) & self._open
            for name in job.refused_by:
                mask = mask & (self._cell_site != self._site_row[name])
            self._both[key] = np.flatnonzero(mask)
        return self._both[key]

    def ceiling(self, institution: str) -> int:
        """Most GPUs that an institution may hold."""
        share = self.share[institution]
        total = int(self.gpus.sum())
        return (
            total if share.borrowing_limit is None else share.nominal_gpus + share.borrowing_limit
        )

    def kept(self, institution: str) -> int:
        """GPUs of its nominal share that an institution does not lend."""
        share = self.share[institution]
        return (
            0 if share.lending_limit is None else max(0, share.nominal_gpus - share.lending_limit)
        )

    def worth(self, job: Job, cell: int) -> float:
        """Worth of one GPU of a job at a cell, without the bonus for nominal shares."""
        return PLAIN_GPU + job.priority - float(self.money[cell])

    def value(self, placed: Sequence[tuple[Job, int, int]]) -> float:
        """Worth of (job, cell, GPUs): the objective that ``hansa.placement.rules.value`` states."""
        total = sum(gpus * self.worth(job, cell) for job, cell, gpus in placed)
        held: Counter[str] = Counter()
        for job, _, gpus in placed:
            held[job.institution] += gpus
        bonus = sum(min(n, self.share[name].nominal_gpus) for name, n in held.items())
        return total + NOMINAL_GPU * bonus

    def read(self, placements: Sequence[Placement]) -> list[tuple[Job, int, int]]:
        """A plan's placements as (job, cell, GPUs)."""
        jobs = {job.uid: job for job in self.snapshot.jobs}
        return [
            (job := jobs[p.job_uid], self.index[p.site, p.gpu_class], p.workers * job.shape.gpus)
            for p in placements
        ]

    def violations(self, placed: Sequence[tuple[Job, int, int]]) -> list[str]:
        """Every rule that a plan for an idle league breaks, in words; empty for a lawful plan."""
        return [
            *_check_jobs(self, placed),
            *_check_machines(self, placed),
            *_check_limits(self, placed),
        ]

    def _law(self, job: Job) -> Flags:
        key = (job.residency, job.assurance, job.data)
        if key not in self._legal:
            mask = np.zeros(len(self.snapshot.sites), bool)
            mask[[self._site_row[name] for name in self._lawful.sites(job)]] = True
            self._legal[key] = mask
        return self._legal[key]

    def _shape(self, shape: Shape) -> Flags:
        if shape not in self._fits:
            self._fits[shape] = np.array(
                [
                    shape.gpu_class in ("", cell.gpu_class)
                    and cell.gpu_memory_bytes >= shape.gpu_memory_bytes
                    and cell.slots(shape.gpus) >= (shape.min_workers or shape.workers)
                    for cell in self.cells
                ],
                bool,
            )
        return self._fits[shape]


def _check_jobs(rules: Rules, placed: Sequence[tuple[Job, int, int]]) -> list[str]:
    wrong = []
    seen: set[str] = set()
    for job, cell, gpus in placed:
        shape = job.shape
        fewest = (shape.min_workers or shape.workers) * shape.gpus
        if job.uid in seen:
            wrong.append(f"{job.uid} is placed twice")
        seen.add(job.uid)
        if not fewest <= gpus <= shape.total_gpus:
            wrong.append(f"{job.uid} got {gpus} GPUs of {shape.total_gpus}: the gang is torn")
        allowed = rules.cells_for(job)
        at = int(np.searchsorted(allowed, cell))
        if at == len(allowed) or allowed[at] != cell:
            wrong.append(f"{job.uid} may not run at {rules.cells[cell].site.name}")
    return wrong


def _check_machines(rules: Rules, placed: Sequence[tuple[Job, int, int]]) -> list[str]:
    """Pack every cell first fit decreasing, which is exact for sizes that divide each other."""
    workers: dict[int, list[int]] = defaultdict(list)
    for job, cell, gpus in placed:
        workers[cell] += [job.shape.gpus] * (gpus // job.shape.gpus)
    wrong = []
    for cell, sizes in workers.items():
        free = sorted(rules.cells[cell].machines)
        for size in sorted(sizes, reverse=True):
            machine = next((i for i, room in enumerate(free) if room >= size), None)
            if machine is None:
                wrong.append(f"{rules.cells[cell].site.name} is overfilled")
                break
            free[machine] -= size
    return wrong


def _check_limits(rules: Rules, placed: Sequence[tuple[Job, int, int]]) -> list[str]:
    by_cell = np.zeros(len(rules.cells), np.int64)
    by_institution: Counter[str] = Counter()
    for job, cell, gpus in placed:
        by_cell[cell] += gpus
        by_institution[job.institution] += gpus
    wrong = [
        f"{row.name}: {by_cell[row.cells].sum()} GPUs of {row.gpus} allowed"
        for row in rules.caps
        if by_cell[row.cells].sum() > row.gpus
    ]
    wrong += [
        f"{name} holds {gpus} GPUs of {rules.ceiling(name)}"
        for name, gpus in by_institution.items()
        if gpus > rules.ceiling(name)
    ]
    promised = sum(max(by_institution[name], rules.kept(name)) for name in rules.share)
    if promised > int(rules.gpus.sum()):
        wrong.append("GPUs that are not lent were taken")
    return wrong


def _cells(site: Site) -> list[Cell]:
    machines: dict[tuple[str, int], list[int]] = {}
    for group in site.machines:
        sizes = machines.setdefault((group.gpu_class, group.gpu_memory_bytes), [])
        sizes += [group.gpus] * group.count
    return [Cell(site, *key, tuple(sizes)) for key, sizes in sorted(machines.items())]


def _caps(pool: Pool, cells: Sequence[Cell]) -> list[CapRow]:
    total = sum(cell.gpus for cell in cells)
    rows = []
    for cap in pool.caps:
        groups: dict[str, list[int]] = defaultdict(list)
        for index, cell in enumerate(cells):
            groups[_party(cap.dimension, cell)].append(index)
        rows += [
            CapRow(
                f"{cap.dimension} {party}", total * cap.max_percent // 100, np.array(at, np.int64)
            )
            for party, at in groups.items()
        ]
    return rows


def _party(dimension: str, cell: Cell) -> str:
    return {
        "Operator": cell.site.operator,
        "Vendor": cell.gpu_class.split("-", 1)[0],
        "Jurisdiction": cell.site.jurisdiction[:2],
    }[dimension]
