"""From what the hub observes to the planner's ``Snapshot``, and what every epoch's state is."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hansa.grants.envelope import key_id
from hansa.model.plan import Placement, Stop
from hansa.model.reasons import Reason
from hansa.model.snapshot import Holding, Job, Pool, ResidencyRule, Shape, Snapshot
from hansa.model.times import from_rfc3339, rfc3339
from hansa.reconcile.fencing import EpochFacts, fence, release_holds
from hansa.reconcile.hub import refusals
from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_case import Epoch, JobDecision
from hansa.reconcile.hub.job_view import Catalog, Fault, JobView, fault_of, parse_spec, shape_of
from hansa.reconcile.hub.nodes import NodeView, micros, residency_rule
from hansa.reconcile.hub.status import billing, job_status, queue_time
from hansa.reconcile.hub.usage_history import Past, with_past

EMPTY_SHAPE = Shape(workers=1)
PAST = frozenset({"earlier", "node", "preemptions", "refusals", "waitedSeconds", "waitingSince"})
"""Fields of a status that tell what became of a job; without any of them it has only ever waited."""
NO_PAST = Past()


@dataclass(frozen=True, slots=True)
class LeagueView:
    """Everything but jobs and grants, at one instant. ``version`` changes with any of it."""

    version: int
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=lambda: Catalog({}, {}, frozenset(), "EUR"))
    elsewhere: frozenset[str] = frozenset()
    """Nodes that other leaders place work at."""


def known_datasets(nodes: Iterable[NodeView]) -> frozenset[str]:
    """Return the data sets that accepted nodes announce."""
    return frozenset(
        name for node in nodes if node.parsed.accepted == "Accepted" for name in node.site.datasets
    )


def release_verified(grant: GrantView, node: NodeView | None) -> bool:
    """Tell whether the grant carries its node's signed release.

    By the key that the grant is addressed to, whatever became of the node since; or by the one that
    is pinned now, if the league accepts the node.
    """
    if (release := grant.status.release) is None:
        return False
    keys = {release.public_key or ""} if addressed_to(grant, release.public_key) else set()
    if node is not None and node.parsed.accepted == "Accepted":
        keys.add(node.parsed.release_key)
    word = release.model_dump(by_alias=True)
    return any(
        release_holds(
            word, node=grant.node, job_uid=grant.job_uid, epoch=grant.epoch, public_key=key
        )
        for key in keys
    )


def addressed_to(grant: GrantView, public_key: str | None) -> bool:
    """Tell whether a grant is addressed to whoever holds a key."""
    try:
        raw = base64.b64decode(public_key or "", validate=True)
    except ValueError:
        return False
    return bool(raw) and key_id(raw) == grant.audience


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


def request_of(job: JobView, catalog: Catalog) -> Job:
    """Return what a job asks for: all that does not change while its spec and the league stay."""
    spec = job.parsed.spec
    fault = fault_of(job, catalog)
    if fault is None and job.suspended:
        fault = Reason.SUSPENDED, "Suspended by its owner; set spec.suspend to false to go on."
    return Job(
        uid=job.uid,
        name=f"{job.namespace}/{job.name}",
        institution=catalog.institutions.get(job.namespace, ""),
        pool=spec.pool if spec else "",
        shape=shape_of(spec) if spec else EMPTY_SHAPE,
        submitted_s=job.submitted_s,
        priority=spec.priority if spec else 0,
        residency=residency_rule(spec.residency) if spec else ResidencyRule(),
        data=tuple(source.name for source in spec.data) if spec else (),
        assurance=int(spec.assurance[1:]) if spec else 0,
        max_runtime_s=spec.max_runtime_seconds if spec else 1,
        checkpoint_s=spec.checkpoint_seconds if spec else 0,
        budget_micros=micros(spec.budget.limit) if spec and spec.budget else None,
        only_site=spec.audit.node if spec and spec.audit else "",
        barred=fault[0] if fault else None,
        barred_message=fault[1] if fault else "",
    )


def plan_job(
    job: JobView,
    epochs: Iterable[Epoch],
    league: LeagueView,
    now_s: float,
    *,
    decision: JobDecision = None,
    gpu_class: str = "",
    request: Job | None = None,
) -> Job:
    """Return the planner's view of a job, with what was decided for it and is not carried out yet.

    ``gpu_class``: what it was last placed for; a grant does not say it. ``request``: as of
    ``request_of``, where it is known.
    """
    epochs, request = tuple(epochs), request or request_of(job, league.catalog)
    is_new = not epochs and PAST.isdisjoint(job.status)
    if is_new and not isinstance(decision, Placement) and not request.only_site:
        return request
    rows = _refusals(job, epochs, now_s)
    refused_by = _refused_by(job, rows, league, now_s) if rows else {}
    refused_by |= _elsewhere(job, league)
    spent = billing.earlier(job.status).cost_micros
    request = _as_granted(request, job, epochs)
    fault = None if request.barred else _bar(job, epochs, rows, now_s)
    if fault is not None:
        request = replace(request, barred=fault[0], barred_message=fault[1])
    if request.budget_micros is not None and spent:
        request = replace(request, budget_micros=max(0, request.budget_micros - spent))
    submitted_s = queue_time.submitted_as_s(job)
    holdings, yielded = (
        _holdings(job, epochs, decision, gpu_class, now_s),
        job_status.yielded(job.status),
    )
    if (submitted_s, refused_by, holdings, yielded) == (request.submitted_s, {}, (), None):
        return request
    return replace(
        request,
        submitted_s=submitted_s,
        refused_by=refused_by,
        holdings=holdings,
        yielded=yielded,
    )


def _refused_by(
    job: JobView, rows: Iterable[refusals.Row], league: LeagueView, now_s: float
) -> dict[str, str]:
    # Of the nodes that turned it down, not of all: this is done for every job.
    said_no = {str(row.get("node")) for row in rows} & league.nodes.keys()
    generations = {name: league.nodes[name].site.policy_generation for name in said_no}
    return refusals.standing(rows, job.parsed.digest, generations, now_s)


def _elsewhere(job: JobView, league: LeagueView) -> dict[str, str]:
    """Return the nodes at which an audit may not be: all but the one that the draw has named."""
    spec = job.parsed.spec
    if spec is None or spec.audit is None:
        return {}
    what = f"an audit of {spec.audit.of}" if spec.audit.of else "a capacity probe"
    why = f"it is {what}, which the draw has given to {spec.audit.node}"
    return {name: why for name in league.nodes if name != spec.audit.node}


def orphan(uid: str, epochs: Iterable[Epoch], now_s: float) -> Job | None:
    """Return what still holds room though its AIJob is gone, as its grants say; None: nothing does."""
    held = [epoch for epoch in epochs if not epoch.fence.over]
    if not held:
        return None
    grant = held[-1].grant
    spec = parse_spec(grant.job_spec).spec
    return Job(
        uid=uid,
        name=grant.job_path.rpartition("/namespaces/")[2].replace("/aijobs/", "/"),
        institution=grant.institution,
        pool=spec.pool if spec else "",
        shape=shape_of(spec) if spec else EMPTY_SHAPE,
        submitted_s=int(grant.granted_s),
        preemptible=False,
        holdings=tuple(_holding(epoch.grant, epoch.grant.running_s(now_s)) for epoch in held),
        barred=Reason.WAITING_FOR_RELEASE,
        barred_message="its AIJob is gone",
        is_orphan=True,
    )


def _holding(grant: GrantView, since_s: float | None) -> Holding:
    return Holding(
        site=grant.node,
        epoch=grant.epoch,
        workers=grant.workers,
        since_s=int(since_s or grant.granted_s),
        confirmed=grant.accepted,
        stopping=grant.stopping,
    )


def build(
    league: LeagueView,
    jobs: Iterable[Job],
    now_s: float,
    past: Past = NO_PAST,
    *,
    held_pools: Iterable[str] = (),
) -> Snapshot:
    """Return the whole league at one instant.

    ``held_pools``: pools of work that holds room. One that is deleted counts as a pool without nodes:
    nothing is placed in it, and what runs keeps its room until it ends.
    """
    gone = sorted(set(held_pools) - {*league.catalog.pools})
    emptied = tuple(Pool(name, site_names=frozenset()) for name in gone)
    nodes = (node for name, node in league.nodes.items() if name not in league.elsewhere)
    ordered = sorted(nodes, key=lambda node: node.name)
    return Snapshot(
        now_s=int(now_s),
        sites=tuple(node.site for node in ordered),
        pools=tuple(with_past(row.pool, past) for _, row in sorted(league.catalog.pools.items()))
        + emptied,
        jobs=tuple(jobs),
        history=past.history,
    )


def changes_after(job: JobView, epochs: Iterable[Epoch], now_s: float, skew_s: float) -> float:
    """Return the time after which a job may look different though nobody wrote: infinity for never."""
    rows = job.status.get("refusals", ())
    times = [refusals.asked_again_s(row) for row in rows]
    times.append(refusals.none_left_until_s(rows, job.parsed.digest))
    for epoch in epochs:
        if not epoch.fence.over:
            times += [epoch.fence.at_s, epoch.grant.not_after_s + skew_s]
    return min((time for time in times if time >= now_s), default=float("inf"))


def _as_granted(request: Job, job: JobView, epochs: Iterable[Epoch]) -> Job:
    """Return a request with the gang that still runs, where the spec has changed since its grant."""
    for epoch in epochs:
        grant = epoch.grant
        if not epoch.fence.over and grant.digest != job.parsed.digest:
            spec = parse_spec(grant.job_spec).spec
            if spec is not None:
                request = replace(request, shape=shape_of(spec), pool=spec.pool)
    return request


def _bar(
    job: JobView, epochs: tuple[Epoch, ...], rows: Iterable[refusals.Row], now_s: float
) -> Fault | None:
    """Return why a job that asks for something sound is not granted all the same."""
    fault = _unreleased(job, epochs) or _spent(job) or _turned_down(job, rows, now_s)
    if fault is None and not queue_time.is_queued(job):
        return Reason.PENDING, "It has just come into the queue."
    return fault


def _spent(job: JobView) -> Fault | None:
    spec, used = job.parsed.spec, billing.earlier(job.status)
    budget = spec.budget if spec else None
    if budget is None or not used.cost_micros or used.cost_micros < micros(budget.limit):
        return None
    text = f"its runs so far cost {billing.decimal(used.cost_micros)} {used.currency}"
    limit = f"{budget.limit} {budget.currency}"
    return Reason.OVER_BUDGET, f"{text}, its budget is {limit}; raise spec.budget.limit to go on"


def _turned_down(job: JobView, rows: Iterable[refusals.Row], now_s: float) -> Fault | None:
    until_s = refusals.none_left_until_s(rows, job.parsed.digest)
    if now_s >= until_s:
        return None
    text = f"{refusals.MOST_NODES} nodes have turned it down; one more is asked {rfc3339(until_s)}"
    return Reason.NODE_REFUSED, text


def _unreleased(job: JobView, epochs: tuple[Epoch, ...]) -> Fault | None:
    held = None if job.node else next((epoch for epoch in epochs if not epoch.fence.over), None)
    if held is None:
        return None
    until = rfc3339(held.fence.at_s) if held.fence.at_s < float("inf") else "its release"
    text = f"node {held.grant.node} has not released epoch {held.grant.epoch}; at the latest"
    return Reason.WAITING_FOR_RELEASE, f"{text} {until} it may run elsewhere"


def _refusals(job: JobView, epochs: tuple[Epoch, ...], now_s: float) -> list[refusals.Row]:
    """Return who turned the job down; a no counts from when it is seen.

    Counted only once it is written, a plan made in between would ask the same node again.
    """
    rows: list[refusals.Row] = [*job.status.get("refusals", ())]
    if not epochs:
        return rows
    known = {row.get("epoch") for row in rows}
    for epoch in epochs:
        grant = epoch.grant
        no = grant.turned_down if grant.refused or epoch.fence.over else None
        if no is not None and not grant.outdated and grant.epoch not in known:
            rows = [*refusals.remembered(rows, refusals.row_of(grant, now_s))]
    return rows


def _holdings(
    job: JobView,
    epochs: tuple[Epoch, ...],
    decision: JobDecision,
    gpu_class: str,
    now_s: float,
) -> tuple[Holding, ...]:
    stopped = decision.site if isinstance(decision, Stop) else ""
    held = [
        replace(
            _holding(epoch.grant, _since_s(job, epoch.grant, now_s)),
            stopping=epoch.grant.stopping or epoch.grant.node == stopped,
            gpu_class=gpu_class if epoch.grant.epoch == job.epoch else "",
        )
        for epoch in epochs
        if not epoch.fence.over
    ]
    known = {holding.site for holding in held}
    seen = any(epoch.grant.epoch == job.epoch for epoch in epochs)
    node = "" if seen or job.ended else job.node
    workers = job.workers
    if isinstance(decision, Placement):
        node, workers, gpu_class = decision.site, decision.workers, decision.gpu_class
    if node and node not in known:
        since_s = job.submitted_s
        recorded = Holding(node, job.epoch, workers, since_s, confirmed=False, gpu_class=gpu_class)
        held.append(recorded)
    return tuple(held)


def _since_s(job: JobView, grant: GrantView, now_s: float) -> float:
    """Return since when a grant's run goes on: as first told, or else as told now."""
    first_s = from_rfc3339(job.status.get("runningAt")) if grant.epoch == job.epoch else None
    return first_s or grant.running_s(now_s) or grant.granted_s
