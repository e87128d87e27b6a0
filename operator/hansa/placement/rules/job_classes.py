"""Kinds of jobs as columns that grow: what each needs, and which cells may take it.

A *mask* is shared by all kinds that may go to the same cells; its row of rule codes is worked out
once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hansa.model.snapshot import Job, Pool, Shape
from hansa.placement.kernel.tables import Kinds
from hansa.placement.rules.eligibility import OUTSIDE, Codes, JobClass, Rulebook
from hansa.placement.rules.fleet import Ints

NEEDS = (
    "workers",
    "extra",
    "gpus",
    "cpu",
    "memory",
    "heads",
    "head_cpu",
    "head_memory",
    "cap_base",
)
NAMES = (*NEEDS, "mask", "priority", "payer")
MAX_PRIORITY = 1_000_000


class JobClasses:
    """All kinds ever seen by a league."""

    def __init__(self, rules: Rulebook, cap_base: Callable[[str], int]) -> None:
        self._rules = rules
        self._cap_base = cap_base
        self.kinds: list[JobClass] = []
        self._ids: dict[JobClass, int] = {}
        self._numbers = np.zeros((64, len(NAMES)), np.int64)
        self.payers: dict[tuple[str, str], int] = {}
        """(pool, institution), numbered."""
        self.has_budgets = False
        self.masks: list[int] = []
        """Mask → a kind that has it."""
        self._mask_ids: dict[object, int] = {}
        self._laws: list[JobClass] = []
        """One kind of each law and assurance."""
        self._law_ids: dict[object, int] = {}
        self._law_of: list[int] = []
        """Mask → which of them."""
        self._codes = np.zeros((64, len(rules.fleet.cells)), np.uint8)
        self._mask_gpus = np.zeros(64, np.int64)
        self._passes: list[Ints] = []
        """Mask → cells that may take it, rising."""

    def __len__(self) -> int:
        return len(self.kinds)

    def column(self, name: str) -> Ints:
        """One number a kind."""
        return self._numbers[: len(self), NAMES.index(name)]

    def needs(self, numbers: Ints | slice) -> tuple[Ints, ...]:
        """The first columns of the kernel's table, contiguous: numba compiles one layout only."""
        chosen = self._numbers[: len(self)][numbers]
        return tuple(np.ascontiguousarray(chosen.T[: len(NEEDS)]))

    @property
    def mask(self) -> Ints:
        """Mask of each kind."""
        return self.column("mask")

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """Masks × cells: see ``Rulebook.codes``. A row that was given out is never changed."""
        return self._codes[: len(self.masks)]

    @property
    def passes(self) -> tuple[Ints, Ints]:
        """Cells that may take each mask, rising, one mask after the other; how many each has."""
        counts = np.fromiter(map(len, self._passes), np.int64, len(self._passes))
        return np.concatenate([np.zeros(0, np.int64), *self._passes]), counts

    @property
    def mask_gpus(self) -> Ints:
        """Per mask, the GPUs of the fewest useful workers."""
        return self._mask_gpus[: len(self.masks)]

    def codes_of(self, number: int) -> Codes:
        """Per cell the rule that refuses a kind."""
        return np.asarray(self._codes[self.mask_of(number)])

    def may_go(self, number: int, cell: int) -> bool:
        """Whether no rule refuses a kind at a cell."""
        return not self._codes[self._numbers[number, len(NEEDS)], cell]

    def that_fit(self, cells: Ints, free: Ints) -> npt.NDArray[np.bool_]:
        """Which masks may go to one of some cells, where so many GPUs are free."""
        fit = np.zeros(len(self.masks), bool)
        for cell, room in zip(cells.tolist(), free.tolist(), strict=True):
            fit |= (self.codes[:, cell] == 0) & (self.mask_gpus <= room)
        return fit

    def mask_of(self, number: int) -> int:
        """Mask of one kind."""
        return int(self._numbers[number, len(NEEDS)])

    def of_job(self, job: Job) -> int:
        """Number of a job's class."""
        found = class_of(job)
        known = self._ids.get(found)
        if known is None:
            known = self._ids[found] = self._append(found)
        return known

    def _append(self, kind: JobClass) -> int:
        number = len(self.kinds)
        if number == len(self._numbers):
            self._numbers = np.concatenate((self._numbers, np.zeros_like(self._numbers)))
        shape: Shape = kind.shape
        payer = self.payers.setdefault((kind.pool, kind.institution), len(self.payers))
        self._numbers[number] = (
            kind.workers, shape.workers - kind.workers, shape.gpus, shape.cpu_millis, shape.memory_bytes,
            shape.heads, shape.head_cpu_millis, shape.head_memory_bytes, self._cap_base(kind.pool),
            self._mask_of(kind, number), kind.priority, payer,
        )  # fmt: skip
        self.kinds.append(kind)
        self.has_budgets |= kind.budget is not None
        return number

    def _mask_of(self, kind: JobClass, number: int) -> int:
        key = kind.cell_key
        known = self._mask_ids.get(key)
        if known is None:
            known = self._mask_ids[key] = len(self.masks)
            self.masks.append(number)
            if known == len(self._codes):
                self._codes = np.concatenate((self._codes, np.full_like(self._codes, OUTSIDE)))
                self._mask_gpus = np.concatenate((self._mask_gpus, np.zeros_like(self._mask_gpus)))
            law = self._law_ids.setdefault(kind.site_key, len(self._laws))
            self._law_of.append(law)
            self._laws += [kind] if law == len(self._laws) else []
            self._passes.append(np.zeros(0, np.int64))
            self._judge(known, kind)
            self._mask_gpus[known] = kind.gpus
        return known

    def _judge(self, mask: int, kind: JobClass) -> None:
        self._codes[mask] = codes = self._rules.codes(kind)
        self._passes[mask] = np.flatnonzero(codes == 0)

    def rejudge(self, pool: Pool) -> None:
        """Work codes out anew after the law or assurance of a pool changed. ``pool``: as it was."""
        mine = [law for law, kind in enumerate(self._laws) if kind.pool == pool.name]
        is_other = self._rules.relearn(pool, [self._laws[law] for law in mine])
        changed = {law for law, changed in zip(mine, is_other, strict=True) if changed}
        self._codes = self._codes.copy()
        for mask, law in enumerate(self._law_of):
            if law in changed:
                self._judge(mask, self.kinds[self.masks[mask]])


def class_of(job: Job) -> JobClass:
    """The class of a job."""
    return JobClass(
        job.pool,
        job.residency,
        job.data,
        job.assurance,
        job.shape,
        frozenset(job.refused_by),
        None if job.budget_micros is None else (job.budget_micros, job.max_runtime_s),
        job.institution,
        band_of(job.priority),
    )


def band_of(priority: int) -> int:
    """Lower edge of the band: bands keep kinds few where every job has a priority of its own."""
    return min(MAX_PRIORITY, max(0, priority)) >> 5 << 5


@lru_cache(maxsize=4096)
def one_kind(shape: Shape, cap_base: int = 0) -> Kinds:
    """A table of one kind, for booking by hand; never written to."""
    return Kinds(
        workers=[shape.min_workers or shape.workers],
        extra=[0],
        gpus=[shape.gpus],
        cpu=[shape.cpu_millis],
        memory=[shape.memory_bytes],
        heads=[shape.heads],
        head_cpu=[shape.head_cpu_millis],
        head_memory=[shape.head_memory_bytes],
        cap_base=[cap_base],
        mask=[0],
        next=[0],
        seen=[0],
        good=[0],
        end=[0],
        candidates=[],
        why=[0],
    )
