"""What a scrape sees of the hub: read from the caches at that moment, never remembered.

What there are thousands of the caches count on as it changes: a scrape holds the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from hansa.hub.caches import COUNTED, Caches, Labels, conditions_of
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.pricing import Pricing
from hansa.observability.views import GpuCount, HubReading
from hansa.ports import Clock
from hansa.process.workqueue import WorkQueue


class Candidacy(Protocol):
    """What is read of an election."""

    @property
    def leases(self) -> Sequence[str]:
        """The Leases that this replica stands for."""
        ...

    @property
    def others(self) -> Sequence[str]:
        """The Leases by which other hubs lead."""
        ...

    def still_leader(self) -> bool:
        """Tell whether it leads."""
        ...


class ScrapeView:
    """The ``HubView`` of observability over this process's caches."""

    def __init__(
        self,
        caches: Caches,
        pricing: Pricing,
        queue: WorkQueue[ObjectKey],
        *,
        clock: Clock,
        election: Candidacy,
        events: Mapping[str, int],
        clock_skew_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """``election`` tells whether this replica leads, and by which Leases; ``events`` counts outcomes.

        ``clock_skew_s``: the API server's clock minus ours.
        """
        self._caches = caches
        self._league = pricing.plans.league
        self._plans = pricing.plans
        self._pricing = pricing
        self._queue = queue
        self._clock = clock
        self._election = election
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
            leader=self._election.still_leader(),
            leases=self._leases(),
            queue_keys=len(self._queue),
            events=self._events,
            clock_skew_s=self._clock_skew_s(),
        )
        return replace(own, **self._league_reading()) if own.leader else own

    def _leases(self) -> dict[str, bool]:
        """Return Lease → whether this replica leads by it.

        The main hub names those of other hubs too: of a hub that is gone nobody else would.
        """
        others = dict.fromkeys(self._election.others, False)
        return others | dict.fromkeys(self._election.leases, self._election.still_leader())

    def _league_reading(self) -> dict[str, Any]:
        now_s = self._clock.now()
        kept = [name for name in self._caches.nodes if self._league.keeps(name)]
        heartbeats = {name: self._caches.heartbeat_s(name) for name in kept}
        return {
            "jobs": dict(self._caches.states.counts),
            "gpus": tuple(self._gpus(kept)),
            "node_lease_age_s": {
                name: now_s - beat for name, beat in heartbeats.items() if beat is not None
            },
            "objects": self._objects(kept),
            "plan_gap": self._plans.plan.certificate.gap if self._plans.planned else None,
            "prices_age_s": self._pricing.age_s,
        }

    def _objects(self, kept: Sequence[str]) -> dict[Labels, int]:
        """Return the counts of conditions; of a league's nodes those that are this hub's."""
        counts: Counter[Labels] = Counter(self._caches.conditions.counts)
        if self._caches.division.is_whole:
            return counts
        for labels in [labels for labels in counts if labels[0] == COUNTED["node"]]:
            del counts[labels]
        counts.update(row for name in kept for row in conditions_of("node", self._node(name)))
        return counts

    def _node(self, name: str) -> Mapping[str, Any]:
        return self._caches.nodes.get(name) or {}

    def _gpus(self, kept: Sequence[str]) -> Iterator[GpuCount]:
        held: Counter[tuple[str, str]] = Counter()
        for job in [job for job in self._plans.snapshot.jobs if job.holdings]:
            for holding in job.holdings:
                gpu_class = holding.gpu_class or job.shape.gpu_class
                held[holding.site, gpu_class] += holding.workers * job.shape.gpus
        nodes = self._league.view.nodes
        for name, node in [(name, nodes[name]) for name in kept if name in nodes]:
            site, busy = node.site, busy_gpus(self._node(name))
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


def busy_gpus(node: Mapping[str, Any]) -> dict[str, int]:
    """Return GPU class → busy GPUs as a SovereignNode's status has them; who tells none is absent.

    The API server has validated the types; the numbers are the member's word.
    """
    inventory = (node.get("status") or {}).get("inventory") or ()
    return {row["gpuClass"]: row["busy"] for row in inventory if "busy" in row}
