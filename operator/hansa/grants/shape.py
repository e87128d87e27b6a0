"""Whether something that a hub sent has the shape of a WorkGrant at all.

An honest API server never sends anything else; a hub may send what it likes. What is checked here
the rest of the agent may rely on: names are text, spec and status are objects, conditions are too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST_NAME = 253


def misshapen(grant: object) -> str:
    """Return what is wrong with a grant's shape, naming the field; empty when nothing is.

    >>> misshapen({"metadata": {"name": "g", "uid": "u", "resourceVersion": "1"}, "spec": 7})
    'spec is no object'
    """
    if not isinstance(grant, Mapping):
        return "it is no object"
    return _metadata(grant.get("metadata")) or _parts(grant)


def _metadata(metadata: object) -> str:
    if not isinstance(metadata, Mapping):
        return "metadata is no object"
    for field in ("name", "uid", "resourceVersion"):
        text = metadata.get(field)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
            return f"metadata.{field} is no short text"
    generation = metadata.get("generation", 0)
    if isinstance(generation, bool) or not isinstance(generation, int):
        return "metadata.generation is no integer"
    made = metadata.get("creationTimestamp", "")
    return "" if isinstance(made, str) else "metadata.creationTimestamp is no text"


def _parts(grant: Mapping[str, Any]) -> str:
    for field in ("spec", "status"):
        if not isinstance(grant.get(field) or {}, Mapping):
            return f"{field} is no object"
    conditions = (grant.get("status") or {}).get("conditions") or ()
    if not isinstance(conditions, list | tuple):
        return "status.conditions is no list"
    for condition in conditions:
        if not isinstance(condition, Mapping):
            return "status.conditions holds something else than objects"
        if not all(isinstance(condition.get(f, ""), str) for f in ("type", "status", "reason")):
            return "status.conditions holds a condition whose type, status or reason is no text"
        if not isinstance(condition.get("lastTransitionTime", ""), str):
            return "status.conditions holds a time that is no text"
    return ""
