"""Where work may run by law, data and membership, by plain sets and apart from the product's code.

The one oracle: the simulator and the benchmarks check every decision of every policy by it, the demo
its report and audit, the tests the planner's bitsets and the member's own reading. It shares only
the table of blocs with them. A place or an overlay it does not know is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hansa.api.places import BLOCS
from hansa.model.snapshot import Job, PlaceSet, Pool, Site, Snapshot

OVERLAY = "overlay/"
Overlays = Mapping[str, Iterable[str]]


def around(jurisdiction: str) -> frozenset[str]:
    """Return everything a country or region lies in, itself included."""
    country = jurisdiction.split("-", maxsplit=1)[0]
    blocs = {bloc for bloc, countries in BLOCS.items() if country in countries}
    if not blocs:
        raise ValueError(f"{jurisdiction} is no place")
    return frozenset({jurisdiction, country} | blocs)


def lets_in(
    jurisdiction: str, allow: Iterable[str], deny: Iterable[str], overlays: Overlays | None = None
) -> bool:
    """Tell whether two lists of places let a jurisdiction in; deny wins."""
    here, named = around(jurisdiction), overlays or {}
    return bool(here & _spelled_out(allow, named)) and not here & _spelled_out(deny, named)


def _spelled_out(names: Iterable[str], overlays: Overlays) -> frozenset[str]:
    """Return the names and all that stands in overlays among them; a circle adds nothing."""
    known: set[str] = set()
    new = set(names)
    while new:
        known |= new
        lists = [overlays[name.removeprefix(OVERLAY)] for name in new if name.startswith(OVERLAY)]
        new = {place for places in lists for place in places} - known
    return frozenset(known)


def is_within(rule: PlaceSet, jurisdiction: str, overlays: Overlays) -> bool:
    """Tell whether one test of a residency rule lets a jurisdiction in."""
    return lets_in(jurisdiction, rule.allow, rule.deny, overlays)


def is_member(site: Site, pool: Pool) -> bool:
    """Tell whether a pool's selector chooses a site."""
    named = pool.site_names is None or site.name in pool.site_names
    chosen = pool.site_jurisdictions
    return named and (not chosen or bool(around(site.jurisdiction) & chosen))


def is_lawful(snapshot: Snapshot, job: Job, site: Site) -> bool:
    """Tell whether a site passes every rule that binds a job: its own, the pool's, its data's.

    A site of undeclared legal control passes nothing.
    """
    pool = next(pool for pool in snapshot.pools if pool.name == job.pool)
    of_data = [site.dataset_rules[name] for name in job.data if name in site.dataset_rules]
    return bool(site.legal_control) and all(
        is_within(rule.location, site.jurisdiction, pool.overlays)
        and all(is_within(rule.legal_control, law, pool.overlays) for law in site.legal_control)
        for rule in (job.residency, pool.ceiling, *of_data)
    )


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
            self._memo[key] = tuple(
                site.name for site in self._snapshot.sites if self._admits(site, job)
            )
        return self._memo[key]

    def _admits(self, site: Site, job: Job) -> bool:
        pool = self._pools[job.pool]
        return (
            is_member(site, pool)
            and site.assurance >= max(job.assurance, pool.assurance)
            and all(name in site.datasets for name in job.data)
            and is_lawful(self._snapshot, job, site)
        )
