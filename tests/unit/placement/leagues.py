"""Small random leagues, and what must hold of every plan of them, by plain sets and sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from hansa.model.places import BLOCS
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
PLACES = (*COUNTRIES, "EU", "Nordic", "Mercosur", "World", "overlay/friends")
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
        {"sea": random_rule(rng)},
    )


def running(snapshot: Snapshot, decided: Plan) -> Snapshot:
    """The snapshot in which the plan has been carried out, an hour later."""
    held: dict[str, list[Holding]] = {}
    for p in decided.placements:
        held.setdefault(p.job_uid, []).append(
            Holding(p.site, 1, p.workers, NOW_S, gpu_class=p.gpu_class, shard=p.shard)
        )
    jobs = tuple(
        replace(job, holdings=tuple(held.get(job.uid, job.holdings))) for job in snapshot.jobs
    )
    return replace(snapshot, now_s=NOW_S + 3600, jobs=jobs)


# The oracle: sets of countries, no bits.


def members(place: str, overlays) -> set[str]:
    """Every jurisdiction of the test's world inside a place."""
    if place.startswith("overlay/"):
        return {
            c
            for inner in overlays[place.removeprefix("overlay/")]
            for c in members(inner, overlays)
        }
    if place in BLOCS:
        return {c for c in COUNTRIES if c[:2] in BLOCS[place]}
    return {c for c in COUNTRIES if place in (c, c[:2])}


def is_within(rule: PlaceSet, jurisdiction: str, overlays) -> bool:
    allowed = {c for place in rule.allow for c in members(place, overlays)}
    denied = {c for place in rule.deny for c in members(place, overlays)}
    return jurisdiction in allowed - denied


def is_lawful(snapshot: Snapshot, job: Job, pool: Pool, site: Site) -> bool:
    rules = [
        job.residency,
        pool.ceiling,
        *(snapshot.dataset_rules[d] for d in job.data if d in snapshot.dataset_rules),
        *(site.dataset_rules[d] for d in job.data if d in site.dataset_rules),
    ]
    return bool(site.legal_control) and all(
        is_within(rule.location, site.jurisdiction, pool.overlays)
        and all(is_within(rule.legal_control, law, pool.overlays) for law in site.legal_control)
        for rule in rules
    )


def breaches(snapshot: Snapshot, decided: Plan) -> list[str]:
    """Everything in a plan that must never be."""
    jobs = {job.uid: job for job in snapshot.jobs}
    pools = {pool.name: pool for pool in snapshot.pools}
    sites = {site.name: site for site in snapshot.sites}
    found = []
    for placed in decided.placements:
        job, site = jobs[placed.job_uid], sites[placed.site]
        least = job.shape.min_workers or job.shape.workers
        if not is_lawful(snapshot, job, pools[job.pool], site):
            found.append(f"{job.uid} unlawfully at {site.name}")
        if (
            site.unavailable
            or site.draining
            or job.barred
            or job.holdings
            or site.name in job.refused_by
        ):
            found.append(f"{job.uid} at {site.name}, which is closed, or it must not start")
        if not least <= placed.workers <= job.shape.workers:
            found.append(f"{job.uid} has {placed.workers} workers")
        if not set(job.data) <= set(site.datasets) or site.assurance < job.assurance:
            found.append(f"{job.uid} at {site.name} without its data or assurance")
    counted = Counter(placed.job_uid for placed in decided.placements)
    found += [
        f"{uid} is placed {n} times"
        for uid, n in counted.items()
        if n != max(1, len(jobs[uid].spread))
    ]
    known = [*counted, *(w.job_uid for w in decided.waiting)]
    found += [f"{uid} is told twice" for uid, n in Counter(known).items() if n > 1]
    idle = {job.uid for job in snapshot.jobs if not job.holdings}
    found += [f"{uid} is forgotten" for uid in idle - set(known)]
    return found + _overuse(snapshot, decided, jobs, pools, sites)


def _overuse(  # noqa: C901  # one list of limits, read from top to bottom
    snapshot, decided, jobs, pools, sites
) -> list[str]:
    use: Counter[tuple[str, str]] = Counter()
    cpu: Counter[str] = Counter()
    held: Counter[tuple[str, str]] = Counter()
    party: Counter[tuple[str, str, str]] = Counter()
    started: set[str] = set()
    for job in snapshot.jobs:
        for holding in job.holdings:
            _count(
                job, holding.site, holding.gpu_class, holding.workers, sites, use, cpu, held, party
            )
    before_held, before_party = held.copy(), party.copy()
    for placed in decided.placements:
        started.add(jobs[placed.job_uid].institution)
        _count(
            jobs[placed.job_uid],
            placed.site,
            placed.gpu_class,
            placed.workers,
            sites,
            use,
            cpu,
            held,
            party,
        )
    found = []
    for (name, gpu_class), gpus in use.items():
        exist = (
            sum(m.count * m.gpus for m in sites[name].machines if m.gpu_class == gpu_class)
            if name in sites
            else 0
        )
        lent = min(exist, sites[name].lent_gpus.get(gpu_class, exist)) if name in sites else 0
        new = sum(
            p.workers * jobs[p.job_uid].shape.gpus
            for p in decided.placements
            if (p.site, p.gpu_class) == (name, gpu_class)
        )
        if gpus > lent and new:
            found.append(f"{gpus} of {lent} {gpu_class} at {name}")
    for name, millis in cpu.items():
        have = sum(m.count * m.cpu_millis for m in sites[name].machines) if name in sites else 0
        if millis > have and any(p.site == name for p in decided.placements):
            found.append(f"{millis} of {have} CPU millis at {name}")
    for pool in pools.values():
        for share in pool.shares:
            most = share.nominal_gpus + (
                share.borrowing_limit if share.borrowing_limit is not None else 1 << 60
            )
            key = (pool.name, share.institution)
            if held[key] > max(most, before_held[key]):
                found.append(f"{share.institution} holds {held[key]} of {most}")
        capacity = sum(
            min(
                sum(m.count * m.gpus for m in s.machines if m.gpu_class == c),
                s.lent_gpus.get(c, 1 << 60),
            )
            for s in snapshot.sites
            for c in CLASSES
        )
        for cap in pool.caps:
            limit = capacity * cap.max_percent // 100
            found += [
                f"{n} of {limit} at {key}"
                for key, n in party.items()
                if key[:2] == (pool.name, cap.dimension) and n > max(limit, before_party[key])
            ]
    return found


def _count(  # noqa: PLR0913, PLR0917  # four tallies at once
    job, site_name, gpu_class, workers, sites, use, cpu, held, party
) -> None:
    gpus = workers * job.shape.gpus
    if site_name not in sites:
        return  # what a site took along when it left is nobody's share any more
    held[job.pool, job.institution] += gpus
    site = sites[site_name]
    cpu[site_name] += workers * job.shape.cpu_millis + job.shape.head_cpu_millis
    if gpus:
        use[site_name, gpu_class] += gpus
        party[job.pool, "Operator", site.operator] += gpus
        party[job.pool, "Jurisdiction", site.jurisdiction[:2]] += gpus
