"""``make bench-league``: how long from ``kubectl apply`` to a RayJob at the right institution.

Real API servers and etcd for the hub and three members, the real hub and member processes, KWOK
nodes; no pod is started. The load generator and the observer are this process, and its share of the
CPU is part of the report. No client anywhere has a rate limit. One JSON line comes last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from e2e.bench import bare
from e2e.bench.small_league import SmallLeague, small_league
from e2e.testbed.cluster.audit import read_events
from e2e.testbed.host.clock import elapsed_s
from e2e.testbed.host.progress import Progress
from e2e.testbed.host.usage import cpu_seconds, peak_rss_mib
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.api.meta import API_VERSION, JOB_UID_LABEL
from hansa.ports import Manifest
from hansa.reconcile.hub.derive import ACCEPTANCE_MAY_WAIT_S

RAYJOBS = "/apis/ray.io/v1/rayjobs"
NAMESPACE = "bench"
APPLIES_IN_FLIGHT = 32
PATIENCE_S = 120.0
SETTLE_S = 240.0
QUIET_WINDOW_S = 5.0
REST_S = ACCEPTANCE_MAY_WAIT_S + 15.0
"""A hub that writes nothing for so long has nothing left: it puts nothing off for longer than the word of a yes."""
QUIET_SHARE = 0.25
"""CPU of all API servers together, in cores, below which they count as at rest."""
HOMES = ("EE", "LV", "PT")
"""Where the members are; each job must stay in one of them, drawn by seed."""
SIZES = (1, 1, 1, 2, 4)
"""Workers per job, drawn by seed."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is applied."""

    steady_jobs: int
    per_second: float
    burst_jobs: int
    seed: int


@dataclass(slots=True)
class Timeline:
    """When each job was applied, accepted and rendered, in seconds on this process's one clock."""

    applied: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    rendered: dict[str, float] = field(default_factory=dict)

    def on_grant(self, change: str, grant: Manifest) -> None:
        """Note the first time a grant is seen accepted."""
        conditions = grant.get("status", {}).get("conditions", ())
        accepted = any(c["type"] == "Accepted" and c["status"] == "True" for c in conditions)
        if change != "DELETED" and accepted:
            self.accepted.setdefault(grant["spec"]["job"]["uid"], elapsed_s())

    def on_rayjob(self, change: str, rayjob: Manifest) -> None:
        """Note the first time a RayJob is seen."""
        uid = rayjob["metadata"].get("labels", {}).get(JOB_UID_LABEL)
        if change != "DELETED" and uid:
            self.rendered.setdefault(uid, elapsed_s())

    def delays_ms(self, moments: Mapping[str, float], uids: Sequence[str]) -> np.ndarray:
        """Return the delays after apply in milliseconds."""
        return np.array([(moments[uid] - self.applied[uid]) * 1000 for uid in uids])

    async def until_rendered(self, uids: Sequence[str]) -> None:
        """Return once every job has its RayJob."""
        deadline = elapsed_s() + PATIENCE_S
        while missing := sum(uid not in self.rendered for uid in uids):
            if elapsed_s() > deadline:
                accepted = sum(uid in self.accepted for uid in uids)
                raise TimeoutError(
                    f"{missing} of {len(uids)} jobs have no RayJob after {PATIENCE_S:.0f} s"
                    f" ({accepted} accepted)"
                )
            await asyncio.sleep(0.05)


def manifest(number: int, workers: int, home: str) -> Manifest:
    """Return one small GPU job that must stay in the jurisdiction ``home``."""
    return {
        "apiVersion": API_VERSION,
        "kind": AIJOB.name,
        "metadata": {"name": f"bench-{number}", "namespace": NAMESPACE},
        "spec": {
            "pool": "league",
            "image": f"hansa.local/ray-sklearn@sha256:{'0' * 64}",
            "entrypoint": ["python3", "-c", "pass"],
            "ray": {
                "version": "2.60.0",
                "head": {"cpu": "100m", "memory": "128Mi"},
                "workers": {"count": workers, "cpu": "100m", "memory": "128Mi", "gpus": 1},
            },
            "residency": {"location": {"allow": [home]}, "legalControl": {"allow": ["World"]}},
        },
    }


