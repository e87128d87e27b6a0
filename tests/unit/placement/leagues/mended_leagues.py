"""What undoes each fault of a league for one job: by code of the tests alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, PlaceSet, Pool, ResidencyRule, Share, Site, Snapshot
from tests.unit.placement.leagues.faulty_leagues import (
    CLOSED,
    PLENTY,
    grown,
    of_jobs,
    of_pools,
    of_sites,
)
from tests.unit.placement.leagues.random_leagues import CLASSES, running


def undone(snapshot: Snapshot, job: Job, reason: Reason, decided: Plan, only: str = "") -> Snapshot:
    """The snapshot without what the reason names, for this job: at the site ``only``, else at all."""
    if reason in _JOBS:
        return _at_job(snapshot, _JOBS[reason](job))
    if reason in CLOSED or reason in _SITES:
        edit = _SITES.get(reason, lambda site, _: _reopened(site, reason))
        return of_sites(lambda site: site if only not in {"", site.name} else edit(site, job))(
            snapshot
        )
    if reason in _POOLS:
        return of_pools(lambda p: _POOLS[reason](p, job) if p.name == job.pool else p)(snapshot)
    return _LEAGUES[reason](snapshot, job, decided)


def _at_job(snapshot: Snapshot, job: Job) -> Snapshot:
    return of_jobs(lambda other: job if other.uid == job.uid else other)(snapshot)


def _without(snapshot: Snapshot, uids: set[str]) -> Snapshot:
    return replace(snapshot, jobs=tuple(job for job in snapshot.jobs if job.uid not in uids))


def _reopened(site: Site, reason: Reason) -> Site:
    if reason is Reason.NODE_CORDONED:
        site = replace(site, draining=False)
    return replace(site, unavailable=None) if site.unavailable is reason else site


def _anywhere(part: str) -> Callable[[Snapshot, Job, Plan], Snapshot]:
    """No rule of anybody on location, or on legal control; the other part stays."""

    def wide(rule: ResidencyRule) -> ResidencyRule:
        return replace(rule, **{part: PlaceSet()})

    def all_wide(rules):
        return {name: wide(rule) for name, rule in rules.items()}

    def edit(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
        del decided
        snapshot = _at_job(snapshot, replace(job, residency=wide(job.residency)))
        snapshot = of_pools(lambda pool: replace(pool, ceiling=wide(pool.ceiling)))(snapshot)
        copies = of_sites(lambda site: replace(site, dataset_rules=all_wide(site.dataset_rules)))
        return copies(snapshot)

    return edit


def _sensible(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
    """No rule names what does not exist."""
    del decided
    free = _at_job(snapshot, replace(job, residency=ResidencyRule()))
    return of_sites(lambda s: replace(s, dataset_rules={}))(free)


def _repaired(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
    del decided
    sound = replace(job, shape=replace(job.shape, workers=max(1, job.shape.workers)), barred=None)
    priced = of_sites(lambda site: replace(site, gpu_hour_price=dict.fromkeys(CLASSES, 100_000)))
    return _at_job(priced(snapshot), sound)


def _roomy(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
    """Room at every site for every job that waits."""
    waiting = {told.job_uid for told in decided.waiting}
    crowd = [other for other in snapshot.jobs if other.uid in waiting]

    def with_room(site: Site) -> Site:
        for other in crowd:
            if other.shape.workers > 0 and other.barred is None:
                site = grown(site, other)
        return site

    del job
    return of_sites(with_room)(snapshot)


def _alone(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
    waiting = {told.job_uid for told in decided.waiting}
    return _without(snapshot, (waiting | {p.job_uid for p in decided.placements}) - {job.uid})


def _cleared(snapshot: Snapshot, job: Job, decided: Plan) -> Snapshot:
    """The plan carried out, what yields for the job gone, and nobody else waiting."""
    later = running(snapshot, decided)
    waiting = {told.job_uid for told in decided.waiting} - {job.uid}
    victims = {stop.job_uid for stop in decided.stops if stop.in_favour_of == job.uid}
    return _without(later, waiting | victims)


def _richer(pool: Pool, job: Job) -> Pool:
    shares = [
        replace(share, nominal_gpus=PLENTY) if share.institution == job.institution else share
        for share in pool.shares
    ]
    return replace(pool, shares=tuple(shares))


def _held(site: Site, job: Job) -> Site:
    return replace(site, datasets=dict.fromkeys({*site.datasets, *job.data}, site.jurisdiction))


_JOBS: dict[Reason, Callable[[Job], Job]] = {
    Reason.SUSPENDED: lambda job: replace(job, barred=None),
    Reason.WAITING_FOR_RELEASE: lambda job: replace(job, barred=None),
    Reason.NO_INSTITUTION: lambda job: replace(job, barred=None),
    Reason.OVER_BUDGET: lambda job: replace(job, budget_micros=None),
    Reason.NODE_REFUSED: lambda job: replace(job, refused_by={}),
}
_SITES: dict[Reason, Callable[[Site, Job], Site]] = {
    Reason.UNKNOWN_DATASET: _held,
    Reason.DATA_ELSEWHERE: _held,
    Reason.JURISDICTION_DISPUTED: lambda s, _: replace(
        s, legal_control=frozenset({s.jurisdiction})
    ),
    Reason.ASSURANCE_TOO_LOW: lambda site, _: replace(site, assurance=4),
    Reason.NO_ACCELERATOR: grown,
    Reason.NO_SUCH_ACCELERATOR: grown,
    Reason.EXCEEDS_NODE_SHAPE: grown,
}
_POOLS: dict[Reason, Callable[[Pool, Job], Pool]] = {
    Reason.NOT_ADMITTED_TO_POOL: lambda pool, job: replace(
        pool, shares=(*pool.shares, Share(job.institution, nominal_gpus=PLENTY))
    ),
    Reason.EXCEEDS_POOL_QUOTA: _richer,
    Reason.WAITING_FOR_QUOTA: _richer,
    Reason.EXCEEDS_CAP: lambda pool, _: replace(pool, caps=()),
    Reason.WAITING_FOR_CAP: lambda pool, _: replace(pool, caps=()),
}
_LEAGUES: dict[Reason, Callable[[Snapshot, Job, Plan], Snapshot]] = {
    Reason.MISCONFIGURED: _repaired,
    Reason.UNKNOWN_JURISDICTION: _sensible,
    Reason.UNKNOWN_POOL: lambda s, job, _: replace(s, pools=(*s.pools, Pool(job.pool))),
    Reason.RESIDENCY_DENIED: _anywhere("location"),
    Reason.LEGAL_CONTROL_DENIED: _anywhere("legal_control"),
    Reason.WAITING_FOR_FAIR_SHARE: _alone,
    Reason.WAITING_FOR_PREEMPTION: _cleared,
    Reason.WAITING_FOR_CAPACITY: _roomy,
}
