"""What a Kubernetes API server does to single objects: paths, selectors, patches, apply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from hansa.errors import Terminal
from hansa.ports import Manifest

SUBRESOURCES = frozenset({"status", "finalize", "approval", "log"})
_IN = re.compile(r"([\w./-]+) in \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Where:
    """A path, taken apart."""

    collection: str
    """Cluster-wide path of the kind, ``/api/v1/pods``."""
    namespace: str = ""
    name: str = ""
    sub: str = ""
    dry_run: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The object within its collection."""
        return self.namespace, self.name

    @property
    def custom(self) -> bool:
        """Whether a CRD defines it, with a status of its own and generations."""
        return self.collection.startswith(("/apis/hansa.dev/", "/apis/ray.io/"))


@lru_cache(maxsize=1 << 12)
def parse(path: str) -> Where:
    """Take a path apart.

    >>> parse("/apis/hansa.dev/v1alpha1/namespaces/clinic/aijobs/study/status").key
    ('clinic', 'study')
    """
    path, _, query = path.partition("?")
    parts = path.split("/")[1:]
    size = 2 if parts[0] == "api" else 3
    prefix, rest, namespace = "/" + "/".join(parts[:size]), parts[size:], ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "")[:3]
    return Where(f"{prefix}/{plural}", namespace, name, sub, "dryRun=All" in query)


@lru_cache(maxsize=1 << 10)
def selector(labels: str, fields: str) -> Callable[[Manifest], bool]:
    """Return what tells whether an object matches both selectors."""
    sets = [(name, frozenset(values.split(","))) for name, values in _IN.findall(labels)]
    terms = [term.partition("=") for term in _IN.sub("", labels).split(",") if term]
    values = [(name, value) for name, equals, value in terms if equals]
    names = [name for name, equals, _ in terms if not equals]
    chosen = [pair.split("=", 1) for pair in fields.split(",") if pair]

    def selects(thing: Manifest) -> bool:
        for name, value in chosen:
            if _PLACES[name](thing) != value:
                return False
        held = thing["metadata"].get("labels") or {}
        for name in names:
            if name not in held:
                return False
        for name, value in values:
            if held.get(name) != value:
                return False
        return all(held.get(name) in some for name, some in sets) if sets else True

    return selects if labels or fields else lambda _: True


_PLACES: Mapping[str, Callable[[Manifest], Any]] = {
    "metadata.name": lambda thing: thing["metadata"].get("name"),
    "metadata.namespace": lambda thing: thing["metadata"].get("namespace"),
    "status.phase": lambda thing: (thing.get("status") or {}).get("phase"),
}


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def applied(old: Any, before: Any, now: Any) -> Any:
    """Server-side apply: what the manager no longer says of what it said ``before`` goes.

    Lists of conditions merge by type; all others are atomic.
    """
    if isinstance(now, list) and _keyed(now):
        return _applied_rows(old or [], before or [], now)
    if not isinstance(now, dict):
        return now
    known, said = (x if isinstance(x, dict) else {} for x in (old, before))
    result = {name: value for name, value in known.items() if name not in said or name in now}
    for name, value in now.items():
        result[name] = applied(known.get(name), said.get(name), value)
    return result


def _keyed(rows: list[Any]) -> bool:
    return bool(rows) and all(isinstance(row, dict) and "type" in row for row in rows)


def _applied_rows(old: list[Any], before: list[Any], now: list[Any]) -> list[Any]:
    said, new = {row["type"]: row for row in before}, {row["type"]: row for row in now}
    kept = [row for row in old if row["type"] not in said or row["type"] in new]
    known = {row["type"] for row in kept}
    return [
        applied(row, said.get(row["type"]), new[row["type"]]) if row["type"] in new else row
        for row in kept
    ] + [row for row in now if row["type"] not in known]


def copied(thing: Any) -> Any:
    """Return a copy that shares nothing, as everything that went over a wire."""
    return orjson.loads(orjson.dumps(thing))


def refused(status: int, reason: str, message: str) -> Terminal:
    """Return the error of a status that trying again does not help."""
    return Terminal(f"{status} {reason}: {message}", reason=reason, status=status)
