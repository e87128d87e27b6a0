"""The league as this user may read it, turned into the planner's snapshot by the hub's own code.

Two things only the hub knows are concluded from what it wrote: a node's heartbeat from its Ready
condition, and the league's currency from the nodes' prices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE
from hansa.api.meta import INSTITUTION_LABEL
from hansa.cli.access import list_if_allowed
from hansa.cli.overview import standing
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.planning import hub_snapshot
from hansa.planning.hub_jobs import League, parse_spec, view_job
from hansa.planning.hub_nodes import NodeLimits, NodeView, parse_node, view_node
from hansa.planning.hub_pools import parse_pool
from hansa.ports import Manifest

DEFAULT_CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Observed:
    """What the API server showed, as raw objects, and when."""

    nodes: Sequence[Manifest]
    pools: Sequence[Manifest]
    namespaces: Sequence[Manifest]
    jobs: Sequence[Manifest]
    now_s: float

    def snapshot(self) -> Snapshot:
        """Return the planner's input, with every job that has not ended."""
        world = self._world()
        views = (view_job(job, parse_spec(job.get("spec") or {})) for job in self.jobs)
        jobs: list[Job] = [
            hub_snapshot.plan_job(view, (), world, self.now_s) for view in views if not view.ended
        ]
        return hub_snapshot.build(world, jobs, self.now_s)

    def _world(self) -> hub_snapshot.World:
        currencies = Counter(node["spec"].get("currency", DEFAULT_CURRENCY) for node in self.nodes)
        currency = max(
            currencies, key=lambda name: (currencies[name], name), default=DEFAULT_CURRENCY
        )
        limits = NodeLimits(lease_grace_s=float("inf"), currency=currency)
        nodes = {view.name: view for view in (self._node(raw, limits) for raw in self.nodes)}
        league = League(
            pools={raw["metadata"]["name"]: parse_pool(raw) for raw in self.pools},
            institutions={
                raw["metadata"]["name"]: label
                for raw in self.namespaces
                if (label := raw["metadata"].get("labels", {}).get(INSTITUTION_LABEL))
            },
            datasets=hub_snapshot.known_datasets(nodes.values()),
            currency=currency,
        )
        return hub_snapshot.World(0, nodes, league)

    def _node(self, raw: Manifest, limits: NodeLimits) -> NodeView:
        conditions = (raw.get("status") or {}).get("conditions", [])
        lost = standing(conditions, "Ready") == Reason.NODE_UNREACHABLE.value
        return view_node(parse_node(raw, limits), None if lost else self.now_s, self.now_s, limits)


async def observe(cluster: KubeCluster, *, jobs: Sequence[Manifest] = ()) -> Observed | None:
    """Read the league; None where this user may not see all that decides.

    ``jobs`` stand in for all jobs where those may not be listed.
    """
    nodes = await list_if_allowed(cluster, SOVEREIGNNODE.path())
    pools = await list_if_allowed(cluster, COMPUTEPOOL.path())
    namespaces = await list_if_allowed(cluster, "/api/v1/namespaces")
    if nodes is None or pools is None or namespaces is None:
        return None
    every = await list_if_allowed(cluster, AIJOB.path())
    return Observed(nodes, pools, namespaces, jobs if every is None else every, SystemClock().now())
