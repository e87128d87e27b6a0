"""A league in one process: the shipped hub and the shipped agents over servers in memory.

Only what touches the machine is put in place of the real: sockets, the clock, the process that finds
prices, kopf's watching, the second lock. Everything that decides, writes, waits or retries is what is shipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.config import Connection
from hansa.adapters.kube.mirror import Mirror
from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import COMPUTEPOOL, MEMBERPOLICY, SOVEREIGNNODE
from hansa.api.meta import API_VERSION
from hansa.guard import app as guard_app
from hansa.guard.settings import GuardSettings
from hansa.hub import app as hub_app
from hansa.hub.settings import HubSettings
from hansa.member import app as member_app
from hansa.member.cluster import gpu_use, second_lock
from hansa.member.cluster.cluster_state import Canary
from hansa.member.hub_link.identity import HubIdentity, save
from hansa.member.kopf_handlers import take_machine, take_policy
from hansa.member.settings import MemberSettings
from hansa.placement.pricing import shadow_prices
from hansa.ports import Manifest
from hansa.process.app import together
from tests.residency_kit import EVERYWHERE
from tests.simulation.kuberay import Machines
from tests.simulation.loop import CURRENT, EPOCH_S, Clock, Process
from tests.simulation.servers.apiserver import NAMESPACES, MemCluster
from tests.simulation.servers.faults import FaultyCluster, Line, Log
from tests.unit.member.hub_link import paper

NODES = "/api/v1/nodes"
HUB = "hub"
HUBS = ("hub", "hub-b")
"""Its replicas."""
SITES = {"tartu": ("EE", 4), "vilnius": ("LT", 4), "riga": ("LV", 2)}
"""Member → its country and its GPUs."""
MOST_GPUS = {"clinic": 7, "lab": 5}
"""Tenant → the most it may use at a time: its nominal GPUs, and what it may borrow."""
POOL = {
    "residency": EVERYWHERE,
    "institutions": [
        {"institution": "clinic", "nominalGpus": 6, "borrowingLimitGpus": 1},
        {"institution": "lab", "nominalGpus": 4, "borrowingLimitGpus": 1},
    ],
    "preemption": {"policy": "LowerPriorityOrBorrowers", "minRuntimeSeconds": 60},
}
GRANT_VALIDITY_S = 120
RESTART_S = 3.0
RENEWAL_S, PASS_S = 4.0, 5.0
"""Less often than by default: a third of all events would be renewals and passes with nothing to do."""


def _key(name: str) -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")))


def _token(name: str) -> str:
    """Return a token that lasts longer than any simulation; the servers here ask for none."""
    begin_s = int(EPOCH_S) - 86_400
    return paper.token(name, begin_s=begin_s, seconds=3650 * 86_400)


class Program:
    """A program that Kubernetes keeps running: started again some seconds after each end."""

    def __init__(self, name: str, clock: Clock, log: Log) -> None:
        self.name, self.clock, self.log = name, clock, log
        self.lines: dict[str, Line] = {}
        self.servers: dict[str, MemCluster] = {}
        self.process: Process | None = None
        self.deaths: list[str] = []
        """Ends that nobody asked for."""
        self.work: Callable[[], Any] = asyncio.Event
        self.down = False
        self.since_s = float("inf")
        """Beginning of its present life, in the loop's time."""
        self._pause_s = RESTART_S

    def start(self) -> None:
        """Begin a life, unless the story keeps it down."""
        if self.down or (self.process is not None and not self.process.dead):
            return
        self.log(f"{self.name} starts")
        self.since_s = asyncio.get_running_loop().time()
        process = self.process = Process(self.name, self.clock, on_death=self._died)
        for name, server in self.servers.items():
            process.clients[name] = FaultyCluster(server, self.lines[name], process)
        task = process.start(self.work())
        task.add_done_callback(functools.partial(self._ended, process))

    def kill(self, *, pause_s: float) -> None:
        """Kill it; it is back after ``pause_s``."""
        self._pause_s = pause_s
        if self.process is not None:
            self.process.kill()

    def _died(self) -> None:
        self.log(f"{self.name} dies")
        self.since_s = float("inf")
        pause_s, self._pause_s = self._pause_s, RESTART_S
        asyncio.get_running_loop().call_later(pause_s, self.start)

    def _ended(self, process: Process, task: asyncio.Task[Any]) -> None:
        if not process.dead:
            self.deaths.append(str(None if task.cancelled() else task.exception()))
            self.log(f"{self.name} ended by itself: {self.deaths[-1]}")
            process.kill()


