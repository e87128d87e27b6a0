"""What a scrape sees of the hub: counted from the caches at that moment, never remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hansa.adapters.kube.reflector import Mirror
from hansa.hub.caches import Caches
from hansa.hub.league_cache import LeagueCache
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.pricing import Pricing
from hansa.model.reasons import Reason
from hansa.observability.views import GpuCount, HubReading
from hansa.ports import Clock
from hansa.process.workqueue import WorkQueue
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.status.whole_conditions import by_type

KINDS = {"AIJob": "jobs", "SovereignNode": "nodes", "ComputePool": "pools", "WorkGrant": "grants"}


class ScrapeView:
    """The ``HubView`` of observability over this process's caches."""

    def __init__(  # noqa: PLR0913  # all that it reads
        self,
        caches: Caches,
        league: LeagueCache,
        pricing: Pricing,
        queue: WorkQueue[ObjectKey],
        *,
        clock: Clock,
        leading: Callable[[], bool],
        events: Mapping[str, int],
        clock_skew_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """``leading`` tells whether this replica holds the Lease; ``events`` counts outcomes.

        ``clock_skew_s``: the API server's clock minus ours.
        """
        self._caches = caches
        self._league = league
        self._plans = pricing.plans
        self._pricing = pricing
        self._queue = queue
        self._clock = clock
        self._leading = leading
        self._events = events
        self._clock_skew_s = clock_skew_s

    def reading(self) -> HubReading:
        """Return the present values.

        What is true of the whole league is told by the leader alone: sums over replicas must not
        count it twice.
        """
        own = HubReading(
            watch_event_age_s={
                mirror.path.rsplit("/", 1)[-1]: mirror.last_event_age_s
                for mirror in self._caches.reflectors
            },
            leader=self._leading(),
            queue_keys=len(self._queue),
            events=self._events,
            clock_skew_s=self._clock_skew_s(),
        )
        return replace(own, **self._league_reading()) if own.leader else own

    def _league_reading(self) -> dict[str, Any]:
        now_s = self._clock.now()
        heartbeats = {name: self._caches.heartbeat_s(name) for name in self._caches.nodes}
        return {
            "jobs": Counter(self._job_states()),
            "gpus": tuple(self._gpus()),
            "node_lease_age_s": {
                name: now_s - beat for name, beat in heartbeats.items() if beat is not None
            },
            "objects": Counter(self._conditions()),
            "plan_gap": self._plans.plan.certificate.gap if self._plans.planned else None,
            "prices_age_s": self._pricing.age_s,
        }

    def _job_states(self) -> Iterator[tuple[str, str]]:
        for uid in self._caches.jobs:
            job = self._caches.job(uid)
            if job is not None:
                yield job.parsed.spec.pool if job.parsed.spec else "", job_state(job)

    def _gpus(self) -> Iterator[GpuCount]:
        held: Counter[tuple[str, str]] = Counter()
        for job in self._plans.snapshot.jobs:
            for holding in job.holdings:
                gpu_class = holding.gpu_class or job.shape.gpu_class
                held[holding.site, gpu_class] += holding.workers * job.shape.gpus
        for node in self._league.view.nodes.values():
            site = node.site
            busy = busy_gpus(self._caches.nodes.get(site.name) or {})
            for gpu_class, total in sorted(site.lent_gpus.items()):
                # A job that takes any class counts for the first one where its class is not known:
                # the grant does not say it, and another process placed it.
                anyhow = held.pop((site.name, ""), 0)
                yield GpuCount(
                    institution=site.institution,
                    jurisdiction=site.jurisdiction,
                    gpu_class=gpu_class,
                    total=total,
                    allocated=min(total, held[site.name, gpu_class] + anyhow),
                    busy=busy.get(gpu_class),
                )

    def _conditions(self) -> Iterator[tuple[str, str, str, str]]:
        for kind, name in KINDS.items():
            mirror: Mirror = getattr(self._caches, name)
            for thing in mirror.values():
                yield from _condition_labels(kind, thing)


def busy_gpus(node: Mapping[str, Any]) -> dict[str, int]:
    """Return GPU class → busy GPUs as a SovereignNode's status has them; who tells none is absent.

    The API server has validated the types; the numbers are the member's word.
    """
    inventory = (node.get("status") or {}).get("inventory") or ()
    return {row["gpuClass"]: row["busy"] for row in inventory if "busy" in row}


def job_state(job: JobView) -> str:
    """Return the reason of a job's present state, as conditions and events have it."""
    conditions = by_type(job.status.get("conditions"))
    for kind in ("Succeeded", "Failed", "Running"):
        row = conditions.get(kind)
        if row is not None and row.get("status") == "True":
            return kind
    placed = conditions.get("Placed")
    return str(placed.get("reason")) if placed is not None else Reason.PENDING.value


def _condition_labels(kind: str, thing: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    status = thing.get("status") or {}
    for name, row in by_type(status.get("conditions")).items():
        yield kind, name, str(row.get("status")), str(row.get("reason"))
