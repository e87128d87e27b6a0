"""PHX: Philly's demand on a league of openb machines, the workload of every benchmark.

Sizes, durations, arrivals and virtual clusters are Philly's; machines are openb's. Everything
about law, ownership, money and requested run time is drawn from a seed and is SYNTHETIC: no public
trace has it. ``OVERLAY_NOTE`` goes into every result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from e2e.bench.phx.supply import BLOC_OF, BLOCS, COUNTRIES, Floats, build_sites, site_gpus
from e2e.bench.phx.traces import Demand, Ints, read_demand
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.scenario import Scenario, draw_outages
from e2e.lawful import Lawful
from hansa.model.snapshot import (
    Cap,
    Job,
    PlaceSet,
    Pool,
    PreemptionRule,
    ResidencyRule,
    Shape,
    Share,
    Site,
    Snapshot,
)

OVERLAY_NOTE = (
    "demand: Philly (CC BY 4.0); machines: openb (Apache-2.0); countries, operators, legal control, "
    "prices, quotas, priorities and requested run times are synthetic, drawn from the seed"
)
POOL = "phx"
EPOCH_S = 1_504_521_041
"""Philly's first arrival, 2017-09-04 10:30:41 UTC."""
RESIDENCY_MIX = {"country": 0.40, "bloc": 0.35, "overlay": 0.15, "anywhere": 0.10}
OVERLAYS = 6
OVERLAY_COUNTRIES = (8, 24)
PRIORITIES = {0: 0.60, 50: 0.25, 100: 0.12, 200: 0.03}
CLASS_BOUND_SHARE = 0.33
"""Jobs that name a GPU class; openb's pods do so as often."""
LEGAL_BOUND_SHARE = 0.25
"""Of country and bloc jobs: those that put the same bound on legal control."""
ASSURED_SHARE = 0.10
DATA_BOUND_SHARE = 0.03
ELASTIC_SHARE = 0.05
REFUSED_SHARE = 0.005
COHORTS = ("north", "south", "west")
SIZE_FACTORS = np.array([1, 2, 4, 8], np.int64)
LARGEST_GANG = 64
WORKER_GPUS = (8, 4, 2, 1)
"""GPUs a worker may have: the sizes in which machines come."""
CHECKPOINT_S = 3600
TRACE_PREEMPTION = PreemptionRule(
    borrowers=True, min_runtime_s=600, max_per_hour=60, patience_s=300
)
REQUEST_STEPS_S = np.array(
    [600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 345600, 604800, 1209600, 2592000, 7776000],
    np.int64,
)  # fmt: skip
"""Round figures in which people ask for time."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is drawn for each job beyond the trace, as columns."""

    gpus: Ints
    priority: Ints
    residency: list[ResidencyRule]
    gpu_class: list[str]
    assurance: Ints
    data: list[tuple[str, ...]]
    elastic: Ints
    refused_by: list[Mapping[str, str]]
    request_s: Ints


def static_snapshot(*, jobs: int, sites: int, gpus: int, load: float, seed: int) -> Snapshot:
    """``jobs`` queued jobs on an idle league, asking together for ``load`` × its GPUs.

    To reach the load, sizes are multiplied by 1, 2, 4 or 8 (gangs at most 64 GPUs), the odds tilted
    so that the expected demand is right.
    """
    rng = np.random.default_rng(seed)
    weights = rng.lognormal(0.0, 0.6, size=sites)
    league = build_sites(rng, gpus=gpus, weights=weights.tolist(), cordons=True)
    trace = read_demand()
    demand = trace.take(rng.integers(0, len(trace), size=jobs))
    supply = sum(site_gpus(site) for site in league)
    sizes = _inflate(rng, demand.gpus, load * supply)
    pool = _pool(rng, league, trace, caps=True)
    empty = Snapshot(now_s=EPOCH_S, sites=league, pools=(pool,), jobs=())
    columns = _draw(rng, replace(demand, gpus=sizes), empty)
    age_s = rng.integers(0, 7 * 86400, size=jobs)
    return replace(empty, jobs=build_jobs(demand, columns, submitted_s=EPOCH_S - age_s))


