"""What the hub sees of its API server, and what it made of it, kept until the object changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from hansa.adapters.kube.mirror import ChangeType, Kept, Mirror, by_name, by_uid
from hansa.adapters.kube.reflector import Pace, Reflector, Selection
from hansa.api.kinds import AIJOB, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.model.reasons import Reason
from hansa.model.times import from_rfc3339
from hansa.ports import Clock, Cluster, Manifest
from hansa.process.tally import Tally
from hansa.reconcile.hub.grant_view import GrantView, parse_grant
from hansa.reconcile.hub.job_view import JobView, ParsedSpec, parse_spec, trimmed_job, view_job
from hansa.reconcile.hub.leaders.division import WHOLE, Division
from hansa.reconcile.hub.node_identity import Rights
from hansa.reconcile.hub.status.whole_conditions import by_type

HEARTBEAT_LEASE = "hansa-node"
LEASES = "/apis/coordination.k8s.io/v1/leases"
NAMESPACES = "/api/v1/namespaces"
Labels = tuple[str, str, str, str]
COUNTED = {"job": "AIJob", "node": "SovereignNode", "pool": "ComputePool", "grant": "WorkGrant"}
"""Kinds whose conditions are counted, by the names of metrics."""
OnKind = Callable[[str, ChangeType, Manifest], None]


class Caches:
    """Mirrors of the kinds the hub reads.

    What there is by the thousand follows itself; kopf feeds the others.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        *,
        on_change: OnKind,
        resync_s: float,
        division: Division = WHOLE,
    ) -> None:
        """``on_change`` gets the kind's short name first. Jobs in pools of others are not kept."""

        def tell(kind: str) -> Callable[[ChangeType, Manifest], None]:
            def told(change: ChangeType, thing: Manifest) -> None:
                try:
                    on_change(kind, change, thing)
                finally:
                    self._count(kind, change, thing)

            return told

        self.conditions: Tally[Labels] = Tally()
        """(kind, condition, status, reason) → objects."""
        self.states: Tally[tuple[str, str]] = Tally()
        """(pool, state) → AIJobs."""
        self._clock = clock
        pace = Pace(resync_s)
        self.division = division
        self.jobs = Reflector(
            cluster,
            AIJOB.path(),
            clock=clock,
            on_change=tell("job"),
            kept=Kept(by_uid, self._trimmed_job),
            pace=pace,
        )
        self.grants = Reflector(
            cluster, WORKGRANT.path(), clock=clock, on_change=tell("grant"), pace=pace
        )
        self.leases = Reflector(
            cluster,
            LEASES,
            clock=clock,
            on_change=tell("lease"),
            selection=Selection(fields=f"metadata.name={HEARTBEAT_LEASE}"),
            kept=Kept(managed_fields=True),
            pace=pace,
        )
        self.nodes = Reflector(
            cluster, SOVEREIGNNODE.path(), clock=clock, on_change=tell("node"), pace=pace
        )
        self.namespaces = Reflector(
            cluster, NAMESPACES, clock=clock, on_change=tell("namespace"), pace=pace
        )
        self.pools = Mirror(on_change=tell("pool"))
        self.projects = Mirror(on_change=tell("project"))
        self.access: dict[str, Rights] = {}
        """Node → the rights it has, as this process has last made sure of."""
        self._beats: dict[str, tuple[Manifest, float]] = {}
        self._specs: dict[str, tuple[int, ParsedSpec]] = {}
        self._views: dict[str, tuple[str, JobView]] = {}
        self._grants: dict[str, tuple[str, GrantView | None]] = {}
        self._by_job: dict[str, dict[str, str]] = {}

    @property
    def reflectors(self) -> tuple[Reflector, ...]:
        """The mirrors that have to be run."""
        return (self.jobs, self.grants, self.leases, self.nodes, self.namespaces)

    def job(self, uid: str) -> JobView | None:
        """Return an AIJob as read at its present resourceVersion."""
        manifest = self.jobs.get(uid)
        if manifest is None:
            self._specs.pop(uid, None)
            self._views.pop(uid, None)
            return None
        version = manifest["metadata"]["resourceVersion"]
        known = self._views.get(uid)
        if known is not None and known[0] == version:
            return known[1]
        view = view_job(manifest, self._spec(uid, manifest))
        self._views[uid] = (version, view)
        return view

    def _trimmed_job(self, job: Manifest) -> Manifest | None:
        leads = self.division.leads(_pool_named(job.get("spec")))
        return trimmed_job(job) if leads else None

    def _count(self, kind: str, change: ChangeType, thing: Manifest) -> None:
        name = COUNTED.get(kind, "")
        if not name or (kind in POOLED and not self.division.leads(POOLED[kind](thing))):
            return
        key = by_uid(thing) if kind == "job" else by_name(thing)
        is_gone = change == "DELETED"
        self.conditions.tell(f"{kind} {key}", () if is_gone else conditions_of(kind, thing))
        if kind == "job":
            job = None if is_gone else self.job(key)
            found = by_type((thing.get("status") or {}).get("conditions"))
            self.states.tell(key, () if job is None else ((pool_of(job), job_state(found)),))

    def grant(self, key: str) -> GrantView | None:
        """Return a grant as read at its present resourceVersion."""
        manifest = self.grants.get(key)
        if manifest is None:
            self._grants.pop(key, None)
            return None
        version = manifest["metadata"]["resourceVersion"]
        known = self._grants.get(key)
        if known is not None and known[0] == version:
            return known[1]
        view = parse_grant(manifest)
        self._grants[key] = (version, view)
        return view

    def grants_of(self, job_uid: str) -> Iterator[GrantView]:
        """Yield the grants of a job, in order of epoch."""
        if keys := self._by_job.get(job_uid):
            views = [view for view in map(self.grant, keys) if view is not None]
            yield from sorted(views, key=lambda view: view.epoch)

    def granted_at(self, nodes: Collection[str]) -> set[str]:
        """Return uids of the jobs that have a grant at one of these nodes, their AIJobs here or gone."""
        spaces = {f"{NODE_NAMESPACE_PREFIX}{node}" for node in nodes}
        return {
            uid
            for uid, keys in self._by_job.items()
            if any(key.partition("/")[0] in spaces for key in keys)
        }

    def index_grant(self, change: ChangeType, manifest: Mapping[str, Any]) -> str:
        """Keep the index by job; return the job's uid (empty for a grant no hub wrote)."""
        key = by_name(dict(manifest))
        spec = manifest.get("spec")
        uid = str((spec.get("job") or {}).get("uid", "")) if isinstance(spec, dict) else ""
        if change == "DELETED":
            grants = self._by_job.get(uid, {})
            grants.pop(key, None)
            if not grants:
                self._by_job.pop(uid, None)
        else:
            self._by_job.setdefault(uid, {})[key] = uid
        return uid

    def orphans(self) -> Iterator[str]:
        """Yield uids of jobs that have grants here and no AIJob; jobs of other leaders are none."""
        yield from [u for u in self._by_job if self.jobs.get(u) is None and not self.is_others(u)]

    def others(self) -> Iterator[str]:
        """Yield uids of other leaders' jobs that have grants."""
        if not self.division.is_whole:
            yield from [uid for uid in self._by_job if self.is_others(uid)]

    def is_others(self, uid: str) -> bool:
        """Tell whether a job with grants is another leader's: by the pools that it was granted in."""
        if self.division.is_whole or self.jobs.get(uid) is not None:
            return False
        pools = {_pool_of_grant(self.grants.get(key)) for key in self._by_job.get(uid, ())}
        return bool(pools) and not any(map(self.division.leads, pools))

    def heartbeat_s(self, node: str) -> float | None:
        """Return when the node last renewed its Lease: by its word or the server's, the later."""
        lease = self.leases.get(f"{NODE_NAMESPACE_PREFIX}{node}/{HEARTBEAT_LEASE}")
        if lease is None:
            self._beats.pop(node, None)
            return None
        known, now_s = self._beats.get(node), self._clock.now()
        if known is None or known[0] is not lease:
            known = self._beats[node] = (lease, lease_renewed_s(lease))
        return min(now_s, known[1])

    def _spec(self, uid: str, manifest: Manifest) -> ParsedSpec:
        generation = manifest["metadata"].get("generation", 0)
        known = self._specs.get(uid)
        if known is not None and known[0] == generation:
            return known[1]
        parsed = parse_spec(manifest.get("spec") or {})
        self._specs[uid] = (generation, parsed)
        return parsed


