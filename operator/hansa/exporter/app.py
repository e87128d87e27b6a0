"""``hansa exporter``: wiring, until a signal says stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hansa.adapters.clock import SystemClock
from hansa.adapters.gpu.nvml import NvmlProbe
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import connect
from hansa.exporter.exporter import Exporter
from hansa.exporter.samples import round_samples
from hansa.exporter.settings import ExporterSettings
from hansa.observability.collectors import SampleCollector
from hansa.observability.http import probes
from hansa.observability.instruments import Instruments
from hansa.observability.logging import configure_logging
from hansa.ports import Clock
from hansa.reconcile.member.inventory import gpu_class

Loop: TypeAlias = tuple[float, Callable[[], Awaitable[None]]]
"""Seconds between calls, and what to call."""


def main() -> None:
    """Run the exporter until SIGTERM or SIGINT."""
    configure_logging()
    asyncio.run(serve(ExporterSettings()))


async def serve(settings: ExporterSettings) -> None:
    """Read and serve until a signal. Without driver or GPU it serves that fact."""
    clock = SystemClock()
    exporter = Exporter(NvmlProbe(), clock, interval_s=settings.interval_seconds)
    instruments = Instruments("exporter")
    instruments.attach(SampleCollector(lambda: round_samples(exporter.round, gpu_class)))
    page = probes(
        page=instruments.page,
        healthy=lambda: "",
        ready=lambda: "",
        port=settings.port,
        host=settings.bind,
    )
    async with AsyncExitStack() as stack:
        rounds: list[Loop] = [(settings.interval_seconds, exporter.read)]
        if settings.machine:
            cluster = await stack.enter_async_context(_member_cluster(settings, clock))
            look = partial(exporter.look_up_pods, cluster, settings.machine)
            rounds.append((settings.pods_interval_seconds, look))
        await stack.enter_async_context(page)
        await _until_signalled(rounds)


def _member_cluster(settings: ExporterSettings, clock: Clock) -> KubeCluster:
    kubeconfig = Path(settings.kubeconfig) if settings.kubeconfig else None
    return KubeCluster(connect(kubeconfig, os.environ), clock=clock, agent="hansa-exporter")


async def _every(interval_s: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        await act()
        await asyncio.sleep(interval_s)


async def _until_signalled(rounds: Sequence[Loop]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_every(*item)) for item in rounds]
        await stop.wait()
        for task in running:
            task.cancel()
