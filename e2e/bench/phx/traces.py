"""Real demand and supply, read from the compact copies beside this file.

What the columns mean, where they come from and under which licence: ``data/README.md``.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

DATA = Path(__file__).parent / "data"
PHILLY = DATA / "philly.csv.gz"
OPENB = DATA / "openb_nodes.csv"


@dataclass(frozen=True, slots=True)
class Demand:
    """A trace as columns, in order of arrival."""

    arrival_s: Ints
    """Seconds since the first arrival."""
    duration_s: Ints
    gpus: Ints
    cluster: Ints
    """Index into ``clusters``."""
    clusters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arrival_s)

    def take(self, rows: Ints) -> Demand:
        """The given rows, in the given order."""
        return Demand(
            self.arrival_s[rows],
            self.duration_s[rows],
            self.gpus[rows],
            self.cluster[rows],
            self.clusters,
        )

    def gpu_seconds(self) -> Ints:
        """GPU-seconds that each cluster asks for, in the order of ``clusters``."""
        work = np.bincount(
            self.cluster, weights=self.gpus * self.duration_s, minlength=len(self.clusters)
        )
        return work.astype(np.int64)


@dataclass(frozen=True, slots=True)
class NodeKind:
    """``nodes`` equal machines of the supply trace."""

    model: str
    gpus: int
    cpu_millis: int
    memory_mib: int
    nodes: int


def read_demand(path: Path = PHILLY) -> Demand:
    """Read a trace with the columns gap_s, duration_s, gpus, cluster (gzip by its suffix).

    Raises:
        ValueError: a column is missing, a field is no integer, or a size or time is not positive.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = {"gap_s", "duration_s", "gpus", "cluster"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path.name}: columns {', '.join(sorted(missing))} are missing")
        rows = [(r["gap_s"], r["duration_s"], r["gpus"], r["cluster"]) for r in reader]
    if not rows:
        raise ValueError(f"{path.name}: no jobs")
    clusters = tuple(sorted({row[3] for row in rows}))
    index = {name: i for i, name in enumerate(clusters)}
    gaps, durations, gpus = (np.array([int(row[k]) for row in rows], np.int64) for k in range(3))
    if gaps.min() < 0 or durations.min() <= 0 or gpus.min() <= 0:
        raise ValueError(f"{path.name}: gaps must be >= 0, durations and sizes > 0")
    cluster = np.array([index[row[3]] for row in rows], np.int64)
    return Demand(np.cumsum(gaps), durations, gpus, cluster, clusters)


def read_supply(path: Path = OPENB) -> tuple[NodeKind, ...]:
    """Read the histogram of machines."""
    with path.open(newline="") as stream:
        return tuple(
            NodeKind(
                row["model"],
                int(row["gpus"]),
                int(row["cpu_millis"]),
                int(row["memory_mib"]),
                int(row["nodes"]),
            )
            for row in csv.DictReader(stream)
        )
