"""The bound of the burst: the objects of a job, written by one client that decides nothing.

Hub and members are stopped, so nobody answers what is written. A job of the burst is the pattern:
its AIJob, one status, its grant with one status, and all objects of its run. What such a client
reaches on the same API servers no league that keeps these objects can exceed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from e2e.testbed.host.clock import elapsed_s
from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB, WORKGRANT, Kind
from hansa.grants.envelope import grant_name, workload_name
from hansa.ports import Manifest

IN_FLIGHT = 32
NAMESPACES = "/api/v1/namespaces"
RAYJOBS = "/apis/ray.io/v1/namespaces/{}/rayjobs"
FENCES = (
    "/api/v1/namespaces/{}/serviceaccounts",
    "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "/api/v1/namespaces/{}/resourcequotas",
    "/api/v1/namespaces/{}/configmaps",
)
"""Collections of what fences and feeds a run; ``{}`` is its namespace."""
_KEPT = ("name", "namespace", "labels", "annotations")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What was written for one job."""

    job: Manifest
    grant: Manifest
    namespace: Manifest
    fences: tuple[tuple[str, Manifest], ...]
    rayjob: Manifest


async def rate(hub: KubeCluster, members: Sequence[KubeCluster], jobs: int) -> float:
    """Write ``jobs`` jobs like one that is there, in turn at every member; return jobs a second."""
    pattern = await _read(hub, members)
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with gate:
            await _write_at_hub(hub, pattern, f"bare-{number}")
            await _write_at_member(members[number % len(members)], pattern, f"bare-{number}")

    begun = elapsed_s()
    await asyncio.gather(*(one(number) for number in range(jobs)))
    return jobs / (elapsed_s() - begun)


async def _read(hub: KubeCluster, members: Sequence[KubeCluster]) -> Pattern:
    grant = (await hub.list(WORKGRANT.path())).items[-1]
    held = grant["spec"]["job"]
    name = workload_name(held["uid"], grant["spec"]["epoch"])
    found = [(m, await m.list(RAYJOBS.format(name))) for m in members]
    member, rayjobs = next((m, page.items) for m, page in found if page.items)
    # All that is there: the benchmark's members run no controllers that would add anything.
    fences = [
        (path, item) for path in FENCES for item in (await member.list(path.format(name))).items
    ]
    namespace = await member.get(f"{NAMESPACES}/{name}")
    job = await hub.get(AIJOB.path(held["namespace"], held["name"]))
    return Pattern(job, grant, namespace, tuple(fences), rayjobs[0])


async def _write_at_hub(hub: KubeCluster, pattern: Pattern, name: str) -> None:
    await _write(hub, AIJOB, _again(pattern.job, name=name), pattern.job["status"])
    spec, uid = pattern.grant["spec"], str(uuid.uuid4())
    grant = _again(pattern.grant, name=grant_name(uid, spec["epoch"]))
    fresh = grant | {"spec": spec | {"job": spec["job"] | {"uid": uid}}}
    await _write(hub, WORKGRANT, fresh, pattern.grant["status"])


async def _write(hub: KubeCluster, kind: Kind, body: Manifest, status: Manifest) -> None:
    space, name = body["metadata"]["namespace"], body["metadata"]["name"]
    await hub.create(kind.path(space), body)
    await hub.merge(f"{kind.path(space, name)}/status", {"status": status})


async def _write_at_member(member: KubeCluster, pattern: Pattern, name: str) -> None:
    await member.create(NAMESPACES, _again(pattern.namespace, name=name))
    made = [(path.format(name), _again(item, namespace=name)) for path, item in pattern.fences]
    await asyncio.gather(*(member.create(path, body) for path, body in made))
    await member.create(RAYJOBS.format(name), _again(pattern.rayjob, name=name, namespace=name))


def _again(known: Manifest, **changed: str) -> Manifest:
    """Return the object as its maker sent it, with other names."""
    kept = {key: known["metadata"][key] for key in _KEPT if key in known["metadata"]}
    rest = {key: value for key, value in known.items() if key not in {"metadata", "status"}}
    return rest | {"metadata": kept | changed}
