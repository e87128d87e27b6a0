"""A cluster that only the leader may write to: the fence is asked before each write, reads pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from hansa.errors import Retryable
from hansa.ports import Cluster, Manifest, Page, WatchEvent


class FencedCluster:
    """Another cluster behind a fence; a write without leadership raises ``Retryable``."""

    def __init__(self, cluster: Cluster, *, still_leader: Callable[[], bool]) -> None:
        """``still_leader`` is asked before each write."""
        self._cluster = cluster
        self._still_leader = still_leader

    async def get(self, path: str) -> Manifest:
        """Return one object."""
        return await self._cluster.get(path)

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        """Return all objects of a collection."""
        return await self._cluster.list(path, labels=labels, fields=fields)

    def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        """Yield all objects of a collection, page by page."""
        return self._cluster.pages(path, labels=labels, fields=fields)

    def watch(
        self, path: str, resource_version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield events after ``resource_version``."""
        return self._cluster.watch(path, resource_version, labels=labels, fields=fields)

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """GET a non-JSON sub-resource."""
        return await self._cluster.text(path, query)

    async def create(self, path: str, body: Manifest) -> Manifest:
        """POST a new object, as leader."""
        self._check()
        return await self._cluster.create(path, body)

    async def replace(self, path: str, body: Manifest) -> Manifest:
        """PUT an object that was read, as leader."""
        self._check()
        return await self._cluster.replace(path, body)

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        """Server-side apply, as leader."""
        self._check()
        return await self._cluster.apply(path, body, manager=manager)

    async def merge(self, path: str, body: Manifest) -> Manifest:
        """JSON merge patch, as leader."""
        self._check()
        return await self._cluster.merge(path, body)

    async def delete(self, path: str, *, uid: str = "") -> None:
        """Delete, as leader."""
        self._check()
        await self._cluster.delete(path, uid=uid)

    def _check(self) -> None:
        if not self._still_leader():
            raise Retryable("this replica does not lead")
