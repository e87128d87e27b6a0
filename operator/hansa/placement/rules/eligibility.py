"""What waits and runs, as kinds: jobs that need the same and may go to the same cells are one kind.

Fifty thousand jobs are some thousand kinds; legality, fit and candidate order are worked out once a
kind, and the rules come back as codes a cell, so that every refusal can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hansa.api.places import OVERLAY_PREFIX
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, PlaceSet, Pool, ResidencyRule, Shape
from hansa.placement.kernel.tables import HUGE
from hansa.placement.rules.fleet import Fleet, Ints, range_sums
from hansa.placement.rules.membership import is_member
from hansa.placement.rules.residency import Atlas, Fault, Law, joined

Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

RULES = (
    Reason.PENDING,
    Reason.UNKNOWN_JURISDICTION,
    Reason.POOL_MISCONFIGURED,
    Reason.JURISDICTION_DISPUTED,
    Reason.RESIDENCY_DENIED,
    Reason.LEGAL_CONTROL_DENIED,
    Reason.DATA_ELSEWHERE,
    Reason.ASSURANCE_TOO_LOW,
    Reason.NO_ACCELERATOR,
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
Key = tuple[Any, ...]


class JobClass(NamedTuple):
    """All jobs that need the same, may go to the same cells, and are paid for alike.

    The one key to them: what less depends on is a beginning of it.
    """

    pool: str
    residency: ResidencyRule
    data: tuple[str, ...]
    assurance: int
    shape: Shape
    refused: frozenset[str]
    """Sites that refused it."""
    budget: tuple[int, int] | None
    """(micros, run time in seconds), where it has one."""
    institution: str
    priority: int
    """Lower edge of its band of priorities: guides the choice of site only."""

    @property
    def law_key(self) -> Key:
        """What decides which law applies to it; the pool comes first."""
        return self[:2]

    @property
    def site_key(self) -> Key:
        """What decides which sites may take it."""
        return self[:4]

    @property
    def cell_key(self) -> Key:
        """What decides which cells may take it."""
        return self[:7]

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
    if shape.workers <= 0 or shape.heads < 0:
        return f"{shape.workers} workers are asked for; at least one is needed"
    if min(*sizes, *heads, shape.min_workers) < 0:
        return "a size in the shape is negative"
    if max(*sizes, *heads) >= HUGE or max(shape.workers, shape.heads) > MOST_WORKERS:
        return "a size in the shape is beyond anything that exists"
    if shape.min_workers > shape.workers:
        return f"at least {shape.min_workers} workers are asked for, but at most {shape.workers}"
    if shape.gpus == 0 and (shape.gpu_class or shape.gpu_memory_bytes):
        return "a GPU class or GPU memory is named, but no GPUs are asked for"
    return ""


def job_fault(job: Job) -> str:
    """What is impossible about a job, its shape included; empty when nothing is."""
    wrong = shape_fault(job.shape)
    if wrong:
        return wrong
    if job.max_runtime_s <= 0:
        return "the longest run time must be above zero"
    if job.budget_micros is not None and job.budget_micros < 0:
        return "the budget is negative"
    return ""


@dataclass
class Rulebook:
    """Works out, once a kind, which cells may take it and which rule refuses the others."""

    fleet: Fleet
    atlas: Atlas
    pools: dict[str, Pool]
    cap_limits: dict[str, Ints] = field(default_factory=dict)
    """Pool → per cell, the most GPUs its caps ever allow one gang there."""
    _sites: dict[Key, Codes] = field(default_factory=dict)
    _laws: dict[Key, Law | Fault] = field(default_factory=dict)
    _rules: dict[Key, Law | Fault] = field(default_factory=dict)
    _law_rows: dict[Law | Fault, Codes] = field(default_factory=dict)
    _rooms: dict[tuple[str, Shape], Codes] = field(default_factory=dict)
    _others: dict[str, Flags] = field(default_factory=dict)
    _bits: dict[tuple[int, int], int] = field(default_factory=dict)
    _classes: dict[object, Flags] = field(default_factory=dict)
    _ruled: dict[str, list[int]] = field(default_factory=dict)
    """Data set → the sites that announce a rule for their copy."""
    _held: dict[str, list[int]] = field(default_factory=dict)
    """Data set → the sites that hold it."""

    def __post_init__(self) -> None:
        fleet = self.fleet
        bits = [self.atlas.bits_of_site(site) for site in fleet.sites]
        self._bits = {pair: number for number, pair in enumerate(dict.fromkeys(bits))}
        self._group = np.array([self._bits[pair] for pair in bits], np.int64)
        self._assurance = np.array([site.assurance for site in fleet.sites], np.int64)
        for index, site in enumerate(fleet.sites):
            for name in site.dataset_rules:
                self._ruled.setdefault(name, []).append(index)
            for name in site.datasets:
                self._held.setdefault(name, []).append(index)
        self._unpriced = np.array([not cell.is_priceable for cell in fleet.cells], bool)
        self._site_cpu = range_sums(fleet.cpu, fleet.site_lo, fleet.site_hi)
        self._site_memory = range_sums(fleet.memory, fleet.site_lo, fleet.site_hi)

    def law(self, kind: JobClass) -> Law | Fault:
        """The kind's residency compiled, or what is wrong with it."""
        key = kind.law_key
        if key not in self._laws:
            pool = self.pools[kind.pool]
            ceiling = self.ceiling_fault(pool) or self._compiled(pool, pool.ceiling)
            self._laws[key] = joined((self._compiled(pool, kind.residency), ceiling))
        return self._laws[key]

    def ceiling_fault(self, pool: Pool) -> Fault | None:
        """What in a pool's ceiling nobody can interpret: no fault of who asks for work there."""
        law = self._compiled(pool, pool.ceiling)
        if not isinstance(law, Fault):
            return None
        return Fault(
            Reason.POOL_MISCONFIGURED, f"the ceiling of pool {pool.name} is void: {law.message}"
        )

    def overlay_faults(self, pool: Pool) -> list[str]:
        """What in a pool's overlays nobody can interpret, each fault once."""
        names = (PlaceSet(frozenset({OVERLAY_PREFIX + name})) for name in sorted(pool.overlays))
        laws = [self._compiled(pool, ResidencyRule(named, named)) for named in names]
        return list(dict.fromkeys(law.message for law in laws if isinstance(law, Fault)))

    def _compiled(self, pool: Pool, rule: ResidencyRule) -> Law | Fault:
        key = (pool.name, rule)
        if key not in self._rules:
            self._rules[key] = self.atlas.compile((rule,), pool.overlays)
        return self._rules[key]

    def relearn(self, old: Pool, kinds: Sequence[JobClass]) -> list[bool]:
        """Which kinds may be judged otherwise, now that the rules of their pool have changed.

        ``old``: the pool as it was; ``kinds``: one of each law and assurance. What is still true stays.
        """
        laws, sites = self._laws, self._sites
        self._laws = {key: law for key, law in laws.items() if key[0] != old.name}
        self._sites = {key: codes for key, codes in sites.items() if key[0] != old.name}
        self._rules = {key: law for key, law in self._rules.items() if key[0] != old.name}
        assurance, found = self.pools[old.name].assurance, []
        for kind in kinds:
            is_same = assurance == old.assurance and not (kind.data and self._ruled)
            is_same = is_same and laws.get(kind.law_key) == self.law(kind)
            if is_same and kind.site_key in sites:
                self._sites[kind.site_key] = sites[kind.site_key]
            found.append(not is_same)
        return found

    def fault(self, kind: JobClass) -> Fault | None:
        """Why no site could ever be asked to take the kind."""
        law = self.law(kind)
        if isinstance(law, Fault):
            return law
        lost = [name for name in kind.data if name not in self._held]
        if lost:
            return Fault(Reason.UNKNOWN_DATASET, f"no node announces data set {', '.join(lost)}")
        return None

    def codes(self, kind: JobClass) -> Codes:
        """Per cell the code of the first rule that refuses the kind; 0 where none does."""
        codes, room = self.site_codes(kind)[self.fleet.cell_site], self._room_codes(kind)
        codes = np.where((codes == 0) | (room == OUTSIDE), room, codes)
        if kind.budget is not None:
            micros, runtime_s = kind.budget
            cost = self.hourly_cost(kind, kind.workers).astype(np.float64) * runtime_s
            _refuse(codes, cost > micros * 3600.0, Reason.OVER_BUDGET)
        _refuse(codes, self._unpriced, Reason.MISCONFIGURED)
        for name in kind.refused:
            refused = self.fleet.site_index.get(name, -1)
            _refuse(codes, self.fleet.cell_site == refused, Reason.NODE_REFUSED)
        return codes

    def hourly_cost(self, kind: JobClass, workers: int) -> Ints:
        """Per cell, millionths of the currency for one hour of the kind."""
        if kind.shape.gpus:
            return self.fleet.price * (workers * kind.shape.gpus)
        cpus = workers * kind.shape.cpu_millis + kind.shape.heads_cpu_millis
        return self.fleet.price * cpus // 1000

    def _room_codes(self, kind: JobClass) -> Codes:
        """Per cell what its machines and the caps say of the kind; OUTSIDE: it is of the wrong sort."""
        shape, pool, key = kind.shape, self.pools[kind.pool], (kind.pool, kind.shape)
        if key not in self._rooms:
            codes = np.zeros(len(self.fleet.cells), np.uint8)
            codes[self.fleet.has_gpus != (shape.gpus > 0)] = OUTSIDE
            if shape.gpus:
                _refuse(codes, ~self._has_class(shape, pool), Reason.NO_SUCH_ACCELERATOR)
            _refuse(codes, ~self._fits_idle(kind), Reason.EXCEEDS_NODE_SHAPE)
            if kind.pool in self.cap_limits:
                _refuse(codes, self.cap_limits[kind.pool] < kind.gpus, Reason.EXCEEDS_CAP)
            self._rooms[key] = codes
        return self._rooms[key]

    def site_codes(self, kind: JobClass) -> Codes:
        """Per site the code of the first rule of law, data or assurance that refuses the kind."""
        key = kind.site_key
        if key not in self._sites:
            self._sites[key] = self._judge_sites(kind)
        return self._sites[key]

    def law_codes(self, kind: JobClass) -> Codes:
        """Per site what the law alone says of the kind, in its pool or not."""
        codes = self._law_row(self.law(kind)).copy()
        self._judge_own_rules(kind, codes)
        return codes

    def _law_row(self, law: Law | Fault) -> Codes:
        """Per site what a law says, whoever asks."""
        if law not in self._law_rows:
            denied, coded = CODE[Reason.RESIDENCY_DENIED], list[int]()
            for bits in self._bits:
                reason = law.reason if isinstance(law, Fault) else law.objection(*bits)
                coded.append(0 if reason is None else CODE.get(reason, denied))
            self._law_rows[law] = np.array(coded, np.uint8)[self._group]
        return self._law_rows[law]

    def _judge_sites(self, kind: JobClass) -> Codes:
        pool, codes = self.pools[kind.pool], self.law_codes(kind)
        for name in kind.data:
            _refuse(codes, ~self._holders(name), Reason.DATA_ELSEWHERE)
        least = max(kind.assurance, pool.assurance)
        _refuse(codes, self._assurance < least, Reason.ASSURANCE_TOO_LOW)
        codes[self._outside(pool)] = OUTSIDE
        return codes

    def _holders(self, data: str) -> Flags:
        """Per site, whether it holds a data set."""
        holders = np.zeros(len(self.fleet.sites), bool)
        holders[self._held.get(data, [])] = True
        return holders

    def _outside(self, pool: Pool) -> Flags:
        """Per site, whether it is none of the pool's."""
        if pool.name not in self._others:
            sites = self.fleet.sites
            inside = [is_member(site, pool) for site in sites]
            self._others[pool.name] = ~np.array(inside, bool)
        return self._others[pool.name]

    def _judge_own_rules(self, kind: JobClass, codes: Codes) -> None:
        """Apply what a site announces about its own copies; it says nothing about others' copies."""
        pool = self.pools[kind.pool]
        for index in sorted({at for name in kind.data for at in self._ruled.get(name, ())}):
            site = self.fleet.sites[index]
            rules = [site.dataset_rules[n] for n in kind.data if n in site.dataset_rules]
            if codes[index]:
                continue
            law = self.atlas.compile(rules, pool.overlays)
            bits = self.atlas.bits_of_site(site)
            objection = law.reason if isinstance(law, Fault) else law.objection(*bits)
            if objection is not None:
                codes[index] = CODE[objection]

    def _has_class(self, shape: Shape, pool: Pool) -> Flags:
        key = (shape.wish, pool.gpu_classes)
        if key not in self._classes:
            self._classes[key] = np.array(
                [shape.accepts(cell) and pool.admits(cell.gpu_class) for cell in self.fleet.cells],
                bool,
            )
        return self._classes[key]

    def _fits_idle(self, kind: JobClass) -> Flags:
        shape = kind.shape
        return np.asarray(
            (self.idle_slots(shape) >= kind.workers)
            & (self.fleet.lent >= kind.gpus)
            & (self._site_cpu >= kind.workers * shape.cpu_millis + shape.heads_cpu_millis)
            & (self._site_memory >= kind.workers * shape.memory_bytes + shape.heads_memory_bytes)
        )

    def idle_slots(self, shape: Shape) -> Ints:
        """Per cell, the workers of a shape that its machines take when nothing runs."""
        fleet = self.fleet
        per_machine = np.full(len(fleet.gpus), MOST_WORKERS, np.int64)
        needs = (shape.gpus, shape.cpu_millis, shape.memory_bytes)
        for have, need in zip((fleet.gpus, fleet.cpu, fleet.memory), needs, strict=True):
            if need > 0:
                per_machine = np.minimum(per_machine, have // need)
        return range_sums(per_machine, fleet.lo, fleet.hi)


def _refuse(codes: Codes, bad: Flags, reason: Reason) -> None:
    np.copyto(codes, CODE[reason], where=(codes == 0) & bad)
