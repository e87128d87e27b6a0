"""What becomes of a league's jobs, seen by a client like any other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from e2e.testbed.host.clock import elapsed_s
from hansa.adapters.kube.client import KubeCluster
from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.errors import HansaError
from hansa.ports import Manifest

log = logging.getLogger(__name__)
POLL_S, AGAIN_S = 0.02, 0.5


@dataclass
class Followed:
    """Jobs that were told something, and grants, since the watch began."""

    told: set[str] = field(default_factory=set)
    granted: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Grant → when it was seen, and its node."""
    first_grant_s: float | None = None
    first_told_s: float | None = None
    last_told_s: float | None = None

    def on_job(self, job: Manifest) -> None:
        """Note the first time a job's status says anything."""
        uid = job["metadata"]["uid"]
        if uid in self.told or not (job.get("status") or {}).get("conditions"):
            return
        self.told.add(uid)
        self.last_told_s = elapsed_s()
        self.first_told_s = self.first_told_s or self.last_told_s

    def on_grant(self, grant: Manifest) -> None:
        """Note a new grant."""
        seen_s = elapsed_s()
        self.granted.setdefault(grant["metadata"]["name"], (seen_s, grant["spec"]["node"]))
        self.first_grant_s = self.first_grant_s or seen_s

    def rate(self, since_s: float) -> float | None:
        """Return how many jobs a second were told something, from a moment to the last that was."""
        if self.last_told_s is None:
            return None
        return round(len(self.told) / (self.last_told_s - since_s), 1)

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Return once something holds, or False when it does not in time."""
        deadline = elapsed_s() + timeout_s
        while not holds():
            if elapsed_s() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True


async def follow(cluster: KubeCluster, path: str, take: Callable[[Manifest], None]) -> None:
    """Give every object that is made or changed from now on to ``take``, keeping none."""
    version = ""
    while True:
        try:
            version = version or await present_version(cluster, path)
            async for event in cluster.watch(path, version):
                version = str(event.object["metadata"]["resourceVersion"])
                if event.type in {"ADDED", "MODIFIED"}:
                    take(event.object)
        except HansaError as error:
            log.warning("watch ended: %s", error)
            await asyncio.sleep(AGAIN_S)


async def is_watched(cluster: KubeCluster, path: str) -> None:
    """Return once a watch of a collection was answered; raises ``Retryable`` while its cache is being filled."""
    version = await present_version(cluster, path)
    await cluster.text(path, {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"})


async def present_version(cluster: KubeCluster, path: str) -> str:
    """Return where the collection is now, without reading it: fifty thousand jobs are 100 MB."""
    answer = orjson.loads(await cluster.text(path, {"limit": "1"}))
    return str(answer["metadata"]["resourceVersion"])


def follow_all(cluster: KubeCluster, followed: Followed) -> list[asyncio.Task[None]]:
    """Begin to follow jobs and grants."""
    return [
        asyncio.create_task(follow(cluster, AIJOB.path(), followed.on_job)),
        asyncio.create_task(follow(cluster, WORKGRANT.path(), followed.on_grant)),
    ]
