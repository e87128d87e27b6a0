"""What finished and interrupted work tells the planner: run times, faded use, preemptions caused.

Everything is read from AIJob statuses, so a hub that restarts knows what its predecessor knew. A
deleted AIJob is forgotten.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hansa.model.history import Group, RunTimes, groups_of
from hansa.model.snapshot import Pool
from hansa.model.times import from_rfc3339
from hansa.reconcile.hub.job_view import Catalog, JobView

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class JobPast:
    """What one AIJob's status tells of the past."""

    namespace: str
    pool: str
    gpus: int = 0
    max_runtime_s: int = 0
    """Run time it had asked for."""
    wall_s: int = 0
    """Run time; 0 while it has not ended."""
    gpu_seconds: int = 0
    finished_s: float = 0.0
    preempted: tuple[tuple[str, float], ...] = ()
    """(institution in whose favour, when)."""


@dataclass(frozen=True, slots=True)
class Past:
    """The past as the planner takes it in."""

    history: Mapping[Group, RunTimes] = field(default_factory=dict)
    usage_gpu_s: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(pool, institution) → GPU-seconds of ended work, faded."""
    preemptions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Pool → institution → preemptions it caused in the past hour."""


def past_of(job: JobView) -> JobPast | None:
    """Return what a job's status tells; None where it tells nothing."""
    spec, status = job.parsed.spec, job.status
    preempted = tuple(_preemptions(status))
    finished_s = from_rfc3339(status.get("finishedAt")) if job.ended else None
    if spec is None or (finished_s is None and not preempted):
        return None
    usage = status.get("usage") or {}
    ended = finished_s is not None
    return JobPast(
        namespace=job.namespace,
        pool=spec.pool,
        gpus=job.workers * spec.ray.workers.gpus,
        max_runtime_s=spec.max_runtime_seconds,
        wall_s=int(usage.get("wallSeconds", 0)) if ended else 0,
        gpu_seconds=int(usage.get("gpuSeconds", 0)) if ended else 0,
        finished_s=finished_s or 0.0,
        preempted=preempted,
    )


def run_times(rows: Iterable[JobPast], institutions: Mapping[str, str]) -> dict[Group, RunTimes]:
    """Return how long work of each group ran. ``institutions``: by namespace."""
    seen: defaultdict[Group, list[float]] = defaultdict(list)
    for row in rows:
        institution = institutions.get(row.namespace)
        if institution and row.wall_s > 0:
            asked = {"gpus": row.gpus, "max_runtime_s": row.max_runtime_s}
            for group in groups_of(institution, **asked):
                seen[group].append(row.wall_s)
    return {group: RunTimes.fit(durations_s) for group, durations_s in seen.items()}


def faded_usage(
    rows: Iterable[JobPast], catalog: Catalog, now_s: float
) -> dict[tuple[str, str], int]:
    """Return the use of ended work where a pool counts it: half of it after each half-life."""
    used: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        parsed = catalog.pools.get(row.pool)
        half_life_s = parsed.pool.usage_half_life_s if parsed else None
        institution = catalog.institutions.get(row.namespace)
        if half_life_s and institution and row.gpu_seconds:
            age_s = max(0.0, now_s - row.finished_s)
            used[row.pool, institution] += row.gpu_seconds * 0.5 ** (age_s / half_life_s)
    return {key: int(gpu_s) for key, gpu_s in used.items()}


def recent_preemptions(rows: Iterable[JobPast], now_s: float) -> dict[str, Counter[str]]:
    """Return, pool by pool, how often each institution had work stopped in the past hour."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for institution, at_s in row.preempted:
            if now_s - at_s < HOUR_S:
                found[row.pool][institution] += 1
    return dict(found)


def with_past(pool: Pool, past: Past) -> Pool:
    """Return a pool with what the past means for it."""
    caused = past.preemptions.get(pool.name, {})
    if pool.usage_half_life_s is None:
        return replace(pool, recent_preemptions=caused) if caused else pool
    shares = tuple(
        replace(row, past_usage_gpu_s=past.usage_gpu_s.get((pool.name, row.institution), 0))
        for row in pool.shares
    )
    return replace(pool, shares=shares, recent_preemptions=caused)


def _preemptions(status: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    rows = status.get("preemptions")
    for row in rows if isinstance(rows, list) else ():
        at_s = from_rfc3339(row.get("at"))
        if at_s is not None:
            yield str(row.get("inFavourOf", "")), at_s
