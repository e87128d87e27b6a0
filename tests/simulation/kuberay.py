"""What runs in a member's cluster beside the agent: KubeRay, and the namespace controller.

A RayJob comes up, works and ends by drawn times. A namespace that is deleted takes what it holds with
it once its pods have had their time to end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from hansa.errors import HansaError
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from tests.simulation.apiserver import NAMESPACES, MemCluster

RAYJOBS = "/apis/ray.io/v1/rayjobs"
LONGEST_GRACE_S = 10.0


class Machines:
    """KubeRay and the controllers of one member's cluster; they see every change at once."""

    def __init__(self, cluster: MemCluster, rng: np.random.Generator) -> None:
        self._cluster = cluster
        self._rng = rng
        self._ending: set[str] = set()
        cluster.observers.append(self._seen)

    def _seen(self, change: str, collection: str, thing: Manifest) -> None:
        meta, loop = thing["metadata"], asyncio.get_running_loop()
        if collection == RAYJOBS and change == "ADDED":
            path = f"/apis/ray.io/v1/namespaces/{meta['namespace']}/rayjobs/{meta['name']}/status"
            up_s = 1 + 20 * self._rng.random()
            loop.call_later(up_s, self._say, path, meta["uid"], "Running")
            lasts_s = float(self._rng.choice([20.0, 90.0, 300.0, 900.0])) * (
                0.5 + self._rng.random()
            )
            good = self._rng.random() < 0.9
            loop.call_later(up_s + lasts_s, self._say, path, meta["uid"], "Complete", good)
        elif collection == NAMESPACES and change != "DELETED" and self._is_new_end(meta):
            grace_s = 0.1 + LONGEST_GRACE_S * self._rng.random()
            loop.call_later(grace_s, self._cluster.finish_namespace, meta["name"])

    def _is_new_end(self, meta: Manifest) -> bool:
        if "deletionTimestamp" not in meta or meta["uid"] in self._ending:
            return False
        self._ending.add(meta["uid"])
        return True

    def _say(self, path: str, uid: str, state: str, good: bool = True) -> None:  # noqa: FBT001, FBT002
        """Write a RayJob's status, as KubeRay does; it may be gone."""
        now = rfc3339(self._cluster.clock.now())
        status: dict[str, Any] = {"jobDeploymentStatus": state, "jobStatus": "RUNNING"}
        if state == "Running":
            status |= {"startTime": now, "rayJobInfo": {"startTime": now}}
        else:
            status |= {"jobStatus": "SUCCEEDED" if good else "FAILED", "endTime": now}
        body = {"metadata": {"uid": uid}, "status": status}
        try:
            self._cluster.merge(path, body).send(None)
        except (StopIteration, HansaError):
            return
