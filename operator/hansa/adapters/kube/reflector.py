"""``Reflector``: a collection kept in memory by list, watch and bookmarks.

Used for the hot kinds, where kopf would cost fifty times the CPU. The watch is not trusted: the
collection is listed again from time to time and the difference is reported like any other change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, ItemsView, Iterable, Iterator, Sequence, ValuesView
from typing import Literal

import orjson

from hansa.adapters.turns import in_turns
from hansa.errors import HansaError, Retryable
from hansa.ports import Clock, Cluster, Manifest, WatchEvent

log = logging.getLogger(__name__)

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
OnChange = Callable[[ChangeType, Manifest], None]
Trim = Callable[[Manifest], Manifest | None]
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 30.0
LONGEST_VERSION = 20
"""Digits of an unsigned integer of 64 bits."""


def by_uid(thing: Manifest) -> str:
    """Key an object by its uid: a namesake made later is another object."""
    return str(thing["metadata"]["uid"])


def by_name(thing: Manifest) -> str:
    """Key an object by ``namespace/name``, or by name alone when it has no namespace."""
    meta = thing["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


class Mirror:
    """A cache of objects that others feed. Read it from one event loop; never change its values."""

    def __init__(
        self,
        *,
        key: Callable[[Manifest], str] = by_name,
        on_change: OnChange | None = None,
        keep_managed_fields: bool = False,
        most_bytes: int = 0,
        trim: Trim = lambda thing: thing,
    ) -> None:
        """``keep_managed_fields``: they are a third of most objects and of use to few.

        ``most_bytes``: of JSON, in all; what would be more is passed over. 0: there is no end.
        ``trim`` returns what is kept of an object instead of the whole; None: it is as good as gone.
        """
        self._key = key
        self._on_change = on_change
        self._keep_managed_fields = keep_managed_fields
        self._most_bytes = most_bytes
        self._bytes = 0
        self._trim = trim
        self._objects: dict[str, Manifest] = {}

    def get(self, key: str) -> Manifest | None:
        """Return one object."""
        return self._objects.get(key)

    def values(self) -> ValuesView[Manifest]:
        """Return all objects."""
        return self._objects.values()

    def items(self) -> ItemsView[str, Manifest]:
        """Return all objects with their keys."""
        return self._objects.items()

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def put(self, thing: Manifest, *, notify: bool = True) -> None:
        """Take an object that was seen, or that our own write answered; older ones change nothing."""
        old = self._objects.get(self._key(thing))
        if old is None or is_newer(thing, old):
            self._store(thing, old, notify=notify)

    def _store(self, thing: Manifest, old: Manifest | None, *, notify: bool) -> bool:
        """Keep an object; False where there is no room for it."""
        if not self._keep_managed_fields:
            thing["metadata"].pop("managedFields", None)
        kept = self._trim(thing)
        if kept is None:
            self.drop(thing)
            return True
        if not self._has_room(kept, old):
            log.warning("no room for more name=%s", thing["metadata"].get("name"))
            return False
        self._objects[self._key(kept)] = kept
        if notify:
            self._tell("ADDED" if old is None else "MODIFIED", kept)
        return True

    def drop(self, thing: Manifest) -> None:
        """Forget an object that was deleted; a namesake with another uid stays."""
        key = self._key(thing)
        old = self._objects.get(key)
        if old is not None and old["metadata"]["uid"] == thing["metadata"]["uid"]:
            del self._objects[key]
            self._bytes -= self._size(old)
            self._tell("DELETED", thing)

    def replace(self, things: Sequence[Manifest]) -> None:
        """Take a whole list; the difference is reported like any other change.

        A list is the truth, also where its versions are lower: so they are after a restored backup.
        """
        self._drop_all(self._objects.keys() - {self._key(thing) for thing in things})
        for thing in things:
            self._take_listed(thing)

    def _drop_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self._objects:
                self.drop(self._objects[key])

    def _take_listed(self, thing: Manifest) -> bool:
        """Take an object as a list has it; False where there is no room for it."""
        old = self._objects.get(self._key(thing))
        if old is None or _identity(old) != _identity(thing):
            return self._store(thing, old, notify=True)
        return True

    def _has_room(self, thing: Manifest, old: Manifest | None) -> bool:
        """Count an object in; what is here stays, also where its newer version is longer."""
        more = self._size(thing) - (0 if old is None else self._size(old))
        if old is None and self._most_bytes and self._bytes + more > self._most_bytes:
            return False
        self._bytes += more
        return True

    def _size(self, thing: Manifest) -> int:
        return len(orjson.dumps(thing)) if self._most_bytes else 0

    def _tell(self, kind: ChangeType, thing: Manifest) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(kind, thing)
        except Exception:
            # One object nobody can digest must not blind us to all others.
            log.exception("change not digested name=%s", thing["metadata"].get("name"))


class Reflector(Mirror):
    """A mirror of one collection that follows it by itself."""

    def __init__(  # noqa: PLR0913  # what to read, how to key it, whom to tell
        self,
        cluster: Cluster,
        path: str,
        *,
        clock: Clock,
        on_change: OnChange | None = None,
        key: Callable[[Manifest], str] = by_name,
        keep_managed_fields: bool = False,
        trim: Trim = lambda thing: thing,
        labels: str = "",
        fields: str = "",
        admit: Callable[[Manifest], str] = lambda _: "",
        relist_s: float = 600.0,
        most_bytes: int = 0,
        jitter: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """``jitter`` returns values in [0, 1): it spreads relists and retries of many agents.

        ``admit``: why an object is passed over, for collections of a server that is not believed.
        """
        super().__init__(
            key=key,
            on_change=on_change,
            keep_managed_fields=keep_managed_fields,
            most_bytes=most_bytes,
            trim=trim,
        )
        self._cluster = cluster
        self._path = path
        self._clock = clock
        self._labels = labels
        self._fields = fields
        self._relist_s = relist_s
        self._jitter = jitter
        self._admit = admit
        self._synced = asyncio.Event()
        self._last_event = clock.monotonic()
        self._failures = 0
        self._list_at = clock.monotonic()
        """When to list again, by the monotonic clock."""

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self._path

    @property
    def synced(self) -> bool:
        """Whether the collection was read once."""
        return self._synced.is_set()

    @property
    def last_event_age_s(self) -> float:
        """Seconds since the server last said anything, bookmarks included."""
        return self._clock.monotonic() - self._last_event

    async def wait_synced(self) -> None:
        """Return once the collection was read."""
        await self._synced.wait()

    def absorb(self, thing: Manifest) -> None:
        """Take our own write's answer without waiting for the watch to tell us the same."""
        if self._admitted([thing]):
            self.put(thing, notify=False)

    def list_again(self) -> None:
        """Have the collection listed at the next word from the server: what was heard may be undone."""
        self._list_at = float("-inf")

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        version = ""
        while True:
            try:
                version = version or await self._relist()
                version = await self._follow(version)
            except HansaError as error:
                version = version if isinstance(error, Retryable) else ""
                await self._back_off(error)
            except Exception as error:
                # What we do not understand is read again, later: nobody else reads it for us.
                log.exception("collection not understood path=%s", self._path)
                version = ""
                await self._back_off(error)

    async def _relist(self) -> str:
        """Take the pages of a list as they come; return where the watch goes on.

        What is put meanwhile may be newer than the list; the watch, from the list on, says it again. What
        is newer than the list and was not here as it began has been made since, and stays.
        """
        known, listed = {*self._objects}, set[str]()
        version, late = "", list[Manifest]()
        pages = self._cluster.pages(self._path, labels=self._labels, fields=self._fields)
        async for page in pages:
            self._heard()
            version = page.resource_version
            async for thing in in_turns(self._admitted(page.items)):
                listed.add(self._key(thing))
                if not self._take_listed(thing):
                    late.append(thing)
        absent = self._objects.keys() - listed
        self._drop_all(key for key in absent if key in known or not self._since(key, version))
        for thing in late:
            self._take_listed(thing)
        # From list to list and not by watch: where each watch is cut short there would be no other list.
        self._list_at = self._clock.monotonic() + self._relist_s * (0.75 + 0.5 * self._jitter())
        self._synced.set()
        return version

    def _since(self, key: str, version: str) -> bool:
        """Tell whether an object is newer than a list, by versions that are numbers."""
        own = self._objects[key]["metadata"]["resourceVersion"]
        return _is_number(own) and _is_number(version) and int(own) > int(version)

    async def _follow(self, version: str) -> str:
        """Watch from ``version``; return where to go on, or "" when it is time to list again."""
        stream = self._cluster.watch(self._path, version, labels=self._labels, fields=self._fields)
        seen = version
        try:
            async with contextlib.aclosing(stream):  # type: ignore[type-var]  # an async generator
                async for event in stream:
                    self._heard()
                    self._failures = 0
                    self._take(event)
                    seen = str(event.object["metadata"]["resourceVersion"])
                    if self._clock.monotonic() > self._list_at:
                        return ""
            self._failures = 0
        except Retryable as error:
            await self._back_off(error)
        if self._clock.monotonic() > self._list_at:
            return ""
        # A server that ends every watch at once must not be asked in a tight loop.
        await asyncio.sleep(FIRST_BACKOFF_S)
        return seen

    def _take(self, event: WatchEvent) -> None:
        if event.type == "BOOKMARK" or not self._admitted([event.object]):
            return
        if event.type == "DELETED":
            self.drop(event.object)
        else:
            self.put(event.object)

    def _admitted(self, things: Sequence[Manifest]) -> list[Manifest]:
        """Return what is not passed over; told once for all, for there may be very many."""
        found = [(thing, self._admit(thing)) for thing in things]
        passed_over = [why for _, why in found if why]
        if passed_over:
            log.warning(
                "objects passed over path=%s count=%d why=%s",
                *(self._path, len(passed_over), passed_over[0]),
            )
        return [thing for thing, why in found if not why]

    def _heard(self) -> None:
        self._last_event = self._clock.monotonic()

    async def _back_off(self, error: Exception) -> None:
        if self._failures == 0:
            log.warning("collection unreadable path=%s error=%s", self._path, error)
        pause = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await asyncio.sleep(pause * (0.5 + self._jitter()))


def _identity(thing: Manifest) -> tuple[str, str]:
    return thing["metadata"]["uid"], thing["metadata"]["resourceVersion"]


def is_newer(thing: Manifest, old: Manifest) -> bool:
    """Tell whether ``thing`` replaces ``old``; resourceVersions of one resource compare as integers.

    Kubernetes promises that since 1.35 (KEP-5504). An object with another uid always replaces.
    """
    new_meta, old_meta = thing["metadata"], old["metadata"]
    if new_meta["uid"] != old_meta["uid"]:
        return True
    new, before = new_meta["resourceVersion"], old_meta["resourceVersion"]
    if _is_number(new) and _is_number(before):
        return int(new) > int(before)
    return bool(new != before)


def _is_number(version: str) -> bool:
    """Tell whether a version is one of etcd's; ``isdigit`` alone holds for what ``int`` refuses."""
    return version.isascii() and version.isdigit() and len(version) <= LONGEST_VERSION
