"""``Reflector``: a collection kept in memory by list, watch and bookmarks.

Used for the hot kinds, where kopf would cost fifty times the CPU. The watch is not trusted: the
collection is listed again from time to time and the difference is reported like any other change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hansa.adapters.kube.mirror import WHOLE, Kept, Mirror, OnChange, is_number
from hansa.adapters.turns import in_turns
from hansa.errors import HansaError, Retryable
from hansa.ports import Clock, Cluster, Manifest, WatchEvent

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects the server is asked for."""

    labels: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a collection is listed anew."""

    relist_s: float = 600.0
    jitter: Callable[[], float] = lambda: 0.5
    """Returns values in [0, 1): it spreads relists and retries of many agents."""


ALL, STEADY = Selection(), Pace()
"""Every object, at the usual pace."""


class Reflector(Mirror):
    """A mirror of one collection that follows it by itself."""

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        *,
        clock: Clock,
        on_change: OnChange | None = None,
        selection: Selection = ALL,
        kept: Kept = WHOLE,
        pace: Pace = STEADY,
    ) -> None:
        """``path``: of the collection; nothing is read before ``run``."""
        super().__init__(on_change=on_change, kept=kept)
        self._cluster = cluster
        self._path = path
        self._clock = clock
        self._selection = selection
        self._pace = pace
        self._synced = asyncio.Event()
        self._last_event = clock.monotonic()
        self._failures = 0
        self._list_at = clock.monotonic()
        """When to list again, by the monotonic clock."""
        self._told = ""
        """Version up to which the server has told of everything; empty before the first list."""

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
        """Take our own write's answer without waiting for the watch to tell us the same.

        Where the watch is past it and there is no such object, it was deleted before its answer came.
        """
        if not self._admitted([thing]):
            return
        if self._key(thing) in self or not self._told or self._is_ahead(thing):
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
        asked = self._selection
        pages = self._cluster.pages(self._path, labels=asked.labels, fields=asked.fields)
        async for page in pages:
            self._heard()
            version = page.resource_version
            async for thing in in_turns(self._admitted(page.items)):
                listed.add(self._key(thing))
                if not self._take_listed(thing):
                    late.append(thing)
        absent = self._objects.keys() - listed
        self._told = version
        self._drop_all(
            key for key in absent if key in known or not self._is_ahead(self._objects[key])
        )
        for thing in late:
            self._take_listed(thing)
        # From list to list and not by watch: where each watch is cut short there would be no other list.
        pause_s = self._pace.relist_s * (0.75 + 0.5 * self._pace.jitter())
        self._list_at = self._clock.monotonic() + pause_s
        self._synced.set()
        return version

    def _is_ahead(self, thing: Manifest) -> bool:
        """Tell whether an object is newer than all that the server has told, by versions that are numbers."""
        own, told = thing["metadata"]["resourceVersion"], self._told
        return is_number(own) and is_number(told) and int(own) > int(told)

    async def _follow(self, version: str) -> str:
        """Watch from ``version``; return where to go on, or "" when it is time to list again."""
        asked = self._selection
        stream = self._cluster.watch(self._path, version, labels=asked.labels, fields=asked.fields)
        seen = version
        try:
            async with contextlib.aclosing(stream):  # type: ignore[type-var]  # an async generator
                async for event in stream:
                    self._heard()
                    self._failures = 0
                    self._take(event)
                    seen = self._told = str(event.object["metadata"]["resourceVersion"])
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
        found = [(thing, self._kept.admit(thing)) for thing in things]
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
        await asyncio.sleep(pause * (0.5 + self._pace.jitter()))
