"""The epoch memory on disk: a few ConfigMaps in the agent's namespace, written in groups.

A burst of grants costs one write a shard and not one a grant. A record is durable before the hub
hears of the decision it records.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from hansa.errors import Conflict, NotFound
from hansa.grants.epochs import EpochRecord, shard_of
from hansa.ports import Cluster

SHARDS = 8
NAME = "hansa-epochs-{}"


class EpochMemory:
    """Job uid → the highest epoch seen of it. One process owns it: the agent runs alone."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """No I/O until ``load``."""
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._namespace = namespace
        self._records: dict[str, EpochRecord] = {}
        self._lock = asyncio.Lock()

    def get(self, job_uid: str) -> EpochRecord | None:
        """Return what is remembered of a job."""
        return self._records.get(job_uid)

    def items(self) -> list[tuple[str, EpochRecord]]:
        """Return all records."""
        return list(self._records.items())

    async def load(self) -> None:
        """Read every shard; makes those that are missing."""
        for shard in range(SHARDS):
            for uid, line in (await self._read(shard)).items():
                record = EpochRecord.parse(line)
                if record is not None:
                    self._records[uid] = record

    async def put(self, records: Mapping[str, EpochRecord]) -> None:
        """Remember all of ``records``; returns when they are durable."""
        await self._write({uid: record.line() for uid, record in records.items()})
        self._records.update(records)

    async def forget(self, now_s: float, keep: Callable[[str, EpochRecord], bool]) -> int:
        """Drop records no valid grant can refer to any more; returns how many."""
        old = [
            uid
            for uid, record in self._records.items()
            if record.keep_until_s < now_s and not keep(uid, record)
        ]
        await self._write(dict.fromkeys(old))
        for uid in old:
            del self._records[uid]
        return len(old)

    async def _read(self, shard: int) -> dict[str, str]:
        name = NAME.format(shard)
        try:
            found = await self._cluster.get(f"{self._path}/{name}")
        except NotFound:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            found = await self._cluster.create(self._path, body)
        return dict(found.get("data") or {})

    async def _write(self, lines: Mapping[str, str | None]) -> None:
        by_shard: defaultdict[int, dict[str, str | None]] = defaultdict(dict)
        for uid, line in lines.items():
            by_shard[shard_of(uid, SHARDS)][uid] = line
        async with self._lock:
            await asyncio.gather(*(self._patch(s, data) for s, data in by_shard.items()))

    async def _patch(self, shard: int, data: Mapping[str, str | None]) -> None:
        path = f"{self._path}/{NAME.format(shard)}"
        try:
            await self._cluster.merge(path, {"data": data})
        except NotFound:
            await self._recreate(shard)
            await self._cluster.merge(path, {"data": data})

    async def _recreate(self, shard: int) -> None:
        """Put back a shard that somebody deleted, from what this process knows."""
        data = {u: r.line() for u, r in self._records.items() if shard_of(u, SHARDS) == shard}
        metadata = {"name": NAME.format(shard)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            await self._cluster.create(self._path, body)
        except Conflict:
            return
