"""``MemCluster``: a Kubernetes API server in memory, as much of one as hub and members use.

Its answers are compared with a real kube-apiserver's on random operations (tests/apiserver).
"""

from __future__ import annotations

import asyncio
import bisect
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from hansa.errors import Conflict, Gone, NotFound
from hansa.model.times import rfc3339, rfc3339_micro
from hansa.ports import Clock, Manifest, Page, WatchEvent
from tests.simulation.servers.objects import (
    Where,
    applied,
    copied,
    merged,
    parse,
    refused,
    selector,
)

NAMESPACES, LEASES = "/api/v1/namespaces", "/apis/coordination.k8s.io/v1/leases"
WATCH_S, BOOKMARK_S = 300.0, 60.0
SERVER_SET = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
UNCONDITIONAL = ("/api/v1/configmaps", "/api/v1/secrets", NAMESPACES)
"""Kinds that may be replaced without a resourceVersion."""
Observer = Callable[[str, str, Manifest], None]


class MemCluster:
    """One API server. Every method answers at once; what comes between is ``FaultyCluster``'s."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.objects: dict[str, dict[tuple[str, str], Manifest]] = defaultdict(dict)
        self.version = 1
        self.observers: list[Observer] = []
        """Called with (change, collection, object) at every committed write."""
        self._log: dict[str, list[tuple[int, WatchEvent, Manifest | None]]] = defaultdict(list)
        """Collection → version, what became of an object, and what it was before."""
        self._oldest = 0
        """Watches from before this version are Gone."""
        self._waiting: dict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._said: dict[tuple[str, tuple[str, str], str, str], Manifest] = {}
        """What each manager applied last."""
        self._made = 0
        self._era = 0

    # The port.

    async def get(self, path: str) -> Manifest:
        return copied(self._held(parse(path)))

    async def list(self, path: str, *, labels: str = "", fields: str = "") -> Page:
        where, selects = parse(path), selector(labels, fields)
        held = self.objects[where.collection].items()
        items = [
            copied(thing)
            for _, thing in sorted(
                entry
                for entry in held
                if where.namespace in ("", entry[0][0]) and selects(entry[1])
            )
        ]
        return Page(items, str(self.version))

    async def pages(self, path: str, *, labels: str = "", fields: str = "") -> AsyncIterator[Page]:
        yield await self.list(path, labels=labels, fields=fields)

    async def watch(
        self, path: str, resource_version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        where, seen, era = parse(path), int(resource_version or self.version), self._era
        selects = selector(labels, fields)
        loop = asyncio.get_running_loop()
        end = loop.time() + WATCH_S
        while loop.time() < end and era == self._era:
            if seen < self._oldest:
                raise Gone(f"too old resource version: {seen} ({self._oldest})")
            log = self._log[where.collection]
            fresh = log[bisect.bisect_right(log, seen, key=lambda entry: entry[0]) :]
            for version, event, before in fresh:
                seen = version
                space = event.object["metadata"].get("namespace", "")
                if where.namespace in ("", space) and (told := _told(event, before, selects)):
                    yield told
            if not fresh and not await self._news(where.collection):
                mark = {"metadata": {"resourceVersion": str(max(seen, self.version))}}
                yield WatchEvent("BOOKMARK", mark)

    async def create(self, path: str, body: Manifest) -> Manifest:
        where, thing = parse(path), copied(body)
        self._admit(where, thing)
        meta = thing.setdefault("metadata", {})
        if "name" not in meta:
            meta["name"] = f"{meta.pop('generateName')}{self._made:05x}"
        key = (where.namespace, meta["name"])
        if key in self.objects[where.collection]:
            raise Conflict(f"409 AlreadyExists: {where.collection} {key} already exists")
        if where.dry_run:
            return thing
        self._born(where, thing)
        return self._store(where.collection, key, thing, "ADDED")

    async def replace(self, path: str, body: Manifest) -> Manifest:
        where, new = parse(path), copied(body)
        old = self._held(where)
        version = new["metadata"].get("resourceVersion")
        if not version and where.collection not in UNCONDITIONAL:
            raise refused(422, "Invalid", "metadata.resourceVersion: must be specified")
        self._check(old, new["metadata"])
        return self._change(where, old, new)

    async def merge(self, path: str, body: Manifest) -> Manifest:
        where, patch = parse(path), copied(body)
        old = self._held(where)
        self._check(old, patch.get("metadata") or {}, patched=True)
        return self._change(where, old, merged(old, patch))

    async def apply(self, path: str, body: Manifest, *, manager: str) -> Manifest:
        where, now = parse(path), copied(body)
        mark = (where.collection, where.key, where.sub, manager)
        old = self._held(where) if where.sub else self.objects[where.collection].get(where.key)
        before, self._said[mark] = self._said.get(mark), now
        if old is None:
            return await self.create(path.rpartition("/")[0], now)
        self._check(old, now.get("metadata") or {})
        return self._change(where, old, applied(old, before, now))

    async def delete(self, path: str, *, uid: str = "") -> None:
        where = parse(path)
        space, name = where.key
        if not name:
            there = [n for s, n in self.objects[where.collection] if space in ("", s)]
            for one in there:
                await self.delete(f"{path}/{one}")
            return
        old = self.objects[where.collection].get(where.key)
        if old is None:
            return
        if uid and old["metadata"]["uid"] != uid:
            raise Conflict(f"409 Conflict: the UID in the precondition is not {where.name}'s")
        finalizers = old["metadata"].get("finalizers") or where.collection == NAMESPACES
        if not finalizers:
            self._remove(where.collection, where.key)
        elif "deletionTimestamp" not in old["metadata"]:
            self._store(where.collection, where.key, self._doomed(where, old), "MODIFIED")

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        raise NotFound(f"{path} {dict(query)}")

    # What is not the API's: restarts, backups, time.

    def compact(self) -> None:
        """Forget the watch log, as etcd does every few minutes."""
        self._oldest = self.version
        self._log.clear()

    def backup(self) -> tuple[int, Any]:
        """Return a copy of the whole store."""
        return self.version, {name: copied([*held.values()]) for name, held in self.objects.items()}

    def restore(self, backup: tuple[int, Any], *, bump: int) -> None:
        """Go back to a copy; ``bump`` is added to its revision, as ``etcdutl`` can."""
        version, held = backup
        self.version = version + bump
        self.objects.clear()
        for name, things in held.items():
            self.objects[name] = {_key(thing): thing for thing in copied(things)}
        self._era += 1
        self._oldest = self.version if bump else 0
        self._log.clear()
        for collection in list(self._waiting):
            self._wake(collection)

    def finish_namespace(self, name: str) -> None:
        """Remove what a namespace holds, then itself: the namespace controller's work."""
        for collection, held in list(self.objects.items()):
            for key in [key for key in held if key[0] == name]:
                self._remove(collection, key)
        if ("", name) in self.objects[NAMESPACES]:
            self._remove(NAMESPACES, ("", name))

    # The store.

    def _held(self, where: Where) -> Manifest:
        thing = self.objects[where.collection].get(where.key)
        if thing is None:
            raise NotFound(f"404 NotFound: {where.collection} {where.key}")
        return thing

    def _admit(self, where: Where, thing: Manifest) -> None:
        if not where.namespace:
            return
        thing["metadata"]["namespace"] = where.namespace
        space = self.objects[NAMESPACES].get(("", where.namespace))
        if space is None:
            raise NotFound(f'404 NotFound: namespaces "{where.namespace}" not found')
        if "deletionTimestamp" in space["metadata"]:
            raise refused(403, "Forbidden", f"namespace {where.namespace} is being terminated")

    def _born(self, where: Where, thing: Manifest) -> None:
        self._made += 1
        meta = thing["metadata"]
        for name in (*SERVER_SET, "resourceVersion", "generation"):
            meta.pop(name, None)
        meta["uid"] = f"{abs(hash_of(self.name)):08x}-0000-4000-8000-{self._made:012x}"
        meta["creationTimestamp"] = rfc3339(self.clock.now())
        if where.custom:
            meta["generation"] = 1
            thing.pop("status", None)

    def _check(self, old: Manifest, said: Mapping[str, Any], *, patched: bool = False) -> None:
        """Hold preconditions against what stands there; a patch would change the uid itself."""
        meta = old["metadata"]
        for name in ("resourceVersion", "uid"):
            if said.get(name) and said[name] != meta[name]:
                if patched and name == "uid":
                    raise refused(422, "Invalid", "metadata.uid: field is immutable")
                raise Conflict(f"409 Conflict: {name} {said[name]} is not {meta[name]}")

    def _change(self, where: Where, old: Manifest, new: Manifest) -> Manifest:
        new = self._allowed(where, old, new)
        meta, kept = new["metadata"], old["metadata"]
        for name in (*SERVER_SET, "resourceVersion", "generation", "name", "namespace"):
            meta.pop(name, None)
            if name in kept:
                meta[name] = kept[name]
        meta.pop("managedFields", None)
        for name in ("finalizers", "labels", "annotations"):
            if not meta.get(name):
                meta.pop(name, None)
        if _plain(new) == _plain(old):
            return copied(old)
        if where.custom and where.sub != "status" and _content(new) != _content(old):
            meta["generation"] = kept["generation"] + 1
        if (
            "deletionTimestamp" in meta
            and not meta.get("finalizers")
            and where.collection != NAMESPACES
        ):
            self._remove(where.collection, where.key)
            return copied(new)
        return self._store(where.collection, where.key, new, "MODIFIED")

    def _allowed(self, where: Where, old: Manifest, new: Manifest) -> Manifest:
        """Return the change without what this sub-resource does not change."""
        if where.sub in ("status", "approval"):
            return {**old, "metadata": dict(old["metadata"]), "status": new.get("status", {})}
        result = {**new, "metadata": dict(new["metadata"])}
        if where.custom or where.collection == NAMESPACES:
            result.pop("status", None)
            if "status" in old:
                result["status"] = old["status"]
        return result

    def _doomed(self, where: Where, old: Manifest) -> Manifest:
        meta = {**old["metadata"], "deletionTimestamp": rfc3339(self.clock.now())}
        if where.custom:
            meta["deletionGracePeriodSeconds"] = 0
            meta["generation"] = old["metadata"]["generation"] + 1
        doomed = {**old, "metadata": meta}
        if where.collection == NAMESPACES:
            doomed["status"] = {"phase": "Terminating"}
        return doomed

    def _store(
        self, collection: str, key: tuple[str, str], thing: Manifest, change: Any
    ) -> Manifest:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        if collection == LEASES:
            stamp = rfc3339_micro(self.clock.now())
            thing["metadata"]["managedFields"] = [{"manager": "any", "time": stamp}]
        before = self.objects[collection].get(key)
        self.objects[collection][key] = thing
        self._tell(change, collection, thing, before)
        return copied(thing)

    def _remove(self, collection: str, key: tuple[str, str]) -> None:
        self.version += 1
        thing = copied(self.objects[collection].pop(key))
        thing["metadata"]["resourceVersion"] = str(self.version)
        self._said = {
            mark: said for mark, said in self._said.items() if mark[:2] != (collection, key)
        }
        self._tell("DELETED", collection, thing, thing)

    def _tell(self, change: Any, collection: str, thing: Manifest, before: Manifest | None) -> None:
        self._log[collection].append((self.version, WatchEvent(change, thing), before))
        self._wake(collection)
        for observe in self.observers:
            observe(change, collection, thing)

    def _wake(self, collection: str) -> None:
        waiting, self._waiting[collection] = self._waiting[collection], []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _news(self, collection: str) -> bool:
        """Wait for a change of a collection; False when it is time for a bookmark."""
        loop = asyncio.get_running_loop()
        future, end = loop.create_future(), loop.time() + BOOKMARK_S
        self._waiting[collection].append(future)
        timer = loop.call_at(end, lambda: future.done() or future.set_result(None))
        try:
            await future
        finally:
            timer.cancel()
        return loop.time() < end


def hash_of(name: str) -> int:
    """Return a number of a name that is the same in every process."""
    return int.from_bytes(name.encode()[:4], "big")


def _told(
    event: WatchEvent, before: Manifest | None, selects: Callable[[Manifest], bool]
) -> WatchEvent | None:
    """Return what a watch is told of a change: what enters its selection is added, what leaves it deleted."""
    thing = event.object
    was, is_in = before is not None and selects(before), selects(thing)
    if before is not None and was and not is_in:
        version = thing["metadata"]["resourceVersion"]
        left = {**before, "metadata": {**before["metadata"], "resourceVersion": version}}
        return WatchEvent("DELETED", copied(left))
    if not is_in:
        return None
    return WatchEvent(event.type if was else "ADDED", copied(thing))


def _key(thing: Manifest) -> tuple[str, str]:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def _plain(thing: Manifest) -> Manifest:
    return {**thing, "metadata": {**thing["metadata"], "managedFields": None}}


def _content(thing: Manifest) -> Manifest:
    return {name: value for name, value in thing.items() if name not in ("metadata", "status")}
