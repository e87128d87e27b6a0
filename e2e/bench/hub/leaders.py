"""Several hubs on one API server divide a league, a pool each: what each of them does, and that no job has two grants.

The main hub leads the last pool, and a hub of its own each of the others. All members are ours, as in
the measurement of one hub. A job that is granted twice, by the wrong hub or at another pool's node ends
the benchmark.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from e2e.bench.hub.objects import League
from e2e.bench.hub.observer import follow
from e2e.bench.hub.run import all_members, control_plane, load_league, new_pod
from e2e.bench.hub.scrape import scrape
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.ports import free_ports
from e2e.testbed.host.processes import Process
from e2e.testbed.host.progress import Progress
from e2e.testbed.host.usage import cpu_seconds, peak_rss_mib
from e2e.testbed.league import agents, founding
from e2e.testbed.league.agents import Host
from e2e.testbed.league.founding import SYSTEM
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.errors import HansaError, NotFound
from hansa.ports import Manifest
from hansa.reconcile.hub.leaders.claims import claim_name

LEASE = "hansa-hub"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"
POLL_S = 0.2


class GrantedTwiceError(AssertionError):
    """A job has two grants, or one that its pool's leader did not write."""


@dataclass
class Seen:
    """What becomes of all jobs."""

    league: League
    grants: dict[str, tuple[float, str, str, int]] = field(default_factory=dict)
    """Grant → when it was seen, its job's uid, its node and its epoch."""
    told: dict[str, float] = field(default_factory=dict)
    """Job that was told something → when it first was, and its pool."""
    pools: dict[str, str] = field(default_factory=dict)
    """Job's uid → its pool."""

    def on_grant(self, grant: Manifest) -> None:
        """Note a new grant."""
        spec = grant["spec"]
        seen = (elapsed_s(), spec["job"]["uid"], spec["node"], spec["epoch"])
        self.grants.setdefault(grant["metadata"]["name"], seen)
        self.pools[spec["job"]["uid"]] = spec["jobSpec"]["pool"]

    def on_job(self, job: Manifest) -> None:
        """Note the first time a job's status says anything."""
        uid = job["metadata"]["uid"]
        self.pools[uid] = job["spec"]["pool"]
        if (job.get("status") or {}).get("conditions"):
            self.told.setdefault(uid, elapsed_s())

    def check(self) -> None:
        """Raise ``GrantedTwiceError`` unless every job has one grant at most, in its own pool."""
        sites = {pool.name: pool.site_names or frozenset() for pool in self.league.snapshot.pools}
        jobs = [(uid, node, epoch) for _, uid, node, epoch in self.grants.values()]
        if len({uid for uid, _, _ in jobs}) < len(jobs):
            raise GrantedTwiceError("a job has two grants")
        wrong = [row for row in jobs if row[2] != 1 or row[1] not in sites[self.pools[row[0]]]]
        if wrong:
            raise GrantedTwiceError(f"granted again, or at another pool's node: {wrong[:3]}")

    def of_pool(self, pool: str, since_s: float) -> dict[str, object]:
        """Return the figures of one pool's jobs, in seconds from a moment."""
        grants = [at_s for at_s, uid, _, _ in self.grants.values() if self.pools[uid] == pool]
        told = [at_s for uid, at_s in self.told.items() if self.pools[uid] == pool]
        jobs = sum(job.pool == pool for job in self.league.snapshot.jobs)

        def last(times: list[float]) -> float | None:
            return round(max(times) - since_s, 2) if times else None

        return {
            "jobs": jobs,
            "granted": len(grants),
            "told": len(told),
            "first_grant_s": round(min(grants) - since_s, 2) if grants else None,
            "last_grant_s": last(grants),
            "all_told_s": last(told) if len(told) == jobs else None,
        }


@dataclass(frozen=True, slots=True)
class Leader:
    """A hub that runs."""

    pool: str
    process: Process
    port: int
    started_s: float


