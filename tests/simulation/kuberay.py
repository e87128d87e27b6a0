"""What runs in a member's cluster beside the agent: KubeRay, the namespace controller, kubelets and pods.

A RayJob comes up, works and ends by drawn times. Its pods end when the file that says that they may
live goes stale, also on a machine that is cut off from its control plane. A namespace that is deleted
takes what it holds with it once its pods have had their time to end, and not before their machine is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hansa.errors import HansaError
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.ray.launcher import GRACE_S, LOOK_S, STALE_CODE
from tests.simulation.loop import Clock
from tests.simulation.servers.apiserver import NAMESPACES, MemCluster

RAYJOBS, CONFIGMAPS = "/apis/ray.io/v1/rayjobs", "/api/v1/configmaps"
LONGEST_GRACE_S = 10.0
KUBELET_S = 90.0
"""Longest until a change of a ConfigMap is in the pods."""
LAUNCHER_S = LOOK_S + GRACE_S
PROBE_S = alive.PROBE_PERIOD_S * alive.PROBE_FAILURES + alive.PROBE_TIMEOUT_S + alive.PROBE_GRACE_S
"""Longest until a stale file has ended the pods: by the launcher, or where the job has killed that."""
OnEnd = Callable[[str, str], None]


@dataclass(slots=True)
class Pods:
    """The pods of one run on their machine."""

    namespace: str
    job: str
    """Path of the RayJob's status."""
    uid: str
    notice_s: float
    """How long a stale file takes to end them."""
    file: tuple[float, float] | None = None
    """What their file says: until when, and when that was said."""
    seen_s: float = 0.0
    """Since when by a clock that nobody sets."""
    over: bool = False


class Machines:
    """KubeRay, the controllers and the machines of one member's cluster; they see every change at once."""

    def __init__(self, cluster: MemCluster, rng: np.random.Generator) -> None:
        self._cluster = cluster
        self._rng = rng
        self._ending: set[str] = set()
        self._pods: dict[str, Pods] = {}
        self.clock = Clock(asyncio.get_running_loop())
        """The machine's own."""
        self.cut_until_s = 0.0
        """The machine is cut off from its control plane until then, in the loop's time."""
        self.on_end: list[OnEnd] = []
        """Called with a namespace and why, when the pods in it have ended."""
        cluster.observers.append(self._seen)

    def _seen(self, change: str, collection: str, thing: Manifest) -> None:
        meta = thing["metadata"]
        if collection == RAYJOBS and change == "ADDED":
            self._begin(meta)
        elif collection == NAMESPACES and change != "DELETED" and self._is_new_end(meta):
            self._later(0.1 + LONGEST_GRACE_S * self._rng.random(), self._finish, meta["name"])
        elif collection == CONFIGMAPS and meta["name"] == alive.NAME and change == "MODIFIED":
            self._later(KUBELET_S * self._rng.random(), self._bring_file, meta["namespace"])

    def _later(self, delay_s: float, act: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._once_back, act, *args)

    def _once_back(self, act: Callable[..., None], *args: Any) -> None:
        """Do it when the machine is in touch with its control plane."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.cut_until_s:
            self._later(self.cut_until_s - loop.time() + self._rng.random(), act, *args)
        else:
            act(*args)

    def _is_new_end(self, meta: Manifest) -> bool:
        if "deletionTimestamp" not in meta or meta["uid"] in self._ending:
            return False
        self._ending.add(meta["uid"])
        return True

    def _finish(self, namespace: str) -> None:
        self._end(namespace, "deleted")
        self._cluster.finish_namespace(namespace)

    # One run.

    def _begin(self, meta: Manifest) -> None:
        where = meta["namespace"]
        path = f"/apis/ray.io/v1/namespaces/{where}/rayjobs/{meta['name']}/status"
        kills_launcher = self._rng.random() < 0.2
        most_s = PROBE_S if kills_launcher else LAUNCHER_S
        pods = Pods(where, path, meta["uid"], notice_s=most_s * self._rng.random())
        self._pods[where] = pods
        self._later(1 + 20 * self._rng.random(), self._start, pods)

    def _start(self, pods: Pods) -> None:
        if pods.over:
            return
        self._bring_file(pods.namespace)
        self._say(pods, "Running")
        lasts_s = float(self._rng.choice([20.0, 90.0, 300.0, 900.0]))
        good = bool(self._rng.random() < 0.9)
        loop = asyncio.get_running_loop()
        loop.call_later(lasts_s * (0.5 + self._rng.random()), self._complete, pods, good)

    def _complete(self, pods: Pods, good: bool) -> None:  # noqa: FBT001
        """Let the job's own program end, whether anybody sees that or not."""
        if not pods.over:
            self._end(pods.namespace, "succeeded" if good else "failed")
            ended = rfc3339(self._cluster.clock.now())
            why = "" if good else "Job entrypoint command failed with exit code 1, last lines"
            self._once_back(self._say, pods, "Complete", good, ended, why)

    def _bring_file(self, namespace: str) -> None:
        """Bring the ConfigMap into the pods, as their kubelet does."""
        pods, loop = self._pods.get(namespace), asyncio.get_running_loop()
        held = self._cluster.objects[CONFIGMAPS].get((namespace, alive.NAME))
        if pods is None or pods.over or held is None:
            return
        until, said = held["data"][alive.UNTIL].split()
        if pods.file != (float(until), float(said)):
            pods.file, pods.seen_s = (float(until), float(said)), loop.time()
        self._look(pods)

    def _look(self, pods: Pods) -> None:
        """Look at the file now, and again when it will be stale: by the clock that says less."""
        loop = asyncio.get_running_loop()
        if pods.over or pods.file is None:
            return
        until_s, said_s = pods.file
        left_s = min(until_s - self.clock.now(), until_s - said_s - (loop.time() - pods.seen_s))
        if left_s > 0:
            loop.call_later(left_s + 0.01, self._look, pods)
        else:
            loop.call_later(pods.notice_s, self._go_stale, pods)

    def _go_stale(self, pods: Pods) -> None:
        if not pods.over:
            self._end(pods.namespace, "stale")
            ended = rfc3339(self._cluster.clock.now())
            why = f"Job entrypoint command failed with exit code {STALE_CODE}, last lines"
            self._once_back(self._say, pods, "Complete", False, ended, why)  # noqa: FBT003

    def _end(self, namespace: str, why: str) -> None:
        pods = self._pods.pop(namespace, None)
        if pods is not None and not pods.over:
            pods.over = True
            for told in self.on_end:
                told(namespace, why)

    def _say(
        self,
        pods: Pods,
        state: str,
        good: bool = True,  # noqa: FBT001, FBT002
        at: str = "",
        message: str = "",
    ) -> None:
        """Write a RayJob's status, as KubeRay does; it may be gone."""
        status: dict[str, Any] = {"jobDeploymentStatus": state, "jobStatus": "RUNNING"}
        if state == "Running":
            now = rfc3339(self._cluster.clock.now())
            status |= {"startTime": now, "rayJobInfo": {"startTime": now}}
        else:
            status |= {"jobStatus": "SUCCEEDED" if good else "FAILED", "endTime": at}
            status |= {"message": message} if message else {}
        try:
            self._cluster.merge(pods.job, {"metadata": {"uid": pods.uid}, "status": status}).send(
                None
            )
        except (StopIteration, HansaError):
            return
