"""Whether a hub leads: what it wrote last may be old, and looks the same as what it wrote just now.

The Lease is the one thing a hub writes every few seconds. A hub that stands by renews nothing, so a
Lease that is held and fresh means that somebody plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hansa.adapters.clock import SystemClock
from hansa.cli.health.finding import Finding
from hansa.errors import HansaError
from hansa.model.times import from_rfc3339
from hansa.ports import Clock, Cluster, Manifest

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
    """Return whether a hub leads here, by the API server's clock; never raises."""
    try:
        leases = await find_leases(cluster, name)
    except HansaError as error:
        return Finding(CHECK, None, f"whether a hub works cannot be told: {error}")
    now_s = (clock or SystemClock()).now() + (cluster.server_time_skew_s or 0.0)
    return judge_leases(leases, now_s, name)


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
