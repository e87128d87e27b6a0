"""One size: set the league up, start the hub, watch it until all is told and nothing moves, ask it things."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from e2e.bench.hub import etcd
from e2e.bench.hub.bytecode import with_bytecode
from e2e.bench.hub.objects import KEPT_OUT, League
from e2e.bench.hub.observer import Followed, follow_all, is_watched
from e2e.bench.hub.scrape import (
    kernel_loaded_s,
    longest_stop_s,
    probe,
    scrape,
    share_within_s,
    until_ready,
    until_written,
)
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.processes import Process
from e2e.testbed.host.progress import Progress
from e2e.testbed.host.usage import cpu_seconds, peak_rss_mib, rss_mib
from e2e.testbed.league import agents, founding
from e2e.testbed.league.agents import Host
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB, COMPUTEPOOL, PROJECT, SOVEREIGNNODE, WORKGRANT
from hansa.errors import NotFound, Retryable
from hansa.hub.caches import LEASES
from hansa.ports import Manifest

ENDS = 7
"""Jobs that are ended one after the other, each to see what is granted in its room."""
END_PATIENCE_S = 10.0
EDIT_PATIENCE_S = 60.0
HUB_LOG = "hansa-hub.log"
CACHE_PATIENCE_S, AGAIN_S = 300.0, 0.5
READ_BY_THE_HUB = {
    "Namespace": "/api/v1/namespaces",
    "Lease": LEASES,
    "SovereignNode": SOVEREIGNNODE.path(),
    "AIJob": AIJOB.path(),
    "ComputePool": COMPUTEPOOL.path(),
    "Project": PROJECT.path(),
    "WorkGrant": WORKGRANT.path(),
}
"""Kind → its collection."""
SETTLE_S, STILL_WRITING_S = 75.0, 600.0
"""Longer than a job's status rests before its figures are told anew; and the most that is waited."""


@dataclass
class Running:
    """A hub that runs, and all that is beside it."""

    league: League
    hub: Process
    port: int
    log: Path
    cluster: KubeCluster
    plane: ControlPlane
    members: subprocess.Popen[str]
    followed: Followed = field(default_factory=Followed)
    answers_s: list[float] = field(default_factory=list)
    """How long each ``/healthz`` took."""

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds so far, by part."""
        pids = {process.name: process.pid for process in self.plane.processes}
        return {
            "hub": cpu_seconds(self.hub.pid),
            "api": cpu_seconds(pids["kube-apiserver"]),
            "etcd": cpu_seconds(pids["etcd"]),
            "generator": cpu_seconds(self.members.pid) + cpu_seconds(os.getpid()),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """How long one size is watched, in seconds, and what is kept of it."""

    patience_s: float
    """For all jobs to be told."""
    quiet_s: float
    """While nothing happens."""
    log: Path | None = None


async def measure(league: League, terms: Terms) -> dict[str, object]:
    """Return the figures of one size."""
    progress = Progress()
    with control_plane(progress, terms.log) as (host, plane):
        loaded_s = await load_league(league, plane, progress)
        async with _running(host, plane, league) as run:
            started_s = elapsed_s()
            report = await _start(run, started_s, terms.patience_s, progress)
            report |= await _quiet(run, terms.quiet_s, progress)
            report |= await _answers(run, progress)
            return {
                "members": league.members,
                "jobs": league.jobs,
                **report,
                **await _totals(run),
                "setup": f"objects written into etcd, {loaded_s:.0f} s",
            }


@contextmanager
def control_plane(progress: Progress, log: Path | None) -> Iterator[tuple[Host, ControlPlane]]:
    """Run an API server with the hub's kinds for a block; ``log``: where its hub's log is copied."""
    with ExitStack() as stack:
        host = Host(Path(stack.enter_context(TemporaryDirectory(prefix="hansa-hub-"))))
        if log is not None:
            stack.callback(shutil.copy, host.folder / HUB_LOG, log)
        with progress.step("control plane"):
            plane = stack.enter_context(ControlPlane(Binaries(), audit=None))
            agents.prepare_hub(plane)
        yield host, plane


async def load_league(league: League, plane: ControlPlane, progress: Progress) -> float:
    """Write the league, and wait until the API server knows it: that is not the hub's time."""
    begun = elapsed_s()
    with progress.step(f"{league.members} members and {league.jobs} jobs into etcd"):
        last = await etcd.load(f"http://127.0.0.1:{plane.endpoint.etcd_port}", league.objects())
    with progress.step("watch caches of the API server"):
        connection = from_kubeconfig(plane.kubeconfig)
        async with KubeCluster(connection, clock=SystemClock(), agent="bench") as cluster:
            for kind, collection in READ_BY_THE_HUB.items():
                await _until_cached(cluster, collection, last.get(kind))
    return elapsed_s() - begun


