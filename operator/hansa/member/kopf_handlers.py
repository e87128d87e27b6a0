"""The agent's kopf handlers: changes of the policy and of machines.

Events only change what the context knows and wake who cares; nothing is decided or written in a
handler, and kopf keeps no state in anybody's annotations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hansa.api.kinds import MEMBERPOLICY
from hansa.api.meta import GROUP, VERSION
from hansa.member.cluster.policy import NAME, read_policy
from hansa.member.context import AgentContext
from hansa.observability import events
from hansa.process.lean_kopf import kopf
from hansa.reconcile.member.inventory.lost_machines import is_ready


def add_handlers(
    registry: kopf.OperatorRegistry, context: Callable[[], AgentContext | None]
) -> None:
    """Have kopf follow policy and machines; ``context``: None while this replica waits."""

    @kopf.on.event(GROUP, VERSION, MEMBERPOLICY.plural, registry=registry)
    def policy(event: Any, **_: Any) -> None:
        at = context()
        if at is not None:
            take_policy(at, event["type"], dict(event["object"]))
            at.policy_changed.set()

    @kopf.on.event("", "v1", "nodes", registry=registry)
    def machine(event: Any, **_: Any) -> None:
        at = context()
        if at is not None:
            take_machine(at, event["type"], dict(event["object"]))


def take_policy(context: AgentContext, kind: str | None, manifest: dict[str, Any]) -> None:
    """Put a change of the policy into force; policies of another name mean nothing."""
    if manifest["metadata"]["name"] != NAME:
        return
    before = context.cluster_state.policy
    policy = read_policy(None if kind == "DELETED" else manifest)
    if policy == before:
        return
    context.cluster_state.put_policy(policy)
    if policy.spec is not None and policy.generation != before.generation:
        context.emit(events.policy_enforced(context.policy_subject(), policy.generation))
    # A forgotten grant of a hub that was not trusted was passed over, and no event of its own comes.
    for name in (*context.run_index.names(), *context.forgotten):
        context.runs.add(name)
    context.dirty.set()


def take_machine(context: AgentContext, kind: str | None, node: dict[str, Any]) -> None:
    """Take a change of a machine in."""
    name, state, at_s = node["metadata"]["name"], context.cluster_state, context.clock.monotonic()
    if kind == "DELETED":
        state.lost_machines.removed(name, at_s)
        state.drop_machine(name)
        changed = True
    else:
        state.lost_machines.seen(name, at_s, ready=is_ready(node))
        changed = state.put_machine(node)
    if changed:
        context.dirty.set()
        context.policy_changed.set()
