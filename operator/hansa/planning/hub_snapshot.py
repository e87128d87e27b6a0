"""From what the hub observes to the planner's ``Snapshot``, and what every epoch's state is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hansa.grants.reasons import MemberReason
from hansa.model.plan import Placement
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, ResidencyRule, Shape, Snapshot
from hansa.model.times import from_rfc3339, rfc3339
from hansa.planning.fencing import EpochFacts, fence, release_holds
from hansa.planning.grant_view import GrantView
from hansa.planning.hub_derive import Epoch
from hansa.planning.hub_jobs import Fault, JobView, League, fault_of, shape_of, shards_of
from hansa.planning.hub_nodes import NodeView, micros, residency_rule
from hansa.planning.hub_past import Past, with_past

ASK_AGAIN_S = 60
"""After a refusal that may pass by itself, the node is asked again this much later."""
EMPTY_SHAPE = Shape(workers=1)
NO_PAST = Past()


@dataclass(frozen=True, slots=True)
class World:
    """Everything but jobs and grants, at one instant. ``version`` changes with any of it."""

    version: int
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    league: League = field(default_factory=lambda: League({}, {}, frozenset(), "EUR"))


def known_datasets(nodes: Iterable[NodeView]) -> frozenset[str]:
    """Return the data sets that accepted nodes announce."""
    return frozenset(
        name
        for node in nodes
        if node.parsed.accepted == "Accepted"
        for name in node.parsed.site.datasets
    )


def release_verified(grant: GrantView, node: NodeView | None) -> bool:
    """Tell whether the grant carries its node's signed release; only accepted nodes have a say."""
    release = grant.status.release
    if release is None or node is None or node.parsed.accepted != "Accepted":
        return False
    return release_holds(
        release.model_dump(by_alias=True),
        node=grant.node,
        job_uid=grant.job_uid,
        epoch=grant.epoch,
        public_key=node.parsed.release_key,
    )


def epoch_of(
    grant: GrantView, *, released: bool, lease_s: float | None, now_s: float, skew_s: float
) -> Epoch:
    """Conclude whether a grant's epoch is over. ``lease_s``: the node's last Lease renewal."""
    facts = EpochFacts(
        refused=grant.refused is not None and not grant.outdated,
        released=released,
        granted_s=grant.granted_s,
        not_after_s=grant.not_after_s,
        last_contact_s=lease_s or 0.0,
        max_unattended_s=grant.max_unattended_s,
    )
    return Epoch(grant, fence(facts, now_s, skew_s=skew_s), released)


def plan_job(
    job: JobView,
    epochs: Iterable[Epoch],
    world: World,
    now_s: float,
    *,
    granting: Placement | None = None,
) -> Job:
    """Return the planner's view of a job. ``granting``: what a grant is being written for."""
    spec, epochs = job.parsed.spec, tuple(epochs)
    shape = shape_of(spec) if spec else EMPTY_SHAPE
    barred = _barred(job, epochs, world)
    return Job(
        uid=job.uid,
        name=f"{job.namespace}/{job.name}",
        institution=world.league.institutions.get(job.namespace, ""),
        pool=spec.pool if spec else "",
        shape=shape,
        submitted_s=job.submitted_s,
        priority=spec.priority if spec else 0,
        residency=residency_rule(spec.residency) if spec else ResidencyRule(),
        data=tuple(source.name for source in spec.data) if spec else (),
        spread=shards_of(spec) if spec else (),
        assurance=int(spec.assurance[1:]) if spec else 0,
        max_runtime_s=spec.max_runtime_seconds if spec else 1,
        budget_micros=micros(spec.budget.limit) if spec and spec.budget else None,
        refused_by=_refusals(job, world, now_s),
        holdings=_holdings(job, epochs, granting),
        barred=barred[0] if barred else None,
        barred_message=barred[1] if barred else "",
    )


def build(world: World, jobs: Iterable[Job], now_s: float, past: Past = NO_PAST) -> Snapshot:
    """Return the whole league at one instant."""
    ordered = sorted(world.nodes.values(), key=lambda node: node.name)
    return Snapshot(
        now_s=int(now_s),
        sites=tuple(node.site for node in ordered),
        pools=tuple(with_past(row.pool, past) for _, row in sorted(world.league.pools.items())),
        jobs=tuple(jobs),
        history=past.history,
    )


def next_deadline(epochs: Iterable[Epoch]) -> float:
    """Return when the next fence opens; infinity when none will."""
    return min((e.fence.at_s for e in epochs if not e.fence.over), default=float("inf"))


def _barred(job: JobView, epochs: tuple[Epoch, ...], world: World) -> Fault | None:
    fault = fault_of(job, world.league)
    if fault is not None:
        return fault
    if job.suspended:
        return Reason.SUSPENDED, "Suspended by its owner; set spec.suspend to false to go on."
    open_epochs = [epoch for epoch in epochs if not epoch.fence.over]
    if not job.node and open_epochs:
        held = open_epochs[0]
        until = rfc3339(held.fence.at_s) if held.fence.at_s < float("inf") else "its release"
        text = f"node {held.grant.node} has not released epoch {held.grant.epoch}; at the latest"
        return Reason.WAITING_FOR_RELEASE, f"{text} {until} it may run elsewhere"
    return None


def _refusals(job: JobView, world: World, now_s: float) -> dict[str, str]:
    refusals = {}
    for row in job.status.get("refusals", ()):
        node = world.nodes.get(row.get("node", ""))
        generation = node.site.policy_generation if node else 0
        if row.get("specDigest") != job.parsed.digest or generation > row.get(
            "policyGeneration", 0
        ):
            continue
        if _transient(row.get("reason")) and now_s > _refused_s(row) + ASK_AGAIN_S:
            continue
        refusals[str(row["node"])] = str(row.get("message") or row.get("reason"))
    return refusals


def _transient(reason: object) -> bool:
    try:
        return MemberReason(str(reason)).transient
    except ValueError:
        return False


def _refused_s(row: Mapping[str, object]) -> float:
    return from_rfc3339(row.get("refusedAt")) or float("inf")


def _holdings(
    job: JobView, epochs: tuple[Epoch, ...], granting: Placement | None
) -> tuple[Holding, ...]:
    held = [
        Holding(
            site=epoch.grant.node,
            epoch=epoch.grant.epoch,
            workers=epoch.grant.workers,
            since_s=int(from_rfc3339(epoch.grant.status.running_at) or epoch.grant.granted_s),
            confirmed=epoch.grant.accepted,
            stopping=epoch.grant.stopping,
        )
        for epoch in epochs
        if not epoch.fence.over
    ]
    known = {holding.site for holding in held}
    seen = any(epoch.grant.epoch == job.epoch for epoch in epochs)
    node = "" if seen or job.ended else job.node
    workers = job.workers
    if granting is not None:
        node, workers = granting.site, granting.workers
    if node and node not in known:
        held.append(Holding(node, job.epoch, workers, since_s=job.submitted_s, confirmed=False))
    return tuple(held)
