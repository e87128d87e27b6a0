"""Changes that might let a waiting job start: one constraint removed, all else as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Machines, Pool, ResidencyRule, Site, Snapshot

EVERYTHING = 1 << 30


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change, in words and as the snapshot in which it is made."""

    words: str
    changed: Snapshot


def remedies(snapshot: Snapshot, job: Job, reason: Reason) -> Iterator[Remedy]:
    """Candidates for the reason a job waits for, smallest change first. Not yet tried."""
    pool = next((pool for pool in snapshot.pools if pool.name == job.pool), None)
    if pool is not None:
        yield from _FOR.get(reason, _none)(snapshot, job, pool)


def _none(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    del snapshot, job, pool
    yield from ()


def _open(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    for site in snapshot.sites:
        if site.unavailable is not None or site.draining:
            opened = replace(site, unavailable=None, draining=False)
            yield Remedy(f"{site.name} took work again", _with_site(snapshot, opened))
    yield from _room(snapshot, job, pool)


def _residency(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    free = replace(job, residency=ResidencyRule())
    yield Remedy("its own residency rule were wider", _with_job(snapshot, free))
    wide = replace(pool, ceiling=ResidencyRule())
    yield Remedy(f"the ceiling of pool {pool.name} were wider", _with_pool(snapshot, wide))
    names = {*job.data, *(name for shard in job.spread for name in shard.data)}
    rules = {name: rule for name, rule in snapshot.dataset_rules.items() if name not in names}
    sites = tuple(
        replace(s, dataset_rules={n: r for n, r in s.dataset_rules.items() if n not in names})
        if not names.isdisjoint(s.dataset_rules)
        else s
        for s in snapshot.sites
    )
    freed = replace(snapshot, dataset_rules=rules, sites=sites)
    yield Remedy("the holders of its data let it go further", freed)


def _refusal(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    del pool
    for name in sorted(job.refused_by):
        rest = {site: words for site, words in job.refused_by.items() if site != name}
        yield Remedy(
            f"{name} no longer refused it", _with_job(snapshot, replace(job, refused_by=rest))
        )


def _quota(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    """More nominal share: by what the job needs, then by all that the institution wants."""
    mine = [
        other
        for other in snapshot.jobs
        if (other.pool, other.institution) == (job.pool, job.institution)
    ]
    need, words, changed, richer = _gpus(job), "", snapshot, pool
    for more in (need, sum(_gpus(other) for other in mine)):
        shares = tuple(
            replace(s, nominal_gpus=max(0, s.nominal_gpus) + more)
            if s.institution == job.institution
            else s
            for s in pool.shares
        )
        words = f"{job.institution} had {more} GPUs more of pool {pool.name}"
        richer = replace(pool, shares=shares)
        changed = _with_pool(snapshot, richer)
        yield Remedy(words, changed)
    for other in _room(changed, job, richer):
        yield Remedy(f"{words} and {other.words}", other.changed)


def _caps(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    del job
    for cap in pool.caps:
        rest = tuple(other for other in pool.caps if other != cap)
        words = f"the cap of {cap.max_percent} % on {cap.dimension} were lifted"
        yield Remedy(words, _with_pool(snapshot, replace(pool, caps=rest)))
    yield Remedy("all concentration caps were lifted", _with_pool(snapshot, replace(pool, caps=())))


def _room(snapshot: Snapshot, job: Job, pool: Pool) -> Iterator[Remedy]:
    """More machines at a site: enough for the job, then for all that waits."""
    waiting = [other for other in snapshot.jobs if not other.holdings and other.barred is None]
    sound = [
        other for other in waiting if 0 < other.shape.workers < EVERYTHING and other.shape.gpus >= 0
    ]
    for crowd in ([job], sound):
        for site in snapshot.sites:
            machines = tuple(m for other in crowd for m in _for(other, site, job))
            bigger = replace(site, machines=(*site.machines, *machines), lent_gpus={})
            count = sum(m.count * m.gpus for m in machines)
            words = (
                f"{site.name} had {count} GPUs more" if count else f"{site.name} had more machines"
            )
            yield Remedy(words, _with_site(snapshot, bigger))
    yield from _caps(snapshot, job, pool)


def _for(other: Job, site: Site, job: Job) -> Iterator[Machines]:
    """Machines that take one job's pods one each, of a class that the explained job can use."""
    shape = other.shape
    alike = next(
        (
            m
            for m in site.machines
            if m.gpus and m.gpu_class == (job.shape.gpu_class or m.gpu_class)
        ),
        None,
    )
    gpu_class = job.shape.gpu_class or (alike.gpu_class if alike else "")
    memory = max(job.shape.gpu_memory_bytes, alike.gpu_memory_bytes if alike else 0)
    if shape.gpus and not gpu_class:
        return
    yield Machines(
        shape.workers, shape.gpus, gpu_class if shape.gpus else "", memory if shape.gpus else 0,
        shape.cpu_millis, shape.memory_bytes,
    )  # fmt: skip
    yield Machines(1, 0, "", 0, shape.head_cpu_millis, shape.head_memory_bytes)


def _gpus(job: Job) -> int:
    return max(0, job.shape.total_gpus) * max(1, len(job.spread))


def _with_site(snapshot: Snapshot, site: Site) -> Snapshot:
    sites = tuple(site if other.name == site.name else other for other in snapshot.sites)
    return replace(snapshot, sites=sites)


def _with_pool(snapshot: Snapshot, pool: Pool) -> Snapshot:
    pools = tuple(pool if other.name == pool.name else other for other in snapshot.pools)
    return replace(snapshot, pools=pools)


def _with_job(snapshot: Snapshot, job: Job) -> Snapshot:
    jobs = tuple(job if other.uid == job.uid else other for other in snapshot.jobs)
    return replace(snapshot, jobs=jobs)


Maker = Callable[[Snapshot, Job, Pool], Iterator[Remedy]]
_FOR: Mapping[Reason, Maker] = {
    Reason.RESIDENCY_DENIED: _residency,
    Reason.LEGAL_CONTROL_DENIED: _residency,
    Reason.NODE_REFUSED: _refusal,
    Reason.NODE_CORDONED: _open,
    Reason.NODE_PAUSED: _open,
    Reason.NODE_UNREACHABLE: _open,
    Reason.NODE_NOT_READY: _open,
    Reason.NODE_NOT_ACCEPTED: _open,
    Reason.NO_SUCH_ACCELERATOR: _room,
    Reason.EXCEEDS_NODE_SHAPE: _room,
    Reason.EXCEEDS_POOL_QUOTA: _quota,
    Reason.EXCEEDS_CAP: _caps,
    Reason.WAITING_FOR_QUOTA: _quota,
    Reason.WAITING_FOR_CAP: _caps,
    Reason.WAITING_FOR_CAPACITY: _room,
    Reason.WAITING_FOR_FAIR_SHARE: _room,
    Reason.WAITING_FOR_PREEMPTION: _room,
}
