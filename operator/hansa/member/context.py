"""Everything the agent's parts share: clients, caches, memory, and small helpers over them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.errors import Conflict, NotFound, Retryable
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.member.cluster.inventory import Site
from hansa.member.hub_link.contact import Contact
from hansa.member.settings import MemberSettings
from hansa.member.state.epoch_store import EpochMemory
from hansa.member.state.run_index import Entry, RunIndex
from hansa.model.times import from_rfc3339
from hansa.observability.events import Event, Subject
from hansa.observability.instruments import Instruments
from hansa.observability.recorder import EventRecorder
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.process.retry_queue import KeyedQueue
from hansa.reconcile.member.contract import STRICTEST, Contract, unattended_limit_s
from hansa.reconcile.member.grant_status import Stamp


@dataclass(slots=True)
class AgentContext:
    """One agent's working state."""

    settings: MemberSettings
    clock: Clock
    own: Cluster
    hub: Cluster
    hub_skew: Callable[[], float | None]
    """Hub's clock minus ours, in seconds."""
    signer: Signer
    memory: EpochMemory
    contact: Contact
    grants: Reflector
    namespaces: Reflector
    rayjobs: Reflector
    instruments: Instruments
    recorder: EventRecorder
    runs: KeyedQueue
    jitter: Callable[[], float]
    site: Site = field(default_factory=Site)
    run_index: RunIndex = field(default_factory=RunIndex)
    refusals: Counter[str] = field(default_factory=Counter)
    """Refusals since this process began, by reason."""
    orphaned: dict[str, float] = field(default_factory=dict)
    """Run → monotonic time since when the hub has no grant for it."""
    judging: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no grant waits to be judged: accepting goes before rendering."""
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something the publisher tells may have changed."""
    law_changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the policy was written."""

    @property
    def hub_namespace(self) -> str:
        """This node's namespace on the hub."""
        return NODE_NAMESPACE_PREFIX + self.settings.node

    def grant_of(self, entry: Entry) -> Manifest | None:
        """Return the hub's grant for a run, as last seen."""
        return self.grants.get(f"{self.hub_namespace}/{entry.grant}")

    async def tell_hub(self, name: str, patch: Manifest) -> Manifest:
        """Merge a status patch into a grant and take the answer into the cache.

        What was read is replaced (ADR 0020). Where that is no longer what stands there, only the spec
        can have changed, and a patch will do: the status has one writer.
        """
        path = WORKGRANT.path(self.hub_namespace, name) + "/status"
        read = self.grants.get(f"{self.hub_namespace}/{name}")
        if read is None:
            raise NotFound(f"grant {name}")
        body = {**read, "status": {**(read.get("status") or {}), **patch["status"]}}
        try:
            answer = await self.hub.replace(path, body)
        except Conflict:
            answer = await self.hub.merge(path, patch)
        self.grants.absorb(answer)
        return answer

    def need_grant(self, entry: Entry) -> Manifest:
        """Return the hub's grant; raises ``Retryable`` while it is not to be had."""
        grant = self.grant_of(entry)
        if grant is None:
            raise Retryable(f"the hub's grant {entry.grant} is not to be had now")
        return grant

    def contract(self, entry: Entry) -> Contract:
        """Return the terms under which a run goes on."""
        job, timing = entry.spec.job_spec, self.settings.timing
        granted_s = from_rfc3339(entry.spec.not_before)
        return Contract(
            unattended_limit_s=unattended_limit_s(
                job.disconnection,
                disconnect_s=timing.disconnect_seconds,
                stop_margin_s=timing.stop_margin_seconds,
            ),
            max_runtime_s=job.max_runtime_seconds,
            granted_s=STRICTEST.granted_s if granted_s is None else granted_s,
        )

    def stamp(self) -> Stamp:
        """Return now and the law's generation."""
        return Stamp(self.clock.now(), self.site.law.generation)

    def record(
        self, epoch: int, digest: str, outcome: Outcome, *, reason: str = "-"
    ) -> EpochRecord:
        """Return a record that is kept for as long as a grant of its age could be valid."""
        limits = self.settings.limits
        keep = self.clock.now() + limits.grant_validity_seconds + limits.clock_skew_seconds
        return EpochRecord(epoch, digest, outcome, int(keep), reason)

    def policy_subject(self) -> Subject:
        """Return what events are about."""
        return Subject("hansa.dev/v1alpha1", "MemberPolicy", "local", uid=self.site.law.uid)

    def emit(self, event: Event) -> None:
        """Write an event, if there is a policy to write it on."""
        if self.site.law.uid:
            self.recorder.emit(event)
