"""A hub and a member for the member's tests: real API servers, a hub that signs, a scripted KubeRay.

No KubeRay runs: a RayJob's status is moved by hand, in every order of events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.testbed.addons import second_lock
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig, with_token
from hansa.adapters.kube.tokens import request_token
from hansa.adapters.sealing import seal
from hansa.api.kinds import MEMBERPOLICY, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import API_VERSION, NODE_ACCOUNT
from hansa.errors import NotFound
from hansa.grants import envelope
from hansa.member.app import Agent
from hansa.member.settings import MemberSettings
from hansa.model.times import rfc3339
from hansa.reconcile.hub.node_access import access_manifests
from tests.apiserver.member.cable import Cable
from tests.residency_kit import EVERYWHERE

ROOT = Path(__file__).parents[3]
IMAGE = "hansa.local/ray-sklearn@sha256:" + "0" * 64
RAYJOBS = "/apis/ray.io/v1/namespaces/{0}/rayjobs/{0}"


async def until(condition: Any, what: str = "") -> Any:
    """Wait until ``condition()`` (plain or async) returns something true, and return that."""
    last: Any = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                last = condition()
                last = await last if asyncio.iscoroutine(last) else last
                if last:
                    return last
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"never came: {what}") from None


def client(plane: ControlPlane, kubeconfig: Path | None = None) -> KubeCluster:
    """Return an admin's (or another user's) client."""
    place = from_kubeconfig(kubeconfig or plane.kubeconfig)
    return KubeCluster(place, clock=SystemClock(), agent="test")


def holder_of(place: Connection) -> Callable[[str], KubeCluster]:
    """Return how a server is seen by the holder of a token."""
    return lambda token: KubeCluster(with_token(place, token), clock=SystemClock(), agent="test")


def install(plane: ControlPlane, crds: Path) -> None:
    """Install resource definitions."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    wait_established(plane)


def install_kuberay(plane: ControlPlane, binaries: Binaries) -> None:
    """Install KubeRay's definition of what an agent makes: all four cost three times the time."""
    bases = binaries.source_of("kuberay") / "config" / "crd" / "bases"
    install(plane, bases / "ray.io_rayjobs.yaml")


