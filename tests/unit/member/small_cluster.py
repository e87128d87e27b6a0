"""As much of a Kubernetes API server as the agent uses: objects by path, lists, watches, merges."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hansa.errors import Conflict, NotFound
from hansa.model.times import rfc3339
from hansa.ports import Manifest, Page, WatchEvent

NAMESPACED = re.compile(r"/namespaces/[^/]+(?=/)")


def collection_of(path: str) -> str:
    """The cluster-wide collection an object's path belongs to."""
    return NAMESPACED.sub("", path.rpartition("/")[0])


class SmallCluster:
    """Objects by path. Deleting a namespace deletes what is in it, at once."""

    def __init__(self, now_s: float) -> None:
        self.objects: dict[str, Manifest] = {}
        self.logs: dict[str, str] = {}
        self.written: list[Any] = []
        """Every status and patch that was sent, as it was sent."""
        self._now_s = now_s
        self._made = rfc3339(now_s)
        self._version = 0
        self._watches: list[tuple[str, asyncio.Queue[WatchEvent]]] = []

    def put(self, path: str, thing: Manifest) -> Manifest:
        self._version += 1
        old = self.objects.get(path)
        known = old["metadata"] if old else {"uid": path, "creationTimestamp": self._made}
        meta = {**known, **thing["metadata"], "resourceVersion": str(self._version)}
        self.objects[path] = {**thing, "metadata": meta}
        self._tell("MODIFIED" if old else "ADDED", path, self.objects[path])
        return self.objects[path]

    def _tell(self, kind: Any, path: str, thing: Manifest) -> None:
        for watched, queue in self._watches:
            if watched in {path.rpartition("/")[0], collection_of(path)}:
                queue.put_nowait(WatchEvent(kind, thing))

    async def get(self, path: str) -> Manifest:
        if path not in self.objects:
            raise NotFound(path)
        return self.objects[path]

    async def list(self, path: str, **_: str) -> Page:
        found = [
            thing
            for where, thing in self.objects.items()
            if path in {where.rpartition("/")[0], collection_of(where)}
        ]
        return Page(found, str(self._version))

    async def pages(self, path: str, **query: str):
        yield await self.list(path, **query)

    async def watch(self, path: str, _: str, **__: str):
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watches.append((path, queue))
        while True:
            yield await queue.get()

    async def create(self, path: str, body: Manifest) -> Manifest:
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise Conflict(where)
        namespace = (
            path.split("/namespaces/")[1].split("/", maxsplit=1)[0]
            if "/namespaces/" in path
            else ""
        )
        meta = {**body["metadata"], **({"namespace": namespace} if namespace else {})}
        return self.put(where, {**body, "metadata": meta})

    async def merge(self, path: str, body: Manifest) -> Manifest:
        path = path.removesuffix("/status")
        old = await self.get(path)
        self.written.append(body)
        changed = {
            key: {k: v for k, v in {**old.get(key, {}), **value}.items() if v is not None}
            for key, value in body.items()
            if isinstance(value, dict)
        }
        return self.put(path, {**old, **changed})

    async def replace(self, path: str, body: Manifest) -> Manifest:
        self.written.append(body.get("status"))
        return self.put(path.removesuffix("/status"), body)

    async def delete(self, path: str, **_: str) -> None:
        for where in [w for w in self.objects if w == path or w.startswith(f"{path}/")]:
            self._drop(where)
        name = path.removeprefix("/api/v1/namespaces/")
        for where in [w for w in self.objects if f"/namespaces/{name}/" in w]:
            self._drop(where)

    def _drop(self, path: str) -> None:
        self._tell("DELETED", path, self.objects.pop(path))

    async def text(self, path: str, query: dict[str, str]) -> str:
        log = self.logs[f"{path}?{query['container']}"]
        if "timestamps" in query:
            log = self._timed(log, query.get("sinceTime", ""))
        if "tailLines" in query:
            whole = log.removesuffix("\n")
            lines = whole.split("\n")[-int(query["tailLines"]) :]
            log = "\n".join(lines) + log[len(whole) :]
        return log.encode()[: int(query["limitBytes"])].decode()

    def _timed(self, log: str, since: str) -> str:
        """A line a second, as a kubelet tells them."""
        lines = log.splitlines(keepends=True)
        timed = [(rfc3339(self._now_s + number), line) for number, line in enumerate(lines)]
        return "".join(f"{time} {line}" for time, line in timed if time >= since)
