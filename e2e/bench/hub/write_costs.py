"""``python -m e2e.bench.hub.write_costs``: what each write of a job's life costs the hub's API server, in CPU.

One real etcd and kube-apiserver, the definitions, a watcher of jobs and one of grants; no hub and no member.
Bodies are those that hub and member send. One JSON line comes last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from e2e.bench.league import manifest
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from e2e.testbed.host.usage import cpu_seconds
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.hub.grant_manifest import grant_manifest
from hansa.model.plan import Placement
from hansa.ports import Manifest
from hansa.reconcile.hub.derive import derive
from hansa.reconcile.hub.job_case import JobCase
from hansa.reconcile.hub.job_view import parse_spec, view_job
from hansa.reconcile.hub.node_access import namespace_of
from hansa.reconcile.member.grant_status import Stamp, accepted

CRDS = Path(__file__).parents[3] / "crds"
SPACE, NODE = "bench", "tartu"
GRANTS = WORKGRANT.path(namespace_of(NODE))
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SPACE}/leases"
IN_FLIGHT, REST_S, WARM_UP, SKEW_S, VALIDITY_S = 8, 1.0, 50, 60.0, 300.0
Write = Callable[[int], Awaitable[Any]]


class Costs:
    """Does each write many times and notes what that cost."""

    def __init__(self, cluster: KubeCluster, server_pid: int, times: int) -> None:
        """``times``: how often each is done."""
        self.cluster = cluster
        self.ms: dict[str, float] = {}
        self._pid = server_pid
        self._times = times
        self._room = asyncio.Semaphore(IN_FLIGHT)

    async def of(self, name: str, write: Write) -> list[Any]:
        """Return the answers."""
        await asyncio.sleep(REST_S)
        before_s = cpu_seconds(self._pid)
        answers = await asyncio.gather(*(self._one(write, n) for n in range(self._times)))
        self.ms[name] = round(1000 * (cpu_seconds(self._pid) - before_s) / self._times, 2)
        return answers

    async def _one(self, write: Write, number: int) -> Any:
        async with self._room:
            return await write(number)


async def life(costs: Costs) -> None:
    """Do the writes of a life, in order."""
    at, clock, signer = costs.cluster, SystemClock(), Ed25519Signer.generate()
    jobs = await costs.of("job_made", lambda n: at.create(AIJOB.path(SPACE), manifest(n, 2, "EE")))
    due = [_placed(job, clock.now()) for job in jobs]
    jobs = await costs.of(
        "job_status", lambda n: at.replace(_status_of(jobs[n]), jobs[n] | {"status": due[n][0]})
    )
    for name, marks in (("finalizer_on", ["hansa.dev/grant"]), ("finalizer_off", [])):
        await costs.of(name, partial(_mark, at, jobs, marks))
    terms = {"now_s": clock.now(), "validity_s": VALIDITY_S, "skew_s": SKEW_S}
    bodies = [grant_manifest(write, signer, **terms) for _, write in due]
    grants = await costs.of("grant_made", lambda n: at.create(GRANTS, bodies[n]))
    stamp = Stamp(clock.now(), 1)
    grants = await costs.of(
        "grant_status",
        lambda n: at.replace(
            f"{GRANTS}/{grants[n]['metadata']['name']}/status",
            grants[n] | accepted(grants[n], "aij-run", stamp),
        ),
    )
    await costs.of(
        "grant_deleted", lambda n: at.delete(f"{GRANTS}/{grants[n]['metadata']['name']}")
    )
    await costs.of("lease_made", lambda n: at.create(LEASES, _lease(n)))
    await costs.of("lease_read", lambda n: at.get(f"{LEASES}/e-{n}"))
    await costs.of("lease_deleted", lambda n: at.delete(f"{LEASES}/e-{n}"))


async def _mark(at: KubeCluster, jobs: list[Manifest], marks: list[str], number: int) -> Manifest:
    return await at.merge(_path_of(jobs[number]), {"metadata": {"finalizers": marks}})


def _placed(job: Manifest, now_s: float) -> tuple[Any, Any]:
    """Return the status under a job's first epoch, and the grant to be written."""
    view, placement = view_job(job, parse_spec(job["spec"])), Placement(_uid(job), NODE, 2, 0)
    record, write, *_ = derive(
        JobCase(
            view,
            (),
            placement,
            now_s=now_s,
            skew_s=SKEW_S,
            institution=SPACE,
            audience="sha256:" + "a" * 64,
        )
    )
    return dict(record.status), write  # type: ignore[union-attr]  # a record and a grant come first


def _uid(job: Manifest) -> str:
    return str(job["metadata"]["uid"])


def _path_of(job: Manifest) -> str:
    return AIJOB.path(SPACE, str(job["metadata"]["name"]))


def _status_of(job: Manifest) -> str:
    return f"{_path_of(job)}/status"


def _lease(number: int) -> Manifest:
    meta = {"name": f"e-{number}"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": NODE, "leaseTransitions": 1},
    }


async def measure(times: int) -> dict[str, float]:
    """Return CPU-milliseconds of the API server a request."""
    with ControlPlane(Binaries(), audit=None) as plane:
        plane.kubectl("apply", "--server-side", "-f", CRDS)
        wait_established(plane)
        for space in (SPACE, namespace_of(NODE)):
            plane.kubectl("create", "namespace", space)
        pid = next(one.pid for one in plane.processes if one.name == "kube-apiserver")
        connection = from_kubeconfig(plane.kubeconfig)
        async with KubeCluster(connection, clock=SystemClock(), agent="bench") as cluster:
            watchers = [
                asyncio.create_task(_watch(cluster, path)) for path in (AIJOB.path(), GRANTS)
            ]
            for number in range(WARM_UP):
                await cluster.create(AIJOB.path(SPACE), manifest(times + number, 2, "EE"))
            costs = Costs(cluster, pid, times)
            await life(costs)
            for watcher in watchers:
                watcher.cancel()
            return costs.ms


async def _watch(cluster: KubeCluster, path: str) -> None:
    async for _ in cluster.watch(path, ""):
        pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench.hub.write_costs")
    parser.add_argument("--times", type=int, default=300, help="how often each write is done")
    asked = parser.parse_args()
    figures = asyncio.run(measure(asked.times))
    print(json.dumps({"bench": "write-costs", "times": asked.times, "cpu_ms": figures}))


if __name__ == "__main__":
    main()