class Hub:
    """A hub that writes signed grants for one node."""

    def __init__(self, cluster: KubeCluster, node: str) -> None:
        self.cluster = cluster
        self.node = node
        self.namespace = f"hansa-node-{node}"
        self.signer = Ed25519Signer.generate()
        self.audience = ""
        """SHA-256 of the release key of the node that has joined."""

    async def prepare(self) -> None:
        """Make the SovereignNode and what its identity needs."""
        spec = {
            "institution": "university-of-tartu",
            "jurisdiction": "EE",
            "legalControl": ["EE"],
            "accepted": "Accepted",
        }
        body = {"apiVersion": API_VERSION, "kind": "SovereignNode"}
        body |= {"metadata": {"name": self.node}, "spec": spec}
        await self.cluster.create(SOVEREIGNNODE.path(), body)
        for path, manifest in access_manifests(self.node):
            await self.cluster.apply(path, manifest, manager="test")

    def spec(self, job: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Return a signed grant's spec; ``changes`` are made before signing."""
        job = job_spec() if job is None else job
        now = time.time()  # noqa: TID251  # real servers run on real time
        spec: dict[str, Any] = {
            "issuer": self.signer.key_id,
            "audience": self.audience,
            "node": self.node,
            "job": {"namespace": "hospital", "name": "study", "uid": str(uuid.uuid4())},
            "institution": "tartu-hospital",
            "epoch": 1,
            "notBefore": rfc3339(now - 60),
            "notAfter": rfc3339(now + 3600),
            "specDigest": envelope.digest(job),
            "jobSpec": job,
            "workers": job["ray"].get("workers", {}).get("count", 1),
            "overlays": [],
        } | changes
        key_id, signature = envelope.sign(self.signer, envelope.grant_message(spec))
        spec["signatures"] = [{"keyId": key_id, "signature": signature}]
        return spec

    async def seal(self, key: str) -> None:
        """Pin a newcomer's key and seal a token to it: what the league's admin and a hub do."""
        path = SOVEREIGNNODE.path(name=self.node)
        token, end = await request_token(self.cluster, self.namespace, NODE_ACCOUNT, seconds=3600)
        sealed = {"key": key, "sealed": seal(token, key, node=self.node), "notAfter": end}
        await self.cluster.merge(path, {"spec": {"identityKey": key}})
        await self.cluster.merge(path + "/status", {"status": {"identity": sealed}})

    async def grant(self, spec: dict[str, Any]) -> str:
        """Write a grant; returns its name."""
        name = envelope.grant_name(spec["job"]["uid"], spec["epoch"])
        body = {"apiVersion": API_VERSION, "kind": "WorkGrant", "metadata": {"name": name}}
        await self.cluster.create(WORKGRANT.path(self.namespace), body | {"spec": spec})
        return name

    async def status(self, name: str) -> dict[str, Any]:
        """Return a grant's status."""
        grant = await self.cluster.get(WORKGRANT.path(self.namespace, name))
        return grant.get("status") or {}

    async def condition(self, name: str, kind: str) -> dict[str, Any] | None:
        """Return one condition of a grant."""
        found = (await self.status(name)).get("conditions") or []
        return next((c for c in found if c["type"] == kind), None)

    async def said(self, name: str, kind: str) -> dict[str, Any]:
        """Wait for a condition."""
        return await until(lambda: self.condition(name, kind), f"{kind} of {name}")

    async def cancel(self, name: str) -> None:
        """Ask to stop."""
        path = WORKGRANT.path(self.namespace, name)
        await self.cluster.merge(path, {"spec": {"cancel": "Stop"}})


def job_spec(**changes: Any) -> dict[str, Any]:
    """Return a job's wire spec."""
    spec = {
        "pool": "league",
        "residency": EVERYWHERE,
        "image": IMAGE,
        "entrypoint": ["python3", "-c", 'print("a b"; $(HOME) `x`)'],
        "env": [{"name": "GREETING", "value": "$(HOME) and $$"}],
        "ray": {
            "version": "2.60.0",
            "workers": {"count": 2, "gpus": 1, "gpuClass": "nvidia-rtx-4090"},
        },
        "result": {"maxBytes": 4096},
    }
    return spec | changes


def policy(hub: Hub, **changes: Any) -> dict[str, Any]:
    """Return the member's law, trusting ``hub``."""
    spec: dict[str, Any] = {
        "jurisdiction": "EE",
        "legalControl": ["EE"],
        "trustedHubs": [{"name": "league", "publicKey": hub.signer.public_key}],
        "imageRegistries": ["hansa.local/"],
        "exports": {"result": "Allow", "logs": "Allow"},
    } | changes
    return {
        "apiVersion": API_VERSION,
        "kind": "MemberPolicy",
        "metadata": {"name": "local"},
        "spec": spec,
    }


def machine(name: str, *, gpus: int = 8, place: str = "EE") -> list[str]:
    """Return a Node and its status, as YAML to be applied."""
    gpu, labels = "nvidia.com/gpu", {"hansa.dev/jurisdiction": place, "kubernetes.io/arch": "amd64"}
    labels |= {f"{gpu}.product": "NVIDIA-GeForce-RTX-4090", f"{gpu}.memory": "24564"}
    size = {"cpu": "64", "memory": "256Gi", gpu: str(gpus), "pods": "110"}
    metadata = {"name": name, "labels": labels}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    status = {"capacity": size, "allocatable": size, "conditions": [ready]}
    return [yaml.safe_dump(each) for each in (node, {"status": status})]


@dataclass
class Member:
    """The member's side: its cluster, its settings, and how to run its agent."""

    cluster: KubeCluster
    plane: ControlPlane
    settings: MemberSettings
    cable: Cable

    def agent(self, **timing: float) -> Agent:
        """Return a new agent process, as it were; ``timing``: settings of how often things happen."""
        hurried = self.settings.timing.model_copy(update=timing)
        settings = self.settings.model_copy(update={"timing": hurried})
        return Agent(settings, from_kubeconfig(self.identity), clock=SystemClock())

    @property
    def identity(self) -> Path:
        """The agent's kubeconfig: an admin's rights, under the name that the second lock goes by."""
        return self.plane.kubeconfig_for(second_lock.AGENT, second_lock.MASTERS)

    def as_kuberay(self) -> KubeCluster:
        """Return a client under the name of KubeRay's operator; close it."""
        name = self.plane.kubeconfig_for(second_lock.KUBERAY, second_lock.MASTERS)
        return client(self.plane, name)

    async def decree(self, body: dict[str, Any]) -> None:
        """Apply a policy."""
        path = MEMBERPOLICY.path(name="local")
        await self.cluster.apply(path, body, manager="test")

    async def heeds(self, name: str) -> bool:
        """Return whether the agent keeps a policy as it is now."""
        found = await self.cluster.get(MEMBERPOLICY.path(name=name))
        seen = found.get("status", {}).get("observedGeneration")
        return bool(seen == found["metadata"]["generation"])

    async def rayjob(self, workload: str) -> dict[str, Any] | None:
        """Return a run's RayJob, or None."""
        try:
            return await self.cluster.get(RAYJOBS.format(workload))
        except NotFound:
            return None

    async def made(self, workload: str) -> dict[str, Any]:
        """Wait for a run's RayJob."""
        return await until(lambda: self.rayjob(workload), f"RayJob {workload}")

    async def move(self, workload: str, **status: Any) -> None:
        """Set a RayJob's status, as KubeRay would."""
        async with self.as_kuberay() as kuberay:
            await kuberay.merge(RAYJOBS.format(workload) + "/status", {"status": status})

    async def run_well(self, workload: str) -> None:
        """Let a run come up and end well."""
        await self.made(workload)
        now = rfc3339(time.time())  # noqa: TID251  # real servers run on real time
        row = {"type": "RayClusterProvisioned", "status": "True", "reason": "AllUp", "message": ""}
        up = {"availableWorkerReplicas": 2, "conditions": [row | {"lastTransitionTime": now}]}
        await self.move(
            workload, jobDeploymentStatus="Running", jobStatus="RUNNING", rayClusterStatus=up
        )
        await self.move(
            workload, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=now
        )

    async def gone(self, workload: str) -> bool:
        """Tell whether nothing of a run is left."""
        try:
            await self.cluster.get(f"/api/v1/namespaces/{workload}")
        except NotFound:
            volumes = await self.cluster.list("/api/v1/persistentvolumes")
            return not [v for v in volumes.items if v["metadata"]["name"].startswith(workload)]
        return False


@contextlib.asynccontextmanager
async def at_work(agent: Agent) -> Any:
    """Run an agent for the length of a block, from the moment it is ready."""
    task = asyncio.create_task(agent.run())
    try:
        await until(lambda: task.done() or agent.status.working, "the agent to be at work")
        if task.done():
            task.result()
        yield agent
    finally:
        agent.supervisor.ending.set()
        await task


def workload(spec: dict[str, Any]) -> str:
    """Return the name of a grant's run."""
    return envelope.workload_name(spec["job"]["uid"], spec["epoch"])
