"""A hub in memory whose patches are the API server's, and that can refuse or kill whoever writes to it."""

from __future__ import annotations

from typing import Any

from hansa.errors import NotFound, Retryable, Terminal
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.ledger.receipts.ledger_kit import merged
from tests.unit.member.small_cluster import SmallCluster


class Clock:
    seconds = NOW_S

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


class KilledError(Exception):
    """The ledger's process is gone in the middle of what it did."""


class MergingCluster(SmallCluster):
    """Merge patches go as deep as the API server's, and whoever writes may be killed."""

    writes_left = 1 << 30
    is_away = False
    refused = gone = "nowhere"
    """Where a status is refused, and a namespace that is not there any more."""

    def _count(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KilledError

    async def list(self, path: str, **query: str) -> Any:
        if self.is_away:
            raise Retryable("nobody answers", after_s=1.0)
        return await super().list(path, **query)

    async def create(self, path: str, body: Any) -> Any:
        self._count()
        if f"/namespaces/{self.gone}/" in f"{path}/":
            raise NotFound(path)
        return await super().create(path, body)

    async def merge(self, path: str, body: Any) -> Any:
        self._count()
        path = path.removesuffix("/status")
        if self.refused in path:
            raise Terminal("it is refused", reason="Forbidden")
        old = await self.get(path)
        if body.get("metadata", {}).get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise NotFound(path)
        return self.put(path, merged(old, body))
