"""Nodes, pools and institutions as the planner sees them, recomputed when one of them changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from hansa.adapters.turns import in_turns
from hansa.api.meta import INSTITUTION_LABEL
from hansa.hub.caches import Caches
from hansa.model.snapshot import Pool
from hansa.ports import Manifest
from hansa.reconcile.hub.charging.projects import (
    ParsedProject,
    closed,
    default_project,
    parse_project,
)
from hansa.reconcile.hub.job_view import Catalog, Fault
from hansa.reconcile.hub.leaders.division import Part, pools_of, shared
from hansa.reconcile.hub.nodes import (
    NodeLimits,
    NodeView,
    ParsedNode,
    believed,
    parse_node,
    pins,
    view_node,
)
from hansa.reconcile.hub.pools import ParsedPool, parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, known_datasets

MOST_LOOKED_AT = 100
"""Nodes in one turn of the event loop: some milliseconds."""


class LeagueCache:
    """Builds ``LeagueView`` values; the version moves only when something that matters changed."""

    def __init__(self, caches: Caches, limits: NodeLimits) -> None:
        """Start with an empty league."""
        self._caches = caches
        self._division = caches.division
        self._every_pool: tuple[Pool, ...] = ()
        self._pools_of: dict[tuple[str, str], frozenset[str]] = {}
        """Name and jurisdiction of a node → its pools, as long as the pools stay."""
        self._limits = limits
        self._nodes: dict[str, tuple[str, ParsedNode]] = {}
        self._pools: dict[str, tuple[str, ParsedPool]] = {}
        self._projects: dict[str, tuple[str, ParsedProject]] = {}
        self._pins: dict[str, frozenset[str]] = {}
        self._looks = asyncio.Lock()
        """One at a time: what a longer look began with must not come after what a later one has found."""
        self.view = LeagueView(0, catalog=Catalog({}, {}, frozenset(), limits.currency))

    async def refresh(self, now_s: float) -> bool:
        """Look again, in turns of the event loop; tell whether anything changed that a plan depends on.

        Until something did, ``view`` stays the very same value, whatever heartbeats say.
        """
        async with self._looks:
            pools = self._look_at_rules()
            nodes = dict[str, NodeView]()
            async for name in in_turns([*self._caches.nodes], MOST_LOOKED_AT):
                view = self.look_at(name, now_s)
                if view is not None:
                    nodes[name] = view
            return self._take(pools, nodes, now_s)

    def refresh_now(self, now_s: float) -> bool:
        """Look again in one turn: before a new leader writes anything."""
        pools = self._look_at_rules()
        every = self._caches.nodes.items()
        nodes = {name: self._view(name, thing, now_s) for name, thing in every}
        return self._take(pools, nodes, now_s)

    def _look_at_rules(self) -> Mapping[str, ParsedPool]:
        """Look at what all nodes are seen by; returns the pools."""
        every = self._caches.nodes.items()
        self._pins = pins(self._node(name, thing) for name, thing in every)
        pools = {name: self._pool(name, thing) for name, thing in self._caches.pools.items()}
        self._look_at_pools(pools)
        return pools

    def _take(
        self, pools: Mapping[str, ParsedPool], nodes: Mapping[str, NodeView], now_s: float
    ) -> bool:
        catalog = Catalog(
            pools={name: row for name, row in pools.items() if self._division.leads(name)},
            institutions=self._institutions(),
            datasets=known_datasets(nodes.values()),
            currency=self._limits.currency,
            projects=self._closed_projects(now_s),
            default_projects=self._default_projects(),
            pools_elsewhere=frozenset(name for name in pools if not self._division.leads(name)),
        )
        elsewhere = frozenset(n for n, v in nodes.items() if self._part(v.parsed) is Part.OTHERS)
        before = self.view
        if catalog == before.catalog:
            catalog = before.catalog
            if elsewhere == before.elsewhere and _matter(nodes) == _matter(before.nodes):
                return False
        self.view = LeagueView(before.version + 1, nodes, catalog, elsewhere)
        return True

    def keeps(self, name: str) -> bool:
        """Tell whether this hub gives a node its rights and writes its status.

        What belongs to a node that is gone is the main hub's to clear away.
        """
        thing = self._caches.nodes.get(name)
        if thing is None:
            return self._division.is_main
        return self._division.keeps(self._part(self._node(name, thing)))

    def _look_at_pools(self, pools: Mapping[str, ParsedPool]) -> None:
        every = tuple(row.pool for _, row in sorted(pools.items()))
        if every != self._every_pool:
            self._every_pool, self._pools_of = every, {}

    def _part(self, node: ParsedNode) -> Part:
        return Part.OWN if self._division.is_whole else self._division.part(self._memberships(node))

    def _memberships(self, node: ParsedNode) -> frozenset[str]:
        key = (node.name, node.site.jurisdiction)
        if key not in self._pools_of:
            self._pools_of[key] = pools_of(node.site, self._every_pool)
        return self._pools_of[key]

    @property
    def lease_grace_s(self) -> float:
        """Seconds without a Lease renewal after which a node counts as silent."""
        return self._limits.lease_grace_s

    def look_at(self, name: str, now_s: float) -> NodeView | None:
        """Return one node as it is now; the league stays as it was."""
        thing = self._caches.nodes.get(name)
        return self._view(name, thing, now_s) if thing is not None else None

    def _view(self, name: str, thing: Manifest, now_s: float) -> NodeView:
        heartbeat_s = self._caches.heartbeat_s(name)
        node = self._node(name, thing)
        view = believed(view_node(node, heartbeat_s, now_s, self._limits), self._pins)
        if self._part(node) is Part.SHARED:
            view = replace(view, site=shared(view.site, self._memberships(node)))
        return view

    def _node(self, name: str, thing: Manifest) -> ParsedNode:
        version = thing["metadata"]["resourceVersion"]
        known = self._nodes.get(name)
        if known is None or known[0] != version:
            known = (version, parse_node(thing, self._limits))
            self._nodes[name] = known
        return known[1]

    def _pool(self, name: str, thing: Manifest) -> ParsedPool:
        version = thing["metadata"]["resourceVersion"]
        known = self._pools.get(name)
        if known is None or known[0] != version:
            known = (version, parse_pool(thing))
            self._pools[name] = known
        return known[1]

    def _closed_projects(self, now_s: float) -> dict[str, Fault | None]:
        """Per project, why nothing new starts now: it changes with time alone, too."""
        found: dict[str, Fault | None] = {}
        for name, thing in self._caches.projects.items():
            version = thing["metadata"]["resourceVersion"]
            known = self._projects.get(name)
            if known is None or known[0] != version:
                known = self._projects[name] = (version, parse_project(thing))
            found[name] = closed(known[1], now_s, self._limits.currency)
        return found

    def _default_projects(self) -> dict[str, str]:
        return {
            name: project
            for name, thing in self._caches.namespaces.items()
            if (project := default_project(thing))
        }

    def _institutions(self) -> dict[str, str]:
        labelled = {}
        for name, thing in self._caches.namespaces.items():
            institution = (thing["metadata"].get("labels") or {}).get(INSTITUTION_LABEL)
            if institution:
                labelled[name] = str(institution)
        return labelled


def _matter(nodes: Mapping[str, NodeView]) -> dict[str, object]:
    """What plans and releases depend on, of each node."""
    return {n: (v.site, v.parsed.accepted, v.parsed.release_key) for n, v in nodes.items()}
