"""``hansa exporter``: wiring, until a signal says stop."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hansa.adapters.clock import SystemClock
from hansa.adapters.gpu.nvml import NvmlProbe
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.proxies import connect
from hansa.exporter.exporter import Exporter
from hansa.exporter.samples import held_samples, round_samples, seen_samples
from hansa.exporter.settings import ExporterSettings
from hansa.observability.collectors import SampleCollector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import configure_logging
from hansa.ports import Clock
from hansa.process.app import regularly, run_process, together, until_signalled
from hansa.process.environment import read_settings
from hansa.reconcile.member.inventory.accelerators import gpu_class

Duty: TypeAlias = tuple[Callable[[], Awaitable[None]], Callable[[], float]]
"""What to do again and again, and the seconds between."""


def main() -> None:
    """Run the exporter until SIGTERM or SIGINT."""
    configure_logging()
    settings = read_settings(ExporterSettings)
    run_process(lambda: until_signalled(lambda: serve(settings)))


async def serve(settings: ExporterSettings) -> None:
    """Read and serve until cancelled. Without driver or GPU it serves that fact."""
    clock = SystemClock()
    exporter = Exporter(NvmlProbe(), clock, interval_s=settings.interval_seconds)
    instruments = Instruments("exporter")
    instruments.attach(SampleCollector(lambda: round_samples(exporter.round, gpu_class)))
    instruments.attach(SampleCollector(lambda: seen_samples(settings.machine, exporter.round)))
    instruments.attach(SampleCollector(lambda: held_samples(settings.machine, exporter.held)))
    page = probes(
        page=instruments.scraped,
        healthy=lambda: "",
        ready=lambda: "",
        port=settings.port,
        host=settings.bind,
    )
    async with AsyncExitStack() as stack:
        duties: list[Duty] = [(exporter.read, lambda: settings.interval_seconds)]
        if settings.machine:
            cluster = await stack.enter_async_context(_member_cluster(settings, clock))
            look = partial(exporter.look_up_pods, cluster, settings.machine)
            duties.append((look, lambda: settings.pods_interval_seconds))
        await stack.enter_async_context(page)
        await together(*(regularly(duty, pause_s) for duty, pause_s in duties))


def _member_cluster(settings: ExporterSettings, clock: Clock) -> KubeCluster:
    kubeconfig = Path(settings.kubeconfig) if settings.kubeconfig else None
    return KubeCluster(connect(kubeconfig, os.environ), clock=clock, agent="hansa-exporter")