def conditions_of(kind: str, thing: Mapping[str, Any]) -> Iterator[Labels]:
    """Yield a row for each condition of an object, as ``Caches.conditions`` counts them."""
    for name, row in by_type((thing.get("status") or {}).get("conditions")).items():
        yield COUNTED[kind], name, str(row.get("status")), str(row.get("reason"))


def _pool_named(spec: object) -> str:
    """Return the pool that an AIJob's spec names; empty where it names none."""
    pool = spec.get("pool") if isinstance(spec, dict) else None
    return pool if isinstance(pool, str) else ""


def _pool_of_grant(grant: Mapping[str, Any] | None) -> str:
    spec = grant.get("spec") if grant else None
    return _pool_named(spec.get("jobSpec") if isinstance(spec, dict) else None)


POOLED: Mapping[str, Callable[[Manifest], str]] = {"pool": by_name, "grant": _pool_of_grant}
"""Kind → the pool whose leader counts an object of it; of jobs no others are kept."""


def pool_of(job: JobView) -> str:
    """Return the pool that a job asks for; empty where its spec is not valid."""
    return job.parsed.spec.pool if job.parsed.spec else ""


def job_state(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the reason of a job's present state, as conditions (by type) and events have it."""
    for kind in ("Succeeded", "Failed", "Running"):
        row = conditions.get(kind)
        if row is not None and row.get("status") == "True":
            return kind
    placed = conditions.get("Placed")
    return str(placed.get("reason")) if placed is not None else Reason.PENDING.value


def lease_renewed_s(lease: Mapping[str, Any]) -> float:
    """Return when a Lease was last renewed; it may be in the future.

    The member writes ``renewTime`` with its clock; the API server stamps ``managedFields`` with its
    own. The later counts: a member with a slow clock must not look dead while it works.
    """
    spec = lease.get("spec") or {}
    fields = lease["metadata"].get("managedFields") or ()
    stamps = [spec.get("renewTime"), *(entry.get("time") for entry in fields)]
    times = [time for time in map(from_rfc3339, stamps) if time is not None]
    return max(times, default=0.0)
