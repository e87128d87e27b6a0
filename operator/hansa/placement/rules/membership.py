"""Which nodes belong to a pool: the one answer that placing, the pool's status and its caps share."""

from __future__ import annotations

from hansa.api import places
from hansa.model.snapshot import Pool, Site


def is_member(site: Site, pool: Pool) -> bool:
    """Whether a site belongs to a pool: every list that the pool gives must match.

    A jurisdiction of the pool holds the countries and regions inside it, as in residency rules.
    """
    if pool.site_names is not None and site.name not in pool.site_names:
        return False
    chosen = pool.site_jurisdictions
    return not chosen or not places.lineage(site.jurisdiction).isdisjoint(chosen)
