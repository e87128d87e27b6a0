"""What if: the same planner on a changed snapshot. Nothing is written, nothing is simulated.

Each function returns a changed copy; ``compare`` plans both and tells what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hansa.model.plan import Plan
from hansa.model.snapshot import Holding, Job, Machines, Pool, Site, Snapshot
from hansa.placement.planner import plan
from hansa.placement.rules.fleet import vendor_of
from hansa.placement.state.league import League


@dataclass(frozen=True, slots=True)
class Difference:
    """Two plans, and the jobs whose fate is another."""

    before: Plan
    after: Plan
    lost: tuple[str, ...]
    """UIDs placed before and not after."""
    gained: tuple[str, ...]
    moved: tuple[str, ...]
    """Placed in both, elsewhere."""
    uprooted: tuple[str, ...]
    """UIDs that hold resources where there are none after."""


def without_operator(snapshot: Snapshot, operator: str) -> Snapshot:
    """All nodes of an operator gone."""
    gone = frozenset(site.name for site in snapshot.sites if site.operator == operator)
    return without_sites(snapshot, gone)


def without_sites(snapshot: Snapshot, names: frozenset[str]) -> Snapshot:
    """Some nodes gone; their jobs wait again."""
    jobs = tuple(
        replace(job, holdings=tuple(h for h in job.holdings if h.site not in names))
        for job in snapshot.jobs
    )
    sites = tuple(site for site in snapshot.sites if site.name not in names)
    return replace(snapshot, sites=sites, jobs=jobs)


def without_vendor(snapshot: Snapshot, vendor: str) -> Snapshot:
    """All GPUs of a vendor gone, and what ran on them; their machines stay, as plain ones."""
    lost = _on_vendor(snapshot, vendor)
    sites = tuple(
        replace(site, machines=tuple(_plain(group, vendor) for group in site.machines))
        for site in snapshot.sites
    )
    jobs = tuple(
        replace(job, holdings=tuple(h for h in job.holdings if (job.uid, h) not in lost))
        for job in snapshot.jobs
    )
    return replace(snapshot, sites=sites, jobs=jobs)


def without_jobs(snapshot: Snapshot, uids: frozenset[str]) -> Snapshot:
    """Some jobs gone, and what they held free."""
    return replace(snapshot, jobs=tuple(job for job in snapshot.jobs if job.uid not in uids))


def with_job(snapshot: Snapshot, job: Job) -> Snapshot:
    """A job added, or put in the place of the one with its UID."""
    others = tuple(other for other in snapshot.jobs if other.uid != job.uid)
    return replace(snapshot, jobs=(*others, job))


def with_site(snapshot: Snapshot, site: Site) -> Snapshot:
    """A node added or changed (its price, its machines, its law)."""
    others = tuple(other for other in snapshot.sites if other.name != site.name)
    return replace(snapshot, sites=(*others, site))


def with_pool(snapshot: Snapshot, pool: Pool) -> Snapshot:
    """A pool added or its rules changed."""
    others = tuple(other for other in snapshot.pools if other.name != pool.name)
    return replace(snapshot, pools=(*others, pool))


def compare(before: Snapshot, after: Snapshot) -> Difference:
    """Plan both and tell the difference, in the order of job UIDs."""
    one, two = plan(before), plan(after)
    was, will = _where(one), _where(two)
    holds = {job.uid for job in after.jobs if job.holdings}
    held = {job.uid for job in before.jobs if job.holdings}
    return Difference(
        before=one,
        after=two,
        lost=tuple(sorted(was.keys() - will.keys())),
        gained=tuple(sorted(will.keys() - was.keys() - held)),
        moved=tuple(sorted(uid for uid in was.keys() & will.keys() if was[uid] != will[uid])),
        uprooted=tuple(sorted(held - holds)),
    )


def _where(decided: Plan) -> dict[str, tuple[str, ...]]:
    places: dict[str, list[str]] = {}
    for placed in decided.placements:
        places.setdefault(placed.job_uid, []).append(placed.site)
    return {uid: tuple(sorted(sites)) for uid, sites in places.items()}


def vendors(snapshot: Snapshot) -> frozenset[str]:
    """Who makes the league's GPUs."""
    groups = (group for site in snapshot.sites for group in site.machines)
    return frozenset(vendor_of(group.gpu_class) for group in groups if group.gpus)


def _on_vendor(snapshot: Snapshot, vendor: str) -> frozenset[tuple[str, Holding]]:
    """Holdings on a vendor's GPUs: of what class, the planner knows or assumes."""
    league = League(snapshot)
    return frozenset(
        (uid, held.holding)
        for uid, record in league.records.items()
        for held in record.held
        if record.job.shape.gpus and league.fleet.cells[held.cell].vendor == vendor
    )


def _plain(group: Machines, vendor: str) -> Machines:
    if not group.gpus or vendor_of(group.gpu_class) != vendor:
        return group
    return replace(group, gpus=0, gpu_class="", gpu_memory_bytes=0)
