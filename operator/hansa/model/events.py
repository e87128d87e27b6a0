"""What can happen to the league between two plans, as the planner hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hansa.model.snapshot import Job, Pool, Site, Snapshot


@dataclass(frozen=True, slots=True)
class JobArrived:
    """A job was submitted, or its spec, refusals or bar changed: replaces the job of that UID."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobGone:
    """A job finished, failed or was deleted; what it held is free."""

    job_uid: str


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """A site joined, failed, came back, grew, shrank, or changed its prices or policy."""

    site: Site


@dataclass(frozen=True, slots=True)
class SiteGone:
    """A site left the league. What runs there is no longer counted."""

    name: str


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """A pool was made, or its rules changed."""

    pool: Pool


@dataclass(frozen=True, slots=True)
class PoolGone:
    """A pool was deleted. What runs in it is no longer counted, what waits for it cannot start."""

    name: str


Event = JobArrived | JobGone | SiteChanged | SiteGone | PoolChanged | PoolGone


def changes_of_places(before: Snapshot, after: Snapshot) -> Iterator[Event]:
    """What happened to sites and pools between two snapshots."""
    sites = {site.name: site for site in before.sites}
    pools = {pool.name: pool for pool in before.pools}
    yield from (SiteChanged(site) for site in after.sites if sites.pop(site.name, None) != site)
    yield from map(SiteGone, sites)
    yield from (PoolChanged(pool) for pool in after.pools if pools.pop(pool.name, None) != pool)
    yield from map(PoolGone, pools)
