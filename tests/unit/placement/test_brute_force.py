"""Small leagues against the best plan there is: mean loss at most 2 %, the worst one printed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.placement.planner import plan
from hansa.placement.value import NOMINAL_GPU, PRICE_SPAN, gpu_value

INSTANCES = 500


def instance(rng: np.random.Generator) -> Snapshot:
    """Up to 12 gangs of one worker and up to 6 sites of one machine: packing at its plainest."""
    sites = tuple(
        Site(
            f"s{i}", "x", "x", "EE", frozenset({"EE"}),
            (Machines(1, int(rng.integers(2, 9)), "g", 1, 10**6, 10**15),),
            gpu_hour_price={"g": int(rng.integers(1, 100))},
        )
        for i in range(int(rng.integers(1, 7)))
    )  # fmt: skip
    jobs = tuple(
        Job(
            f"j{i:02d}", "n/j", "ut", "p", Shape(1, int(rng.choice([1, 1, 1, 2, 2, 4, 8]))), int(rng.integers(100)),
            priority=int(rng.choice([0, 0, 100, 500])),
            refused_by={s.name: "no" for s in sites if rng.random() < 0.3},
        )
        for i in range(int(rng.integers(1, 13)))
    )  # fmt: skip
    return Snapshot(1000, sites, (Pool("p"),), jobs)


def best(snapshot: Snapshot) -> float:
    """The value of the best plan, by trying all (with memory)."""
    dearest = max(site.gpu_hour_price["g"] for site in snapshot.sites)
    money = [PRICE_SPAN * site.gpu_hour_price["g"] / dearest for site in snapshot.sites]
    jobs = sorted(snapshot.jobs, key=lambda job: -job.shape.gpus)

    @cache
    def rest(index: int, free: tuple[int, ...]) -> float:
        if index == len(jobs):
            return 0.0
        job = jobs[index]
        top = rest(index + 1, free)
        for at, site in enumerate(snapshot.sites):
            if free[at] >= job.shape.gpus and site.name not in job.refused_by:
                left = (*free[:at], free[at] - job.shape.gpus, *free[at + 1 :])
                worth = job.shape.gpus * (gpu_value(job.priority) - money[at])
                top = max(top, worth + rest(index + 1, left))
        return top

    return rest(0, tuple(site.machines[0].gpus for site in snapshot.sites))


@pytest.mark.no_cover
def test_plans_of_small_leagues_are_close_to_the_best(record_property):
    assert NOMINAL_GPU > 0
    losses = []
    for seed in range(INSTANCES):
        snapshot = instance(np.random.default_rng(seed))
        optimum = best(snapshot)
        certificate = plan(snapshot).certificate
        assert certificate.value <= optimum * (1 + 1e-9)
        assert certificate.bound >= optimum
        losses.append(0.0 if optimum == 0 else 1 - certificate.value / optimum)
    worst, mean = max(losses), float(np.mean(losses))
    record_property("worst_loss", worst)
    print(f"loss against brute force over {INSTANCES}: mean {mean:.4f}, worst {worst:.4f}")  # noqa: T201  # the figure is the point
    assert mean <= 0.02
