"""Jobs with their epochs as the planner is given them."""

from __future__ import annotations

from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.job_view import Catalog
from hansa.reconcile.hub.nodes import parse_node, view_node
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, epoch_of, plan_job
from tests.residency_kit import EVERYWHERE
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, grant_manifest, node_manifest

SKEW_S = 60.0
POOLS = {
    name: parse_pool({"metadata": {"name": name}, "spec": {"residency": EVERYWHERE}})
    for name in ("z-pool", "league")
}
CATALOG = Catalog(POOLS, {"clinic": "clinic"}, frozenset({"scans"}), "EUR")


def node(name="tartu", status=None, **spec):
    parsed = parse_node(node_manifest(name, status, **spec), LIMITS)
    return view_node(parsed, NOW_S, NOW_S, LIMITS)


def epoch(number=1, where="tartu", status=None, *, released=False, now_s=NOW_S, **more):
    lease_s = more.pop("lease_s", None)
    grant = parse_grant(grant_manifest(where, number, status, **more))
    return epoch_of(grant, released=released, lease_s=lease_s, now_s=now_s, skew_s=SKEW_S)


def planned(job, *epochs, league=None, **more):
    return plan_job(
        job, epochs, league or LeagueView(1, {"tartu": node()}, CATALOG), NOW_S + 40, **more
    )