def trace_scenario(
    *, load: float, seed: int, demand: Demand | None = None
) -> tuple[Scenario, dict[str, int]]:
    """The whole trace on a league that institutions built in proportion to their own use.

    The league is sized for a load of 0.9; another load squeezes the gaps between arrivals. Returns
    the scenario, and how many jobs were ``left_out`` because no site could ever hold them.
    """
    trace = read_demand() if demand is None else demand
    rng = np.random.default_rng(seed)
    work = trace.gpu_seconds()
    gpus = max(64, round(float(work.sum()) / max(1, int(trace.arrival_s[-1])) / 0.9))
    weights = np.sort(work[work > work.sum() / 500])[::-1].astype(float)
    league = build_sites(rng, gpus=gpus, weights=weights.tolist(), cordons=False)
    arrivals = EPOCH_S + (trace.arrival_s * (0.9 / load)).astype(np.int64)
    pool = replace(_pool(rng, league, trace, caps=False), preemption=TRACE_PREEMPTION)
    snapshot = Snapshot(now_s=EPOCH_S, sites=league, pools=(pool,), jobs=())
    jobs = build_jobs(trace, _draw(rng, trace, snapshot, whole_trace=True), submitted_s=arrivals)
    outages = draw_outages(rng, league, start_s=EPOCH_S, end_s=int(arrivals[-1]))
    kept = _that_fit(snapshot, jobs)
    durations = tuple(int(trace.duration_s[i]) for i in kept)
    scenario = Scenario(snapshot, tuple(jobs[i] for i in kept), durations, outages)
    return scenario, {"left_out": len(jobs) - len(kept), "gpus": sum(map(site_gpus, league))}


def _that_fit(snapshot: Snapshot, jobs: tuple[Job, ...]) -> list[int]:
    world, lawful = Occupancy(snapshot.sites), Lawful(snapshot)
    return [
        index
        for index, job in enumerate(jobs)
        if any(world.could_ever_fit(site, job.shape) for site in lawful.sites(job))
    ]


def build_jobs(demand: Demand, columns: Columns, *, submitted_s: Ints) -> tuple[Job, ...]:
    """Jobs from columns; one worker per machine, eight GPUs a worker at most."""
    shapes = [
        gang(int(g), columns.gpu_class[i], elastic=bool(columns.elastic[i]))
        for i, g in enumerate(columns.gpus)
    ]
    return tuple(
        Job(
            uid=f"job-{i:06d}",
            name=f"phx/job-{i:06d}",
            institution=institution(demand.clusters[int(demand.cluster[i])]),
            pool=POOL,
            shape=shapes[i],
            submitted_s=int(submitted_s[i]),
            priority=int(columns.priority[i]),
            residency=columns.residency[i],
            data=columns.data[i],
            assurance=int(columns.assurance[i]),
            max_runtime_s=int(columns.request_s[i]),
            checkpoint_s=CHECKPOINT_S,
            refused_by=columns.refused_by[i],
        )
        for i in range(len(demand))
    )


def institution(cluster: str) -> str:
    """The institution that stands for a virtual cluster of the trace."""
    return f"vc-{cluster}"


