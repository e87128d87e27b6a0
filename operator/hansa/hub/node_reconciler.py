"""What is due for nodes and pools: the low-rate kinds that kopf feeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from hansa.adapters.kube.mirror import ChangeType
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.hub.caches import Caches
from hansa.hub.league_cache import LeagueCache
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.loop import PlanningLoop
from hansa.model.plan import Notice
from hansa.ports import Clock, Manifest
from hansa.process.workqueue import LATER, WorkQueue
from hansa.reconcile.hub.actions import (
    Action,
    EmitEvent,
    EnsureNodeAccess,
    RevokeNodeAccess,
    SealToken,
    SetNodeStatus,
    SetPoolStatus,
)
from hansa.reconcile.hub.node_identity import FIRST_TOKEN_S, Rights, needs_token, rights_of
from hansa.reconcile.hub.status.nodes_and_pools import node_status, pool_status, unsound


class NodeReconciler:
    """Derives actions for the keys ``node`` and ``pool``."""

    def __init__(
        self,
        caches: Caches,
        league: LeagueCache,
        plans: PlanningLoop,
        *,
        clock: Clock,
    ) -> None:
        """``league`` says how the nodes are, ``plans`` what the planner makes of them."""
        self._caches = caches
        self._league = league
        self._plans = plans
        self._clock = clock
        self._plan = plans.plan
        self._noticed: dict[tuple[str, str], list[Notice]] = {}

    def keys_for(self, kind: str, change: ChangeType, thing: Manifest) -> Iterator[ObjectKey]:
        """Yield the keys a change concerns."""
        name = thing["metadata"]["name"]
        if kind in ("node", "pool"):
            yield ObjectKey(kind, name)
        if kind == "namespace" and name.startswith(NODE_NAMESPACE_PREFIX) and change == "DELETED":
            node = name.removeprefix(NODE_NAMESPACE_PREFIX)
            self._caches.access.pop(node, None)
            yield ObjectKey("node", node)

    def queue_all(self, queue: WorkQueue[ObjectKey]) -> None:
        """Queue everything there is, and nodes of which only the namespace is left."""
        spaces = (n for n in self._caches.namespaces if n.startswith(NODE_NAMESPACE_PREFIX))
        known = {name.removeprefix(NODE_NAMESPACE_PREFIX) for name in spaces}
        for name in {*self._caches.nodes, *(known - self._caches.access.keys())}:
            if self._league.keeps(name):
                queue.add(ObjectKey("node", name))
        for name in self._caches.pools:
            queue.add(ObjectKey("pool", name), LATER)

    def derive(self, key: ObjectKey) -> tuple[Action, ...]:
        """Return what is due for a key now."""
        return tuple(self._node(key.name) if key.kind == "node" else self._pool(key.name))

    def _node(self, name: str) -> Iterator[Action]:
        if not self._league.keeps(name):
            # What rights it has is not known here any more.
            self._caches.access.pop(name, None)
            return
        thing = self._caches.nodes.get(name)
        view = self._league.look_at(name, self._clock.now())
        rights = rights_of(view)
        if self._caches.access.get(name) != rights:
            yield _access(name, rights)
        if thing is None or view is None:
            return
        present = thing.get("status") or {}
        grace_s = self._league.lease_grace_s
        if rights.roles and needs_token(view, present, self._clock.now(), grace_s=grace_s):
            yield SealToken(name, thing["metadata"]["uid"], rights.key, FIRST_TOKEN_S)
        if not self._plans.planned:
            return
        notices = self._notices("SovereignNode", name)
        status = node_status(view, notices, present, self._clock.now())
        if status is not None:
            yield SetNodeStatus(name, thing["metadata"]["uid"], status)
        yield from _tell("SovereignNode", thing, status)

    def _pool(self, name: str) -> Iterator[Action]:
        thing = self._caches.pools.get(name)
        league = self._league.view
        pool = league.catalog.pools.get(name)
        if thing is None or pool is None or not self._plans.planned:
            return
        snapshot = self._plans.snapshot
        present = thing.get("status") or {}
        notices = self._notices("ComputePool", name)
        status = pool_status(pool, snapshot, notices, present, self._clock.now())
        if status is not None:
            yield SetPoolStatus(name, thing["metadata"]["uid"], status)
        yield from _tell("ComputePool", thing, status)

    def _notices(self, kind: str, name: str) -> Sequence[Notice]:
        """Return what the last full plan found wrong with an object."""
        if self._plans.plan is not self._plan:
            self._plan, self._noticed = self._plans.plan, {}
            for notice in self._plan.notices:
                self._noticed.setdefault((notice.kind, notice.name), []).append(notice)
        return self._noticed.get((kind, name), ())


def _access(node: str, rights: Rights) -> Action:
    if rights.roles:
        return EnsureNodeAccess(node, rights.key)
    return RevokeNodeAccess(node, account=not rights.account)


def _tell(
    about: Literal["SovereignNode", "ComputePool"],
    thing: Manifest,
    status: Mapping[str, Any] | None,
) -> Iterator[EmitEvent]:
    """Yield an event for what has newly been found wrong with an object."""
    found = unsound(status, thing.get("status") or {})
    if found is not None:
        meta, (reason, message) = thing["metadata"], found
        yield EmitEvent(
            "unsound", "", meta["name"], meta["uid"], reason=reason, message=message, about=about
        )
