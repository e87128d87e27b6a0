"""Everything the agent's parts share: clients, caches, memory, and small helpers over them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import Conflict, NotFound, Retryable
from hansa.grants import authorization
from hansa.grants.epochs import NONE, EpochRecord, Outcome
from hansa.member.cluster.cluster_state import ClusterState
from hansa.member.hub_link.contact import Contact
from hansa.member.settings import MemberSettings
from hansa.member.state.epoch_store import EpochStore
from hansa.member.state.handed_words import HandedWords
from hansa.member.state.left_machines import LeftMachines
from hansa.member.state.receipt_store import ReceiptStore
from hansa.member.state.run_index import Entry, RunIndex
from hansa.member.witness.auditor import Auditor
from hansa.member.witness.cosigner import Cosigner
from hansa.member.witness.hardware import HardwareShower
from hansa.model.times import from_rfc3339
from hansa.observability.events import Event, Subject
from hansa.observability.instruments import Instruments
from hansa.observability.recorder import EventRecorder
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.process.workqueue import WorkQueue
from hansa.reconcile.member.contracts.time_limits import (
    STRICTEST,
    Contract,
    read_contract,
    unattended_limit_s,
)
from hansa.reconcile.member.grant_status import Stamp
from hansa.reconcile.member.usage.gpu_sightings import GpuSightings
from hansa.reconcile.member.workload import Workload, WorkloadView


@dataclass(frozen=True, slots=True)
class Watched:
    """A way to run work, and the cache of the objects that do it."""

    workload: Workload
    objects: Reflector

    def view(self, name: str) -> WorkloadView | None:
        """Return the object of a run as last seen; None: there is none."""
        found = self.objects.get(f"{name}/{name}")
        return None if found is None else self.workload.observe(found)


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
    epochs: EpochStore
    receipts: ReceiptStore
    handed: HandedWords
    auditor: Auditor
    hardware: HardwareShower
    cosigner: Cosigner
    gpu_sightings: GpuSightings
    contact: Contact
    grants: Reflector
    namespaces: Reflector
    watched: tuple[Watched, ...]
    """The ways to run work that this agent knows."""
    instruments: Instruments
    recorder: EventRecorder
    runs: WorkQueue[str]
    jitter: Callable[[], float]
    cluster_state: ClusterState = field(default_factory=ClusterState)
    run_index: RunIndex = field(default_factory=RunIndex)
    refusals: Counter[str] = field(default_factory=Counter)
    """Refusals since this process began, by reason."""
    renewal_trouble: str = ""
    """Why the hub's last answer to a renewal was not taken; empty where it was."""
    left_machines: LeftMachines = field(default_factory=LeftMachines)
    """Machines that jobs' next runs keep off."""
    orphaned: dict[str, float] = field(default_factory=dict)
    """Run → monotonic time since when the hub has no grant for it."""
    unmade: dict[str, tuple[float, float, bool]] = field(default_factory=dict)
    """Run → since when its cluster neither takes its objects nor refuses them, and last try, in monotonic time;
    and whether it waits for a run before it."""
    held_up: dict[str, float] = field(default_factory=dict)
    """Run → monotonic time since when its namespace goes: since then nobody tells its pods that they may live."""
    begun: dict[str, float] = field(default_factory=dict)
    """Run → since when it runs, once its command was seen to have begun; the guard notes it for good."""
    made: set[str] = field(default_factory=set)
    """Runs of which this process has seen the object that does the work, or made it."""
    struck_on: dict[str, frozenset[str]] = field(default_factory=dict)
    """Run → machines that were lost, and had pods of it, when it was looked at last."""
    outlived: set[str] = field(default_factory=set)
    """Runs that are released though their namespaces are held by machines that do not answer."""
    head_anew: set[str] = field(default_factory=set)
    """Runs that have begun, and have another pod for their command by now."""
    short_s: dict[str, float] = field(default_factory=dict)
    """Run that has begun → for how long a pod of it has been seen to be missing."""
    last_words: dict[str, str] = field(default_factory=dict)
    """Run → what was seen when it was ended, until the hub was told."""
    forgotten: dict[str, str] = field(default_factory=dict)
    """Run → grant that the hub was told is accepted, and of which there is no record."""
    outbox: list[Manifest] = field(default_factory=list)
    """Receipts that travel now, in their envelopes."""
    judging: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no grant waits to be judged: accepting goes before rendering."""
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something the publisher tells may have changed."""
    policy_changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the policy was written, or the machines have changed: what volumes are good for hangs on both."""

    @property
    def hub_namespace(self) -> str:
        """This node's namespace on the hub."""
        return NODE_NAMESPACE_PREFIX + self.settings.node

    @property
    def served(self) -> frozenset[str]:
        """Kinds of work that this agent can run."""
        return frozenset().union(*(one.workload.serves for one in self.watched))

    def watched_for(self, entry: Entry) -> Watched | None:
        """Return the way to run a grant's work; None: an earlier agent accepted what this cannot."""
        kind = entry.spec.job_spec.workload
        return next((one for one in self.watched if kind in one.workload.serves), None)

    def grant_of(self, entry: Entry) -> Manifest | None:
        """Return the hub's grant for a run, as last seen."""
        return self.grants.get(f"{self.hub_namespace}/{entry.grant}")

    def lost_machines(self) -> frozenset[str]:
        """Return the machines that are lost now."""
        limit_s = self.settings.timing.machine_lost_seconds
        return self.cluster_state.lost_machines.lost(self.clock.monotonic(), limit_s)

    def has_lost_machine(self, run: str) -> bool:
        """Tell whether a pod of a run was seen on a machine that was lost then, and is now."""
        return not self.lost_machines().isdisjoint(self.struck_on.get(run, ()))

    async def tell_hub(self, name: str, patch: Manifest) -> None:
        """Merge a status patch into a grant and take the answer into the cache.

        What was read is replaced (ADR 0020). Where that is no longer what stands there, only the spec
        can have changed, and a patch will do: the status has one writer.
        """
        path = WORKGRANT.path(self.hub_namespace, name) + "/status"
        read = self.grants.get(f"{self.hub_namespace}/{name}")
        if read is None:
            raise NotFound(f"grant {name}")
        body = {**read, "status": _merged(read.get("status") or {}, patch["status"])}
        try:
            answer = await self.hub.replace(path, body)
        except Conflict:
            answer = await self.hub.merge(path, patch)
        # An answer that is no grant is passed over; what the hub really holds comes by the watch.
        self.grants.absorb(answer)

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
            start_limit_s=timing.start_limit_seconds,
        )

    def noted(self, name: str) -> Contract:
        """Return the terms on a run's namespace: of when it was made, whatever the settings are now."""
        metadata = (self.namespaces.get(name) or {}).get("metadata") or {}
        made_s = from_rfc3339(metadata.get("creationTimestamp")) or 0.0
        return read_contract(metadata.get("annotations"), made_s)

    def stamp(self) -> Stamp:
        """Return now and the policy's generation."""
        return Stamp(self.clock.now(), self.cluster_state.policy.generation)

    def record(
        self, spec: WorkGrantSpec, digest: str, outcome: Outcome, *, reason: str = NONE
    ) -> EpochRecord:
        """Return a record that is kept for as long as a grant, or a signature it used, is valid."""
        limits, now_s = self.settings.limits, self.clock.now()
        keep = now_s + limits.grant_validity_seconds + limits.clock_skew_seconds
        used = () if outcome is Outcome.REFUSED else spec.job_spec.authorizations
        ends = (from_rfc3339(said.not_after) or 0.0 for said in used)
        return EpochRecord(
            job_uid=spec.job.uid,
            epoch=spec.epoch,
            digest=digest,
            outcome=outcome,
            seen_s=int(now_s),
            keep_until_s=int(max(keep, *ends)) if used else int(keep),
            reason=reason,
            authorizations=authorization.identities(used),
        )

    def has_begun(self, entry: Entry) -> bool:
        """Tell whether memory has it that anything of an accepted run was made."""
        record = self.epochs.records.get(entry.uid, entry.epoch)
        return record is not None and record.begun

    def policy_subject(self) -> Subject:
        """Return what events are about."""
        return Subject(
            "hansa.dev/v1alpha1", "MemberPolicy", "local", uid=self.cluster_state.policy.uid
        )

    def emit(self, event: Event) -> None:
        """Write an event, if there is a policy to write it on."""
        if self.cluster_state.policy.uid:
            self.recorder.emit(event)


def _merged(status: Manifest, patch: Manifest) -> Manifest:
    """Return a status with a patch in it, as the API server merges it: what is None is gone."""
    return {name: value for name, value in {**status, **patch}.items() if value is not None}
