"""``python -m e2e.bench.hub.naive KUBECONFIG KEY``: a hub as one writes it in an afternoon, to compare with.

kopf handlers for created and changed AIJobs take the first node with enough free GPUs, write a grant and
patch a status. No law, no quota, no order, no fence; kopf's own settings. Members accept what it grants.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import kopf

from e2e.testbed.host.clock import utc_now
from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB, SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import GROUP, VERSION
from hansa.errors import Conflict
from hansa.grants.envelope import digest
from hansa.hub.grant_manifest import grant_manifest
from hansa.ports import Manifest
from hansa.process.kopf_login import connection_info
from hansa.reconcile.conditions import StatedCondition, merged
from hansa.reconcile.hub.actions import WriteGrant
from hansa.reconcile.hub.node_access import namespace_of

VALIDITY_S, SKEW_S = 3600, 60


class Naive:
    """What the handlers share."""

    def __init__(self, cluster: KubeCluster, signer: Ed25519Signer) -> None:
        """``signer``: of grants."""
        self._cluster = cluster
        self._signer = signer
        self._free: Counter[str] = Counter()

    async def look(self) -> None:
        """Count every node's GPUs, once."""
        for node in (await self._cluster.list(SOVEREIGNNODE.path())).items:
            inventory = (node.get("status") or {}).get("inventory") or ()
            self._free[node["metadata"]["name"]] = sum(row["total"] for row in inventory)

    async def decide(self, job: Manifest) -> dict[str, Any]:
        """Place a job if there is room; return what its status is to say."""
        workers = job["spec"]["ray"]["workers"]
        gpus, now_s = workers["count"] * workers["gpus"], utc_now().timestamp()
        node = next((name for name, free in self._free.items() if free >= gpus), "")
        said = StatedCondition("Placed", "False", "WaitingForCapacity", "No node has room.")
        placed: dict[str, Any] = {}
        if node:
            self._free[node] -= gpus
            await self._grant(job, node, workers["count"], now_s)
            said = StatedCondition("Placed", "True", "Placed", f"Granted to node {node}.")
            placed = {"node": node, "epoch": 1, "workers": workers["count"]}
        generation = job["metadata"].get("generation", 1)
        return placed | {"conditions": merged((), [said], now_s=now_s, generation=generation)}

    async def _grant(self, job: Manifest, node: str, workers: int, now_s: float) -> None:
        meta = job["metadata"]
        action = WriteGrant(
            job_uid=meta["uid"],
            job_namespace=meta["namespace"],
            job_name=meta["name"],
            node=node,
            audience=self._signer.key_id,
            epoch=1,
            institution=meta["namespace"],
            spec_digest=digest(job["spec"]),
            job_spec=job["spec"],
            workers=workers,
            overlays=(),
        )
        body = grant_manifest(
            action, self._signer, now_s=now_s, validity_s=VALIDITY_S, skew_s=SKEW_S
        )
        try:
            await self._cluster.create(WORKGRANT.path(namespace_of(node)), body)
        except Conflict:
            return


async def main(kubeconfig: Path, key: Path) -> None:
    """Be the hub until ended."""
    connection, registry = from_kubeconfig(kubeconfig), kopf.OperatorRegistry()
    async with KubeCluster(connection, clock=SystemClock(), agent="bench-naive") as cluster:
        naive = Naive(cluster, Ed25519Signer.from_file(key))
        await naive.look()

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.ConnectionInfo:
            return connection_info(connection)

        @kopf.on.create(GROUP, VERSION, AIJOB.plural, registry=registry)
        @kopf.on.update(GROUP, VERSION, AIJOB.plural, registry=registry)
        async def place(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
            if not body.status.get("node"):
                patch.status.update(await naive.decide(dict(body)))

        await kopf.operator(registry=registry, standalone=True, clusterwide=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