@cache
def gang(gpus: int, gpu_class: str, *, elastic: bool = False) -> Shape:
    """The shape of a job of ``gpus`` GPUs."""
    per_worker = next(n for n in WORKER_GPUS if gpus % n == 0)
    workers = gpus // per_worker
    return Shape(
        workers=workers,
        gpus=per_worker,
        gpu_class=gpu_class,
        cpu_millis=4000 * per_worker,
        memory_bytes=(24 * per_worker) << 30,
        min_workers=max(1, workers // 2) if elastic and workers > 1 else 0,
    )


def _inflate(rng: np.random.Generator, sizes: Ints, target: float) -> Ints:
    """Multiply sizes at random until their sum is about ``target``."""
    low, high = -4.0, 4.0
    for _ in range(40):
        tilt = (low + high) / 2
        odds = _tilted(tilt)
        expected = sum(
            float(p) * float(np.minimum(sizes * int(f), LARGEST_GANG).sum())
            for p, f in zip(odds, SIZE_FACTORS, strict=True)
        )
        low, high = (tilt, high) if expected < target else (low, tilt)
    factors = rng.choice(SIZE_FACTORS, size=len(sizes), p=_tilted((low + high) / 2))
    return np.asarray(np.minimum(sizes * factors, LARGEST_GANG), np.int64)


def _tilted(tilt: float) -> Floats:
    weights = np.exp(tilt * SIZE_FACTORS)
    return np.asarray(weights / weights.sum(), np.float64)


def _draw(
    rng: np.random.Generator, demand: Demand, snapshot: Snapshot, *, whole_trace: bool = False
) -> Columns:
    """Every job has a home site, drawn by size, that could hold it when idle and may lawfully."""
    count, league = len(demand), snapshot.sites
    homes = _homes(rng, demand.gpus, league)
    pinned = rng.random(count) < (0.0 if whole_trace else DATA_BOUND_SHARE)
    refused = rng.random(count) < (0.0 if whole_trace else REFUSED_SHARE)
    elastic = rng.random(count) < (0.0 if whole_trace else ELASTIC_SHARE)
    assured = rng.random(count) < ASSURED_SHARE
    others = rng.integers(0, len(league), size=count)
    return Columns(
        gpus=demand.gpus,
        priority=rng.choice(list(PRIORITIES), size=count, p=list(PRIORITIES.values())),
        residency=_residency(rng, homes, snapshot.pools[0].overlays),
        gpu_class=_classes(rng, demand.gpus, homes),
        assurance=np.array(
            [int(a and h.assurance > 0) for a, h in zip(assured, homes, strict=True)], np.int64
        ),
        data=[tuple(home.datasets) if p else () for home, p in zip(homes, pinned, strict=True)],
        elastic=elastic.astype(np.int64),
        refused_by=[
            {league[int(site)].name: "refused by the generator"} if r else {}
            for site, r in zip(others, refused, strict=True)
        ],
        request_s=requested_s(rng, demand.duration_s),
    )


def _homes(rng: np.random.Generator, gpus: Ints, league: tuple[Site, ...]) -> list[Site]:
    """A site for each job, by its share of the GPUs of those that could hold the gang."""
    world = Occupancy(league)
    capacity = np.array([site_gpus(site) for site in league], float)
    homes = np.full(len(gpus), int(capacity.argmax()), np.int64)
    for size in np.unique(gpus):
        able = [world.could_ever_fit(site.name, gang(int(size), "")) for site in league]
        odds = capacity * np.array(able, float)
        rows = np.flatnonzero(gpus == size)
        if odds.sum() > 0:
            homes[rows] = rng.choice(len(league), size=len(rows), p=odds / odds.sum())
    return [league[int(home)] for home in homes]


def _classes(rng: np.random.Generator, gpus: Ints, homes: list[Site]) -> list[str]:
    """Some jobs name a GPU class of their home site, one that could hold the gang there."""
    bound = rng.random(len(homes)) < CLASS_BOUND_SHARE
    draw = rng.random(len(homes))
    able: dict[tuple[str, int], list[str]] = {}
    for size, home in zip(gpus, homes, strict=True):
        if (home.name, int(size)) not in able:
            world = Occupancy((home,))
            names = sorted({group.gpu_class for group in home.machines})
            able[home.name, int(size)] = [
                name for name in names if world.could_ever_fit(home.name, gang(int(size), name))
            ]
    choices = [able[home.name, int(size)] for size, home in zip(gpus, homes, strict=True)]
    return [
        names[int(draw[i] * len(names))] if bound[i] and names else ""
        for i, names in enumerate(choices)
    ]


def requested_s(rng: np.random.Generator, duration_s: Ints) -> Ints:
    """Run times as people would ask for: one to five times the truth, rounded up to round figures.

    Source: the f-model of Mu'alem and Feitelson, IEEE TPDS 12(6), 2001.
    """
    padded = duration_s * rng.uniform(1.0, 5.0, size=len(duration_s))
    step = np.minimum(np.searchsorted(REQUEST_STEPS_S, padded), len(REQUEST_STEPS_S) - 1)
    return np.asarray(np.maximum(REQUEST_STEPS_S[step], duration_s), np.int64)


def _residency(
    rng: np.random.Generator, homes: list[Site], overlays: Mapping[str, frozenset[str]]
) -> list[ResidencyRule]:
    kinds = rng.choice(list(RESIDENCY_MIX), size=len(homes), p=list(RESIDENCY_MIX.values()))
    legal = rng.random(len(homes)) < LEGAL_BOUND_SHARE
    turn = rng.integers(0, OVERLAYS, size=len(homes))
    lists = {c: sorted(k for k, names in overlays.items() if c in names) for c in COUNTRIES}
    rules: dict[tuple[str, bool], ResidencyRule] = {}
    drawn = []
    for index, (kind, home) in enumerate(zip(kinds, homes, strict=True)):
        country = home.jurisdiction
        place, inside = {
            "country": (country, {country}),
            "bloc": (BLOC_OF[country], set(BLOCS[BLOC_OF[country]])),
            "overlay": (f"overlay/{lists[country][turn[index] % len(lists[country])]}", set[str]()),
            "anywhere": ("World", set[str]()),
        }[str(kind)]
        bound = bool(legal[index]) and home.legal_control <= inside
        drawn.append(rules.setdefault((place, bound), _rule(place, legal=bound)))
    return drawn


def _rule(place: str, *, legal: bool) -> ResidencyRule:
    places = PlaceSet(frozenset({place}))
    return ResidencyRule(places, places if legal else PlaceSet())


def _pool(rng: np.random.Generator, league: tuple[Site, ...], trace: Demand, *, caps: bool) -> Pool:
    total = sum(site_gpus(site) for site in league)
    work = trace.gpu_seconds().astype(float)
    nominal = np.floor(work / work.sum() * total).astype(np.int64)
    shares = tuple(
        Share(
            institution=institution(name),
            cohort=COHORTS[i % len(COHORTS)],
            nominal_gpus=int(nominal[i]),
            borrowing_limit=int(nominal[i]) + total // 5 if caps else None,
            lending_limit=int(nominal[i]) // 2 if caps and i % 2 else None,
            weight=max(1, int(nominal[i] * 100 // total)),
        )
        for i, name in enumerate(trace.clusters)
    )
    concentration = (Cap("Operator", 20), Cap("Vendor", 90), Cap("Jurisdiction", 25))
    return Pool(
        name=POOL,
        shares=shares,
        cohort_parents=dict.fromkeys(COHORTS, ""),
        overlays=_overlays(rng),
        caps=concentration if caps else (),
    )


def _overlays(rng: np.random.Generator) -> dict[str, frozenset[str]]:
    """Adequacy lists; every country is on one at least."""
    low, high = OVERLAY_COUNTRIES
    lists = [
        {str(c) for c in rng.choice(COUNTRIES, size=int(rng.integers(low, high)), replace=False)}
        for _ in range(OVERLAYS)
    ]
    for turn, country in enumerate(sorted(set(COUNTRIES).difference(*lists))):
        lists[turn % OVERLAYS].add(country)
    return {f"adequacy-{k}": frozenset(names) for k, names in enumerate(lists)}
