"""``hansa hub``: wires the parts, and runs them under kopf. No decision is made here."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack
from pathlib import Path

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.lease import Candidate
from hansa.adapters.kube.mirror import ChangeType
from hansa.adapters.kube.proxies import connect
from hansa.adapters.price_process import solve_elsewhere
from hansa.adapters.turns import in_turns
from hansa.api.kinds import COMPUTEPOOL, PROJECT
from hansa.errors import HansaError
from hansa.hub.caches import Caches
from hansa.hub.controller import Controller
from hansa.hub.executor import Executor, GrantTerms
from hansa.hub.kopf_handlers import feed_caches
from hansa.hub.leadership.election import HubElection, find_division
from hansa.hub.league_cache import LeagueCache
from hansa.hub.node_reconciler import NodeReconciler
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.loop import PlanningLoop
from hansa.hub.planner.pricing import Pricing
from hansa.hub.planner.warm_up import load_kernel
from hansa.hub.scrape_view import ScrapeView
from hansa.hub.settings import HubSettings
from hansa.observability import metrics as m
from hansa.observability.collectors import hub_collector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import configure_logging
from hansa.observability.recorder import EventRecorder
from hansa.placement.kernel.gc_pause import collections_are_short
from hansa.ports import Manifest
from hansa.process.app import Supervisor, beside, run_process, together
from hansa.process.environment import read_settings
from hansa.process.kopf_login import run_under_kopf
from hansa.process.long_lived import look_at_all, much_comes_to_stay, set_survivors_aside
from hansa.process.loop_lag import LoopLook, watch_loop
from hansa.process.workqueue import WorkQueue
from hansa.reconcile.hub.leaders.division import WHOLE, Division
from hansa.reconcile.hub.nodes import NodeLimits

log = logging.getLogger(__name__)

SILENT_WATCH_S = 600.0
"""A watch that has said nothing for so long, bookmarks included, makes the hub unhealthy."""
READ_AGAIN_S = 2.0
"""Between tries to read a low-rate kind whole."""
LOOK_AT_ALL_S = 86_400.0
"""Between garbage collections that look at everything: each holds the loop for a second or two."""
MOST_NODES_READ = 20
"""In one turn of the event loop: each may take a millisecond."""


class Hub:
    """One replica, from its settings to its tasks."""

    def __init__(
        self, settings: HubSettings, connection: Connection, division: Division = WHOLE
    ) -> None:
        """Build all parts; raises ``Terminal`` when key or connection are unusable."""
        self._settings = settings
        self._division = division
        self._clock = SystemClock()
        self._primed = False
        signer = Ed25519Signer.from_file(Path(settings.grants.key_file))
        self.cluster = KubeCluster(
            connection,
            clock=self._clock,
            agent="hansa-hub",
            connections=settings.cluster.write_concurrency + 16,
            request_timeout_s=settings.cluster.request_timeout_seconds,
        )
        self._build(settings, connection, signer)
        log.info("hub key", extra={"publicKey": signer.public_key, "keyId": signer.key_id})

    def _build(self, settings: HubSettings, connection: Connection, signer: Ed25519Signer) -> None:
        clock, skew_s = self._clock, float(settings.grants.clock_skew_seconds)
        candidate = candidate_of(settings, connection)
        self.instruments = Instruments("hub")
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self.caches = Caches(
            self.cluster,
            clock,
            on_change=self._on_change,
            resync_s=settings.planning.resync_seconds,
            division=self._division,
        )
        limits = NodeLimits(
            settings.nodes.lease_grace_seconds,
            settings.planning.currency,
            word_keys={signer.key_id: signer.public_key},
        )
        league = self.league = LeagueCache(self.caches, limits)
        self.plans = PlanningLoop(
            self.caches,
            league,
            clock=clock,
            instruments=self.instruments,
            skew_s=skew_s,
            coalesce_s=settings.planning.coalesce_milliseconds / 1000,
        )
        self.pricing = Pricing(
            self.plans, solve_elsewhere, clock=clock, instruments=self.instruments
        )
        nodes = NodeReconciler(self.caches, league, self.plans, clock=clock)
        self.controller = Controller(
            self.caches,
            self.plans,
            nodes,
            self.queue,
            clock=clock,
            instruments=self.instruments,
            skew_s=skew_s,
        )
        self.election = HubElection(
            self.cluster,
            settings.leadership,
            self._division,
            candidate=candidate,
            clock=clock,
            on_change=self.controller.on_leadership,
            unfit=self.clock_fault,
        )
        self.recorder = EventRecorder(
            self.cluster, clock, controller="hansa.dev/hub", instance=candidate.identity
        )
        self.executor = Executor(
            self.cluster,
            self.caches,
            clock=clock,
            terms=GrantTerms(signer, settings.grants.validity_seconds, skew_s),
            still_leader=self.election.still_leader,
            recorder=self.recorder,
            instruments=self.instruments,
        )
        view = ScrapeView(
            self.caches,
            self.pricing,
            self.queue,
            clock=clock,
            election=self.election,
            events=self.recorder.outcomes,
            clock_skew_s=lambda: self.cluster.server_time_skew_s,
        )
        self.instruments.attach(hub_collector(view))

    def _on_change(self, kind: str, change: ChangeType, thing: Manifest) -> None:
        # The controller is built after the caches it listens to.
        self.controller.on_change(kind, change, thing)

    async def live(self) -> None:
        """Serve, follow and lead until cancelled. What writes ends first, the sockets last."""
        serving = self._settings.serving
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.cluster.close)
            await stack.enter_async_context(
                probes(
                    page=self.instruments.scraped,
                    healthy=self.trouble,
                    ready=self.unready,
                    port=serving.health_port,
                    host=serving.bind,
                )
            )
            following = (mirror.run() for mirror in self.caches.reflectors)
            lag = watch_loop(self._note_lag, self._clock.thread_cpu)
            await together(*following, self.recorder.run(), self._lead(), lag)

    def _note_lag(self, look: LoopLook) -> None:
        for lag_s in look.lags_s:
            self.instruments.observe(m.LOOP_LAG, lag_s)
        self.instruments.observe(m.LOOP_WORK, look.cpu_s)

    def trouble(self) -> str:
        """Return why this replica should be restarted, or nothing."""
        for mirror in self.caches.reflectors:
            if mirror.last_event_age_s > SILENT_WATCH_S:
                return f"{mirror.path}: silent for {mirror.last_event_age_s:.0f} s"
        return ""

    def clock_fault(self) -> str:
        """Return why nothing that depends on time may be decided here, or nothing.

        Fences, silent nodes and deadlines are all told by this clock, and grants are dated by it.
        """
        skew_s, most_s = self.cluster.server_time_skew_s, self._settings.grants.clock_skew_seconds
        if skew_s is None or abs(skew_s) <= most_s:
            return ""
        text = f"this machine's clock differs from the API server's by {skew_s:.0f} s"
        return f"{text}, at most {most_s} s are allowed; it does not lead until that is set right"

    def unready(self) -> str:
        """Return why this replica cannot serve yet, or nothing."""
        waiting = [mirror.path for mirror in self.caches.reflectors if not mirror.synced]
        if waiting:
            return f"not read yet: {', '.join(waiting)}"
        if not self._primed:
            return "pools not read yet"
        return self.clock_fault() or self.pool_fault()

    def pool_fault(self) -> str:
        """Return which pools are named for this hub and do not exist, or nothing."""
        there_are = [*self.caches.pools]
        missing = sorted(self._division.own.difference(there_are))
        if not missing:
            return ""
        text = f"leadership.pools: there is no ComputePool {', '.join(missing)}"
        return f"{text}; there are: {', '.join(sorted(there_are)[:8]) or 'none'}"

    async def _lead(self) -> None:
        """Stand for election when every cache is filled; plan and write while elected."""
        with much_comes_to_stay():
            # All but the jobs comes soon, and is read while the API server makes the pages of those.
            for mirror in self.caches.reflectors:
                if mirror is not self.caches.jobs:
                    await mirror.wait_synced()
            await self._prime()
            await self._look_at_nodes()
            await self.league.refresh(self._clock.now())
            await self.caches.jobs.wait_synced()
        self._primed = True
        writers = range(self._settings.cluster.write_concurrency)
        # The Lease is given up when nothing is written any more.
        async with beside(self.election.run()):
            await together(
                self.plans.run(self.controller.queue_decisions),
                self.pricing.run(),
                self.controller.begin_terms(),
                self._keep_time(),
                self._compile(),
                *(self.controller.work(self.executor) for _ in writers),
            )

    async def _compile(self) -> None:
        """Plan with the interpreted kernel until the compiled one is loaded, then with that."""
        begun_s = self._clock.monotonic()
        if await load_kernel():
            self.plans.use_compiled()
            took_s = round(self._clock.monotonic() - begun_s, 1)
            log.info("plans by the compiled kernel from now on", extra={"seconds": took_s})
        await asyncio.Event().wait()

    async def _keep_time(self) -> None:
        next_resync = self._clock.monotonic() + self._settings.planning.resync_seconds
        next_look = self._clock.monotonic() + LOOK_AT_ALL_S
        while True:
            await asyncio.sleep(self._settings.planning.tick_seconds)
            await self.controller.tick()
            if self._clock.monotonic() > next_look:
                next_look = self._clock.monotonic() + LOOK_AT_ALL_S
                look_at_all()
            if self._clock.monotonic() > next_resync:
                next_resync = self._clock.monotonic() + self._settings.planning.resync_seconds
                await self._prime()
                await self._look_at_nodes()
                await self.controller.resync()

    async def _prime(self) -> None:
        """Read the low-rate kinds whole: kopf does not say when it has seen all there is."""
        tables = {
            COMPUTEPOOL.path(): self.caches.pools,
            PROJECT.path(): self.caches.projects,
        }
        for path, mirror in tables.items():
            while True:
                try:
                    mirror.replace((await self.cluster.list(path)).items)
                    break
                except HansaError as error:
                    log.warning("cannot read", extra={"path": path, "error": str(error)})
                    await asyncio.sleep(READ_AGAIN_S)
        if fault := self.pool_fault():
            log.warning("pools are missing", extra={"error": fault})

    async def _look_at_nodes(self) -> None:
        """Read each node that has changed, signatures and all: the league is looked at in one turn."""
        async for name in in_turns([*self.caches.nodes], MOST_NODES_READ):
            self.league.look_at(name, self._clock.now())


def candidate_of(settings: HubSettings, connection: Connection) -> Candidate:
    """Return as whom a process with these settings stands for election."""
    return Candidate(
        settings.cluster.namespace or connection.namespace,
        settings.leadership.identity or f"{socket.gethostname()}-{os.getpid()}",
    )


async def run(settings: HubSettings) -> None:
    """Run one replica until the process is told to end."""
    kubeconfig = Path(settings.cluster.kubeconfig) if settings.cluster.kubeconfig else None
    connection = connect(kubeconfig, os.environ, context=settings.cluster.context)
    async with KubeCluster(connection, clock=SystemClock(), agent="hansa-hub") as cluster:
        candidate = candidate_of(settings, connection)
        division = await find_division(cluster, settings.leadership, candidate)
    hub = Hub(settings, connection, division)
    await run_under_kopf(
        Supervisor(hub.live), connection, lambda registry: feed_caches(registry, hub.caches)
    )


def main() -> None:
    """Run the hub with settings from the environment."""
    configure_logging()
    set_survivors_aside()
    collections_are_short()
    settings = read_settings(HubSettings)
    run_process(lambda: run(settings))
