"""Small leagues against the best plan there is: mean loss at most 2 %, the worst one printed.

Two sorts: one worker a gang and one machine a site, which is packing at its plainest; and gangs of
several workers on several machines, under rules of where they may go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from e2e.lawful import is_lawful
from hansa.model.snapshot import Job, Machines, Pool, ResidencyRule, Shape, Site, Snapshot
from hansa.placement.planner import plan
from hansa.placement.rules.value import PRICE_SPAN, gpu_value
from tests.unit.placement.leagues.random_leagues import COUNTRIES, OVERLAYS, random_rule

LEAGUES = [250, pytest.param(500, marks=pytest.mark.soak)]
Draw = Callable[[np.random.Generator], Snapshot]


def single(rng: np.random.Generator) -> Snapshot:
    """Up to 12 gangs of one worker and up to 6 sites of one machine."""
    sites = tuple(
        site(f"s{i}", (int(rng.integers(2, 9)),), int(rng.integers(1, 100)))
        for i in range(int(rng.integers(1, 7)))
    )
    jobs = tuple(
        Job(
            f"j{i:02d}", "n/j", "ut", "p", Shape(1, int(rng.choice([1, 1, 1, 2, 2, 4, 8]))), int(rng.integers(100)),
            priority=int(rng.choice([0, 0, 100, 500])),
            refused_by={s.name: "no" for s in sites if rng.random() < 0.3},
        )
        for i in range(int(rng.integers(1, 13)))
    )  # fmt: skip
    return Snapshot(1000, sites, (Pool("p"),), jobs)


def gangs(rng: np.random.Generator) -> Snapshot:
    """Up to 9 gangs of one to four workers and up to 4 sites of one to three machines, under law."""
    sites = tuple(
        site(
            f"s{i}",
            tuple(map(int, rng.integers(2, 9, size=int(rng.integers(1, 4))))),
            int(rng.integers(1, 100)),
            country=str(rng.choice(COUNTRIES)),
        )
        for i in range(int(rng.integers(1, 5)))
    )
    jobs = tuple(
        Job(
            f"j{i:02d}", "n/j", "ut", "p",
            Shape(int(rng.integers(1, 5)), int(rng.choice([1, 1, 2, 2, 4, 8]))), int(rng.integers(100)),
            priority=int(rng.choice([0, 0, 100, 500])),
            residency=random_rule(rng) if rng.random() < 0.3 else ResidencyRule(),
        )
        for i in range(int(rng.integers(1, 10)))
    )  # fmt: skip
    return Snapshot(1000, sites, (Pool("p", overlays=OVERLAYS),), jobs)


def site(name: str, machines: tuple[int, ...], price: int, *, country: str = "EE") -> Site:
    return Site(
        name, "x", "x", country, frozenset({country}),
        tuple(Machines(1, gpus, "g", 1, 10**6, 10**15) for gpus in machines),
        gpu_hour_price={"g": price},
    )  # fmt: skip


def best(snapshot: Snapshot) -> float:
    """The value of the best plan, by trying all (with memory).

    Workers go from large to small, and sizes divide each other: so how many more of a size fit at a
    site hangs on the GPUs used there, and not on which machines they are of.
    """
    dearest = max(site.gpu_hour_price["g"] for site in snapshot.sites)
    money = [PRICE_SPAN * site.gpu_hour_price["g"] / dearest for site in snapshot.sites]
    jobs = sorted(snapshot.jobs, key=lambda job: -job.shape.gpus)
    may = [[is_allowed(snapshot, job, site) for site in snapshot.sites] for job in jobs]

    @cache
    def rest(index: int, used: tuple[int, ...]) -> float:
        if index == len(jobs):
            return 0.0
        shape = jobs[index].shape
        top = rest(index + 1, used)
        for at, site in enumerate(snapshot.sites):
            slots = sum(m.gpus // shape.gpus for m in site.machines) - used[at] // shape.gpus
            if may[index][at] and slots >= shape.workers:
                more = (*used[:at], used[at] + shape.total_gpus, *used[at + 1 :])
                worth = shape.total_gpus * (gpu_value(jobs[index].priority) - money[at])
                top = max(top, worth + rest(index + 1, more))
        return top

    return rest(0, (0,) * len(snapshot.sites))


def is_allowed(snapshot: Snapshot, job: Job, site: Site) -> bool:
    return site.name not in job.refused_by and is_lawful(snapshot, job, site)


SORTS = {"single workers": single, "gangs under law": gangs}


@pytest.mark.parametrize("draw", SORTS.values(), ids=SORTS)
@pytest.mark.parametrize("leagues", LEAGUES)
def test_plans_of_small_leagues_are_close_to_the_best(draw: Draw, leagues: int, record_property):
    losses = []
    for seed in range(leagues):
        snapshot = draw(np.random.default_rng(seed))
        optimum = best(snapshot)
        certificate = plan(snapshot).certificate
        assert certificate.value <= optimum * (1 + 1e-9)
        assert certificate.bound >= optimum
        losses.append(0.0 if optimum == 0 else 1 - certificate.value / optimum)
    worst, mean = int(np.argmax(losses)), float(np.mean(losses))
    told = f"mean {mean:.4f}, worst {losses[worst]:.4f} (seed {worst}), of {leagues} leagues"
    record_property(f"loss against brute force, {draw.__name__}", told)
    assert mean <= 0.02
