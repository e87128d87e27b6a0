"""The hub's kopf handlers: they put the low-rate kinds into the caches, and decide nothing.

AIJobs, WorkGrants, and what there is of each member, do not come this way: one event through kopf costs
fifty times one through the reflector.
"""

from __future__ import annotations

from typing import Any

from hansa.adapters.kube.mirror import Mirror
from hansa.api.kinds import COMPUTEPOOL, PROJECT
from hansa.api.meta import GROUP, VERSION
from hansa.hub.caches import Caches
from hansa.process.lean_kopf import kopf


def feed_caches(registry: kopf.OperatorRegistry, caches: Caches) -> None:
    """Have kopf follow the low-rate kinds."""
    _feed(registry, (GROUP, VERSION, COMPUTEPOOL.plural), caches.pools)
    _feed(registry, (GROUP, VERSION, PROJECT.plural), caches.projects)


def _feed(registry: kopf.OperatorRegistry, resource: tuple[str, str, str], into: Mirror) -> None:
    @kopf.on.event(*resource, id=resource[2], registry=registry)
    async def feed(event: Any, **_: Any) -> None:
        thing = dict(event["object"])
        thing["metadata"] = dict(thing["metadata"])
        if event["type"] == "DELETED":
            into.drop(thing)
        else:
            into.put(thing)
