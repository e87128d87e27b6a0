"""A hub and two members on three real API servers, with a line between each program and each of its servers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.testbed.addons import second_lock
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established, wait_service_account
from e2e.testbed.host.clock import ASKED_S, PATIENCE_S, wait_until
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.adapters.kube.tokens import request_token
from hansa.adapters.sealing import IdentityKey
from hansa.api.kinds import COMPUTEPOOL, MEMBERPOLICY, SOVEREIGNNODE
from hansa.api.meta import API_VERSION, INSTITUTION_LABEL, NODE_ACCOUNT
from hansa.errors import HansaError
from hansa.member.hub_link.identity import HubIdentity, save
from hansa.ports import Manifest
from hansa.reconcile.hub.node_access import namespace_of
from hansa.reconcile.member.run_request import RESOLVER
from tests.apiserver.faults.audit import AUDIT_POLICY
from tests.apiserver.faults.calls import Book
from tests.apiserver.faults.machines import Machines
from tests.apiserver.faults.programs import ChildProcess, InProcess, Program
from tests.apiserver.faults.proxy import FaultLine
from tests.apiserver.faults.shipped import CLOCK, GUARD, HUB, SYSTEM, command_of, work_of
from tests.apiserver.member.kit import install_kuberay, machine
from tests.residency_kit import EVERYWHERE

CRDS = Path(__file__).parents[3] / "crds"
SECRET = "hansa-identity"
SITES = {"tartu": ("EE", 1), "vilnius": ("LT", 1)}
"""Member → its country and its GPUs."""


@dataclass
class Planes:
    """The API servers, for all leagues of one invocation."""

    hub: ControlPlane
    members: dict[str, ControlPlane]

    def __iter__(self) -> Any:
        return iter({HUB: self.hub, **self.members}.items())


@contextlib.contextmanager
def planes(binaries: Binaries) -> Any:
    """Start them, side by side."""
    hub = ControlPlane(binaries, audit=AUDIT_POLICY)
    members = {
        name: ControlPlane(binaries, controllers=True, node_grace_s=3600, audit=AUDIT_POLICY)
        for name in SITES
    }
    made = Planes(hub, members)
    # What a thread has started ends with it: the pool lasts for as long as the servers.
    with ThreadPoolExecutor(3) as pool:
        try:
            list(pool.map(lambda pair: _prepare(binaries, *pair), made))
            yield made
        finally:
            for _, plane in made:
                plane.stop()


def _prepare(binaries: Binaries, name: str, plane: ControlPlane) -> None:
    plane.start()
    if name == HUB:
        plane.kubectl("apply", "--server-side", "-f", CRDS)
        wait_established(plane)
        return
    plane.kubectl("apply", "--server-side", "-f", CRDS / "memberpolicies.yaml")
    install_kuberay(plane, binaries)
    second_lock.install(plane, binaries, Path("/srv"))
    country, gpus = SITES[name]
    node, status = machine("m1", place=country, gpus=gpus)
    plane.kubectl("apply", "-f", "-", stdin=node)
    plane.kubectl("patch", "node", "m1", "--subresource=status", "-p", status)
    plane.kubectl("create", "namespace", SYSTEM)
    plane.kubectl("create", "service", "clusterip", RESOLVER, "--tcp=53", "-n", SYSTEM)
    wait_service_account(plane, SYSTEM)
    taints = "jsonpath={.items[*].spec.taints}"
    free = functools.partial(plane.kubectl, "get", "nodes", "-o", taints)
    wait_until(lambda: not free(), what="the taints to go", poll_s=ASKED_S)


@dataclass
class League:
    """Programs and lines over the planes; the admin's clients; what is played."""

    planes: Planes
    folder: Path
    separate: bool
    """Whether its programs are processes of their own."""
    book: Book = field(default_factory=Book)
    lines: dict[str, FaultLine] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    machines: dict[str, Machines] = field(default_factory=dict)
    admins: dict[str, KubeCluster] = field(default_factory=dict)
    key: Ed25519Signer = field(default_factory=Ed25519Signer.generate)

    @property
    def hub(self) -> KubeCluster:
        """The league's admin at the hub's API server."""
        return self.admins[HUB]

    async def open(self) -> None:
        """1. Lines. 2. What people write. 3. The hub. 4. What the members were given. 5. The members."""
        for name, plane in self.planes:
            place = from_kubeconfig(plane.kubeconfig)
            self.admins[name] = KubeCluster(place, clock=CLOCK, agent="people")
        (self.folder / "hub.pem").write_bytes(self.key.private_pem())
        await self._line(f"{HUB}>{HUB}", self.planes.hub, "hansa-hub")
        for name, plane in self.planes.members.items():
            await self._line(f"{name}>{HUB}", self.planes.hub)
            await self._line(f"{name}>{name}", plane, second_lock.AGENT)
            await self._line(f"{name}{GUARD}>{name}", plane, "hansa-guard")
            self.machines[name] = Machines(plane)
            self.machines[name].start()
        await self._found()
        self._run(HUB, self.planes.hub, [f"{HUB}>{HUB}"])
        for name, plane in self.planes.members.items():
            await self._join(name)
            self._run(name, plane, [f"{name}>{HUB}", f"{name}>{name}"])
            self._run(f"{name}{GUARD}", plane, [f"{name}{GUARD}>{name}"])

    async def close(self) -> None:
        """End everything but the planes."""
        for program in self.programs.values():
            await program.stop()
        for parts in (self.machines, self.lines, self.admins):
            for part in parts.values():
                await part.close()

    async def _line(self, name: str, plane: ControlPlane, user: str = "") -> None:
        line = self.lines[name] = FaultLine(name, plane, self.book, user)
        await line.open()

    def _run(self, name: str, plane: ControlPlane, lines: list[str]) -> None:
        at = [self.lines[line] for line in lines]
        server, folder = at[-1].url, self.folder
        if self.separate:
            verb, environment = command_of(name, server, folder, plane)
            log = folder / f"{name}.log"
            made: Program = ChildProcess(name, at, verb, environment, log)
        else:
            made = InProcess(name, at, lambda: work_of(name, server, folder))
        self.programs[name] = made
        made.start()

    # ---- what people write -----------------------------------------------------------------

    async def _found(self) -> None:
        apply = self.hub.apply
        for name, labels in ((SYSTEM, {}), ("clinic", {INSTITUTION_LABEL: "clinic"})):
            body = _thing("v1", "Namespace", name, labels=labels)
            await apply(f"/api/v1/namespaces/{name}", body, manager="people")
        pool = _thing(API_VERSION, "ComputePool", "league", spec={"residency": EVERYWHERE})
        await apply(COMPUTEPOOL.path(name="league"), pool, manager="people")

    async def _join(self, name: str) -> None:
        """Admit a member, and give it what joining gives."""
        country, own, release = SITES[name][0], self.admins[name], Ed25519Signer.generate()
        spec = {"institution": name, "jurisdiction": country, "legalControl": [country]}
        spec |= {"accepted": "Accepted", "releaseKey": release.public_key}
        node = _thing(API_VERSION, "SovereignNode", name, spec=spec)
        await self.hub.apply(SOVEREIGNNODE.path(name=name), node, manager="people")
        token = await self._token(name)
        await save(
            own,
            SYSTEM,
            SECRET,
            HubIdentity(
                node=name,
                server=self.lines[f"{name}>{HUB}"].url,
                ca_pem="",
                token=token,
                key_pem=IdentityKey.generate().private_pem(),
                release_key_pem=release.private_pem().decode(),
            ),
        )
        law: Manifest = {"jurisdiction": country, "legalControl": [country]}
        law["trustedHubs"] = [{"name": "league", "publicKey": self.key.public_key}]
        law |= {"imageRegistries": ["hansa.local/"], "exports": {"result": "Allow"}}
        policy = _thing(API_VERSION, "MemberPolicy", "local", spec=law)
        await own.apply(MEMBERPOLICY.path(name="local"), policy, manager="people")

    async def _token(self, name: str) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    space = namespace_of(name)
                    made = await request_token(self.hub, space, NODE_ACCOUNT, seconds=86_400)
                except HansaError:
                    await asyncio.sleep(0.2)
                else:
                    return made[0]


def _thing(api: str, kind: str, name: str, *, labels: Any = None, **fields: Any) -> Manifest:
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}
