"""A site with more machines: as many as some job needs, lent as they come, and nothing else changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hansa.model.snapshot import Job, Machines, Pool, Site
from hansa.placement.rules.eligibility import job_fault


def machines_for(other: Job, site: Site, job: Job, pool: Pool) -> Iterator[Machines]:
    """Machines that take one job's pods one each, of a class that ``job`` can use in its pool.

    None where no such class is known, or where the job asks for the impossible.
    """
    if job_fault(other):
        return
    shape = other.shape
    gpu_class, memory = _class_for(site, job, pool) if shape.gpus else ("", 0)
    if shape.gpus and not gpu_class:
        return
    workers = shape.min_workers or shape.workers
    yield Machines(workers, shape.gpus, gpu_class, memory, shape.cpu_millis, shape.memory_bytes)
    yield Machines(shape.heads, 0, "", 0, shape.head_cpu_millis, shape.head_memory_bytes)


def with_machines(site: Site, machines: tuple[Machines, ...]) -> Site:
    """The site with more machines; where it lends a part of a class, so many more are lent."""
    more: Counter[str] = Counter()
    for group in machines:
        more[group.gpu_class] += group.count * group.gpus
    lent = {name: max(0, gpus) + more[name] for name, gpus in site.lent_gpus.items()}
    return replace(site, machines=(*site.machines, *machines), lent_gpus=lent)


def _class_for(site: Site, job: Job, pool: Pool) -> tuple[str, int]:
    """GPU class and memory: what the job names, else what the site has and the pool admits."""
    wanted, least = job.shape.gpu_class, job.shape.gpu_memory_bytes
    there = [group for group in site.machines if group.gpus]
    alike = [group for group in there if group.gpu_class == (wanted or group.gpu_class)]
    usable = [g for g in alike if pool.admits(g.gpu_class)]
    enough = [group for group in usable if job.shape.accepts(group)]
    best = next(iter(enough or usable), None)
    if best is not None:
        return best.gpu_class, max(least, best.gpu_memory_bytes)
    return wanted or min(pool.gpu_classes, default=""), least
