"""What thousands of jobs have in common, read once and kept once.

Most jobs of a league share their residency, the shape of their gang and what they are told of the nodes.
Values found here are the very same objects for all of them, so nobody may change them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson

MOST = 4096
"""Values kept of one sort; the oldest makes room, and what is in use stays in use."""

Source = TypeVar("Source")
Value = TypeVar("Value")


class Interner(Generic[Value]):
    """Values made from JSON, one for each spelling."""

    def __init__(self, make: Callable[[Any], Value], most: int = MOST) -> None:
        """``make``: what a spelling stands for; where it raises nothing is kept."""
        self._make = make
        self._most = most
        self._known: dict[bytes, Value] = {}

    def of(self, wire: Any) -> Value:
        """Return the value of ``wire``; raises what ``make`` does, and ``TypeError`` for no JSON."""
        key = orjson.dumps(wire)
        if key not in self._known:
            _make_room(self._known, self._most)
            self._known[key] = self._make(wire)
        return self._known[key]


class Derived(Generic[Source, Value]):
    """What was made of an object, for as long as that very object comes back."""

    def __init__(self, make: Callable[[Source], Value], most: int = MOST) -> None:
        """``make`` looks at nothing but the object, which never changes."""
        self._make = make
        self._most = most
        self._known: dict[int, tuple[Source, Value]] = {}

    def of(self, source: Source) -> Value:
        """Return what ``make`` makes of an object; kept with it, so that no other gets its address."""
        known = self._known.get(id(source))
        if known is None:
            value = self._make(source)
            _make_room(self._known, self._most)
            known = self._known[id(source)] = (source, value)
        return known[1]


def _make_room(known: dict[Any, Any], most: int) -> None:
    if len(known) >= most:
        del known[next(iter(known))]
