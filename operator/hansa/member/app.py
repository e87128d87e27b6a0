"""``hansa member``: wires the agent together and runs it. No decision is made here."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import FOREIGN, KubeCluster
from hansa.adapters.kube.config import Connection, with_token
from hansa.adapters.kube.fenced import FencedCluster
from hansa.adapters.kube.proxies import connect, through
from hansa.api.kinds import MEMBERPOLICY
from hansa.errors import HansaError, NotFound, Retryable
from hansa.member.cluster.policy import NAME
from hansa.member.context import AgentContext
from hansa.member.duties import (
    FORGET_S,
    GPU_USE_S,
    HELD_RESULTS_S,
    KEPT_LOGS_S,
    LOGS_S,
    RECEIPTS_S,
    SHORT_S,
    Duties,
    Renewal,
    spread,
)
from hansa.member.health import AgentStatus
from hansa.member.hub_link import identity
from hansa.member.hub_link.identity import HubIdentity
from hansa.member.hub_link.leadership import Leadership
from hansa.member.kopf_handlers import add_handlers, take_machine, take_policy
from hansa.member.publisher import Publisher
from hansa.member.scrape_view import ScrapeView
from hansa.member.settings import MemberSettings
from hansa.member.wiring import Clients, Parts, assemble
from hansa.observability.collectors import member_collector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import Allowance, configure_logging
from hansa.ports import Clock, Manifest
from hansa.process.app import Supervisor, going_on, regularly, run_process, together
from hansa.process.environment import read_settings
from hansa.process.kopf_login import run_under_kopf
from hansa.reconcile.member.contracts.contact_lease import lease_path, read_contact
from hansa.reconcile.member.run_request import MANAGER

log = logging.getLogger(__name__)
FIRST_LOOK_S = 15.0
"""A hub that never answers must not keep the agent from the runs it has."""


class Agent:
    """One member agent, from its settings to its end."""

    def __init__(self, settings: MemberSettings, own: Connection, *, clock: Clock) -> None:
        """``own``: the member's own cluster."""
        self._settings = settings
        self._connection = own
        self._clock = clock
        self._random = np.random.default_rng()
        self._instruments = Instruments("member")
        self.status = AgentStatus()
        self.supervisor = Supervisor(self._live)
        self.port = 0
        self.renewal: Renewal | None = None
        """Set once the member has joined."""

    async def run(self) -> None:
        """Run until signalled or told to end. Duties end first, then the Lease is given up."""
        await run_under_kopf(
            self.supervisor,
            self._connection,
            lambda registry: add_handlers(registry, lambda: self.status.context),
        )

    async def _live(self) -> None:
        serving = self._settings.serving
        async with AsyncExitStack() as stack:
            self.port = await stack.enter_async_context(
                probes(
                    page=self._instruments.scraped,
                    healthy=self.status.healthy,
                    ready=self.status.ready,
                    port=serving.health_port,
                    host=serving.bind,
                )
            )
            own = await stack.enter_async_context(
                KubeCluster(self._connection, clock=self._clock, agent=MANAGER)
            )
            await self._identity(own)
            leadership = Leadership(self._settings, own, clock=self._clock)
            self.status.leadership = leadership
            still_leader = leadership.election.still_leader
            await leadership.run(lambda: self._lead(own, still_leader))

    async def _lead(self, own: KubeCluster, still_leader: Callable[[], bool]) -> None:
        """Work as the leader, until cancelled."""
        async with AsyncExitStack() as stack:
            stack.callback(self._stand_by)
            await self._run(stack, own, still_leader)

    def _stand_by(self) -> None:
        self.status.context, self.status.starting = None, "taking over"

    async def _run(
        self, stack: AsyncExitStack, own: KubeCluster, still_leader: Callable[[], bool]
    ) -> None:
        """1. Identity. 2. AgentContext. 3. What was known before. 4. First looks. 5. All duties."""
        held = await self._identity(own)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hansa-")))
        held.write_files(folder)
        to_hub = through(held.connection(folder), os.environ)
        hub = await stack.enter_async_context(self._hub(to_hub))
        parts = assemble(
            self._settings,
            Clients(
                FencedCluster(own, still_leader=still_leader),
                FencedCluster(hub, still_leader=still_leader),
                lambda: hub.server_time_skew_s,
                held.signer,
                await self._last_contact(own),
            ),
            clock=self._clock,
            instruments=self._instruments,
            jitter=self._jitter,
        )
        self.status.context = parts.context
        await self._remember(parts.context, own)
        self.renewal = Renewal(
            parts.context, held, folder, lambda token: self._hub(with_token(to_hub, token))
        )
        await self._serve(stack, parts, self.renewal)

    def _hub(self, connection: Connection) -> KubeCluster:
        return KubeCluster(
            connection,
            clock=self._clock,
            agent=MANAGER,
            request_timeout_s=self._settings.timing.hub_answer_seconds,
            bounds=FOREIGN,
        )

    async def _identity(self, own: KubeCluster) -> HubIdentity:
        """Wait until the member has joined."""
        place = self._settings.identity.secret
        while True:
            try:
                held = await identity.load(own, self._settings.namespace, place)
                if held.node != self._settings.node:
                    self.status.starting = f"Secret {place} is of node {held.node}"
                elif held.token == identity.PENDING:
                    self.status.starting = "not joined yet: the hub has given no token"
                else:
                    _ = held.token_facts
                    return held
            except NotFound:
                self.status.starting = f"not joined: no Secret {place}; run `hansa join`"
            except HansaError as error:
                self.status.starting = str(error)
            log.info("waiting for an identity", extra={"why": self.status.starting})
            await asyncio.sleep(self._settings.timing.retry_seconds)

    async def _policy(self, own: KubeCluster) -> Manifest | None:
        while True:
            try:
                return await own.get(MEMBERPOLICY.path(name=NAME))
            except NotFound:
                return None
            except Retryable as error:
                self.status.starting = str(error)
                await asyncio.sleep(error.after_s)

    async def _last_contact(self, own: KubeCluster) -> float | None:
        """Return the last contact of an earlier process; without it, all it left has run out."""
        path = lease_path(self._settings.namespace, self._settings.node)
        while True:
            try:
                return read_contact(await own.get(path))
            except NotFound:
                return None
            except Retryable as error:
                self.status.starting = str(error)
                await asyncio.sleep(error.after_s)

    def _jitter(self) -> float:
        return float(self._random.random())

    async def _remember(self, context: AgentContext, own: KubeCluster) -> None:
        """Read what an earlier process left, and the policy; nothing is judged before.

        The context hears events already, so that nothing is missed between a look and the first event.
        """
        before = context.cluster_state.policy
        policy = await self._policy(own)
        if policy is not None and context.cluster_state.policy is before:
            # Otherwise an event has told of a later one meanwhile.
            take_policy(context, "ADDED", policy)
        for node in (await own.list("/api/v1/nodes")).items:
            take_machine(context, "ADDED", node)
        await context.epochs.load()

    async def _serve(self, stack: AsyncExitStack, parts: Parts, renewal: Renewal) -> None:
        context = parts.context
        duties, timing = Duties(context), self._settings.timing

        def token_end_s() -> float:
            return renewal.end_s

        publisher = Publisher(
            context, release_key=renewal.held.signer.public_key, token_end_s=token_end_s
        )
        view = ScrapeView(context, publisher, token_end_s)
        stack.enter_context(self._instruments.attached(member_collector(view)))
        await self._first_looks(duties)
        every: list[tuple[Callable[[], Any], Callable[[], float]]] = [
            (duties.heartbeat, lambda: timing.heartbeat_seconds),
            (duties.keep_contact, lambda: timing.contact_seconds),
            (duties.canary, duties.canary_pause_s),
            (duties.kuberay, duties.kuberay_pause_s),
            (duties.resolver, duties.resolver_pause_s),
            (duties.volumes, duties.volumes_pause_s),
            (duties.forget, lambda: FORGET_S),
            (duties.gpu_use, lambda: GPU_USE_S),
            (duties.devices, lambda: GPU_USE_S),
            (parts.held_results.look, lambda: HELD_RESULTS_S),
            (parts.log_follower.look, lambda: LOGS_S),
            (parts.kept_logs.look, lambda: LOGS_S),
            (parts.kept_logs.sweep, lambda: KEPT_LOGS_S),
            (parts.metering.ask_hub, parts.metering.ask_pause_s),
            (parts.metering.look, lambda: RECEIPTS_S),
            (parts.checkpoints.give_back, lambda: HELD_RESULTS_S),
            (parts.struck_runs.look, lambda: timing.tick_seconds),
            (parts.short_runs.look, lambda: min(SHORT_S, timing.start_limit_seconds / 3)),
            (renewal.check, renewal.pause_s),
        ]
        await together(
            *(regularly(going_on(duty), spread(pause_s, self._jitter)) for duty, pause_s in every),
            context.namespaces.run(),
            *(one.objects.run() for one in context.watched),
            context.recorder.run(),
            publisher.run(),
            _on_policy(context.policy_changed, duties),
            self._work(parts),
        )

    async def _first_looks(self, duties: Duties) -> None:
        for look in (
            duties.first_canary,
            duties.kuberay,
            duties.resolver,
            duties.volumes,
            duties.heartbeat,
            duties.keep_contact,
        ):
            try:
                async with asyncio.timeout(FIRST_LOOK_S):
                    await going_on(look)()
            except (HansaError, TimeoutError) as error:
                log.warning("first look failed", extra={"error": str(error)})

    async def _work(self, parts: Parts) -> None:
        """Begin to judge only when the runs there are have been seen."""
        context, run_controller = parts.context, parts.run_controller
        await context.namespaces.wait_synced()
        if not context.cluster_state.kuberay.missing:
            for one in context.watched:
                await one.objects.wait_synced()
        context.judging.set()
        self.status.starting = ""
        log.info(
            "at work",
            extra={"node": self._settings.node, "records": sum(1 for _ in context.epochs.records)},
        )
        workers = [run_controller.work() for _ in range(self._settings.rendering.concurrency)]
        await together(
            context.grants.run(), parts.judge.run(), run_controller.watch_deadlines(), *workers
        )


async def run(settings: MemberSettings) -> None:
    """Run one replica until the process is told to end."""
    named = settings.identity.kubeconfig
    own = connect(Path(named) if named else None, os.environ)
    await Agent(settings, own, clock=SystemClock()).run()


async def _on_policy(changed: asyncio.Event, duties: Duties) -> None:
    """Look for data volumes again whenever the policy has changed."""
    while True:
        await changed.wait()
        changed.clear()
        await duties.volumes()


def main() -> None:
    """Run the agent as a process; SIGTERM ends it, running jobs go on."""
    settings = read_settings(MemberSettings)
    configure_logging(level=settings.log_level, allowance=Allowance())
    run_process(lambda: run(settings))
    log.info("stopped; running jobs go on")
