"""The epoch memory on disk: a few ConfigMaps in the agent's namespace, written in groups.

What comes while a write is under way goes with the next one, and what is new of it into one page: a
burst costs a write for many grants, not one a grant. A record is durable before the hub hears of the
decision it records.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hansa.errors import Conflict, HansaError, NotFound, Retryable
from hansa.grants.epochs import EpochRecord
from hansa.ports import Cluster

PAGES = 8
"""ConfigMaps hold a mebibyte each: together some 75,000 records."""
NAME = "hansa-epochs-{}"


@dataclass(slots=True)
class _Group:
    """Records that are written together, and what became of it."""

    records: dict[str, EpochRecord] = field(default_factory=dict)
    is_durable: bool = False
    error: HansaError | None = None


class EpochStore:
    """Job uid → the highest epoch seen of it. One process owns it: the agent runs alone."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """No I/O until ``load``."""
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._records: dict[str, EpochRecord] = {}
        self._page_of: dict[str, int] = {}
        """Where a job's record stands: it stays there, so that no older one is left behind."""
        self._group = _Group()
        self._lock = asyncio.Lock()

    def get(self, job_uid: str) -> EpochRecord | None:
        """Return what is remembered of a job."""
        return self._records.get(job_uid)

    def items(self) -> list[tuple[str, EpochRecord]]:
        """Return all records."""
        return list(self._records.items())

    async def load(self) -> None:
        """Read every page; makes those that are missing."""
        for page in range(PAGES):
            for uid, line in (await self._read(page)).items():
                record, known = EpochRecord.parse(line), self._records.get(uid)
                if record is not None and (known is None or known.epoch < record.epoch):
                    self._records[uid] = record
                    self._page_of[uid] = page

    async def put(self, records: Mapping[str, EpochRecord]) -> None:
        """Remember all of ``records``; returns when they are durable."""
        group = self._group
        group.records.update(records)
        async with self._lock:
            if self._group is group:
                self._group = _Group()
                await self._commit(group)
        if group.error is not None:
            raise group.error
        if not group.is_durable:
            # Whoever wrote for all of us was cancelled on the way: nobody knows how far it came.
            raise Retryable("the epoch memory was not written; it will be tried again")

    async def forget(self, now_s: float, keep: Callable[[str, EpochRecord], bool]) -> int:
        """Drop records no valid grant can refer to any more; returns how many."""
        old = [
            uid
            for uid, record in self._records.items()
            if record.keep_until_s < now_s and not keep(uid, record)
        ]
        async with self._lock:
            await self._write(dict.fromkeys(old))
        for uid in old:
            del self._records[uid], self._page_of[uid]
        return len(old)

    async def _commit(self, group: _Group) -> None:
        self._assign(group.records)
        try:
            await self._write({uid: record.line() for uid, record in group.records.items()})
        except HansaError as error:
            group.error = error
        else:
            self._records.update(group.records)
            group.is_durable = True

    def _assign(self, uids: Mapping[str, object]) -> None:
        """Give all new records the emptiest page: one write for them."""
        new = [uid for uid in uids if uid not in self._page_of]
        if new:
            used = Counter(self._page_of.values())
            page = min(range(PAGES), key=lambda number: used[number])
            self._page_of.update(dict.fromkeys(new, page))

    async def _read(self, page: int) -> dict[str, str]:
        path = f"{self._path}/{NAME.format(page)}"
        try:
            found = await self._cluster.get(path)
        except NotFound:
            await self._recreate(page)
            found = await self._cluster.get(path)
        return dict(found.get("data") or {})

    async def _write(self, lines: Mapping[str, str | None]) -> None:
        by_page: defaultdict[int, dict[str, str | None]] = defaultdict(dict)
        for uid, line in lines.items():
            by_page[self._page_of[uid]][uid] = line
        await asyncio.gather(*(self._patch(p, data) for p, data in by_page.items()))

    async def _patch(self, page: int, data: Mapping[str, str | None]) -> None:
        path = f"{self._path}/{NAME.format(page)}"
        try:
            await self._cluster.merge(path, {"data": data})
        except NotFound:
            await self._recreate(page)
            await self._cluster.merge(path, {"data": data})

    async def _recreate(self, page: int) -> None:
        """Make a page that is not there, from what this process knows; another may be quicker."""
        data = {u: r.line() for u, r in self._records.items() if self._page_of[u] == page}
        metadata = {"name": NAME.format(page)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            await self._cluster.create(self._path, body)
        except Conflict:
            return
