"""Waiting jobs as columns with stable rows, so that fifty thousand are ranked without a loop."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hansa.placement.rules.fleet import Ints
from hansa.placement.rules.quota_tree import response_ratio

URGENCY_BITS = 6
"""Half the logarithm of a number that fits into a column."""


def run_starts(values: Ints) -> Ints:
    """Where another value begins, in values that lie together: ``[7, 7, 3]`` → ``[0, 2]``."""
    is_new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new.nonzero()[0]


@dataclass
class QueueColumns:
    """One row a waiting job; rows are reused after ``drop``."""

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

    @classmethod
    def empty(cls, size: int) -> QueueColumns:
        """Room for ``size`` jobs."""
        columns = {f.name: np.zeros(max(1, size), np.int64) for f in fields(cls)[:-1]}
        return cls(**columns, waits=np.zeros(max(1, size), bool))

    def reserve(self, row: int) -> None:
        """Make sure that a row exists: columns double."""
        if row < len(self.kind):
            return
        for spec in fields(self):
            column = getattr(self, spec.name)
            setattr(self, spec.name, np.concatenate((column, np.zeros_like(column))))

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
