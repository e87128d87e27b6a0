"""``Mirror``: a cache of one collection's objects, and which of two versions of an object is newer."""

from __future__ import annotations

import logging
from collections.abc import Callable, ItemsView, Iterable, Iterator, Sequence, ValuesView
from dataclasses import dataclass
from typing import Literal

import orjson

from hansa.ports import Manifest

log = logging.getLogger(__name__)

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
OnChange = Callable[[ChangeType, Manifest], None]
LONGEST_VERSION = 20
"""Digits of an unsigned integer of 64 bits."""


def by_uid(thing: Manifest) -> str:
    """Key an object by its uid: a namesake made later is another object."""
    return str(thing["metadata"]["uid"])


def by_name(thing: Manifest) -> str:
    """Key an object by ``namespace/name``, or by name alone when it has no namespace."""
    meta = thing["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


@dataclass(frozen=True, slots=True)
class Kept:
    """What a mirror keeps of a collection."""

    key: Callable[[Manifest], str] = by_name
    trim: Callable[[Manifest], Manifest | None] = lambda thing: thing
    """What is kept of an object instead of the whole; None: it is as good as gone."""
    managed_fields: bool = False
    """They are a third of most objects and of use to few."""
    most_bytes: int = 0
    """Of JSON, in all; what would be more is passed over. 0: there is no end."""
    admit: Callable[[Manifest], str] = lambda _: ""
    """Why an object that a server lists is passed over: for servers that are not believed."""


WHOLE = Kept()
"""Everything of every object."""


class Mirror:
    """A cache of objects that others feed. Read it from one event loop; never change its values."""

    def __init__(self, *, on_change: OnChange | None = None, kept: Kept = WHOLE) -> None:
        """``on_change`` is called with every difference."""
        self._kept = kept
        self._key = kept.key
        self._on_change = on_change
        self._bytes = 0
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
        if not self._kept.managed_fields:
            thing["metadata"].pop("managedFields", None)
        kept = self._kept.trim(thing)
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
        most = self._kept.most_bytes
        if old is None and most and self._bytes + more > most:
            return False
        self._bytes += more
        return True

    def _size(self, thing: Manifest) -> int:
        return len(orjson.dumps(thing)) if self._kept.most_bytes else 0

    def _tell(self, kind: ChangeType, thing: Manifest) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(kind, thing)
        except Exception:
            # One object nobody can digest must not blind us to all others.
            log.exception("change not digested name=%s", thing["metadata"].get("name"))


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
    if is_number(new) and is_number(before):
        return int(new) > int(before)
    return bool(new != before)


def is_number(version: str) -> bool:
    """Tell whether a version is one of etcd's; ``isdigit`` alone holds for what ``int`` refuses."""
    return version.isascii() and version.isdigit() and len(version) <= LONGEST_VERSION