async def _until_cached(cluster: KubeCluster, collection: str, meta: Manifest | None) -> None:
    """Wait until the API server's watch cache has an object, or is there if there is none."""
    deadline = elapsed_s() + CACHE_PATIENCE_S
    path = _path_of(collection, meta) if meta else collection
    while True:
        try:
            # Version 0 asks for what is cached.
            await cluster.text(path, {"resourceVersion": "0", "limit": "1"})
            await is_watched(cluster, collection)
        except (NotFound, Retryable):
            if elapsed_s() > deadline:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            return


def _path_of(collection: str, meta: Manifest) -> str:
    group, _, plural = collection.rpartition("/")
    space = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{group}{space}/{plural}/{meta['name']}"


@asynccontextmanager
async def _running(host: Host, plane: ControlPlane, league: League) -> AsyncIterator[Running]:
    """Start the members, then the hub; the jobs have been waiting for it."""
    connection = from_kubeconfig(plane.kubeconfig)
    with ExitStack() as stack:
        members = stack.enter_context(all_members(host, plane, league))
        port = free_ports(1)[0]
        key = founding.HubKey(
            league.hub_signer.private_pem().decode(), league.hub_signer.public_key
        )
        hub = agents.start_hub(host, plane, key, new_pod(host, port))
        stack.callback(hub.stop)
        async with KubeCluster(connection, clock=SystemClock(), agent="bench") as cluster:
            run = Running(league, hub, port, host.folder / HUB_LOG, cluster, plane, members)
            tasks = follow_all(cluster, run.followed)
            tasks.append(asyncio.create_task(probe(port, run.answers_s)))
            try:
                yield run
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def all_members(host: Host, plane: ControlPlane, league: League) -> Iterator[subprocess.Popen[str]]:
    """Run what all members' agents do for a block."""
    key = host.folder / "members.pem"
    key.touch(mode=0o600)
    key.write_bytes(league.signer.private_pem())
    nodes = [site.name for site in league.snapshot.sites]
    argv = ["-m", "e2e.bench.hub.generator", str(plane.kubeconfig), str(key), *nodes]
    with subprocess.Popen([sys.executable, *argv], stdin=subprocess.PIPE, text=True) as members:
        try:
            yield members
        finally:
            members.kill()


def new_pod(host: Host, port: int) -> dict[str, str]:
    """A new pod has no compiled kernel; its image has Python's bytecode."""
    numba, bytecode = host.folder / "numba", host.folder / "bytecode"
    settings = {"HANSA_HUB_SERVING__HEALTH_PORT": str(port), "NUMBA_CACHE_DIR": str(numba)}
    return settings | with_bytecode(bytecode, "hansa.cli.main", "hansa.hub.app")


async def _start(
    run: Running, started_s: float, patience_s: float, progress: Progress
) -> dict[str, object]:
    """From the start of the process until every job was told something."""
    followed, jobs = run.followed, run.league.jobs
    ready_s = await until_ready(run.port, patience_s)
    progress.note("ready")
    granted = await followed.until(lambda: followed.first_grant_s is not None, patience_s)
    at_first_grant = run.cpu_s()
    progress.note("first grant" if granted else "no grant")
    left_s = max(0.0, started_s + patience_s - elapsed_s())
    await followed.until(lambda: len(followed.told) >= jobs, left_s)
    progress.note(f"{len(followed.told)} of {jobs} jobs told")
    used = run.cpu_s()

    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - started_s, 2)

    all_told = len(followed.told) >= jobs
    return {
        "ready_s": since(ready_s),
        "first_grant_s": since(followed.first_grant_s),
        "first_grant_hub_cpu_s": round(at_first_grant["hub"], 2) if granted else None,
        "first_told_s": since(followed.first_told_s),
        "all_told_s": since(followed.last_told_s) if all_told else None,
        "all_told_hub_cpu_s": round(used["hub"], 1),
        "all_told_api_cpu_s": round(used["api"], 1),
        "told": len(followed.told),
        "statuses_per_s": followed.rate(started_s),
        "granted": len(followed.granted),
        "watched_s": round(elapsed_s() - started_s, 1),
    }


