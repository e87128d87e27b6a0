"""What the rules say about one job at every site, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hansa.model.plan import Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Pool, Site, Snapshot
from hansa.placement.explain.waiting import site_reasons
from hansa.placement.rules.eligibility import JobClass
from hansa.placement.state.league import League
from hansa.placement.state.records import Record


def verdicts(snapshot: Snapshot, job_uid: str) -> list[Verdict]:
    """One verdict a site of the job's pool, gravest first; Pending where it could run.

    Empty for an unknown job or pool.
    """
    league, job = alone(snapshot, job_uid)
    return [] if job is None else rulings(league, league.records[job_uid])


def rulings(league: League, record: Record) -> list[Verdict]:
    """The same for a job of a compiled league."""
    if record.kind < 0:
        return []
    pool, kind = league.pools[record.job.pool], league.kinds.kinds[record.kind]
    reasons = zip(league.fleet.sites, site_reasons(league, record.kind), strict=True)
    found = [
        _verdict(pool, record.job, kind, site, why) for site, why in reasons if why is not None
    ]
    return sorted(found, key=lambda verdict: (verdict.reason.gravity, verdict.site))


def removed(told: Iterable[Verdict]) -> Mapping[Reason, int]:
    """Rule → sites that it, as the first, removed; gravest first."""
    counts = Counter(verdict.reason for verdict in told if verdict.reason is not Reason.PENDING)
    return {reason: counts[reason] for reason in sorted(counts, key=lambda r: r.gravity)}


def alone(snapshot: Snapshot, job_uid: str) -> tuple[League, Job | None]:
    """The job in a league of its own, with the sites and rules as they are."""
    job = next((job for job in snapshot.jobs if job.uid == job_uid), None)
    return League(replace(snapshot, jobs=() if job is None else (job,))), job


def _verdict(pool: Pool, job: Job, kind: JobClass, site: Site, reason: Reason) -> Verdict:
    if site.unavailable is not None and reason in {site.unavailable, Reason.PENDING}:
        return Verdict(site.name, site.unavailable, site.unavailable_message)
    if reason is Reason.PENDING and site.draining:
        return Verdict(site.name, Reason.NODE_CORDONED, "the node is being drained")
    return Verdict(site.name, reason, _message(pool, job, kind, site)[reason])


def _wanted(kind: JobClass, pool: Pool) -> str:
    """The GPU that the job asks for, as far as it does, and what its pool admits."""
    name, memory = kind.shape.gpu_class, kind.shape.gpu_memory_bytes
    words = name or "GPU"
    if memory:
        words += f" of at least {memory >> 30} GiB"
    if pool.gpu_classes and not name:
        words += f" that pool {pool.name} admits ({', '.join(sorted(pool.gpu_classes))})"
    elif pool.gpu_classes and name not in pool.gpu_classes:
        words += f"; pool {pool.name} admits {', '.join(sorted(pool.gpu_classes))} only"
    return words


def _message(pool: Pool, job: Job, kind: JobClass, site: Site) -> Mapping[Reason, str]:
    """What each rule saw."""
    shape = kind.shape
    law = ", ".join(sorted(site.legal_control)) or "no declared law"
    lost = sorted(set(kind.data) - set(site.datasets))
    why = [f"does not hold {', '.join(lost)}"]
    why += [site.disbelieved[name] for name in lost if name in site.disbelieved]
    wanted = _wanted(kind, pool)
    size = f"{kind.workers} × {shape.gpus} GPUs"
    return {
        Reason.PENDING: "",
        Reason.UNKNOWN_JURISDICTION: "its rules name a place that does not exist",
        Reason.POOL_MISCONFIGURED: f"the rules of pool {pool.name} mean nothing",
        Reason.JURISDICTION_DISPUTED: f"{site.jurisdiction} under {law} is not fully known or declared",
        Reason.RESIDENCY_DENIED: f"stands in {site.jurisdiction}",
        Reason.LEGAL_CONTROL_DENIED: f"its operator is reached by {law}",
        Reason.DATA_ELSEWHERE: "; ".join(why),
        Reason.ASSURANCE_TOO_LOW: f"has L{site.assurance}, L{max(job.assurance, pool.assurance)} is needed",
        Reason.NO_SUCH_ACCELERATOR: f"lends no {wanted}",
        Reason.EXCEEDS_NODE_SHAPE: f"cannot hold {size} with their CPU and memory even when idle",
        Reason.EXCEEDS_CAP: f"{kind.gpus} GPUs at one party are more than a cap of {pool.name} ever allows",
        Reason.OVER_BUDGET: "the longest run time costs more here than the budget",
        Reason.MISCONFIGURED: "its price is not a number",
        Reason.NODE_REFUSED: job.refused_by.get(site.name, ""),
    }
