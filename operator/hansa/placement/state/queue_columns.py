"""Waiting jobs as columns with stable rows, so that fifty thousand are ranked without a loop."""

from __future__ import annotations

import math
from copy import copy
from inspect import get_annotations

import numpy as np
import numpy.typing as npt

from hansa.model.snapshot import Job
from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.job_classes import MAX_PRIORITY
from hansa.placement.rules.quota_tree import response_ratio
from hansa.placement.rules.value import units

URGENCY_BITS = 6
"""Half the logarithm of a number that fits into a column."""


def run_starts(values: Ints) -> Ints:
    """Where another value begins, in values that lie together: ``[7, 7, 3]`` → ``[0, 2]``."""
    is_new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new.nonzero()[0]


class QueueColumns:
    """One row a waiting job; rows are used again after ``leave``."""

    kind: Ints
    leaf: Ints
    priority: Ints
    submitted: Ints
    runtime: Ints
    """Seconds it ends within, at even odds."""
    runtime_p90: Ints
    """Seconds it ends within, nine times in ten."""
    gpus: Ints
    """Most GPUs it can use."""
    units: Ints
    """What it counts for (``value.units``)."""
    serial: Ints
    """Breaks ties: order of UIDs, then of arrival."""
    waits: npt.NDArray[np.bool_]

    def __init__(self, size: int) -> None:
        """Room for ``size`` jobs; there will be more when they come."""
        for name in get_annotations(QueueColumns):
            setattr(self, name, np.zeros(max(1, size), bool if name == "waits" else np.int64))
        self.uids: list[str] = []
        """Row → the job that waits there, or waited there last."""
        self._spare: list[int] = []
        self._entered = 0

    def enter(self, job: Job, kind: int, leaf: int, runtimes_s: tuple[float, float]) -> int:
        """Let a job wait; its row. ``runtimes_s``: it ends within, at even odds and nine in ten."""
        row = self._spare.pop() if self._spare else len(self.uids)
        if row == len(self.uids):
            self.uids.append("")
            self._grow(row)
        self.uids[row] = job.uid
        self.kind[row] = kind
        self.leaf[row] = leaf
        self.priority[row] = min(MAX_PRIORITY, max(0, job.priority))
        self.submitted[row] = job.submitted_s
        self.runtime[row] = max(1, int(runtimes_s[0]))
        self.runtime_p90[row] = max(1, math.ceil(runtimes_s[1]))
        self.gpus[row] = job.shape.total_gpus
        self.units[row] = units(job.shape.total_gpus)
        self.serial[row] = self._entered
        self.waits[row] = True
        self._entered += 1
        return row

    def leave(self, row: int) -> None:
        """A job waits no more."""
        self.waits[row] = False
        self._spare.append(row)

    def copied(self) -> QueueColumns:
        """The same rows, to be changed apart from these."""
        other = copy(self)
        for name in get_annotations(QueueColumns):
            setattr(other, name, getattr(self, name).copy())
        other.uids, other._spare = [*self.uids], [*self._spare]  # noqa: SLF001  # its own
        return other

    def _grow(self, row: int) -> None:
        """Make sure that a row exists: columns double."""
        if row < len(self.kind):
            return
        for name in get_annotations(QueueColumns):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros_like(column))))

    def ranked(self, rows: Ints, now_s: int) -> Ints:
        """Rows in order of service inside an institution."""
        if len(rows) == 1:
            return rows
        ratio = response_ratio(np.maximum(0, now_s - self.submitted[rows]), self.runtime[rows])
        # In steps of four: among jobs about equally urgent large gangs go first, while room is whole.
        urgency = np.floor(np.log2(ratio) / 2).astype(np.int64)
        first = self.priority[rows] << URGENCY_BITS | urgency
        keys = (self.serial[rows], self.submitted[rows], -self.gpus[rows], -first)
        return rows[np.lexsort(keys)]