async def _quiet(run: Running, quiet_s: float, progress: Progress) -> dict[str, object]:
    """Watch a hub to which nothing happens but that Leases are renewed."""
    progress.note("settling")
    is_over = len(run.followed.told) >= run.league.jobs
    settled_s = await until_written(run.port, SETTLE_S, STILL_WRITING_S if is_over else SETTLE_S)
    first, used, rss, begun = await scrape(run.port), run.cpu_s(), rss_mib(run.hub.pid), elapsed_s()
    progress.note(f"quiet for {quiet_s:g} s")
    await asyncio.sleep(quiet_s)
    last, now = await scrape(run.port), run.cpu_s()
    grown, wall_s = rss_mib(run.hub.pid) - rss, elapsed_s() - begun
    return {
        "settled_s": settled_s,
        "writes_per_job": round(first.writes / run.league.jobs, 2),
        "writes_after_quiet_per_min": round((last.writes - first.writes) / wall_s * 60, 1),
        "node_writes_after_quiet_per_min": round(
            (last.other_writes - first.other_writes) / wall_s * 60, 1
        ),
        "steady_cores": round((now["hub"] - used["hub"]) / wall_s, 3),
        "rss_mib": round(rss),
        "rss_growth_mib_per_min": round(grown / wall_s * 60, 2),
        "scrape_s": round(last.seconds, 3),
        "series": last.series,
    }


async def _answers(run: Running, progress: Progress) -> dict[str, object]:
    """Ask for what people wait for: room that comes free, a rule that changes."""
    progress.note("ends and an edit")
    delays = [delay for _ in range(ENDS) if (delay := await _end_one(run)) is not None]
    return {
        "one_end_to_next_grant_ms": round(median(delays) * 1000, 1) if delays else None,
        "ends_followed_by_a_grant": len(delays),
        "pool_edit_to_plan_ms": await _edit_pool(run),
    }


async def _end_one(run: Running) -> float | None:
    """End the run of one grant; return seconds until the next grant is seen, None if there is none."""
    granted, stdin = run.followed.granted, run.members.stdin
    if stdin is None or not granted:
        return None
    before, name = set(granted), next(iter(granted))
    del granted[name]
    before.discard(name)
    begun = elapsed_s()
    stdin.write(name + "\n")
    stdin.flush()

    def more() -> bool:
        return not granted.keys() <= before

    if not await run.followed.until(more, END_PATIENCE_S):
        return None
    return min(granted[name][0] for name in granted.keys() - before) - begun


async def _edit_pool(run: Running) -> float | None:
    """Let the country in that was kept out; return milliseconds until something is granted there."""
    places = {site.name: site.jurisdiction for site in run.league.snapshot.sites}
    there = {name for name, place in places.items() if place == KEPT_OUT}
    begun = elapsed_s()
    ceiling = {"spec": {"residency": {"location": {"deny": None}}}}
    await run.cluster.merge(COMPUTEPOOL.path(name=run.league.snapshot.pools[0].name), ceiling)

    def seen() -> list[float]:
        return [at_s for at_s, node in run.followed.granted.values() if node in there]

    if not await run.followed.until(lambda: bool(seen()), EDIT_PATIENCE_S):
        return None
    return round((min(seen()) - begun) * 1000, 1)


async def _totals(run: Running) -> dict[str, object]:
    page, used, answers = await scrape(run.port), run.cpu_s(), run.answers_s
    held_s, computed_s = longest_stop_s(page, run.log)
    return {
        "loop_block_p99_ms": _ms(share_within_s(page.lags, 0.99)),
        "loop_block_max_ms": _ms(held_s),
        "loop_cpu_p99_ms": _ms(share_within_s(page.work, 0.99)),
        "loop_cpu_max_ms": _ms(computed_s),
        "healthz_max_ms": _ms(max(answers)) if answers else None,
        "compile_ms": _ms(kernel_loaded_s(run.log)),
        "prices_s": page.prices_s,
        "prices_age_s": page.prices_age_s,
        "certified_gap": page.gap,
        "peak_rss_mib": round(peak_rss_mib(run.hub.pid)),
        "hub_cpu_s": round(used["hub"], 1),
        "api_cpu_s": round(used["api"], 1),
        "etcd_cpu_s": round(used["etcd"], 1),
        "generator_cpu_s": round(used["generator"], 1),
        "cores": len(os.sched_getaffinity(0)),
        "seed": run.league.seed,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
