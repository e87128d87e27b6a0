"""Random leagues in which something is wrong; what undoes it is in ``mended_leagues``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import starmap

import numpy as np

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
    ShadowPrices,
    Shape,
    Share,
    Site,
    Snapshot,
)
from hansa.placement.planner import plan
from tests.unit.placement.leagues.random_leagues import (
    CLASSES,
    INSTITUTIONS,
    NOW_S,
    random_snapshot,
    running,
)

GIB = 1 << 30
PLENTY = 10_000
ONLY_EE = ResidencyRule(location=PlaceSet(frozenset({"EE"})))
ONLY_EE_LAW = ResidencyRule(legal_control=PlaceSet(frozenset({"EE"})))
NONSENSE = ResidencyRule(PlaceSet(frozenset({"Atlantis"})))
CLOSED = (
    Reason.NODE_NOT_ACCEPTED,
    Reason.NODE_CORDONED,
    Reason.NODE_PAUSED,
    Reason.NODE_UNREACHABLE,
    Reason.NODE_NOT_READY,
)
GAUGE = Job("gauge", "lab/gauge", "ut", "p", Shape(1, 1), 0)
Edit = Callable[[Snapshot], Snapshot]


def of_jobs(edit: Callable[[Job], Job]) -> Edit:
    return lambda s: replace(s, jobs=tuple(map(edit, s.jobs)))


def of_sites(edit: Callable[[Site], Site]) -> Edit:
    return lambda s: replace(s, sites=tuple(map(edit, s.sites)))


def of_pools(edit: Callable[[Pool], Pool]) -> Edit:
    return lambda s: replace(s, pools=tuple(map(edit, s.pools)))


def jobs_with(**fields: object) -> Edit:
    return of_jobs(lambda job: replace(job, **fields))


def shapes_with(**fields: int) -> Edit:
    def bigger(job: Job) -> Job:
        gpus = max(1, job.shape.gpus)
        return replace(job, shape=replace(job.shape, **({"gpus": gpus, "min_workers": 0} | fields)))

    return of_jobs(bigger)


def closed(reason: Reason) -> Edit:
    shut = of_sites(lambda site: replace(site, unavailable=reason, unavailable_message="m"))
    return lambda s: shut(easy(s))


def with_shares(**fields: int | None) -> Edit:
    shares = tuple(Share(name, **fields) for name in INSTITUTIONS)
    return of_pools(lambda pool: replace(pool, shares=shares))


def sea_ruled(rule: ResidencyRule) -> Edit:
    def announced(site: Site) -> Site:
        return replace(
            site, datasets={"sea": site.jurisdiction}, dataset_rules={"sea": rule}, unavailable=None
        )

    return lambda s: of_sites(announced)(jobs_with(data=("sea",), residency=ResidencyRule())(s))


def second_wave(rng: np.random.Generator) -> Snapshot:
    """A pool without rules that has worked for an hour, and as many jobs again."""
    first = random_snapshot(rng, jobs=20)
    calm = of_pools(lambda pool: replace(pool, shares=(), caps=()))(first)
    calm = jobs_with(residency=ResidencyRule(), data=(), assurance=0)(calm)
    busy = running(calm, plan(calm))
    more = [replace(job, uid=f"more-{job.uid}", name=f"lab/more-{job.uid}") for job in calm.jobs]
    return replace(busy, jobs=(*(job for job in busy.jobs if job.holdings), *more))


def urgent_wave(rng: np.random.Generator) -> Snapshot:
    """The same, where new work is urgent and the pool reclaims for it."""
    rule = PreemptionRule(lower_priority=True, min_runtime_s=0, max_per_hour=100)
    busy = second_wave(rng)
    ranked = of_jobs(lambda job: replace(job, priority=0 if job.holdings else 500))(busy)
    yielding = jobs_with(preemptible=True)(ranked)
    return of_pools(lambda pool: replace(pool, preemption=rule))(yielding)


def held_room(rng: np.random.Generator) -> Snapshot:
    """A little runs everywhere, gangs as large as each site come first, and small long work after."""
    base = of_sites(lambda site: replace(site, machines=site.machines[:1]))(random_snapshot(rng))
    base = of_pools(lambda pool: replace(pool, shares=(), caps=()))(base)
    small = Shape(1, 1, cpu_millis=100)
    later = [
        replace(job, shape=small, priority=0, max_runtime_s=100_000) for job in easy(base).jobs
    ]
    first = [job for at, site in enumerate(base.sites) for job in _pair(later[at], site)]
    return replace(base, jobs=(*first, *later))


def _pair(like: Job, site: Site) -> Iterator[Job]:
    """What runs at a site, and the gang that waits for all of it."""
    [rack] = site.machines
    if rack.gpus:
        held = Holding(site.name, 1, 1, NOW_S - 10, gpu_class=rack.gpu_class)
        yield replace(like, uid=f"held-{site.name}", holdings=(held,))
        gang = Shape(rack.count, rack.gpus, rack.gpu_class, cpu_millis=100)
        yield replace(like, uid=f"gang-{site.name}", shape=gang, priority=500)


LEAGUES = {"a second wave": second_wave, "urgent work": urgent_wave, "held room": held_room}


def grown(site: Site, job: Job, times: int = 1) -> Site:
    """With machines that take the whole gang, of every class that there is or is asked for."""
    shape = job.shape
    classes = {shape.gpu_class, *CLASSES} - {""} if shape.gpus else {""}
    pod = (shape.cpu_millis, shape.memory_bytes)
    count = times * shape.workers
    groups = [Machines(count, shape.gpus, name, 48 * GIB, *pod) for name in sorted(classes)]
    heads = Machines(times * shape.heads, 0, "", 0, shape.head_cpu_millis, shape.head_memory_bytes)
    lent = {name: gpus + count * shape.gpus for name, gpus in site.lent_gpus.items()}
    return replace(site, machines=(*site.machines, *groups, heads), lent_gpus=lent)


def easy(s: Snapshot) -> Snapshot:
    """Every job asks for one GPU, every site has some and takes anybody: one trouble is left."""
    anybody = jobs_with(residency=ResidencyRule(), data=(), assurance=0)(s)
    sites = of_sites(lambda site: replace(grown(site, GAUGE), unavailable=None))(anybody)
    return jobs_with(shape=GAUGE.shape)(sites)


def crowded(s: Snapshot) -> Snapshot:
    """Gangs that fit only when all is idle, and small work that fits beside them."""
    big = Shape(2, 8, cpu_millis=100)
    jobs = [replace(job, shape=big if at % 3 else job.shape) for at, job in enumerate(s.jobs)]
    return replace(s, jobs=tuple(jobs))


TROUBLES: dict[str, Edit] = {
    "none": lambda s: s,
    "a second wave": lambda s: s,
    "urgent work": lambda s: s,
    "held room": lambda s: s,
    "crowd": crowded,
    "crowd without rules": lambda s: jobs_with(residency=ResidencyRule(), data=())(crowded(s)),
    "few lent": of_sites(lambda site: replace(site, lent_gpus=dict.fromkeys(CLASSES, 2))),
    "zero workers": shapes_with(workers=0),
    "suspended": jobs_with(barred=Reason.SUSPENDED),
    "not released": jobs_with(barred=Reason.WAITING_FOR_RELEASE),
    "no institution": jobs_with(barred=Reason.NO_INSTITUTION),
    "no such place": jobs_with(residency=NONSENSE),
    "no such place for a copy": sea_ruled(NONSENSE),
    "no such pool": jobs_with(pool="q"),
    "no such data": jobs_with(data=("sky",)),
    "no share": lambda s: with_shares(nominal_gpus=8)(jobs_with(institution="nobody")(s)),
    "small shares": with_shares(nominal_gpus=4, borrowing_limit=4),
    "tiny shares": with_shares(nominal_gpus=1, borrowing_limit=0),
    "nothing lent on": with_shares(nominal_gpus=8, lending_limit=0),
    "low caps": of_pools(lambda p: replace(p, shares=(), caps=(Cap("Operator", 25), Cap("Vendor", 40)))),
    "caps below a gang": lambda s: shapes_with(gpus=4, workers=2)(
        of_pools(lambda p: replace(p, shares=(), caps=(Cap("Operator", 8),)))(s)
    ),
    "one country": jobs_with(residency=ONLY_EE),
    "a low ceiling": of_pools(lambda pool: replace(pool, ceiling=ONLY_EE_LAW)),
    "one law": jobs_with(residency=ONLY_EE_LAW),
    "a copy's country": sea_ruled(ONLY_EE),
    "a copy's law": sea_ruled(ONLY_EE_LAW),
    "data at few": jobs_with(data=("sea",)),
    "no declared law": lambda s: of_sites(lambda site: replace(site, legal_control=frozenset()))(easy(s)),
    "much assurance": jobs_with(assurance=3),
    "a wary pool": of_pools(lambda pool: replace(pool, assurance=2)),
    "no such class": shapes_with(gpu_class="tpu-v5"),
    "big workers": shapes_with(gpus=16),
    "many workers": shapes_with(workers=40),
    "poor": jobs_with(budget_micros=1000),
    "refused": of_jobs(lambda job: replace(job, refused_by={f"site-{n}": "no" for n in range(6)})),
    "no price": of_sites(lambda site: replace(site, gpu_hour_price=dict.fromkeys(CLASSES, -1))),
    "drained": of_sites(lambda site: replace(site, draining=True)),
    "caps that fill": lambda s: of_pools(
        lambda p: replace(p, shares=(), caps=(Cap("Jurisdiction", 5), Cap("Operator", 10)))
    )(easy(s)),
    **{f"closed: {reason}": closed(reason) for reason in CLOSED},
}  # fmt: skip


def troubled(name: str, seed: int) -> Snapshot:
    """A league with one sort of trouble: all of it at even seeds, else about two thirds.

    Those of odd seeds have prices of their own, which name nothing.
    """
    rng = np.random.default_rng(seed)
    plain = LEAGUES.get(name, random_snapshot)(rng)
    plain = replace(plain, prices=ShadowPrices() if seed % 2 else None)
    wrong = TROUBLES[name](plain)
    if seed % 2 == 0:
        return wrong

    def mixed(one, other):
        return one if rng.random() < 0.35 else other

    return replace(
        wrong,
        sites=tuple(starmap(mixed, zip(plain.sites, wrong.sites, strict=True))),
        jobs=tuple(starmap(mixed, zip(plain.jobs, wrong.jobs, strict=True))),
    )
