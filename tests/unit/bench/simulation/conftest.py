"""Small leagues for the simulator's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hansa.model.snapshot import (
    Job,
    Machines,
    PlaceSet,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Shape,
    Share,
    Site,
    Snapshot,
)

GIB = 1 << 30
T0_S = 1_000_000


def _site(name: str, country: str, *sizes: int, gpu_class: str = "nvidia-a") -> Site:
    machines = tuple(
        Machines(sizes.count(size), size, gpu_class, 16 * GIB, 96_000, 400 * GIB)
        for size in sorted(set(sizes))
    )
    return Site(
        name=name,
        institution=name,
        operator=name,
        jurisdiction=country,
        legal_control=frozenset({country}),
        machines=machines,
        gpu_hour_price={gpu_class: 1_000_000},
    )


def _job(uid: str, gpus: int, at_s: int = 0, **fields: object) -> Job:
    country = fields.pop("country", "World")
    defaults: dict[str, object] = {
        "uid": uid,
        "name": f"test/{uid}",
        "institution": "alpha",
        "pool": "pool",
        "shape": Shape(workers=max(1, gpus // 8), gpus=min(gpus, 8), cpu_millis=1000),
        "submitted_s": T0_S + at_s,
        "residency": ResidencyRule(location=PlaceSet(frozenset({str(country)}))),
        "max_runtime_s": 10_000,
    }
    return Job(**(defaults | fields))


def _league(*sites: Site, alpha: int = 8, beta: int = 8) -> Snapshot:
    pool = Pool(
        name="pool",
        shares=(Share("alpha", nominal_gpus=alpha), Share("beta", nominal_gpus=beta)),
        preemption=PreemptionRule(borrowers=True, min_runtime_s=600, max_per_hour=100),
    )
    return Snapshot(now_s=T0_S, sites=sites, pools=(pool,), jobs=())


@pytest.fixture(name="site")
def site_fixture() -> Callable[..., Site]:
    return _site


@pytest.fixture(name="job")
def job_fixture() -> Callable[..., Job]:
    return _job


@pytest.fixture(name="league")
def league_fixture() -> Callable[..., Snapshot]:
    return _league
