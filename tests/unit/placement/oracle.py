"""What must hold of every plan, by plain sums: no columns, none of the planner's code.

Where work may run is asked of ``e2e.lawful``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from e2e.lawful import is_lawful, is_member
from hansa.model.plan import Placement, Plan
from hansa.model.snapshot import Job, Pool, Site, Snapshot

ENDLESS = 1 << 60


# What is used: parts of jobs at sites.


@dataclass(frozen=True)
class Part:
    """Workers of one job at one site, held before the plan or placed by it."""

    job: Job
    site: str
    gpu_class: str
    workers: int
    is_new: bool

    @property
    def gpus(self) -> int:
        return self.workers * self.job.shape.gpus

    def is_lost(self, site: Site) -> bool:
        """Whether the site has no such GPUs any more: what the part holds there nobody knows."""
        floor = self.job.shape.gpu_memory_bytes
        return bool(self.gpus) and not any(
            m.gpus and m.gpu_class == self.gpu_class and m.gpu_memory_bytes >= floor
            for m in site.machines
        )


class Tally:
    """A snapshot and a plan of it, part by part."""

    def __init__(self, snapshot: Snapshot, decided: Plan) -> None:
        self.snapshot, self.decided = snapshot, decided
        self.jobs = {job.uid: job for job in snapshot.jobs}
        self.pools = {pool.name: pool for pool in snapshot.pools}
        self.sites = {site.name: site for site in snapshot.sites}
        self.parts = [
            Part(job, held.site, held.gpu_class, held.workers, is_new=False)
            for job in snapshot.jobs
            for held in job.holdings
            if held.site in self.sites  # what a site took along when it left is nobody's any more
        ]
        self.parts += [
            Part(self.jobs[p.job_uid], p.site, p.gpu_class, p.workers, is_new=True)
            for p in decided.placements
        ]

    def gpus(self, key, *, is_before: bool = False) -> Counter:
        """GPUs held by whatever ``key`` says of a part; None: not counted."""
        found: Counter = Counter()
        for part in self.parts:
            if not (is_before and part.is_new):
                found[key(part)] += part.gpus
        found.pop(None, None)
        return found


def breaches(snapshot: Snapshot, decided: Plan) -> list[str]:
    """Everything in a plan that must never be."""
    tally = Tally(snapshot, decided)
    return [
        *(wrong for placed in decided.placements for wrong in _misplaced(tally, placed)),
        *_torn(tally),
        *_told(tally),
        *(wrong for site in tally.sites.values() for wrong in _overfull(tally, site)),
        *(wrong for pool in tally.pools.values() for wrong in _over_quota(tally, pool)),
        *(wrong for pool in tally.pools.values() for wrong in _over_caps(tally, pool)),
    ]


def _misplaced(tally: Tally, placed: Placement) -> Iterator[str]:
    job, site = tally.jobs[placed.job_uid], tally.sites[placed.site]
    where, pool = f"{job.uid} at {site.name}", tally.pools[job.pool]
    if not is_lawful(tally.snapshot, job, site):
        yield f"{where} unlawfully"
    if not is_member(site, pool):
        yield f"{where}, which is not in its pool"
    if site.unavailable or site.draining:
        yield f"{where}, which is closed"
    if job.barred or job.holdings or site.name in job.refused_by:
        yield f"{where}, but it is barred, runs, or was refused there"
    if not set(job.data) <= set(site.datasets):
        yield f"{where} without its data"
    if site.assurance < max(job.assurance, pool.assurance):
        yield f"{where} without its assurance"
    yield from _wrong_sort(placed, job, site, pool)
    if job.budget_micros is not None:
        hourly = _hourly(job, site, placed.gpu_class, job.shape.min_workers or job.shape.workers)
        if hourly * job.max_runtime_s > job.budget_micros * 3600:
            yield f"{where} beyond its budget"


def _hourly(job: Job, site: Site, gpu_class: str, workers: int) -> int:
    shape = job.shape
    if shape.gpus:
        return site.gpu_hour_price.get(gpu_class, 0) * workers * shape.gpus
    return site.cpu_hour_price * (workers * shape.cpu_millis + shape.heads_cpu_millis) // 1000


def _wrong_sort(placed: Placement, job: Job, site: Site, pool: Pool) -> Iterator[str]:
    """GPUs of another class or less memory than asked for, or none at all."""
    shape, got = job.shape, placed.gpu_class
    if not shape.gpus:
        if got:
            yield f"{job.uid} has {got} and needs none"
        return
    if shape.gpu_class not in ("", got) or (pool.gpu_classes and got not in pool.gpu_classes):
        yield f"{job.uid} has {got} for {shape.gpu_class}"
    memory = [m.gpu_memory_bytes for m in site.machines if m.gpus and m.gpu_class == got]
    if max(memory, default=-1) < shape.gpu_memory_bytes:
        yield f"{job.uid} has {got} with too little memory at {site.name}"


def _torn(tally: Tally) -> Iterator[str]:
    """Gangs of too few or too many workers, or in more than one piece."""
    placed = defaultdict(list)
    for placement in tally.decided.placements:
        placed[placement.job_uid].append(placement)
    for uid, parts in placed.items():
        job = tally.jobs[uid]
        least = job.shape.min_workers or job.shape.workers
        if not all(least <= part.workers <= job.shape.workers for part in parts):
            yield f"{uid} has {[part.workers for part in parts]} workers"
        if len(parts) > 1:
            yield f"{uid} is placed as {parts}"


def _told(tally: Tally) -> Iterator[str]:
    """Who is told of twice, or not at all."""
    known = Counter({placed.job_uid for placed in tally.decided.placements})
    known.update(waiting.job_uid for waiting in tally.decided.waiting)
    yield from (f"{uid} is told twice" for uid, times in known.items() if times > 1)
    idle = {job.uid for job in tally.snapshot.jobs if not job.holdings}
    yield from (f"{uid} is forgotten" for uid in idle - set(known))


def _overfull(tally: Tally, site: Site) -> Iterator[str]:
    """More than there is or is lent, where the plan adds to it."""
    mine = [part for part in tally.parts if part.site == site.name]
    if not any(part.is_new for part in mine):
        return
    sizes = [(p.job.shape, p.workers) for p in mine]
    cpu = sum(shape.cpu_millis * n + shape.heads_cpu_millis for shape, n in sizes)
    memory = sum(shape.memory_bytes * n + shape.heads_memory_bytes for shape, n in sizes)
    if cpu > sum(m.count * m.cpu_millis for m in site.machines):
        yield f"{cpu} CPU millis at {site.name}"
    if memory > sum(m.count * m.memory_bytes for m in site.machines):
        yield f"{memory} bytes of memory at {site.name}"
    for name in {part.gpu_class for part in mine if part.is_new and part.gpus}:
        used = [part for part in mine if part.gpu_class == name and not part.is_lost(site)]
        gpus, lent = sum(part.gpus for part in used), lent_gpus(site, name)
        if gpus > lent:
            yield f"{gpus} of {lent} {name} at {site.name}"
        if not is_packable(site, used, name):
            yield f"{name} at {site.name} has no machine for some worker"


def lent_gpus(site: Site, gpu_class: str) -> int:
    exist = sum(m.count * m.gpus for m in site.machines if m.gpu_class == gpu_class)
    return max(0, min(exist, site.lent_gpus.get(gpu_class, exist)))


def is_packable(site: Site, parts: list[Part], gpu_class: str) -> bool:
    """Largest worker first into any machine: exact for sizes that divide each other."""
    free = [m.gpus for m in site.machines if m.gpu_class == gpu_class for _ in range(m.count)]
    workers = sorted((p.job.shape.gpus for p in parts for _ in range(p.workers)), reverse=True)
    for size in workers:
        at = next((at for at, room in enumerate(free) if room >= size), None)
        if at is None:
            return False
        free[at] -= size
    return True


def _over_quota(tally: Tally, pool: Pool) -> Iterator[str]:
    """More than nominal and borrowed, or of what others keep for themselves."""

    def institution(part: Part):
        return part.job.institution if part.job.pool == pool.name else None

    before, after = tally.gpus(institution, is_before=True), tally.gpus(institution)
    for share in pool.shares:
        borrowed = ENDLESS if share.borrowing_limit is None else share.borrowing_limit
        held, most = after[share.institution], share.nominal_gpus + borrowed
        if held > max(most, before[share.institution]):
            yield f"{share.institution} holds {held} of {most} in {pool.name}"
    kept = {
        share.institution: max(0, share.nominal_gpus - share.lending_limit)
        for share in pool.shares
        if share.lending_limit is not None
    }
    if any(kept.values()):
        nominal = sum(share.nominal_gpus for share in pool.shares)
        promised = [
            sum(max(held[s.institution], kept.get(s.institution, 0)) for s in pool.shares)
            for held in (before, after)
        ]
        if promised[1] > max(promised[0], nominal, capacity(tally.snapshot.sites, pool)):
            yield f"GPUs of {pool.name} are taken that their institutions do not lend"


def capacity(sites: Iterable[Site], pool: Pool) -> int:
    """GPUs that a pool's sites lend it."""
    sites = tuple(sites)
    classes = {m.gpu_class for site in sites for m in site.machines if m.gpus}
    return sum(
        lent_gpus(site, name)
        for site in sites
        if is_member(site, pool)
        for name in classes & (pool.gpu_classes or classes)
    )


def _over_caps(tally: Tally, pool: Pool) -> Iterator[str]:
    """More of the pool's capacity at one party than its caps allow."""
    for cap in pool.caps:

        def party(part: Part, dimension: str = cap.dimension):
            site = tally.sites[part.site]
            if part.job.pool != pool.name or not is_member(site, pool) or part.is_lost(site):
                return None
            return party_of(site, part.gpu_class, dimension)

        limit = capacity(tally.snapshot.sites, pool) * cap.max_percent // 100
        before, after = tally.gpus(party, is_before=True), tally.gpus(party)
        for name, held in after.items():
            if held > max(limit, before[name]):
                yield f"{pool.name} holds {held} of {limit} at {cap.dimension} {name}"


def party_of(site: Site, gpu_class: str, dimension: str) -> str:
    return {
        "Operator": site.operator,
        "Vendor": gpu_class.partition("-")[0],
        "Jurisdiction": site.jurisdiction[:2],
    }[dimension]
