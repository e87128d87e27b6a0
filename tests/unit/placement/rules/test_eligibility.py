"""The rulebook against a naive reading of every rule, over a hundred thousand jobs and cells.

Law alone is in ``test_eligibility``, and the member's reading of it in ``planning/test_two_laws``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from e2e.lawful import is_lawful, is_member, is_within
from hansa.model.reasons import Reason
from hansa.model.snapshot import (
    Cap,
    Job,
    Machines,
    PlaceSet,
    Pool,
    ResidencyRule,
    Shape,
    Site,
    Snapshot,
)
from hansa.placement.rules.eligibility import OUTSIDE, RULES
from hansa.placement.state.league import League
from tests.unit.placement.leagues.crowded_leagues import (
    CLASSES,
    crowded_job,
    crowded_pool,
    crowded_site,
)
from tests.unit.placement.leagues.random_leagues import BLOCS, COUNTRIES, NOW_S, pick, random_rule
from tests.unit.placement.oracle import capacity, lent_gpus

WORLDS, SITES, JOBS = 14, 16, 40
NONSENSE = ResidencyRule(PlaceSet(frozenset({"Atlantis"})))
LEAST_SEEN = 200
"""How often every answer has to be seen."""


@dataclass(frozen=True)
class Hall:
    """Machines that one gang may use: those of one class and memory at a site, or all of a site."""

    site: Site
    machines: tuple[Machines, ...]
    gpu_class: str
    gpu_memory_bytes: int
    lent: int


def halls_of(site: Site) -> Iterator[Hall]:
    """First all machines of a site, then those of every sort of GPU, by name and memory."""
    yield Hall(site, site.machines, "", 0, 0)
    sorts = sorted({(m.gpu_class, m.gpu_memory_bytes) for m in site.machines if m.gpus})
    given: Counter[str] = Counter()
    for name, memory in sorts:
        mine = tuple(
            m
            for m in site.machines
            if m.gpus and (m.gpu_class, m.gpu_memory_bytes) == (name, memory)
        )
        left = lent_gpus(site, name) - given[name]
        lent = min(left, sum(m.count * m.gpus for m in mine))
        given[name] += lent
        yield Hall(site, mine, name, memory, lent)


def answer(snapshot: Snapshot, job: Job, pool: Pool, hall: Hall) -> Reason | None:
    """The first rule that refuses a hall; None: it is nothing to the pool or the job."""
    site, shape = hall.site, job.shape
    if not is_member(site, pool) or bool(shape.gpus) is not bool(hall.gpu_class):
        return None
    return (
        _law(job, pool, site)
        or _promises(job, pool, site)
        or _room(job, pool, hall)
        or _caps(snapshot, job, pool)
        or _money(job, hall)
        or (Reason.NODE_REFUSED if site.name in job.refused_by else Reason.PENDING)
    )


def _law(job: Job, pool: Pool, site: Site) -> Reason | None:
    common = [job.residency, pool.ceiling]
    own = [site.dataset_rules[d] for d in job.data if d in site.dataset_rules]
    if NONSENSE in common:
        is_pools = job.residency != NONSENSE and pool.ceiling == NONSENSE
        return Reason.POOL_MISCONFIGURED if is_pools else Reason.UNKNOWN_JURISDICTION
    if not site.legal_control:
        return Reason.JURISDICTION_DISPUTED
    for rules in (common, own):
        if NONSENSE in rules:
            return Reason.UNKNOWN_JURISDICTION
        if not all(is_within(r.location, site.jurisdiction, pool.overlays) for r in rules):
            return Reason.RESIDENCY_DENIED
        laws = site.legal_control
        if not all(is_within(r.legal_control, w, pool.overlays) for r in rules for w in laws):
            return Reason.LEGAL_CONTROL_DENIED
    return None


def _promises(job: Job, pool: Pool, site: Site) -> Reason | None:
    if not set(job.data) <= set(site.datasets):
        return Reason.DATA_ELSEWHERE
    return Reason.ASSURANCE_TOO_LOW if site.assurance < max(job.assurance, pool.assurance) else None


def _room(job: Job, pool: Pool, hall: Hall) -> Reason | None:
    shape, workers = job.shape, job.shape.min_workers or job.shape.workers
    if shape.gpus and (
        shape.gpu_class not in ("", hall.gpu_class)
        or hall.gpu_memory_bytes < shape.gpu_memory_bytes
        or (pool.gpu_classes and hall.gpu_class not in pool.gpu_classes)
    ):
        return Reason.NO_SUCH_ACCELERATOR
    slots = sum(m.count * _slots(m, shape) for m in hall.machines)
    cpu = workers * shape.cpu_millis + shape.heads_cpu_millis
    memory = workers * shape.memory_bytes + shape.heads_memory_bytes
    all_of_it = hall.site.machines
    if (
        slots < workers
        or (shape.gpus and workers * shape.gpus > hall.lent)
        or cpu > sum(m.count * m.cpu_millis for m in all_of_it)
        or memory > sum(m.count * m.memory_bytes for m in all_of_it)
    ):
        return Reason.EXCEEDS_NODE_SHAPE
    return None


def _caps(snapshot: Snapshot, job: Job, pool: Pool) -> Reason | None:
    """All caps reach every hall with GPUs: each has an operator, a vendor and a country."""
    gpus = (job.shape.min_workers or job.shape.workers) * job.shape.gpus
    limits = [capacity(snapshot.sites, pool) * cap.max_percent // 100 for cap in pool.caps]
    return Reason.EXCEEDS_CAP if gpus > min(limits, default=gpus) else None


def _slots(machine: Machines, shape: Shape) -> int:
    have = (machine.gpus, machine.cpu_millis, machine.memory_bytes)
    need = (shape.gpus, shape.cpu_millis, shape.memory_bytes)
    return min(h // n for h, n in zip(have, need, strict=True) if n)


def _money(job: Job, hall: Hall) -> Reason | None:
    site, shape = hall.site, job.shape
    price = site.gpu_hour_price.get(hall.gpu_class, 0) if shape.gpus else site.cpu_hour_price
    workers = shape.min_workers or shape.workers
    cpus = workers * shape.cpu_millis + shape.heads_cpu_millis
    hourly = price * workers * shape.gpus if shape.gpus else price * cpus // 1000
    if job.budget_micros is not None and hourly * job.max_runtime_s > job.budget_micros * 3600:
        return Reason.OVER_BUDGET
    return Reason.MISCONFIGURED if price < 0 else None


def world(seed: int) -> Snapshot:
    """Sites, pools and jobs with every field drawn, some of them nonsense."""
    rng = np.random.default_rng(seed)
    pools = tuple(
        replace(crowded_pool(rng, name), shares=(), **more)
        for name, more in (
            ("p", {"site_names": frozenset(names(rng))}),
            ("q", {"caps": (Cap("Vendor", 40), Cap("Operator", int(rng.integers(1, 5))))}),
            ("r", {"ceiling": NONSENSE if seed % 4 == 0 else random_rule(rng)}),
            ("s", {"site_jurisdictions": pick(rng, (*COUNTRIES, *BLOCS), 3, 3)}),
            ("t", {"gpu_classes": frozenset({str(rng.choice(CLASSES))})}),
        )
    )
    sites = tuple(odd(rng, crowded_site(rng, f"site-{n:02d}")) for n in range(SITES))
    jobs = tuple(
        job
        for pool in pools
        for n in range(JOBS)
        for job in [wanting(rng, crowded_job(rng, f"{pool.name}-{n:03d}"), pool)]
    )
    return Snapshot(NOW_S, sites, pools, jobs)


def names(rng: np.random.Generator) -> list[str]:
    return [f"site-{n:02d}" for n in range(SITES) if rng.random() < 0.7]


def odd(rng: np.random.Generator, site: Site) -> Site:
    """At times without declared law, with a rule of its own that means nothing, or a price below 0."""
    draw = int(rng.integers(12))
    if draw == 0:
        return replace(site, legal_control=frozenset())
    if draw == 1 and site.datasets:
        return replace(site, dataset_rules=dict.fromkeys(site.datasets, NONSENSE))
    if draw == 2:
        return replace(site, gpu_hour_price=dict.fromkeys(CLASSES, -1), cpu_hour_price=-1)
    return site


def wanting(rng: np.random.Generator, job: Job, pool: Pool) -> Job:
    """Refusals, nonsense and small budgets more often than users have them."""
    refused = dict.fromkeys(names(rng), "no") if rng.random() < 0.3 else {}
    residency = NONSENSE if rng.random() < 0.02 else job.residency
    budget = int(rng.integers(1_000_000)) if rng.random() < 0.1 else job.budget_micros
    return replace(
        job,
        pool=pool.name,
        refused_by=refused,
        residency=residency,
        budget_micros=budget,
    )


def test_every_rule_is_applied_as_a_naive_reading_has_it():
    seen: Counter[Reason | None] = Counter()
    for seed in range(WORLDS):
        snapshot = world(seed)
        league = League(snapshot)
        halls = [hall for site in league.fleet.sites for hall in halls_of(site)]
        pools = {pool.name: pool for pool in snapshot.pools}
        for job in snapshot.jobs:
            codes = league.kinds.codes_of(league.records[job.uid].kind).tolist()
            for hall, code in zip(halls, codes, strict=True):
                expected = answer(snapshot, job, pools[job.pool], hall)
                said = None if code == OUTSIDE else RULES[code]
                assert said is expected, (job, hall)
                seen[said] += 1
                if said is Reason.PENDING:
                    assert is_lawful(snapshot, job, hall.site)
    assert seen.total() >= 100_000
    of_halls = {None, *RULES} - {Reason.NO_ACCELERATOR}  # where there is no GPU there is no hall
    rare = {reason: seen[reason] for reason in of_halls if seen[reason] < LEAST_SEEN}
    assert rare == {}
