"""What a Kubernetes API server does to single objects: paths, selectors, patches, apply."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


def selects(labels: str, fields: str, thing: Manifest) -> bool:
    """Tell whether an object matches both selectors."""
    meta = thing["metadata"]
    held = meta.get("labels") or {}
    for name, values in _IN.findall(labels):
        if held.get(name) not in values.split(","):
            return False
    terms = [term for term in _IN.sub("", labels).split(",") if term]
    if not all(_holds(term, held) for term in terms):
        return False
    places = {"metadata.name": meta.get("name"), "metadata.namespace": meta.get("namespace")}
    places["status.phase"] = (thing.get("status") or {}).get("phase")
    chosen = [pair.split("=", 1) for pair in fields.split(",") if pair]
    return all(places.get(name) == value for name, value in chosen)


def _holds(term: str, held: Manifest) -> bool:
    name, equals, value = term.partition("=")
    return held.get(name) == value if equals else name in held


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
