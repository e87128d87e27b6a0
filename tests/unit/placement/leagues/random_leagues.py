"""Small random leagues. What must hold of every plan of them is in ``oracle``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Holding,
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

COUNTRIES = ("EE", "FI", "PT", "PT-11", "BR", "US", "KE")
BLOCS = ("EU", "Nordic", "Mercosur")
PLACES = (*COUNTRIES, *BLOCS, "World", "overlay/friends")
CLASSES = ("nvidia-l40s", "amd-mi210")
INSTITUTIONS = ("ut", "ua", "uk")
FRIENDS = frozenset({"BR", "overlay/near"})
OVERLAYS = {"friends": FRIENDS, "near": frozenset({"Nordic"})}
NOW_S = 1_000_000


def pick(rng: np.random.Generator, options, most: int, least: int = 1) -> frozenset[str]:
    size = int(rng.integers(least, most + 1))
    return frozenset(str(x) for x in rng.choice(options, size=size, replace=False))


def random_rule(rng: np.random.Generator) -> ResidencyRule:
    def places() -> PlaceSet:
        if rng.random() < 0.5:
            return PlaceSet(frozenset({"World"}), pick(rng, PLACES, 1, 0) - {"World"})
        return PlaceSet(pick(rng, PLACES, 3) | {"EU"}, pick(rng, PLACES, 1, 0) - {"World"})

    return ResidencyRule(places(), places())


def random_site(rng: np.random.Generator, index: int) -> Site:
    country = str(rng.choice(COUNTRIES))
    law = frozenset({country, *(pick(rng, COUNTRIES, 1) if rng.random() < 0.2 else ())})
    machines = tuple(
        Machines(
            int(rng.integers(1, 4)),
            int(rng.choice([0, 2, 4, 8])),
            str(rng.choice(CLASSES)),
            48 << 30,
            32_000,
            256 << 30,
        )
        for _ in range(int(rng.integers(1, 3)))
    )
    holds_data = rng.random() < 0.3
    return Site(
        name=f"site-{index}",
        institution=str(rng.choice(INSTITUTIONS)),
        operator=f"op-{int(rng.integers(3))}",
        jurisdiction=country,
        legal_control=law,
        machines=machines,
        gpu_hour_price={c: int(rng.integers(1, 9)) * 100_000 for c in CLASSES},
        datasets={"sea": country} if holds_data else {},
        dataset_rules={"sea": random_rule(rng)} if holds_data and rng.random() < 0.7 else {},
        assurance=int(rng.integers(0, 3)),
        unavailable=Reason.NODE_PAUSED if rng.random() < 0.1 else None,
    )


def random_job(rng: np.random.Generator, uid: str, *, pool: str = "p", rules: bool = True) -> Job:
    workers, gpus = (
        int(rng.integers(1, 5)),
        int(rng.choice([0, 1, 1, 2, 4, 8], p=[0.1, 0.3, 0.2, 0.2, 0.1, 0.1])),
    )
    wanted = str(rng.choice(CLASSES)) if gpus and rng.random() < 0.3 else ""
    least = 1 if rng.random() < 0.2 else 0
    return Job(
        uid=uid,
        name=f"lab/{uid}",
        institution=str(rng.choice(INSTITUTIONS)),
        pool=pool,
        shape=Shape(workers, gpus, wanted, min_workers=least),
        submitted_s=NOW_S - int(rng.integers(0, 10_000)),
        priority=int(rng.choice([0, 0, 50, 200])),
        residency=random_rule(rng) if rules and rng.random() < 0.5 else ResidencyRule(),
        data=("sea",) if rules and rng.random() < 0.2 else (),
        assurance=int(rng.integers(0, 2)) if rules else 0,
        max_runtime_s=int(rng.integers(100, 100_000)),
        preemptible=bool(rng.random() < 0.8),
    )


def random_pool(rng: np.random.Generator) -> Pool:
    shares = tuple(
        Share(
            name,
            cohort="near" if name != "uk" else "",
            nominal_gpus=int(rng.integers(0, 17)),
            borrowing_limit=int(rng.integers(0, 17)) if rng.random() < 0.5 else None,
            lending_limit=int(rng.integers(0, 9)) if rng.random() < 0.3 else None,
            weight=int(rng.integers(1, 4)),
        )
        for name in INSTITUTIONS
    )
    caps = (Cap("Operator", 60), Cap("Jurisdiction", 70))
    return Pool(
        "p",
        shares=shares if rng.random() < 0.7 else (),
        overlays=OVERLAYS,
        caps=caps if rng.random() < 0.5 else (),
        preemption=PreemptionRule(
            lower_priority=bool(rng.random() < 0.5),
            borrowers=bool(rng.random() < 0.5),
            min_runtime_s=int(rng.choice([0, 600])),
        ),
    )


def random_snapshot(rng: np.random.Generator, *, jobs: int = 12, sites: int = 6) -> Snapshot:
    return Snapshot(
        NOW_S,
        tuple(random_site(rng, index) for index in range(sites)),
        (random_pool(rng),),
        tuple(random_job(rng, f"job-{index:03d}") for index in range(jobs)),
    )


def running(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """The snapshot in which the plan has been carried out, an hour later."""
    held: dict[str, list[Holding]] = {}
    for p in decided.placements:
        held.setdefault(p.job_uid, []).append(
            Holding(p.site, 1, p.workers, NOW_S, gpu_class=p.gpu_class)
        )
    jobs = tuple(
        replace(job, holdings=tuple(held.get(job.uid, job.holdings))) for job in snapshot.jobs
    )
    return replace(snapshot, now_s=NOW_S + 3600, jobs=jobs)
