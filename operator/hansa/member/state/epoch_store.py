"""The epoch memory on disk: a few ConfigMaps in the agent's namespace, written in groups.

What comes while a write is under way goes with the next one: a burst costs a write for many grants,
not one a grant. A record is durable before the hub hears of the decision it records. Each write
states the version it is laid over, so that two agents at once lose nothing and turn nothing back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hansa.errors import Conflict, HansaError, NotFound, Retryable
from hansa.grants.epochs import EpochRecord, Epochs, graver
from hansa.ports import Cluster, Manifest

PAGES = 8
MOST_A_PAGE = 3000
"""A ConfigMap holds a mebibyte, a record and its key at most 300 bytes of it."""
NAME = "hansa-epochs-{}"
FLOOR = "floor"
"""Key of ``Epochs.floor_s`` on a page."""
MOST_TRIES = 8


@dataclass(slots=True)
class _Group:
    """Records that are written together, and what became of it."""

    records: dict[str, EpochRecord] = field(default_factory=dict)
    is_durable: bool = False
    error: HansaError | None = None


class EpochStore:
    """What this member has decided, by job and epoch."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """No I/O until ``load``."""
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.records = Epochs()
        """What is durable."""
        self._page_of: dict[str, int] = {}
        """Job → page of its records: they stay together, so that no older one is left behind."""
        self._versions: dict[int, str] = {}
        """Page → resourceVersion it was last seen at."""
        self._group = _Group()
        self._lock = asyncio.Lock()
        self.is_live: Callable[[EpochRecord], bool] = lambda _: True
        """Whether a record may not be forgotten, however many there are."""

    async def load(self) -> None:
        """Read every page; makes those that are missing."""
        for page in range(PAGES):
            await self._read(page)

    async def reload(self) -> None:
        """Read every page again: another agent may have written since."""
        async with self._lock:
            await self.load()

    async def put(self, records: Iterable[EpochRecord]) -> None:
        """Remember all of ``records``; returns when they are durable."""
        group = self._group
        for record in records:
            group.records[record.key] = graver(group.records.get(record.key, record), record)
        async with self._lock:
            if self._group is group:
                self._group = _Group()
                await self._commit(group)
        if group.error is not None:
            raise group.error
        if not group.is_durable:
            # Whoever wrote for all of us was cancelled on the way: nobody knows how far it came.
            raise Retryable("the epoch memory was not written; it will be tried again")

    async def forget(self, now_s: float) -> int:
        """Drop records no valid grant can refer to any more; returns how many."""
        async with self._lock:
            old = self.records.expired(now_s, self.is_live)
            await self._drop(old, floor_s=None)
            left = {record.job_uid for record in self.records}
            self._page_of = {uid: page for uid, page in self._page_of.items() if uid in left}
            return len(old)

    async def _commit(self, group: _Group) -> None:
        self._assign({record.job_uid for record in group.records.values()})
        by_page: defaultdict[int, list[EpochRecord]] = defaultdict(list)
        for record in group.records.values():
            by_page[self._page_of[record.job_uid]].append(record)
        try:
            await asyncio.gather(*(self._write(page, mine) for page, mine in by_page.items()))
            group.is_durable = True
            for page in by_page:
                await self._make_room(page)
        except HansaError as error:
            group.error = None if group.is_durable else error

    def _assign(self, uids: set[str]) -> None:
        """Give all new jobs the emptiest page: one write for them."""
        new = uids - self._page_of.keys()
        if new:
            used = Counter(self._page_of.values())
            page = min(range(PAGES), key=lambda number: used[number])
            self._page_of.update(dict.fromkeys(new, page))

    def _is_on(self, page: int, record: EpochRecord) -> bool:
        return self._page_of.get(record.job_uid) == page

    async def _write(self, page: int, records: list[EpochRecord]) -> None:
        """Lay records over a page as it stands; what stands there and is graver stays."""
        for _ in range(MOST_TRIES):
            stands = [self._standing(record) for record in records]
            try:
                await self._patch(page, {record.key: record.line() for record in stands})
            except (Conflict, NotFound):
                await self._read(page)
            else:
                for record in stands:
                    self.records.take(record)
                return
        raise Retryable(f"page {page} of the epoch memory changes faster than it can be written")

    def _standing(self, record: EpochRecord) -> EpochRecord:
        known = self.records.get(record.job_uid, record.epoch)
        return record if known is None else graver(known, record)

    async def _make_room(self, page: int) -> None:
        """Forget the oldest where a page is full, and remember up to when."""
        surplus = self.records.surplus(MOST_A_PAGE, lambda r: self._is_on(page, r), self.is_live)
        if surplus:
            await self._drop(surplus, floor_s=max(record.seen_s for record in surplus))

    async def _drop(self, records: list[EpochRecord], *, floor_s: int | None) -> None:
        by_page: defaultdict[int, dict[str, str | None]] = defaultdict(dict)
        for record in records:
            by_page[self._page_of[record.job_uid]][record.key] = None
        for page, lines in by_page.items():
            if floor_s is not None:
                self.records.floor_s = max(self.records.floor_s, floor_s)
                lines[FLOOR] = str(self.records.floor_s)
            try:
                await self._patch(page, lines)
            except (Conflict, NotFound):
                # Another agent wrote: what it wrote is read, and the next turn drops what is left.
                await self._read(page)
            else:
                self.records.drop([record for record in records if self._is_on(page, record)])

    async def _patch(self, page: int, lines: Mapping[str, str | None]) -> None:
        body = {"metadata": {"resourceVersion": self._versions.get(page, "")}, "data": dict(lines)}
        answer = await self._cluster.merge(f"{self._path}/{NAME.format(page)}", body)
        self._versions[page] = _version(answer)

    async def _read(self, page: int) -> None:
        path = f"{self._path}/{NAME.format(page)}"
        try:
            found = await self._cluster.get(path)
        except NotFound:
            await self._recreate(page)
            found = await self._cluster.get(path)
        self._versions[page] = _version(found)
        for key, line in (found.get("data") or {}).items():
            record = EpochRecord.parse(key, line)
            if record is not None:
                self.records.take(record)
                self._page_of.setdefault(record.job_uid, page)
            elif key == FLOOR and str(line).isdecimal():
                self.records.floor_s = max(self.records.floor_s, int(line))

    async def _recreate(self, page: int) -> None:
        """Make a page that is not there, from what this process knows; another may be quicker."""
        data: dict[str, Any] = {r.key: r.line() for r in self.records if self._is_on(page, r)}
        if self.records.floor_s:
            data[FLOOR] = str(self.records.floor_s)
        metadata = {"name": NAME.format(page)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            await self._cluster.create(self._path, body)
        except Conflict:
            return


def _version(thing: Manifest) -> str:
    return str((thing.get("metadata") or {}).get("resourceVersion", ""))