class Run:
    """One measurement over a running league."""

    def __init__(self, hub: KubeCluster, load: Load) -> None:
        self.timeline = Timeline()
        self._hub = hub
        self._rng = np.random.default_rng(load.seed)
        self._load = load
        self._number = 0

    async def _apply(self) -> str:
        self._number += 1
        workers, home = int(self._rng.choice(SIZES)), str(self._rng.choice(HOMES))
        body = manifest(self._number, workers, home)
        before = elapsed_s()
        made = await self._hub.create(AIJOB.path(NAMESPACE), body)
        uid = str(made["metadata"]["uid"])
        self.timeline.applied[uid] = before
        return uid

    async def steady(self) -> dict[str, float]:
        """Apply at a steady rate and return the latencies."""
        start, tasks = elapsed_s(), []
        for number in range(self._load.steady_jobs):
            await asyncio.sleep(max(0.0, start + number / self._load.per_second - elapsed_s()))
            tasks.append(asyncio.ensure_future(self._apply()))
        uids = await asyncio.gather(*tasks)
        await self.timeline.until_rendered(uids)
        grant = self.timeline.delays_ms(self.timeline.accepted, uids)
        rayjob = self.timeline.delays_ms(self.timeline.rendered, uids)
        return {
            "grant_p50_ms": _percentile(grant, 50),
            "grant_p99_ms": _percentile(grant, 99),
            "rayjob_p50_ms": _percentile(rayjob, 50),
            "rayjob_p99_ms": _percentile(rayjob, 99),
        }

    async def burst(self) -> dict[str, float]:
        """Apply all at once and return the rates, from the first apply to the last outcome."""
        gate = asyncio.Semaphore(APPLIES_IN_FLIGHT)

        async def one() -> str:
            async with gate:
                return await self._apply()

        uids = await asyncio.gather(*(one() for _ in range(self._load.burst_jobs)))
        await self.timeline.until_rendered(uids)
        first = min(self.timeline.applied[uid] for uid in uids)
        accepted = max(self.timeline.accepted[uid] for uid in uids) - first
        rendered = max(self.timeline.rendered[uid] for uid in uids) - first
        return {
            "admissions_per_s": round(len(uids) / accepted, 1),
            "rayjobs_per_s": round(len(uids) / rendered, 1),
            "burst_applied_s": round(max(self.timeline.applied[u] for u in uids) - first, 2),
        }


def _percentile(values: np.ndarray, rank: float) -> float:
    return round(float(np.percentile(values, rank)), 1)


@asynccontextmanager
async def _observing(
    run: Run, hub: KubeCluster, members: Sequence[KubeCluster], clock: SystemClock
) -> AsyncIterator[None]:
    """Watch the hub's grants and the members' RayJobs, as any client could."""
    reflectors = [
        Reflector(hub, WORKGRANT.path(), clock=clock, on_change=run.timeline.on_grant),
        *(Reflector(m, RAYJOBS, clock=clock, on_change=run.timeline.on_rayjob) for m in members),
    ]
    tasks = [asyncio.ensure_future(reflector.run()) for reflector in reflectors]
    try:
        for reflector in reflectors:
            await reflector.wait_synced()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(league: SmallLeague, load: Load) -> dict[str, object]:
    """Run both loads on a league that is up and return the report."""
    clock = SystemClock()

    def connect(kubeconfig: Path) -> KubeCluster:
        return KubeCluster(from_kubeconfig(kubeconfig), clock=clock)

    async with connect(league.hub_kubeconfig) as hub:
        members = [connect(path) for path in league.member_kubeconfigs]
        try:
            run = Run(hub, load)
            progress = Progress()
            await _settle(league)
            before = _hub_writes(league)
            start = elapsed_s()
            async with _observing(run, hub, members, clock):
                progress.note(f"{load.steady_jobs} jobs at {load.per_second:g}/s")
                report: dict[str, object] = dict(await run.steady())
                progress.note(f"{load.burst_jobs} jobs at once")
                begun = _used(league)
                report |= await run.burst()
                report["burst_cpu_ms_per_job"] = _per_job(begun, _used(league), load.burst_jobs)
                wall_s = elapsed_s() - start
            progress.note("what may wait is written")
            await _written(league)
            report |= _costs(league, before, load, wall_s)
            progress.note("the same objects, written by a client that decides nothing")
            league.stop_hansa()
            report["bare_rayjobs_per_s"] = round(await bare.rate(hub, members, load.burst_jobs), 1)
            return report
        finally:
            for member in members:
                await member.close()


