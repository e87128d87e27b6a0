"""Where a job may ever run, computed with sets: slow, obvious, and no part of the planner.

The simulator and the benchmarks check every decision of every policy against it.
"""

from __future__ import annotations

from hansa.model import places
from hansa.model.snapshot import Job, PlaceSet, Pool, ResidencyRule, Site, Snapshot


class Lawful:
    """Eligible sites of the jobs of one snapshot; equal rules are computed once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._pools = {pool.name: pool for pool in snapshot.pools}
        self._memo: dict[object, tuple[str, ...]] = {}

    def sites(self, job: Job) -> tuple[str, ...]:
        """Names of the sites where the law, the data and the assurance admit the job, in order.

        Capacity, availability and refusals are other questions.
        """
        key = (job.pool, job.residency, job.assurance, job.data)
        if key not in self._memo:
            pool = self._pools[job.pool]
            self._memo[key] = tuple(
                site.name for site in self._snapshot.sites if self._admits(site, job, pool)
            )
        return self._memo[key]

    def _admits(self, site: Site, job: Job, pool: Pool) -> bool:
        rules = [job.residency, pool.ceiling]
        rules += [site.dataset_rules[name] for name in job.data if name in site.dataset_rules]
        return (
            _in_pool(site, pool)
            and bool(site.legal_control)
            and site.assurance >= max(job.assurance, pool.assurance)
            and all(name in site.datasets for name in job.data)
            and all(_passes(rule, site, pool) for rule in rules)
        )


def _in_pool(site: Site, pool: Pool) -> bool:
    by_name = pool.site_names is None or site.name in pool.site_names
    around = places.lineage(site.jurisdiction)
    return by_name and (not pool.site_jurisdictions or bool(around & pool.site_jurisdictions))


def _passes(rule: ResidencyRule, site: Site, pool: Pool) -> bool:
    laws = site.legal_control
    return _inside(rule.location, site.jurisdiction, pool) and all(
        _inside(rule.legal_control, law, pool) for law in laws
    )


def _inside(places_: PlaceSet, jurisdiction: str, pool: Pool) -> bool:
    around = places.lineage(jurisdiction)
    return bool(around & _spelled_out(places_.allow, pool)) and not (
        around & _spelled_out(places_.deny, pool)
    )


def _spelled_out(names: frozenset[str], pool: Pool) -> frozenset[str]:
    """The names with every overlay replaced by its places; a circle of overlays adds nothing."""
    known: frozenset[str] = frozenset()
    new = names
    while new:
        known |= new
        inner = (
            pool.overlays.get(name.removeprefix(places.OVERLAY_PREFIX), frozenset())
            for name in new
            if name.startswith(places.OVERLAY_PREFIX)
        )
        new = frozenset().union(*inner) - known
    return known
