"""kopf as the hub's front door: process lifecycle, login, and the events of the low-rate kinds.

Thin on purpose: handlers put objects into the mirrors. No state in annotations, no results, no
diffs, a registry of our own. AIJobs and WorkGrants do not come this way: one event through kopf
costs fifty times one through the reflector.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.reflector import Mirror
from hansa.api.kinds import COMPUTEPOOL, SOVEREIGNNODE
from hansa.api.meta import GROUP, VERSION
from hansa.hub.caches import Caches

Hook = Callable[[], Awaitable[None]]


def build_registry(
    caches: Caches, connection: Connection, *, start: Hook, stop: Hook
) -> kopf.OperatorRegistry:
    """Return a registry with the hub's few handlers."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection_info(connection)

    @kopf.on.startup(registry=registry)
    async def startup(**_: Any) -> None:
        await start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await stop()

    _feed(registry, (GROUP, VERSION, SOVEREIGNNODE.plural), caches.nodes)
    _feed(registry, (GROUP, VERSION, COMPUTEPOOL.plural), caches.pools)
    _feed(registry, ("", "v1", "namespaces"), caches.namespaces)
    _feed(registry, ("certificates.k8s.io", "v1", "certificatesigningrequests"), caches.csrs)
    return registry


def build_settings() -> kopf.OperatorSettings:
    """Return settings that keep kopf to watching."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    # Then kopf kills this process; in a pod the kubelet is sooner.
    settings.process.ultimate_exiting_timeout = 60
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    return settings


def connection_info(connection: Connection) -> kopf.ConnectionInfo:
    """Return our connection in kopf's words."""
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_path=connection.ca_file,
        ca_data=connection.ca_pem or None,
        token=connection.token_file.read_text().strip()
        if connection.token_file
        else (connection.token or None),
        certificate_path=connection.certificate_file,
        certificate_data=connection.certificate_pem or None,
        private_key_path=connection.key_file,
        private_key_data=connection.key_pem or None,
        default_namespace=connection.namespace,
    )


def _feed(registry: kopf.OperatorRegistry, resource: tuple[str, str, str], into: Mirror) -> None:
    @kopf.on.event(*resource, id=resource[2], registry=registry)
    async def feed(event: Any, **_: Any) -> None:
        thing = dict(event["object"])
        thing["metadata"] = dict(thing["metadata"])
        if event["type"] == "DELETED":
            into.drop(thing)
        else:
            into.put(thing)
