"""The naive hub of ``naive.py`` measured as the real one is: same API server, same members, its own size."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from e2e.bench.hub.bytecode import with_bytecode
from e2e.bench.hub.objects import League
from e2e.bench.hub.observer import Followed, follow_all
from e2e.bench.hub.run import all_members, control_plane, load_league
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.progress import Progress
from e2e.testbed.host.usage import cpu_seconds, peak_rss_mib
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig


async def measure_naive(league: League, patience_s: float) -> dict[str, object]:
    """Return its figures: from its start until every job was told something, or patience ran out."""
    progress, followed = Progress(), Followed()
    with control_plane(progress, None) as (host, plane), ExitStack() as stack:
        bytecode = with_bytecode(host.folder / "bytecode", "e2e.bench.hub.naive")
        await load_league(league, plane, progress)
        stack.enter_context(all_members(host, plane, league))
        connection = from_kubeconfig(plane.kubeconfig)
        async with KubeCluster(connection, clock=SystemClock(), agent="bench") as cluster:
            tasks = follow_all(cluster, followed)
            pids = {process.name: process.pid for process in plane.processes}
            api_s, started_s = cpu_seconds(pids["kube-apiserver"]), elapsed_s()
            key = host.folder / "members.pem"
            program: list[str | Path] = [
                sys.executable,
                "-m",
                "e2e.bench.hub.naive",
                plane.kubeconfig,
                key,
            ]
            naive = host.start("naive", program, bytecode)
            stack.callback(naive.stop)
            try:
                with progress.step("naive kopf operator"):
                    all_told = await followed.until(
                        lambda: len(followed.told) >= league.jobs, patience_s
                    )
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        def since(moment: float | None) -> float | None:
            return None if moment is None else round(moment - started_s, 2)

        return {
            "members": league.members,
            "jobs": league.jobs,
            "told": len(followed.told),
            "granted": len(followed.granted),
            "first_grant_s": since(followed.first_grant_s),
            "all_told_s": since(followed.last_told_s) if all_told else None,
            "statuses_per_s": followed.rate(started_s),
            "hub_cpu_s": round(cpu_seconds(naive.pid), 1),
            "api_cpu_s": round(cpu_seconds(pids["kube-apiserver"]) - api_s, 1),
            "peak_rss_mib": round(peak_rss_mib(naive.pid)),
        }
