"""kopf as the agent's front door: process lifecycle, login, and the events of two quiet kinds.

Events only change what the context knows and wake who cares; nothing is decided or written in a
handler, and kopf keeps no state in anybody's annotations.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from hansa.adapters.kube.config import Connection
from hansa.api.kinds import MEMBERPOLICY
from hansa.api.meta import GROUP, VERSION
from hansa.member.cluster.policy import NAME, read_law
from hansa.member.context import AgentContext
from hansa.observability import events

log = logging.getLogger(__name__)
Hook = Callable[[], Awaitable[None]]


def build_registry(
    context: Callable[[], AgentContext | None], connection: Connection, *, start: Hook, stop: Hook
) -> kopf.OperatorRegistry:
    """Return a registry with the agent's few handlers; ``context``: None while this replica waits."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def startup(**_: Any) -> None:
        await start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await stop()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return _login(connection)

    @kopf.on.event(GROUP, VERSION, MEMBERPOLICY.plural, registry=registry)
    def policy(event: Any, **_: Any) -> None:
        at = context()
        if at is not None:
            take_policy(at, event["type"], dict(event["object"]))
            at.law_changed.set()

    @kopf.on.event("", "v1", "nodes", registry=registry)
    def machine(event: Any, **_: Any) -> None:
        at = context()
        if at is not None:
            take_machine(at, event["type"], dict(event["object"]))

    return registry


def build_settings() -> kopf.OperatorSettings:
    """Return settings that keep kopf to watching."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    return settings


def take_policy(context: AgentContext, kind: str | None, policy: dict[str, Any]) -> None:
    """Put a change of the policy into force; other names than the one law mean nothing."""
    if policy["metadata"]["name"] != NAME:
        return
    law = read_law(None if kind == "DELETED" else policy)
    if law == context.site.law:
        return
    before = context.site.law
    context.site.decree(law)
    if law.spec is not None and law.generation != before.generation:
        context.emit(events.policy_enforced(context.policy_subject(), law.generation))
    for name in context.run_index.names():
        context.runs.put(name)
    context.dirty.set()


def take_machine(context: AgentContext, kind: str | None, node: dict[str, Any]) -> None:
    """Take a change of a machine in."""
    if kind == "DELETED":
        context.site.drop_machine(node["metadata"]["name"])
        context.dirty.set()
    elif context.site.put_machine(node):
        context.dirty.set()


def _login(place: Connection) -> kopf.ConnectionInfo:
    """Translate our connection; kopf re-reads a rotated token by asking again after a 401."""
    token = place.token_file.read_text().strip() if place.token_file else place.token
    return kopf.ConnectionInfo(
        server=place.server,
        ca_path=str(place.ca_file) if place.ca_file else None,
        ca_data=place.ca_pem.encode() or None,
        certificate_path=str(place.certificate_file) if place.certificate_file else None,
        certificate_data=place.certificate_pem.encode() or None,
        private_key_path=str(place.key_file) if place.key_file else None,
        private_key_data=place.key_pem.encode() or None,
        token=token or None,
        default_namespace=place.namespace,
    )
