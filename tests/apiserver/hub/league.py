"""A league on a real API server: its admin, and scripted members.

The members here keep the protocol (heartbeat, status, answers, signed releases) and run nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from e2e.testbed.cluster.controlplane import ControlPlane, KubectlError
from e2e.testbed.host.clock import PATIENCE_S, elapsed_s
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import Connection, from_kubeconfig, with_token
from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import AIJOB, COMPUTEPOOL, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import API_VERSION, INSTITUTION_LABEL, NODE_ACCOUNT
from hansa.errors import Conflict, HansaError, NotFound
from hansa.grants.envelope import release_message, sign
from hansa.model.times import rfc3339, rfc3339_micro
from hansa.reconcile.hub.node_access import namespace_of
from tests.residency_kit import EVERYWHERE

CLOCK = SystemClock()
IMAGE = "hansa.local/ray@sha256:" + "a" * 64


@dataclass
class ScriptedMember:
    """A member by the book: it answers each new grant with ``answer``."""

    name: str
    hub: KubeCluster
    signer: Ed25519Signer
    answer: str = "accept"
    """``accept``, ``refuse``, ``finish`` (accept, run and succeed at once) or ``silent``."""
    beating: bool = True
    seen: dict[str, str] = field(default_factory=dict)
    """Grant → answer given."""
    policy_generation: int = 1
    result: str = "0.97"
    deeds: list[tuple[str, str]] = field(default_factory=list)
    """(accepted or released, job), in order."""

    @property
    def space(self) -> str:
        return namespace_of(self.name)

    async def publish(self, **changes: Any) -> None:
        """Write the member's part of its SovereignNode's status."""
        status = {
            "declaredJurisdiction": "EE",
            "declaredLegalControl": ["EE"],
            "policyGeneration": self.policy_generation,
            "switch": "Open",
            "releaseKey": self.signer.public_key,
            "shapes": [{"machines": 64, "cpu": "64", "memory": "256Gi"}],
        } | changes
        body = {
            "apiVersion": API_VERSION,
            "kind": "SovereignNode",
            "metadata": {"name": self.name},
            "status": {name: value for name, value in status.items() if value is not None},
        }
        path = SOVEREIGNNODE.path(name=self.name) + "/status"
        await self.hub.apply(path, body, manager="hansa-member")

    async def beat(self) -> None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "hansa-node"},
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": 40,
                "renewTime": rfc3339_micro(CLOCK.now()),
            },
        }
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.space}/leases/hansa-node"
        await self.hub.apply(path, body, manager="hansa-member")

    async def run(self) -> None:
        """Beat, watch grants, answer; until cancelled."""
        grants = Reflector(
            self.hub, WORKGRANT.path(self.space), clock=CLOCK, on_change=lambda *_: wake.set()
        )
        wake = asyncio.Event()
        tasks = [asyncio.create_task(grants.run()), asyncio.create_task(self._beat_always())]
        try:
            while True:
                await wake.wait()
                wake.clear()
                for grant in list(grants.values()):
                    await self._look_at(grant)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat_always(self) -> None:
        while True:
            if self.beating:
                with contextlib.suppress(HansaError):
                    await self.beat()
            await asyncio.sleep(2)

    async def _look_at(self, grant: dict[str, Any]) -> None:
        name, status = grant["metadata"]["name"], grant.get("status") or {}
        if self.answer == "silent" or status.get("release") or self._refused(status):
            return
        now = rfc3339(CLOCK.now())
        if grant["spec"]["cancel"] == "Stop":
            if status.get("acceptedAt"):
                self.deeds.append(("released", grant["spec"]["job"]["name"]))
                await self.report(grant, status | self.release(grant))
            else:
                await self._refuse(grant, "Withdrawn", "The hub withdrew it.")
            return
        if status.get("acceptedAt"):
            return
        self.seen[name] = self.answer
        if self.answer == "refuse":
            await self._refuse(grant, "TenantNotAccepted", "We do not work for them.")
            return
        accepted = {"acceptedAt": now, "conditions": [condition("Accepted", "True", "Accepted")]}
        if self.answer == "finish":
            accepted |= await self.finish(grant)
            accepted["conditions"] += [
                condition("Running", "False", "Succeeded"),
                condition("Succeeded", "True", "Succeeded"),
            ]
            accepted |= self.release(grant)
        self.deeds.append(("accepted", grant["spec"]["job"]["name"]))
        await self.report(grant, accepted)

    async def finish(self, grant: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # others need it
        """Return what is told of a run that has ended."""
        now = rfc3339(CLOCK.now())
        return {"runningAt": now, "finishedAt": now, "result": self.result, "logTail": "done"}

    def release(self, grant: dict[str, Any], *, signer: Ed25519Signer | None = None) -> Any:
        """Return the signed release of a grant's epoch."""
        now, spec = rfc3339(CLOCK.now()), grant["spec"]
        message = release_message(
            node=self.name, job_uid=spec["job"]["uid"], epoch=spec["epoch"], released_at=now
        )
        key_id, signature = sign(signer or self.signer, message)
        return {
            "release": {
                "epoch": spec["epoch"],
                "releasedAt": now,
                "keyId": key_id,
                "signature": signature,
            }
        }

    @staticmethod
    def _refused(status: dict[str, Any]) -> bool:
        return any(
            row["type"] == "Accepted" and row["status"] == "False"
            for row in status.get("conditions", ())
        )

    async def _refuse(self, grant: dict[str, Any], reason: str, message: str) -> None:
        said = {"conditions": [condition("Accepted", "False", reason, message)]}
        await self.report(grant, said | {"policyGeneration": self.policy_generation})

    async def report(self, grant: dict[str, Any], status: dict[str, Any]) -> None:
        """Tell the hub what became of a grant."""
        path = WORKGRANT.path(self.space, grant["metadata"]["name"]) + "/status"
        with contextlib.suppress(Conflict, NotFound):
            await self.hub.merge(path, {"status": status})


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(CLOCK.now()),
        "observedGeneration": 1,
    }