class League:
    """All programs (hub, agents, guards), all servers, and their first objects."""

    def __init__(self, rng: Callable[[str], np.random.Generator], log: Log) -> None:
        loop = asyncio.get_running_loop()
        self.log = log
        self.hub_server = MemCluster(HUB, Clock(loop))
        self.servers = {name: MemCluster(name, Clock(loop)) for name in SITES}
        self.programs: dict[str, Program] = {}
        self.forgetful: set[str] = set()
        """Sites whose agent's memory was taken."""
        self.machines = {n: Machines(at, rng(f"rays {n}")) for n, at in self.servers.items()}
        self._rng = rng
        self._folder = tempfile.TemporaryDirectory(prefix="hansa-simulation-")
        for name in HUBS:
            self._program(name, {HUB: self.hub_server}, lambda n=name: self._hub(n))
        for name, server in self.servers.items():
            self._program(name, {HUB: self.hub_server, name: server}, lambda n=name: self._agent(n))
            self._program(f"{name}-guard", {name: server}, lambda n=name: self._guard(n))

    def _program(
        self, name: str, servers: dict[str, MemCluster], work: Callable[[], Any]
    ) -> Program:
        made = Program(name, Clock(asyncio.get_running_loop()), self.log)
        made.servers, made.work = servers, work
        for at in servers:
            line = f"{name}>{at}"
            made.lines[at] = Line(line, self._rng(line), self.log)
        self.programs[name] = made
        return made

    async def close(self) -> None:
        """End everything."""
        for program in self.programs.values():
            program.down = True
            if program.process is not None:
                program.process.kill()
                await program.process.gone()
        self._folder.cleanup()

    async def found(self) -> None:
        """Write what people write: the league, and each member's law and machines."""
        at = self.hub_server
        await at.create(NAMESPACES, _thing("v1", "Namespace", "hansa-system"))
        for name in MOST_GPUS:
            labels = {"hansa.dev/institution": name}
            await at.create(NAMESPACES, _thing("v1", "Namespace", name, labels=labels))
        await at.create(COMPUTEPOOL.path(), _thing(API_VERSION, "ComputePool", "league", spec=POOL))
        for name, (country, _) in SITES.items():
            spec = {"institution": name, "jurisdiction": country, "legalControl": [country]}
            spec |= {"accepted": "Accepted", "releaseKey": _key(name).public_key}
            await at.create(
                SOVEREIGNNODE.path(), _thing(API_VERSION, "SovereignNode", name, spec=spec)
            )
            await self._found_member(name)

    async def _found_member(self, name: str) -> None:
        at, (country, gpus) = self.servers[name], SITES[name]
        await at.create(NAMESPACES, _thing("v1", "Namespace", "hansa-system"))
        await at.create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            {"metadata": {"name": "rayjobs.ray.io"}, "spec": {"versions": [RAYJOB_VERSION]}},
        )
        resolver = _thing("v1", "Service", "hansa-resolver", spec={"clusterIP": "10.96.0.53"})
        await at.create("/api/v1/namespaces/hansa-system/services", resolver)
        held = HubIdentity(
            node=name,
            server=HUB,
            ca_pem="",
            token=_token(name),
            key_pem="unused",
            release_key_pem=_key(name).private_pem().decode(),
        )
        await save(at, "hansa-system", "hansa-identity", held)
        law = {
            "jurisdiction": country,
            "legalControl": [country],
            "imageRegistries": ["hansa.local/"],
        }
        law["trustedHubs"] = [{"name": "league", "publicKey": _key(HUB).public_key}]
        law["exports"] = {"result": "Allow", "logs": "Allow"}
        await at.create(MEMBERPOLICY.path(), _thing(API_VERSION, "MemberPolicy", "local", spec=law))
        await at.create(NODES, _machine(country, gpus))

    async def _hub(self, name: str) -> None:
        key = Path(self._folder.name) / "hub.key"
        key.write_bytes(_key(HUB).private_pem())
        settings = HubSettings(
            grants={"key_file": str(key), "validity_seconds": GRANT_VALIDITY_S},
            leadership={"identity": name, "retry_seconds": RENEWAL_S},
        )
        hub = hub_app.Hub(settings, Connection(server=HUB, namespace="hansa-system"))
        await together(hub.live(), _feed(hub.cluster, COMPUTEPOOL.path(), hub.caches.pools))

    async def _guard(self, name: str) -> None:
        await guard_app.serve(
            GuardSettings(node=name, pass_seconds=PASS_S), Connection(server=name)
        )

    async def _agent(self, name: str) -> None:
        settings = MemberSettings(
            node=name, leadership={"identity": name, "retry_seconds": RENEWAL_S}
        )
        process = CURRENT.get()
        agent = member_app.Agent(settings, Connection(server=name), clock=process.clock)
        agent._random = self._rng(f"jitter {name} {process.clock.monotonic()}")

        def policy(change: Any, thing: Manifest) -> None:
            at = agent.status.context
            if at is not None:
                take_policy(at, change, thing)
                at.policy_changed.set()

        def machine(change: Any, thing: Manifest) -> None:
            at = agent.status.context
            if at is not None:
                take_machine(at, change, thing)
                at.policy_changed.set()

        own = process.clients[name]
        front = ((MEMBERPOLICY.path(), policy), (NODES, machine))
        following = (
            Reflector(own, path, clock=process.clock, on_change=told).run() for path, told in front
        )
        await together(agent._live(), *following)


