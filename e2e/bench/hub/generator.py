"""``python -m e2e.bench.hub.generator KUBECONFIG KEY NODE…``: what the members' agents write, by one process.

Each member renews its Lease every 15 s, as its agent does. A grant is accepted, and runs, as soon as
it is seen; a name on standard input ends the run of that grant: finished, and its release signed with
the key in the file KEY, which is that of all members.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.testbed.host.clock import utc_now
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.errors import HansaError
from hansa.grants.envelope import workload_name
from hansa.hub.caches import HEARTBEAT_LEASE
from hansa.model.times import rfc3339_micro
from hansa.ports import Manifest
from hansa.reconcile import fencing
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.grant_status import Stamp

RENEWAL_S = 15.0
IN_FLIGHT = 8
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/" + HEARTBEAT_LEASE


class Members:
    """All members at once."""

    def __init__(self, hub: KubeCluster, nodes: Sequence[str], signer: Ed25519Signer) -> None:
        """``nodes``: their names."""
        self._hub = hub
        self._nodes = nodes
        self._signer = signer
        self._new: asyncio.Queue[Manifest] = asyncio.Queue()
        self._grants = Reflector(
            hub, WORKGRANT.path(), clock=SystemClock(), on_change=self._on_grant
        )

    async def run(self) -> None:
        """Renew, accept and end until cancelled."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._grants.run())
            tasks.create_task(self._end_what_is_named())
            for _ in range(IN_FLIGHT):
                tasks.create_task(self._accept())
            for place, node in enumerate(self._nodes):
                tasks.create_task(self._renew(node, RENEWAL_S * place / len(self._nodes), gate))

    async def _renew(self, node: str, wait_s: float, gate: asyncio.Semaphore) -> None:
        path = LEASES.format(NODE_NAMESPACE_PREFIX + node)
        await asyncio.sleep(wait_s)
        while True:
            async with gate:
                renewed = {"spec": {"renewTime": rfc3339_micro(utc_now().timestamp())}}
                try:
                    await self._hub.merge(path, renewed)
                except HansaError as error:
                    print(f"not renewed: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(RENEWAL_S)

    def _on_grant(self, change: str, grant: Manifest) -> None:
        if change != "DELETED" and not grant_status.reported(grant).accepted:
            self._new.put_nowait(grant)

    async def _accept(self) -> None:
        """Take each grant, and say at once that it runs: one write of what an agent writes in two."""
        while True:
            grant = await self._new.get()
            now_s, job = utc_now().timestamp(), grant["spec"]["job"]["uid"]
            stamp = Stamp(now_s, 1)
            yes = grant_status.accepted(grant, workload_name(job, grant["spec"]["epoch"]), stamp)
            runs = grant_status.running({**grant, **yes}, now_s, now_s, stamp)
            await self._patch(grant, {"status": yes["status"] | runs["status"]})

    async def _end_what_is_named(self) -> None:
        loop = asyncio.get_running_loop()
        while name := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            grant = next(g for g in self._grants.values() if g["metadata"]["name"] == name)
            await self._end(grant)

    async def _end(self, grant: Manifest) -> None:
        spec, now_s = grant["spec"], utc_now().timestamp()
        word = fencing.sign_release(
            self._signer,
            node=spec["node"],
            job_uid=spec["job"]["uid"],
            epoch=spec["epoch"],
            now_s=now_s,
        )
        await self._patch(
            grant, grant_status.released(grant, EndReason.SUCCEEDED, word, Stamp(now_s, 1))
        )

    async def _patch(self, grant: Manifest, patch: Manifest) -> None:
        meta = grant["metadata"]
        path = WORKGRANT.path(meta["namespace"], meta["name"]) + "/status"
        try:
            await self._hub.merge(path, patch)
        except HansaError as error:
            print(f"not told: {error}", file=sys.stderr, flush=True)


async def main(kubeconfig: Path, key: Path, nodes: Sequence[str]) -> None:
    """Be all members until ended."""
    connection, signer = from_kubeconfig(kubeconfig), Ed25519Signer.from_file(key)
    async with KubeCluster(connection, clock=SystemClock(), agent="bench-members") as hub:
        await Members(hub, nodes, signer).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
