"""Leagues of a few sites and jobs, for tests that look at single decisions."""

from __future__ import annotations

from hansa.model.snapshot import (
    Holding,
    Job,
    Machines,
    Pool,
    PreemptionRule,
    Shape,
    Share,
    Site,
    Snapshot,
)

GIB = 1 << 30
CLASS = "nvidia-l40s"
RULE = PreemptionRule(borrowers=True, max_per_hour=100)


def rack(count: int = 1, gpus: int = 8) -> Machines:
    return Machines(count, gpus, CLASS, 48 * GIB, 64_000, 512 * GIB)


def site(name: str, *, price: int = 1_000_000, **more) -> Site:
    given = {"machines": (rack(),), **more}
    return Site(name, "ut", name, "EE", frozenset({"EE"}), gpu_hour_price={CLASS: price}, **given)


def job(uid: str, *, gpus: int = 8, institution: str = "ut", **more) -> Job:
    given = {"submitted_s": 0, "max_runtime_s": 10_000, **more}
    return Job(uid, f"lab/{uid}", institution, "p", given.pop("shape", Shape(1, gpus)), **given)


def held(uid: str, where: str = "a", *, since: int = 0, workers: int = 1, **more) -> Job:
    return job(uid, holdings=(Holding(where, 1, workers, since, gpu_class=CLASS),), **more)


def league(
    *jobs: Job, sites: tuple[Site, ...] = (site("a"),), pool: Pool | None = None, **more
) -> Snapshot:
    return Snapshot(more.pop("now_s", 5000), sites, (pool or Pool("p"),), jobs, **more)


def pool(**nominal: int) -> Pool:
    """Return a pool where borrowers yield; ``nominal``: GPUs of each institution."""
    shares = tuple(Share(name, nominal_gpus=gpus) for name, gpus in nominal.items())
    return Pool("p", shares=shares, preemption=RULE)


def stopped(decided) -> list[str]:
    return sorted(stop.job_uid for stop in decided.stops)


def placed(decided) -> list[str]:
    return [placement.job_uid for placement in decided.placements]