async def _feed(cluster: Any, path: str, into: Mirror) -> None:
    """Do what kopf does for the kinds that are read at leisure."""

    def told(change: Any, thing: Manifest) -> None:
        (into.drop if change == "DELETED" else into.put)(
            {**thing, "metadata": dict(thing["metadata"])}
        )

    await Reflector(cluster, path, clock=CURRENT.get().clock, on_change=told).run()


def _thing(api: str, kind: str, name: str, *, labels: Any = None, **fields: Any) -> Manifest:
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def _machine(country: str, gpus: int) -> Manifest:
    labels = {
        "hansa.dev/jurisdiction": country,
        "kubernetes.io/arch": "amd64",
        "nvidia.com/gpu.product": "NVIDIA-L40S",
        "nvidia.com/gpu.memory": "46068",
    }
    size = {"cpu": "64", "memory": "256Gi", "nvidia.com/gpu": str(gpus), "pods": "110"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    return _thing("v1", "Node", "m1", labels=labels) | {
        "status": {"capacity": size, "allocatable": size, "conditions": [ready]}
    }


RAYJOB_VERSION = {
    "name": "v1",
    "schema": {
        "openAPIV3Schema": {
            "properties": {
                "spec": {
                    "properties": {
                        "rayClusterSpec": {"properties": {"authOptions": {"type": "object"}}}
                    }
                }
            }
        }
    },
}


@contextlib.contextmanager
def in_memory() -> Iterator[None]:
    """Put what touches the machine out of the shipped modules' way, for as long as it lasts."""

    def client(connection: Connection, **_: Any) -> FaultyCluster:
        return CURRENT.get().clients[connection.server]

    async def solve(market: Any) -> Any:
        return shadow_prices.solve(market).prices

    async def no_pages(_: Any) -> list[str]:
        return []

    async def locked(*_: Any) -> Canary:
        return Canary("Denied", "")

    async def no_watch(*_: Any) -> None:
        await asyncio.Event().wait()

    async def loaded() -> bool:
        return True

    @contextlib.asynccontextmanager
    async def no_probes(**_: Any) -> AsyncIterator[int]:
        yield 0

    stand_ins = (
        (hub_app, "KubeCluster", client),
        (hub_app, "SystemClock", lambda: CURRENT.get().clock),
        (hub_app, "solve_elsewhere", solve),
        (hub_app, "probes", no_probes),
        (hub_app, "watch_loop", no_watch),
        (hub_app, "load_kernel", loaded),
        (member_app, "KubeCluster", client),
        (member_app, "probes", no_probes),
        (gpu_use, "read_pages", no_pages),
        (second_lock, "try_lock", locked),
        (guard_app, "KubeCluster", client),
        (guard_app, "SystemClock", lambda: CURRENT.get().clock),
        (guard_app, "probes", no_probes),
    )
    before = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
    for module, name, stand_in in stand_ins:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
