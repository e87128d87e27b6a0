"""The hub's kopf handlers: they put the low-rate kinds into the caches, and decide nothing.

AIJobs and WorkGrants do not come this way: one event through kopf costs fifty times one through the
reflector.
"""

from __future__ import annotations

from typing import Any

import kopf

from hansa.adapters.kube.mirror import Mirror
from hansa.api.kinds import COMPUTEPOOL, PROJECT, SOVEREIGNNODE
from hansa.api.meta import GROUP, VERSION
from hansa.hub.caches import Caches


def feed_caches(registry: kopf.OperatorRegistry, caches: Caches) -> None:
    """Have kopf follow the low-rate kinds."""
    _feed(registry, (GROUP, VERSION, SOVEREIGNNODE.plural), caches.nodes)
    _feed(registry, (GROUP, VERSION, COMPUTEPOOL.plural), caches.pools)
    _feed(registry, (GROUP, VERSION, PROJECT.plural), caches.projects)
    _feed(registry, ("", "v1", "namespaces"), caches.namespaces)


def _feed(registry: kopf.OperatorRegistry, resource: tuple[str, str, str], into: Mirror) -> None:
    @kopf.on.event(*resource, id=resource[2], registry=registry)
    async def feed(event: Any, **_: Any) -> None:
        thing = dict(event["object"])
        thing["metadata"] = dict(thing["metadata"])
        if event["type"] == "DELETED":
            into.drop(thing)
        else:
            into.put(thing)