async def _settle(league: SmallLeague) -> None:
    """Wait until the API servers have done their work of the first minute (OpenAPI schemas)."""
    last, deadline = sum(map(cpu_seconds, league.apiserver_pids)), elapsed_s() + SETTLE_S
    while elapsed_s() < deadline:
        await asyncio.sleep(QUIET_WINDOW_S)
        now = sum(map(cpu_seconds, league.apiserver_pids))
        if now - last < QUIET_SHARE * QUIET_WINDOW_S:
            return
        last = now


async def _written(league: SmallLeague) -> None:
    """Wait until the hub has written what it puts off: a job costs that, too."""
    before, deadline = -1, elapsed_s() + SETTLE_S
    while (count := _hub_writes(league)) != before and elapsed_s() < deadline:
        before = count
        await asyncio.sleep(REST_S)


def _used(league: SmallLeague) -> dict[str, float]:
    """Return the CPU seconds of every part so far."""
    parts = {name: sum(map(cpu_seconds, pids)) for name, pids in league.parts.items()}
    return parts | {"generator": cpu_seconds(os.getpid())}


def _per_job(
    before: Mapping[str, float], after: Mapping[str, float], jobs: int
) -> dict[str, float]:
    return {name: round((after[name] - before[name]) * 1000 / jobs, 1) for name in after}


def _costs(league: SmallLeague, writes_before: int, load: Load, wall_s: float) -> dict[str, object]:
    jobs = load.steady_jobs + load.burst_jobs
    return {
        "hub_writes_per_job": round((_hub_writes(league) - writes_before) / jobs, 2),
        "hub_cpu_s": round(cpu_seconds(league.hub_pid), 2),
        "hub_rss_mib": round(peak_rss_mib(league.hub_pid)),
        "member_cpu_s": round(sum(map(cpu_seconds, league.member_pids)), 2),
        "member_rss_mib": round(max(map(peak_rss_mib, league.member_pids))),
        "apiserver_cpu_s": round(sum(map(cpu_seconds, league.apiserver_pids)), 2),
        "generator_cpu_s": round(cpu_seconds(os.getpid()), 2),
        "wall_s": round(wall_s, 1),
        "jobs": jobs,
        "members": len(league.member_pids),
        "client_limits": "none",
        "cores": len(os.sched_getaffinity(0)),
        "seed": load.seed,
    }


def _hub_writes(league: SmallLeague) -> int:
    """Count the hub process's own successful writes of jobs and grants in the hub's audit log."""
    count = 0
    for event in read_events(league.hub_audit_log):
        mine = event.get("user", {}).get("username") == league.hub_user
        ok = event.get("responseStatus", {}).get("code", 500) < 300
        kind = event.get("objectRef", {}).get("resource") in {"aijobs", "workgrants"}
        count += mine and ok and kind and event.get("stage") == "ResponseComplete"
    return count


def main() -> None:
    """Run the benchmark and print its one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steady", type=int, default=300, help="jobs at the steady rate")
    parser.add_argument("--rate", type=float, default=5.0, help="steady jobs per second")
    parser.add_argument("--burst", type=int, default=1000, help="jobs applied at once")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    load = Load(chosen.steady, chosen.rate, chosen.burst, chosen.seed)
    with small_league(members=HOMES) as league:
        report = asyncio.run(measure(league, load))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
