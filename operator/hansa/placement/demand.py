"""What waits and runs, as kinds: jobs that need the same and may go to the same cells are one kind.

Fifty thousand jobs are some thousand kinds; legality, fit and candidate order are worked out once a
kind, and the rules come back as codes a cell, so that every refusal can be told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hansa.model.reasons import Reason
from hansa.model.snapshot import Pool, ResidencyRule, Shape
from hansa.placement.columns import HUGE
from hansa.placement.eligibility import Atlas, Fault, Law
from hansa.placement.supply import Fleet, Ints

Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

RULES = (
    Reason.PENDING,
    Reason.UNKNOWN_JURISDICTION,
    Reason.JURISDICTION_DISPUTED,
    Reason.RESIDENCY_DENIED,
    Reason.LEGAL_CONTROL_DENIED,
    Reason.DATA_ELSEWHERE,
    Reason.ASSURANCE_TOO_LOW,
    Reason.NO_SUCH_ACCELERATOR,
    Reason.EXCEEDS_NODE_SHAPE,
    Reason.EXCEEDS_CAP,
    Reason.OVER_BUDGET,
    Reason.MISCONFIGURED,
    Reason.NODE_REFUSED,
)
"""Code → reason; code 0 passes. Order of application, gravest first."""
CODE = {reason: code for code, reason in enumerate(RULES)}
OUTSIDE = 255
"""The cell is not of the pool, or of the wrong sort (with GPUs, without)."""
MOST_WORKERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of gang. ``workers`` is what it needs at least; elastic ones can use ``extra``."""

    pool: str
    institution: str
    shape: Shape
    residency: ResidencyRule
    data: tuple[str, ...]
    assurance: int
    refused: frozenset[str]
    budget: tuple[int, int] | None
    """(micros, run time in seconds)."""
    priority: int
    """Lower edge of its band of priorities: guides the choice of site only."""

    @property
    def mask_key(self) -> tuple[object, ...]:
        """What decides which cells may take it."""
        return (self.pool, self.residency, self.data, self.assurance, self.shape, self.refused, self.budget)  # fmt: skip

    @property
    def workers(self) -> int:
        """Fewest workers that are useful."""
        return self.shape.min_workers or self.shape.workers

    @property
    def gpus(self) -> int:
        """GPUs of the fewest useful workers."""
        return self.workers * self.shape.gpus


def shape_fault(shape: Shape) -> str:
    """What is impossible about a shape; empty when nothing is."""
    sizes = (shape.gpus, shape.gpu_memory_bytes, shape.cpu_millis, shape.memory_bytes)
    heads = (shape.head_cpu_millis, shape.head_memory_bytes)
    if shape.workers <= 0:
        return f"{shape.workers} workers are asked for; at least one is needed"
    if min(*sizes, *heads, shape.min_workers) < 0:
        return "a size in the shape is negative"
    if max(*sizes, *heads) >= HUGE or shape.workers > MOST_WORKERS:
        return "a size in the shape is beyond anything that exists"
    if shape.min_workers > shape.workers:
        return f"at least {shape.min_workers} workers are asked for, but at most {shape.workers}"
    if shape.gpus == 0 and (shape.gpu_class or shape.gpu_memory_bytes):
        return "a GPU class or GPU memory is named, but no GPUs are asked for"
    return ""


