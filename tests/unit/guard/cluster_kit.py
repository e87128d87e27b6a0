"""A member's API server in memory, as far as guard and ``member stop`` use one, with faults to order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.errors import Conflict, HansaError, NotFound
from hansa.model.times import rfc3339
from hansa.ports import Manifest, Page
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.contact_lease import contact_spec, lease_path
from hansa.reconcile.member.contracts.time_limits import Contract, terms

NOW = 1_000_000.0
NODE = "tartu"
HOUR = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=NOW - 10_000)
POLICY = "/apis/hansa.dev/v1alpha1/memberpolicies/local"
LEASE = lease_path("hansa-system", NODE)
HANGS = "hangs"


@dataclass
class Hands:
    """A clock moved by hand."""

    wall: float = NOW
    steady: float = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@dataclass
class MemoryCluster:
    """Objects by path. ``faults``: (verb, path) → an error to raise, or ``HANGS``."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    faults: dict[tuple[str, str], HansaError | str] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    async def _meet(self, verb: str, path: str) -> None:
        self.calls.append((verb, path))
        fault = self.faults.get((verb, path))
        if isinstance(fault, HansaError):
            raise fault
        if fault == HANGS:
            await asyncio.Event().wait()

    async def get(self, path: str) -> Manifest:
        await self._meet("get", path)
        if path not in self.objects:
            raise NotFound(path)
        return self.objects[path]

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        await self._meet("list", path)
        plural = path.rpartition("/")[2]
        name = fields.removeprefix("metadata.name=")
        found = [
            thing
            for place, thing in self.objects.items()
            if place.split("/")[-2] == plural
            and (not labels or labels in (thing["metadata"].get("labels") or {}))
            and name in ("", thing["metadata"]["name"])
        ]
        return Page(found, "1")

    async def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        yield await self.list(path, labels=labels, fields=fields)

    async def merge(self, path: str, body: Manifest) -> Manifest:
        await self._meet("merge", path)
        if path not in self.objects:
            raise NotFound(path)
        for key, value in body.items():
            old = self.objects[path].get(key)
            merged = {**old, **value} if isinstance(old, dict) else value
            self.objects[path] = {**self.objects[path], key: merged}
        return self.objects[path]

    async def delete(self, path: str, *, uid: str = "") -> None:
        await self._meet("delete", path)
        if uid and uid != self.objects[path]["metadata"]["uid"]:
            raise Conflict(f"409 Conflict: the UID in the precondition is not that of {path}")
        for place in [p for p in self.objects if p == path or p.startswith(f"{path}/")]:
            del self.objects[place]

    def put(self, path: str, **thing: Any) -> None:
        """Put an object there."""
        metadata = {"name": path.rpartition("/")[2], "uid": f"uid-{path}", "resourceVersion": "1"}
        self.objects[path] = {"metadata": metadata | thing.pop("metadata", {}), **thing}

    def switch(self, state: Any) -> None:
        """Apply the policy."""
        self.put(POLICY, spec={"switch": state})

    def contact(self, last_s: float) -> None:
        """Note a contact with the hub."""
        self.put(LEASE, spec=contact_spec(NODE, last_s))

    def run(
        self,
        name: str,
        *,
        age_s: float = 600.0,
        until_s: float | None = NOW + 3000,
        labels: Mapping[str, str] | None = None,
        annotations: Any = None,
    ) -> None:
        """Make a run."""
        marks = {"hansa.dev/job-uid": f"job-{name}", "hansa.dev/epoch": "1", "hansa.dev/node": NODE}
        metadata = {
            "labels": marks | dict(labels or {}),
            "annotations": terms(HOUR) if annotations is None else annotations,
            "creationTimestamp": rfc3339(NOW - age_s),
        }
        self.put(f"/api/v1/namespaces/{name}", metadata=metadata)
        if until_s is not None:
            place = f"/api/v1/namespaces/{name}/configmaps/alive"
            self.put(place, metadata={"namespace": name}, data=alive.validity(NOW, until_s))

    def rayjob(self, name: str, **status: Any) -> None:
        """Make a run's RayJob."""
        path = f"/apis/ray.io/v1/namespaces/{name}/rayjobs/{name}"
        self.put(path, metadata={"creationTimestamp": rfc3339(NOW - 9000)}, status=status)

    @property
    def runs(self) -> set[str]:
        """Names of the namespaces there are."""
        parts = [path.split("/") for path in self.objects]
        return {p[-1] for p in parts if p[-2] == "namespaces"}

    def until(self, name: str) -> float | None:
        """Return until when a run's pods may live."""
        return alive.read_until(self.objects[f"/api/v1/namespaces/{name}/configmaps/alive"])


def up(since_s: float) -> dict:
    """A RayJob's view of a cluster whose pods are all ready."""
    at = rfc3339(since_s)
    row = {"type": "RayClusterProvisioned", "status": "True", "lastTransitionTime": at}
    return {"conditions": [row]}
