"""Leagues with more work than room, in which every rule there is binds somebody.

``leagues`` draws small leagues for tables; here sites, jobs and pools have all their fields drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Job,
    Machines,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Shape,
    Share,
    Site,
    Snapshot,
)
from tests.unit.placement.leagues.random_leagues import (
    BLOCS,
    COUNTRIES,
    INSTITUTIONS,
    NOW_S,
    OVERLAYS,
    pick,
    random_rule,
)

GIB = 1 << 30
CARDS = (
    ("nvidia-l40s", 48 * GIB),
    ("nvidia-a100", 40 * GIB),
    ("nvidia-a100", 80 * GIB),
    ("amd-mi210", 64 * GIB),
)
"""One class is sold with two sizes of memory."""
CLASSES = tuple(dict.fromkeys(name for name, _ in CARDS))
DATA = ("sea", "ice")
NAMES = tuple(f"site-{index}" for index in range(5))
POOLS = ("p", "q")


def _one_in(rng: np.random.Generator, times: int) -> bool:
    return int(rng.integers(times)) == 0


def crowded_site(rng: np.random.Generator, name: str) -> Site:
    country = str(rng.choice(COUNTRIES))
    machines = tuple(_machines(rng) for _ in range(int(rng.integers(1, 4))))
    lent = {c: int(rng.integers(0, 17)) for c in CLASSES if _one_in(rng, 6)}
    datasets = {data: country for data in DATA if rng.random() < 0.5}
    return Site(
        name=name,
        institution=str(rng.choice(INSTITUTIONS)),
        operator=f"op-{int(rng.integers(3))}",
        jurisdiction=country,
        legal_control=frozenset({country, *(pick(rng, COUNTRIES, 1) if _one_in(rng, 5) else ())}),
        machines=machines,
        lent_gpus=lent,
        gpu_hour_price={c: int(rng.integers(1, 9)) * 100_000 for c in CLASSES},
        cpu_hour_price=int(rng.integers(0, 5)) * 1000,
        datasets=datasets,
        dataset_rules={data: random_rule(rng) for data in datasets if _one_in(rng, 3)},
        assurance=int(rng.integers(0, 3)),
        unavailable=Reason.NODE_PAUSED if _one_in(rng, 12) else None,
        draining=_one_in(rng, 20),
    )


def _machines(rng: np.random.Generator) -> Machines:
    gpus = int(rng.choice([0, 4, 8, 8, 8]))
    name, memory = CARDS[int(rng.integers(len(CARDS)))] if gpus else ("", 0)
    cpus = int(rng.choice([16, 32])) * 1000
    return Machines(
        int(rng.integers(1, 4)), gpus, name, memory, cpus, int(rng.choice([64, 256])) * GIB
    )


def crowded_shape(rng: np.random.Generator) -> Shape:
    workers, gpus = int(rng.integers(1, 5)), int(rng.choice([0, 1, 2, 2, 4, 8]))
    return Shape(
        workers,
        gpus,
        str(rng.choice(CLASSES)) if gpus and _one_in(rng, 6) else "",
        gpu_memory_bytes=int(rng.choice([45, 70])) * GIB if gpus and _one_in(rng, 8) else 0,
        cpu_millis=int(rng.choice([500, 1000, 6000])),
        memory_bytes=int(rng.choice([1, 2, 24])) * GIB,
        heads=int(rng.choice([0, 1, 1, 1, 3])),
        head_cpu_millis=int(rng.choice([500, 4000])),
        min_workers=int(rng.integers(1, workers + 1)) if _one_in(rng, 2) else 0,
    )


def crowded_job(rng: np.random.Generator, uid: str) -> Job:
    shape = crowded_shape(rng)
    data = (str(rng.choice(DATA)),) if _one_in(rng, 8) else ()
    return Job(
        uid=uid,
        name=f"lab/{uid}",
        institution=str(rng.choice(INSTITUTIONS)),
        pool=POOLS[int(_one_in(rng, 4))],
        shape=shape,
        submitted_s=NOW_S - int(rng.integers(0, 10_000)),
        priority=int(rng.choice([0, 0, 50, 200])),
        residency=random_rule(rng) if _one_in(rng, 4) else ResidencyRule(),
        data=data,
        assurance=int(_one_in(rng, 6)),
        max_runtime_s=int(rng.integers(100, 100_000)),
        budget_micros=int(rng.integers(1, 100)) * 1_000_000 if _one_in(rng, 8) else None,
        preemptible=not _one_in(rng, 6),
        refused_by={str(rng.choice(NAMES)): "no"} if _one_in(rng, 8) else {},
        barred=Reason.WAITING_FOR_RELEASE if _one_in(rng, 30) else None,
    )


def crowded_pool(rng: np.random.Generator, name: str) -> Pool:
    shares = tuple(
        Share(
            institution,
            cohort=("", "near", "far")[int(rng.integers(3))],
            nominal_gpus=int(rng.integers(0, 25)),
            borrowing_limit=int(rng.integers(0, 25)) if _one_in(rng, 3) else None,
            lending_limit=int(rng.integers(0, 13)) if _one_in(rng, 3) else None,
            weight=int(rng.integers(1, 4)),
        )
        for institution in INSTITUTIONS[int(_one_in(rng, 6)) :]
    )
    percents = {d: int(rng.choice([50, 70])) for d in ("Operator", "Vendor", "Jurisdiction")}
    return Pool(
        name,
        site_names=pick(rng, NAMES, 4, 3) if _one_in(rng, 8) else None,
        site_jurisdictions=pick(rng, (*COUNTRIES, *BLOCS), 6, 4) if _one_in(rng, 10) else None,
        shares=() if _one_in(rng, 5) else shares,
        cohort_parents={"near": "far"} if rng.random() < 0.5 else {},
        ceiling=random_rule(rng) if _one_in(rng, 6) else ResidencyRule(),
        overlays=OVERLAYS,
        caps=tuple(Cap(d, n) for d, n in percents.items() if _one_in(rng, 4)),
        preemption=PreemptionRule(
            lower_priority=rng.random() < 0.8,
            borrowers=rng.random() < 0.8,
            min_runtime_s=int(rng.choice([0, 600])),
            max_per_hour=int(rng.choice([2, 10, 100])),
        ),
        assurance=int(_one_in(rng, 8)),
        gpu_classes=pick(rng, CLASSES, 2) if _one_in(rng, 8) else frozenset(),
        recent_preemptions={str(rng.choice(INSTITUTIONS)): 1} if _one_in(rng, 4) else {},
    )


def crowded_snapshot(rng: np.random.Generator, *, jobs: int, sites: int = 3) -> Snapshot:
    """What a league begins with: all of it is open, and nothing runs yet."""
    first = tuple(crowded_site(rng, name) for name in NAMES[:sites])
    return Snapshot(
        NOW_S,
        tuple(replace(site, draining=False, unavailable=None) for site in first),
        tuple(crowded_pool(rng, name) for name in POOLS),
        tuple(crowded_job(rng, f"job-{index:03d}") for index in range(jobs)),
    )
