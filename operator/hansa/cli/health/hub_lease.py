"""Whether a hub leads: what it wrote last may be old, and looks the same as what it wrote just now.

A Lease is the one thing a hub writes every few seconds. A hub that stands by renews nothing, so a
Lease that is held and fresh means that somebody plans. Pools that have a leader of their own have a Lease each;
the main hub's names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hansa.adapters.clock import SystemClock
from hansa.api.kinds import COMPUTEPOOL
from hansa.cli.health.finding import Finding
from hansa.errors import HansaError
from hansa.model.times import from_rfc3339
from hansa.ports import Clock, Cluster, Manifest
from hansa.reconcile.hub.leaders.claims import claim_name, led_elsewhere

if TYPE_CHECKING:
    from hansa.adapters.kube.client import KubeCluster

LEASES = "/apis/coordination.k8s.io/v1/leases"
LEASE = "hansa-hub"
"""The setting's default; another name is read from the Deployment."""
TOLERANCE_S = 60
"""Clocks of hub and API server may differ by so much (the default of grants.clockSkewSeconds)."""
CHECK = "Hub"


async def find_leases(cluster: Cluster, name: str = LEASE) -> list[Manifest]:
    """Return the hub's Lease, in whichever namespace: allowed to whoever may list it by its name."""
    return (await cluster.list(LEASES, fields=f"metadata.name={name}")).items


async def ask_for_hub(
    cluster: KubeCluster, name: str = LEASE, clock: Clock | None = None
) -> Finding:
    """Return whether every pool has its leader, by the API server's clock; never raises."""
    try:
        leases = await find_leases(cluster, name)
        pools = sorted(frozenset[str]().union(*map(led_elsewhere, leases)))
        of_pools = {pool: await find_leases(cluster, claim_name(name, pool)) for pool in pools}
    except HansaError as error:
        return Finding(CHECK, None, f"whether a hub works cannot be told: {error}")
    now_s = (clock or SystemClock()).now() + (cluster.server_time_skew_s or 0.0)
    main = judge_leases(leases, now_s, name)
    there_are = await _pools_there(cluster) if pools else None
    others = [judge_pool(p, found, now_s, name, there_are) for p, found in of_pools.items()]
    faults = [one.detail for one in (main, *others) if not one.good]
    told = "; ".join(faults or [one.detail for one in (main, *others)])
    return Finding(CHECK, good=not faults, detail=told)


async def _pools_there(cluster: Cluster) -> frozenset[str] | None:
    try:
        found = (await cluster.list(COMPUTEPOOL.path())).items
    except HansaError:
        return None
    return frozenset(pool["metadata"]["name"] for pool in found)


def judge_pool(
    pool: str,
    leases: Sequence[Manifest],
    now_s: float,
    name: str = LEASE,
    there_are: frozenset[str] | None = None,
) -> Finding:
    """Return whether a pool with a leader of its own is led, and exists.

    ``there_are``: the names of all pools; None: they are not known.
    """
    lease = claim_name(name, pool)
    found = judge_leases(leases, now_s, lease)
    give_back = f"take it out of `leaders` in the chart's values and delete Lease {lease}"
    if there_are is not None and pool not in there_are:
        text = f"pool {pool} is claimed by a leader and does not exist: make it, or {give_back}"
        return Finding(CHECK, good=False, detail=text)
    way_out = "" if found.good else f"; its hub has to run, or {give_back}"
    return Finding(CHECK, found.good, f"pool {pool}: {found.detail}{way_out}")


def judge_leases(leases: Sequence[Manifest], now_s: float, name: str = LEASE) -> Finding:
    """Return whether one of ``leases`` is held and fresh; ``now_s`` is the API server's time."""
    if not leases:
        return Finding(
            CHECK, good=False, detail=f"no hub has ever led here: there is no Lease {name}"
        )
    findings = [_judge(lease, now_s) for lease in leases]
    return next((one for one in findings if one.good), findings[0])


def _judge(lease: Manifest, now_s: float) -> Finding:
    meta, spec = lease["metadata"], lease.get("spec") or {}
    which = f"Lease {meta.get('namespace')}/{meta['name']}"
    holder, renewed_s = spec.get("holderIdentity"), from_rfc3339(spec.get("renewTime"))
    duration = spec.get("leaseDurationSeconds")
    age_s = now_s - (renewed_s if renewed_s is not None else float("-inf"))
    told = f"{which}, {'never renewed' if renewed_s is None else f'last renewed {span(age_s)} ago'}"
    if not holder:
        return Finding(CHECK, good=False, detail=f"no hub leads: nobody holds {told}")
    fresh_s = TOLERANCE_S + (duration if isinstance(duration, int) else 0)
    if age_s > fresh_s:
        return Finding(CHECK, good=False, detail=f"no hub works: {holder} held {told}")
    return Finding(CHECK, good=True, detail=f"{holder} leads: {told}")


def span(seconds: float) -> str:
    """Return a length of time in its largest unit.

    >>> span(7300)
    '2 h'
    """
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
