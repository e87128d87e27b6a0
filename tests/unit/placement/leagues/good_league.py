"""A league without a fault, to put one into."""

from __future__ import annotations

from hansa.model.snapshot import (
    Job,
    Machines,
    Pool,
    Shape,
    Site,
    Snapshot,
)

GIB = 1 << 30
RACK = Machines(2, 8, "nvidia-l40s", 48 * GIB, 64_000, 512 * GIB)
SITE = Site("tartu", "ut", "ut", "EE", frozenset({"EE"}), (RACK,), {}, {"nvidia-l40s": 1_000_000})
POOL = Pool("p")
GOOD = Job("good", "lab/good", "ut", "p", Shape(1, 1), 0)


def league(*jobs: Job, site: Site = SITE, pool: Pool = POOL) -> Snapshot:
    return Snapshot(1000, (site,), (pool,), (GOOD, *jobs))