@dataclass
class Rulebook:
    """Works out, once a kind, which cells may take it and which rule refuses the others."""

    fleet: Fleet
    atlas: Atlas
    pools: dict[str, Pool]
    dataset_rules: dict[str, ResidencyRule]
    cap_limits: dict[str, Ints] = field(default_factory=dict)
    """Pool → per cell, the most GPUs its caps ever allow one gang there."""
    _sites: dict[object, Codes] = field(default_factory=dict)
    _codes: dict[object, Codes] = field(default_factory=dict)
    _slots: dict[tuple[int, int, int], Ints] = field(default_factory=dict)
    _laws: dict[object, Law | Fault] = field(default_factory=dict)
    _bits: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    _classes: dict[object, Flags] = field(default_factory=dict)
    _ruled: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        fleet = self.fleet
        for index, site in enumerate(fleet.sites):
            self._bits.setdefault(self.atlas.bits_of_site(site), []).append(index)
        self._ruled = [at for at, site in enumerate(fleet.sites) if site.dataset_rules]
        self._datasets = {name for site in fleet.sites for name in site.datasets}
        self._unpriced = np.array([not cell.is_priceable for cell in fleet.cells], bool)
        self._site_cpu = _sums(fleet.cpu, fleet.site_lo, fleet.site_hi)
        self._site_memory = _sums(fleet.memory, fleet.site_lo, fleet.site_hi)

    def law(self, kind: Kind) -> Law | Fault:
        """The kind's residency compiled, or what is wrong with it."""
        key = (kind.pool, kind.residency, kind.data)
        if key not in self._laws:
            rules = [self.dataset_rules[name] for name in kind.data if name in self.dataset_rules]
            pool = self.pools[kind.pool]
            self._laws[key] = self.atlas.compile(
                (kind.residency, pool.ceiling, *rules), pool.overlays
            )
        return self._laws[key]

    def fault(self, kind: Kind) -> Fault | None:
        """Why no site could ever be asked to take the kind."""
        law = self.law(kind)
        if isinstance(law, Fault):
            return law
        lost = [name for name in kind.data if name not in self._datasets]
        if lost:
            return Fault(Reason.UNKNOWN_DATASET, f"no node announces data set {', '.join(lost)}")
        return None

    def codes(self, kind: Kind) -> Codes:
        """Per cell the code of the first rule that refuses the kind; 0 where none does."""
        key = kind.mask_key
        if key not in self._codes:
            self._codes[key] = self._judge_cells(kind)
        return self._codes[key]

    def _judge_cells(self, kind: Kind) -> Codes:
        fleet, shape, pool = self.fleet, kind.shape, self.pools[kind.pool]
        codes = self.site_codes(kind)[fleet.cell_site]
        codes[fleet.has_gpus != (shape.gpus > 0)] = OUTSIDE
        if shape.gpus:
            _refuse(codes, ~self._has_class(shape, pool), Reason.NO_SUCH_ACCELERATOR)
        _refuse(codes, ~self._fits_idle(kind), Reason.EXCEEDS_NODE_SHAPE)
        if kind.pool in self.cap_limits:
            _refuse(codes, self.cap_limits[kind.pool] < kind.gpus, Reason.EXCEEDS_CAP)
        if kind.budget is not None:
            micros, runtime_s = kind.budget
            cost = self.hourly_cost(kind, kind.workers).astype(np.float64) * runtime_s
            _refuse(codes, cost > micros * 3600.0, Reason.OVER_BUDGET)
        _refuse(codes, self._unpriced, Reason.MISCONFIGURED)
        for name in kind.refused:
            cells = np.zeros(len(codes), bool)
            cells[self._cells(name)] = True
            _refuse(codes, cells, Reason.NODE_REFUSED)
        return codes

    def hourly_cost(self, kind: Kind, workers: int) -> Ints:
        """Per cell, millionths of the currency for one hour of the kind."""
        if kind.shape.gpus:
            return self.fleet.price * (workers * kind.shape.gpus)
        cpus = workers * kind.shape.cpu_millis + kind.shape.head_cpu_millis
        return self.fleet.price * cpus // 1000

    def _cells(self, site_name: str) -> range:
        index = self.fleet.site_index.get(site_name)
        return range(0) if index is None else self.fleet.cells_of_site[index]

    def site_codes(self, kind: Kind) -> Codes:
        """Per site the code of the first rule of law, data or assurance that refuses the kind."""
        key = (kind.pool, kind.residency, kind.data, kind.assurance)
        if key not in self._sites:
            self._sites[key] = self._judge_sites(kind)
        return self._sites[key]

    def _judge_sites(self, kind: Kind) -> Codes:
        pool, sites = self.pools[kind.pool], self.fleet.sites
        law = self.law(kind)
        codes = np.zeros(len(sites), np.uint8)
        for (location, control), indices in self._bits.items():
            objection = law.reason if isinstance(law, Fault) else law.objection(location, control)
            if objection is not None:
                codes[indices] = CODE[objection]
        self._judge_own_rules(kind, codes)
        least = max(kind.assurance, pool.assurance)
        needed = set(kind.data)
        for index, site in enumerate(sites):
            if not in_pool(site.name, site.jurisdiction, pool):
                codes[index] = OUTSIDE
            elif codes[index] == 0 and not needed <= site.datasets.keys():
                codes[index] = CODE[Reason.DATA_ELSEWHERE]
            elif codes[index] == 0 and site.assurance < least:
                codes[index] = CODE[Reason.ASSURANCE_TOO_LOW]
        return codes

    def _judge_own_rules(self, kind: Kind, codes: Codes) -> None:
        """Apply what a site announces about its own copies; it says nothing about others' copies."""
        pool = self.pools[kind.pool]
        for index in self._ruled if kind.data else ():
            site = self.fleet.sites[index]
            rules = [site.dataset_rules[n] for n in kind.data if n in site.dataset_rules]
            if codes[index] or not rules:
                continue
            law = self.atlas.compile(rules, pool.overlays)
            bits = self.atlas.bits_of_site(site)
            objection = law.reason if isinstance(law, Fault) else law.objection(*bits)
            if objection is not None:
                codes[index] = CODE[objection]

    def _has_class(self, shape: Shape, pool: Pool) -> Flags:
        key = (shape.gpu_class, shape.gpu_memory_bytes, pool.gpu_classes)
        if key not in self._classes:
            self._classes[key] = np.array(
                [
                    (cell.gpu_class == shape.gpu_class or not shape.gpu_class)
                    and cell.gpu_memory_bytes >= shape.gpu_memory_bytes
                    and (not pool.gpu_classes or cell.gpu_class in pool.gpu_classes)
                    for cell in self.fleet.cells
                ],
                bool,
            )
        return self._classes[key]

    def _fits_idle(self, kind: Kind) -> Flags:
        shape = kind.shape
        return np.asarray(
            (self.idle_slots(shape) >= kind.workers)
            & (self.fleet.lent >= kind.gpus)
            & (self._site_cpu >= kind.workers * shape.cpu_millis + shape.head_cpu_millis)
            & (self._site_memory >= kind.workers * shape.memory_bytes + shape.head_memory_bytes)
        )

    def idle_slots(self, shape: Shape) -> Ints:
        """Per cell, the workers of a shape that its machines take when nothing runs."""
        key = (shape.gpus, shape.cpu_millis, shape.memory_bytes)
        if key not in self._slots:
            fleet = self.fleet
            per_machine = np.full(len(fleet.gpus), MOST_WORKERS, np.int64)
            for have, need in zip((fleet.gpus, fleet.cpu, fleet.memory), key, strict=True):
                if need > 0:
                    per_machine = np.minimum(per_machine, have // need)
            self._slots[key] = _sums(per_machine, fleet.lo, fleet.hi)
        return self._slots[key]


def in_pool(site_name: str, jurisdiction: str, pool: Pool) -> bool:
    """Whether a site belongs to a pool: every given list must match."""
    if pool.site_names is not None and site_name not in pool.site_names:
        return False
    chosen = pool.site_jurisdictions
    return not chosen or jurisdiction in chosen or jurisdiction[:2] in chosen


def _refuse(codes: Codes, bad: Flags, reason: Reason) -> None:
    codes[(codes == 0) & bad] = CODE[reason]


def _sums(values: Ints, lo: Ints, hi: Ints) -> Ints:
    sums = np.concatenate(([0], np.cumsum(values)))
    return np.asarray(sums[hi] - sums[lo], np.int64)