class League:
    """Shortcuts for a league's admin and its users."""

    def __init__(self, plane: ControlPlane, admin: KubeCluster) -> None:
        self.plane = plane
        self.admin = admin
        self.member_type = ScriptedMember

    async def found(self) -> None:
        """Make an open pool and a namespace of an institution."""
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "clinic", "labels": {INSTITUTION_LABEL: "clinic"}},
        }
        await self.admin.apply("/api/v1/namespaces/clinic", namespace, manager="test")
        await self.pool("league", {})

    async def pool(self, name: str, spec: dict[str, Any]) -> None:
        """Make a pool, or change its rules."""
        pool = {
            "apiVersion": API_VERSION,
            "kind": "ComputePool",
            "metadata": {"name": name},
            "spec": {"residency": EVERYWHERE, **spec},
        }
        await self.admin.apply(COMPUTEPOOL.path(name=name), pool, manager="test")

    async def admit(self, name: str, **spec: Any) -> ScriptedMember:
        """Accept a node and return its member, with the identity a node has and no more."""
        signer = Ed25519Signer.generate()
        node = {
            "apiVersion": API_VERSION,
            "kind": "SovereignNode",
            "metadata": {"name": name},
            "spec": {
                "institution": name,
                "jurisdiction": "EE",
                "legalControl": ["EE"],
                "accepted": "Accepted",
                "releaseKey": signer.public_key,
            }
            | spec,
        }
        await self.admin.apply(SOVEREIGNNODE.path(name=name), node, manager="test")
        hub = KubeCluster(self._place_of(name), clock=CLOCK)
        member = self.member_type(name, hub, signer)
        await self.eventually(member.beat)
        await self.eventually(member.publish)
        return member

    def _place_of(self, name: str) -> Connection:
        """Return the server as a node sees it; an account that is made anew gets a new token."""

        def token() -> str:
            made = ("create", "token", NODE_ACCOUNT, "-n", namespace_of(name), "--duration=24h")
            try:
                return self.plane.kubectl(*made).strip()
            except KubectlError as error:
                raise OSError(str(error)) from error

        return replace(with_token(from_kubeconfig(self.plane.kubeconfig), ""), token_command=token)

    @contextlib.asynccontextmanager
    async def node(self, name: str, answer: str = "accept", **spec: Any):
        """Admit a node, run its member until the block ends, then take the node off the league."""
        member = await self.admit(name, **spec)
        member.answer = answer
        task = asyncio.create_task(member.run())
        try:
            await self.node_becomes(name, "True", "Ready")
            yield member
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # What a test that failed leaves here must not hold up those after it.
            for grant in await self.grants(name):
                await member.report(grant, member.release(grant))
            await member.hub.close()
            await self.admin.delete(SOVEREIGNNODE.path(name=name))

    async def eventually(self, attempt: Callable[[], Any]) -> Any:
        """Try until it is allowed: the hub makes roles, the API server needs a moment more."""
        deadline = elapsed_s() + PATIENCE_S
        while True:
            try:
                return await attempt()
            except HansaError:
                if elapsed_s() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def node_condition(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        node = await self.admin.get(SOVEREIGNNODE.path(name=name))
        return condition_of(node, kind)

    async def node_becomes(self, name: str, status: str, reason: str) -> dict[str, Any]:
        """Wait until a node's Ready condition says so; return it."""
        return await self.sees(
            lambda: self.node_condition(name),
            lambda row: (row.get("status"), row.get("reason")) == (status, reason),
            f"node {name} Ready={status} {reason}",
        )

    async def submit(self, name: str, **spec: Any) -> dict[str, Any]:
        job = {
            "apiVersion": API_VERSION,
            "kind": "AIJob",
            "metadata": {"name": name, "namespace": "clinic"},
            "spec": {
                "pool": "league",
                "residency": EVERYWHERE,
                "image": IMAGE,
                "entrypoint": ["python", "train.py"],
                "ray": {"version": "2.60.0"},
                "result": {},
            }
            | spec,
        }
        return await self.admin.create(AIJOB.path("clinic"), job)

    async def job(self, name: str) -> dict[str, Any]:
        return await self.admin.get(AIJOB.path("clinic", name))

    async def job_becomes(
        self, name: str, kind: str, status: str = "True", reason: str = ""
    ) -> dict[str, Any]:
        """Wait until a condition of a job says so; return the job."""

        def fits(job: dict[str, Any]) -> bool:
            row = condition_of(job, kind)
            return row.get("status") == status and reason in ("", row.get("reason"))

        return await self.sees(lambda: self.job(name), fits, f"{name}: {kind}={status} {reason}")

    async def grants(self, node: str = "") -> list[dict[str, Any]]:
        space = namespace_of(node) if node else None
        return (await self.admin.list(WORKGRANT.path(space))).items

    async def sees(self, look: Callable[[], Any], fits: Callable[[Any], bool], what: str) -> Any:
        deadline = elapsed_s() + PATIENCE_S
        while True:
            found = await look()
            if fits(found):
                return found
            if elapsed_s() > deadline:
                raise TimeoutError(f"{what}; last seen: {json.dumps(found, default=str)[:3000]}")
            await asyncio.sleep(0.1)


def condition_of(thing: dict[str, Any], kind: str) -> dict[str, Any]:
    rows = (thing.get("status") or {}).get("conditions", ())
    return next((row for row in rows if row["type"] == kind), {})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
