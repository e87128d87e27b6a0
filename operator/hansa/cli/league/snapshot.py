"""The league as this user may read it, turned into the planner's snapshot by the hub's own code.

Four things only the hub knows are concluded from what it wrote: a node's heartbeat and that two leaders
want it from its Ready condition, the league's currency from the nodes' prices, and from a job's Placed
condition that an old run of it was not released.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB, COMPUTEPOOL, PROJECT, SOVEREIGNNODE
from hansa.api.meta import INSTITUTION_LABEL
from hansa.cli.access import list_if_allowed
from hansa.cli.league.overview import standing
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.ports import Manifest
from hansa.reconcile.hub.charging.projects import closed, default_project, parse_project
from hansa.reconcile.hub.job_view import Catalog, Fault, JobView, parse_spec, view_job
from hansa.reconcile.hub.nodes import (
    NodeLimits,
    NodeView,
    believed,
    parse_node,
    pins,
    view_node,
)
from hansa.reconcile.hub.pools import parse_pool
from hansa.reconcile.hub.snapshot import LeagueView, build, known_datasets, plan_job

DEFAULT_CURRENCY = "EUR"
UNRELEASED = Reason.WAITING_FOR_RELEASE
SILENT = Reason.NODE_UNREACHABLE
_TOLD = {reason.value: reason for reason in (SILENT, Reason.NODE_OF_TWO_LEADERS)}
"""What is concluded from a node's Ready condition."""
NODES, POOLS, NAMESPACES, JOBS = "sovereignnodes", "computepools", "namespaces", "aijobs"


@dataclass(frozen=True, slots=True)
class Observed:
    """What the API server showed, as raw objects, and when."""

    nodes: Sequence[Manifest]
    pools: Sequence[Manifest]
    namespaces: Sequence[Manifest]
    jobs: Sequence[Manifest]
    now_s: float
    projects: Sequence[Manifest] | None = None
    """None: this user may not list them; then no job is said to wait for one."""
    hidden: tuple[str, ...] = ()
    """Collections that this user may not list; what is in them is unknown."""

    @property
    def is_ruled(self) -> bool:
        """Whether all is known that the rules look at: nodes, pools and institutions."""
        return not set(self.hidden) & {NODES, POOLS, NAMESPACES}

    @property
    def is_whole(self) -> bool:
        """Whether the planner can be asked: it has to know what all jobs hold and want."""
        return not self.hidden

    def snapshot(self) -> Snapshot:
        """Return the planner's input, with every job that has not ended."""
        return build(self._view(), self.planned(self.jobs), self.now_s)

    def planned(self, jobs: Iterable[Manifest]) -> list[Job]:
        """Return jobs as this league's planner sees them, without those that have ended."""
        league = self._view()
        views = (view_job(job, parse_spec(job.get("spec") or {})) for job in jobs)
        return [self._job(view, league) for view in views if not view.ended]

    def _job(self, view: JobView, league: LeagueView) -> Job:
        job = plan_job(view, (), league, self.now_s)
        conditions = view.status.get("conditions", ())
        if view.node or job.barred or standing(conditions, "Placed") != UNRELEASED:
            return job
        said = next(row.get("message", "") for row in conditions if row["type"] == "Placed")
        return replace(job, barred=UNRELEASED, barred_message=said)

    def _view(self) -> LeagueView:
        currencies = Counter(node["spec"].get("currency", DEFAULT_CURRENCY) for node in self.nodes)
        currency = max(
            currencies, key=lambda name: (currencies[name], name), default=DEFAULT_CURRENCY
        )
        limits = NodeLimits(lease_grace_s=float("inf"), currency=currency)
        views = [self._node(raw, limits) for raw in self.nodes]
        pinned = pins(view.parsed for view in views)
        nodes = {view.name: believed(view, pinned) for view in views}
        catalog = Catalog(
            pools={raw["metadata"]["name"]: parse_pool(raw) for raw in self.pools},
            institutions={
                raw["metadata"]["name"]: label
                for raw in self.namespaces
                if (label := raw["metadata"].get("labels", {}).get(INSTITUTION_LABEL))
            },
            datasets=known_datasets(nodes.values()),
            currency=currency,
            projects=self._projects(currency),
            default_projects={
                raw["metadata"]["name"]: project
                for raw in self.namespaces
                if (project := default_project(raw))
            },
        )
        return LeagueView(0, nodes, catalog)

    def _projects(self, currency: str) -> dict[str, Fault | None] | None:
        if self.projects is None:
            return None
        parsed = map(parse_project, self.projects)
        return {project.name: closed(project, self.now_s, currency) for project in parsed}

    def _node(self, raw: Manifest, limits: NodeLimits) -> NodeView:
        view = view_node(parse_node(raw, limits), self.now_s, self.now_s, limits)
        conditions = (raw.get("status") or {}).get("conditions", [])
        told, seen = _TOLD.get(standing(conditions, "Ready")), view.site.unavailable
        if told is None or (seen is not None and seen.gravity < told.gravity):
            return view
        said = next(row.get("message", "") for row in conditions if row["type"] == "Ready")
        site = replace(view.site, unavailable=told, unavailable_message=said)
        return replace(view, site=site, heartbeat_s=None if told is SILENT else view.heartbeat_s)


async def observe(cluster: KubeCluster, *, jobs: Sequence[Manifest] = ()) -> Observed:
    """Read what this user may read of the league; ``jobs`` stand in for those that are hidden."""
    paths = {
        NODES: SOVEREIGNNODE.path(),
        POOLS: COMPUTEPOOL.path(),
        NAMESPACES: "/api/v1/namespaces",
        JOBS: AIJOB.path(),
    }
    found = {name: await list_if_allowed(cluster, path) for name, path in paths.items()}
    every = found[JOBS]
    return Observed(
        nodes=found[NODES] or (),
        pools=found[POOLS] or (),
        namespaces=found[NAMESPACES] or (),
        jobs=jobs if every is None else every,
        now_s=SystemClock().now(),
        projects=await list_if_allowed(cluster, PROJECT.path()),
        hidden=tuple(name for name, items in found.items() if items is None),
    )
