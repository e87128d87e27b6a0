"""``hansa guard``: wiring, until a signal says stop."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.proxies import connect
from hansa.errors import HansaError
from hansa.guard.guard import Guard
from hansa.guard.settings import GuardSettings
from hansa.observability import metrics as m
from hansa.observability.collectors import Sample, SampleCollector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import configure_logging
from hansa.ports import Clock
from hansa.process.app import run_process, until_signalled
from hansa.process.environment import read_settings
from hansa.reconcile.workloads import WORKLOADS

log = logging.getLogger(__name__)
LONGEST_PASS_S = 60.0
"""A pass that takes longer is given up, and the next begins afresh."""
HUNG_AFTER_S = 120.0
"""No pass has begun for so long: the process should be restarted."""
BLIND_AFTER_S = 30.0


class Watch:
    """One guard process: passes at intervals, and what its probes answer."""

    def __init__(self, settings: GuardSettings, guard: Guard, clock: Clock) -> None:
        """Nothing is read before ``run``."""
        self._settings = settings
        self._guard = guard
        self._clock = clock
        self._began = clock.monotonic()

    async def run(self) -> None:
        """Make passes until cancelled."""
        while True:
            self._began = self._clock.monotonic()
            try:
                async with asyncio.timeout(LONGEST_PASS_S):
                    await self._guard.make_pass()
            except (HansaError, TimeoutError) as error:
                log.warning("pass failed", extra={"error": str(error) or "it took too long"})
            except Exception:
                # A fault of ours in one pass must not be the end of all passes.
                log.exception("pass not understood")
            await asyncio.sleep(self._settings.pass_seconds)

    def healthy(self) -> str:
        """Return why the guard should be restarted; an API server that is away is no such reason."""
        age_s = self._clock.monotonic() - self._began
        return f"no pass has begun for {age_s:.0f} s" if age_s > HUNG_AFTER_S else ""

    def ready(self) -> str:
        """Return why the guard does not see what it guards."""
        age_s = self._age_s()
        return f"runs and policy not seen for {age_s:.0f} s" if age_s > BLIND_AFTER_S else ""

    def samples(self) -> list[Sample]:
        """Return what a scrape reads."""
        return [
            Sample(m.GUARD_PASS_AGE, self._age_s()),
            Sample(m.GUARD_CONTACT_AGE, self._guard.contact_age_s),
            Sample(m.GUARD_RUNS, self._guard.runs),
            *(Sample(m.GUARD_STOPS, n, (why.value,)) for why, n in self._guard.stops.items()),
        ]

    def _age_s(self) -> float:
        return self._clock.monotonic() - self._guard.seen_s


async def serve(settings: GuardSettings, own: Connection) -> None:
    """Guard until cancelled."""
    clock, instruments = SystemClock(), Instruments("guard")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            KubeCluster(
                own,
                clock=clock,
                agent="hansa-guard",
                request_timeout_s=settings.answer_seconds,
            )
        )
        guard = Guard(
            settings,
            cluster,
            workloads=WORKLOADS,
            clock=clock,
            server_skew=lambda: cluster.server_time_skew_s,
        )
        watch = Watch(settings, guard, clock)
        instruments.attach(SampleCollector(watch.samples))
        await stack.enter_async_context(
            probes(
                page=instruments.scraped,
                healthy=watch.healthy,
                ready=watch.ready,
                port=settings.port,
                host=settings.bind,
            )
        )
        await watch.run()


def main() -> None:
    """Run the guard as a process."""
    settings = read_settings(GuardSettings)
    configure_logging(level=settings.log_level)
    own = connect(Path(settings.kubeconfig) if settings.kubeconfig else None, os.environ)
    run_process(lambda: until_signalled(lambda: serve(settings, own)))