async def measure_leaders(league: League, patience_s: float) -> dict[str, object]:
    """Return the figures of a divided league, a row a leader; raises ``GrantedTwiceError``."""
    progress, seen = Progress(), Seen(league)
    with control_plane(progress, None) as (host, plane), ExitStack() as stack:
        await load_league(league, plane, progress)
        stack.enter_context(all_members(host, plane, league))
        connection = from_kubeconfig(plane.kubeconfig)
        async with KubeCluster(connection, clock=SystemClock(), agent="bench") as cluster:
            follows = ((AIJOB.path(), seen.on_job), (WORKGRANT.path(), seen.on_grant))
            tasks = [asyncio.create_task(follow(cluster, *one)) for one in follows]
            try:
                leaders = await _start(host, plane, league, cluster, stack)
                progress.note(f"{len(leaders)} hubs started")
                await _until_told(seen, patience_s)
                await _read_all(cluster, seen)
                seen.check()
                rows = [await _row(leader, seen) for leader in leaders]
                held = await _leases(cluster)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        pids = {process.name: process.pid for process in plane.processes}
        return {
            "members": league.members,
            "jobs": league.jobs,
            "granted_twice": 0,
            "leaders": rows,
            "leases": held,
            "api_cpu_s": round(cpu_seconds(pids["kube-apiserver"]), 1),
            "etcd_cpu_s": round(cpu_seconds(pids["etcd"]), 1),
        }


async def _start(
    host: Host, plane: ControlPlane, league: League, cluster: KubeCluster, stack: ExitStack
) -> list[Leader]:
    """Start a hub for each pool; the main hub last, when the others have claimed theirs."""
    key = founding.HubKey(league.hub_signer.private_pem().decode(), league.hub_signer.public_key)
    *claimed, main = [pool.name for pool in league.snapshot.pools]
    leaders = []
    for pool in (*claimed, main):
        own = Host(host.folder / pool, host.marker)
        own.folder.mkdir()
        (port,) = free_ports(1)
        settings = new_pod(own, port) | {"HANSA_HUB_LEADERSHIP__IDENTITY": f"hub-of-{pool}"}
        if pool == main:
            for other in claimed:
                await _until_claimed(cluster, other)
        else:
            settings["HANSA_HUB_LEADERSHIP__POOLS"] = json.dumps([pool])
        process = agents.start_hub(own, plane, key, settings)
        stack.callback(process.stop)
        leaders.append(Leader(pool, process, port, elapsed_s()))
    return leaders


async def _until_claimed(cluster: KubeCluster, pool: str) -> None:
    while True:
        try:
            await cluster.get(f"{LEASES}/{claim_name(LEASE, pool)}")
        except NotFound:
            await asyncio.sleep(POLL_S)
        else:
            return


async def _until_told(seen: Seen, patience_s: float) -> None:
    """Wait until every job was told something, or patience has run out."""
    deadline = elapsed_s() + patience_s
    while len(seen.told) < seen.league.jobs and elapsed_s() < deadline:
        seen.check()
        await asyncio.sleep(POLL_S)


async def _read_all(cluster: KubeCluster, seen: Seen) -> None:
    """Read what a watch may have missed: nothing ends here, so every grant there was is still there."""
    async for page in cluster.pages(WORKGRANT.path()):
        for grant in page.items:
            seen.on_grant(grant)
    async for page in cluster.pages(AIJOB.path()):
        for job in page.items:
            seen.on_job(job)
            if (job.get("status") or {}).get("epoch", 0) > 1:
                raise GrantedTwiceError(f"{job['metadata']['name']} has a second epoch")


async def _row(leader: Leader, seen: Seen) -> dict[str, object]:
    page = await scrape(leader.port)
    return {
        "pool": leader.pool,
        **seen.of_pool(leader.pool, leader.started_s),
        "cpu_s": round(cpu_seconds(leader.process.pid), 1),
        "peak_rss_mib": round(peak_rss_mib(leader.process.pid)),
        "scrape_s": round(page.seconds, 3),
        "series": page.series,
    }


async def _leases(cluster: KubeCluster) -> Mapping[str, str]:
    """Return Lease → its holder."""
    try:
        found = (await cluster.list(LEASES)).items
    except HansaError as error:
        return {"error": str(error)}
    return {one["metadata"]["name"]: one["spec"].get("holderIdentity", "") for one in found}
