"""What runs in a member's cluster beside agent and guard, played: KubeRay, and the end of namespaces.

A RayJob comes up at once and, unless it is one that holds on, ends well at once. The API server's own
controller lets a namespace wait five seconds before it empties it; here it is emptied as soon as it is
to go, through the same sub-resource.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from e2e.testbed.addons import second_lock
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.adapters.kube.reflector import Reflector
from hansa.errors import HansaError, NotFound
from hansa.grants.envelope import RUN_PREFIX
from hansa.model.times import rfc3339
from hansa.ports import Manifest

RAYJOBS, NAMESPACES = "/apis/ray.io/v1/rayjobs", "/api/v1/namespaces"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
CONTENTS = (
    *("/apis/ray.io/v1/{}/rayjobs", "/api/v1/{}/pods", "/api/v1/{}/configmaps"),
    *("/api/v1/{}/secrets", "/api/v1/{}/resourcequotas", "/api/v1/{}/events"),
    *("/apis/networking.k8s.io/v1/{}/networkpolicies", "/api/v1/{}/serviceaccounts"),
    *("/apis/rbac.authorization.k8s.io/v1/{}/rolebindings", "/apis/events.k8s.io/v1/{}/events"),
)
UP_S = 0.05


class Machines:
    """Plays one member's cluster until it is closed."""

    def __init__(self, plane: ControlPlane) -> None:
        self._clock = SystemClock()
        self._kuberay = self._client(plane, second_lock.KUBERAY)
        self._controller = self._client(plane, NAMESPACE_CONTROLLER)
        self.holding: set[str] = set()
        """Jobs that do not end by themselves."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[str] = set()

    def _client(self, plane: ControlPlane, user: str) -> KubeCluster:
        place = from_kubeconfig(plane.kubeconfig_for(user, second_lock.MASTERS))
        return KubeCluster(place, clock=self._clock, agent="played")

    def start(self) -> None:
        """Begin to play."""
        seen = ((RAYJOBS, self._seen_rayjob), (NAMESPACES, self._seen_namespace))
        for path, told in seen:
            self._do(Reflector(self._kuberay, path, clock=self._clock, on_change=told).run())

    async def close(self) -> None:
        """End."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kuberay.close()
        await self._controller.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _seen_rayjob(self, change: str, thing: Manifest) -> None:
        if change == "ADDED" and not thing.get("status"):
            self._do(self._run(thing["metadata"]))

    async def _run(self, meta: Manifest) -> None:
        await asyncio.sleep(UP_S)
        now = rfc3339(self._clock.now())
        up = {"type": "RayClusterProvisioned", "status": "True", "reason": "AllUp", "message": ""}
        cluster = {"availableWorkerReplicas": 1, "conditions": [up | {"lastTransitionTime": now}]}
        await self._say(
            meta, jobDeploymentStatus="Running", jobStatus="RUNNING", rayClusterStatus=cluster
        )
        if meta["labels"]["hansa.dev/job-uid"] in self.holding:
            return
        await asyncio.sleep(UP_S)
        ended = rfc3339(self._clock.now())
        await self._say(meta, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", endTime=ended)

    async def _say(self, meta: Manifest, **status: Any) -> None:
        path = f"/apis/ray.io/v1/namespaces/{meta['namespace']}/rayjobs/{meta['name']}/status"
        try:
            await self._kuberay.merge(path, {"metadata": {"uid": meta["uid"]}, "status": status})
        except HansaError:
            return  # it is gone, or another of its name is there

    def _seen_namespace(self, change: str, thing: Manifest) -> None:
        meta = thing["metadata"]
        going = meta["name"].startswith(RUN_PREFIX) and "deletionTimestamp" in meta
        if going and change != "DELETED" and meta["uid"] not in self._ending:
            self._ending.add(meta["uid"])
            self._do(self._empty(meta["name"]))

    async def _empty(self, name: str) -> None:
        while True:
            try:
                return await self._empty_once(name)
            except HansaError:
                await asyncio.sleep(UP_S)

    async def _empty_once(self, name: str) -> None:
        for kind in CONTENTS:
            await self._controller.delete(kind.format(f"namespaces/{name}"))
        path = f"{NAMESPACES}/{name}"
        try:
            found = await self._controller.get(path)
            await self._controller.replace(f"{path}/finalize", found | {"spec": {}})
        except NotFound:
            return  # the API server's own controller was faster
