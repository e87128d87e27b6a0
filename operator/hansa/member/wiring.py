"""Puts the agent's parts together; the context is shared, so who hears of whom is settled here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hansa.adapters.kube.mirror import ChangeType, Kept, OnChange
from hansa.adapters.kube.reflector import Pace, Reflector, Selection
from hansa.api.kinds import WORKGRANT
from hansa.api.meta import MANAGED_BY_LABEL, NODE_LABEL, NODE_NAMESPACE_PREFIX
from hansa.grants.shape import misshapen
from hansa.member.cluster.cluster_state import ClusterState
from hansa.member.context import AgentContext, Watched
from hansa.member.facts import is_live
from hansa.member.hub_link.contact import Contact
from hansa.member.judge import Judge
from hansa.member.runs.checkpoint_volumes import CheckpointVolumes
from hansa.member.runs.endings import Endings
from hansa.member.runs.held_results import HeldResults
from hansa.member.runs.logs.kept_logs import KeptLogs
from hansa.member.runs.logs.log_follower import LogFollower
from hansa.member.runs.metering import Metering, gpu_salt
from hansa.member.runs.pods.short_runs import ShortRuns
from hansa.member.runs.pods.struck_runs import StruckRuns
from hansa.member.runs.run_controller import RunController
from hansa.member.runs.run_objects import RunObjects
from hansa.member.settings import MemberSettings
from hansa.member.state.epoch_store import EpochStore
from hansa.member.state.handed_words import HandedWords
from hansa.member.state.receipt_store import ReceiptStore
from hansa.member.witness.auditor import Auditor
from hansa.member.witness.cosigner import Cosigner, note_signers
from hansa.member.witness.hardware import HardwareShower
from hansa.member.witness.memory import WitnessMemory
from hansa.observability.instruments import Instruments
from hansa.observability.recorder import EventRecorder, Limit
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.process.workqueue import WorkQueue
from hansa.reconcile.member.run_request import MANAGER
from hansa.reconcile.member.usage.gpu_sightings import GpuSightings
from hansa.reconcile.workloads import WORKLOADS

NAMESPACES = "/api/v1/namespaces"
EVENTS = Limit(per_second=1.0, burst=100)
"""What a hub can have this member say is kept for an hour by the member's own API server."""
MOST_GRANT_BYTES = 32 << 20
"""Of JSON, in memory several times as much: ten thousand grants of three kilobytes."""
OURS = f"{MANAGED_BY_LABEL}={MANAGER},{NODE_LABEL}={{}}"
"""Runs of this node: a cluster may belong to several leagues, each with an agent of its own."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Both clusters, the release key, and when an earlier process last spoke with the hub."""

    own: Cluster
    hub: Cluster
    hub_skew: Callable[[], float | None]
    signer: Signer
    last_contact_s: float | None


@dataclass(frozen=True, slots=True)
class Parts:
    """The agent's working parts."""

    context: AgentContext
    judge: Judge
    run_controller: RunController
    held_results: HeldResults
    log_follower: LogFollower
    kept_logs: KeptLogs
    metering: Metering
    checkpoints: CheckpointVolumes
    struck_runs: StruckRuns
    short_runs: ShortRuns


class Relay:
    """Passes changes on to whoever is named later: reflectors are made before their readers."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self.to: OnChange | None = None

    def __call__(self, kind: ChangeType, thing: Manifest) -> None:
        """Pass one change on."""
        if self.to is not None:
            self.to(kind, thing)


def assemble(
    settings: MemberSettings,
    clients: Clients,
    *,
    clock: Clock,
    instruments: Instruments,
    jitter: Callable[[], float],
) -> Parts:
    """Return the parts, connected; nothing runs yet."""
    to_judge, to_run_controller = Relay(), Relay()
    ours = OURS.format(settings.node)

    def reflector(
        cluster: Cluster,
        path: str,
        relay: Relay,
        labels: str = "",
        *,
        admit: Callable[[Manifest], str] = lambda _: "",
        most_bytes: int = 0,
    ) -> Reflector:
        return Reflector(
            cluster,
            path,
            clock=clock,
            on_change=relay,
            selection=Selection(labels),
            kept=Kept(admit=admit, most_bytes=most_bytes),
            pace=Pace(settings.timing.resync_seconds, jitter),
        )

    context = AgentContext(
        settings=settings,
        clock=clock,
        own=clients.own,
        hub=clients.hub,
        hub_skew=clients.hub_skew,
        signer=clients.signer,
        epochs=EpochStore(clients.own, settings.namespace),
        receipts=ReceiptStore(clients.own, settings.namespace, clients.signer),
        handed=HandedWords(clients.own, settings.namespace, clients.signer.key_id),
        auditor=Auditor(clients.signer, clients.own, settings.namespace),
        hardware=HardwareShower(clients.signer.key_id, clients.own, settings.namespace),
        cosigner=Cosigner(
            settings.witness.log,
            note_signers(settings.witness, clients.signer),
            WitnessMemory(clients.own, settings.namespace),
            clock,
        ),
        gpu_sightings=GpuSightings(gpu_salt(clients.signer)),
        contact=Contact(
            clock, last_s=clients.last_contact_s, skew_s=settings.limits.clock_skew_seconds
        ),
        grants=reflector(
            clients.hub,
            WORKGRANT.path(NODE_NAMESPACE_PREFIX + settings.node),
            to_judge,
            admit=misshapen,
            most_bytes=MOST_GRANT_BYTES,
        ),
        namespaces=reflector(clients.own, NAMESPACES, to_run_controller, ours),
        watched=tuple(
            Watched(one, reflector(clients.own, one.resource.path(), to_run_controller, ours))
            for one in WORKLOADS
        ),
        instruments=instruments,
        recorder=EventRecorder(
            clients.own,
            clock,
            controller="hansa.dev/member",
            instance=os.uname().nodename,
            limit=EVENTS,
        ),
        runs=WorkQueue(first_retry_s=settings.timing.retry_seconds),
        jitter=jitter,
        cluster_state=ClusterState(
            rules=settings.machine_rules(), checkpoints=settings.runs.checkpoint_rules()
        ),
    )
    context.epochs.is_live = partial(is_live, context)
    metering, objects = Metering(context), RunObjects(context)
    judge, held_results = Judge(context, metering), HeldResults(context)
    kept_logs = KeptLogs(context)
    log_follower = LogFollower(context, objects, kept_logs)
    endings = Endings(context, objects, held_results, log_follower)
    run_controller = RunController(context, objects, endings, metering)
    to_judge.to, to_run_controller.to = judge.seen, run_controller.seen
    return Parts(
        context=context,
        judge=judge,
        run_controller=run_controller,
        held_results=held_results,
        log_follower=log_follower,
        kept_logs=kept_logs,
        metering=metering,
        checkpoints=objects.checkpoints,
        struck_runs=StruckRuns(context),
        short_runs=ShortRuns(context),
    )
