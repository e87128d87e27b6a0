"""Whether something that a hub sent has the shape of a WorkGrant at all.

An honest API server never sends anything else; a hub may send what it likes. What is checked here
the rest of the agent may rely on: it is no longer, deeper or fuller than a grant can be, names are
names, spec and status are objects, conditions are too. Judging it takes as long as it is large.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

LONGEST_NAME = 253
MOST_BYTES = 512 << 10
"""A job has 128 KiB; the rest is for the pool's overlays."""
MOST_VALUES = 10_000
"""A pool's overlays may have 4,096 places, everything else some hundred values."""
_NAME = re.compile(rf"[a-z0-9][-.a-z0-9]{{0,{LONGEST_NAME - 1}}}")


def misshapen(grant: object) -> str:
    """Return what is wrong with a grant's shape, naming the field; empty when nothing is.

    >>> misshapen({"metadata": {"name": "G"}, "spec": 7})
    'metadata.name is no name'
    """
    if not isinstance(grant, Mapping):
        return "it is no object"
    return _size(grant) or _metadata(grant.get("metadata")) or _parts(grant)


def _size(grant: Mapping[str, Any]) -> str:
    try:
        length = len(orjson.dumps(grant))
    except TypeError:
        return "it is nested deeper than any grant"
    if length > MOST_BYTES:
        return f"it is larger than {MOST_BYTES} bytes"
    return f"it has more than {MOST_VALUES} values" if _is_full(grant) else ""


def _is_full(grant: Mapping[str, Any]) -> bool:
    """Count values, but no further than they may go."""
    left, waiting = MOST_VALUES, list[Any]([grant])
    while waiting:
        value = waiting.pop()
        inner: Collection[Any] = value.values() if isinstance(value, Mapping) else value
        left -= len(inner)
        if left < 0:
            return True
        waiting += [one for one in inner if isinstance(one, Mapping | list | tuple)]
    return False


def _metadata(metadata: object) -> str:
    if not isinstance(metadata, Mapping):
        return "metadata is no object"
    for field in ("name", "namespace"):
        if not _is_name(metadata.get(field)):
            return f"metadata.{field} is no name"
    for field in ("uid", "resourceVersion"):
        text = metadata.get(field)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
            return f"metadata.{field} is no short text"
    generation = metadata.get("generation", 0)
    if isinstance(generation, bool) or not isinstance(generation, int):
        return "metadata.generation is no integer"
    made = metadata.get("creationTimestamp", "")
    return "" if isinstance(made, str) else "metadata.creationTimestamp is no text"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


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


def claimed(spec: Mapping[str, Any]) -> tuple[str, int]:
    """Return the job's uid and the epoch that a wire ``spec`` claims, before it is read; nothing is ``("", 0)``.

    What is read strictly claims the same: no text or truth is an epoch here either.

    >>> claimed({"job": {"uid": "u"}, "epoch": 3}), claimed({"job": 7, "epoch": "3"})
    (('u', 3), ('', 0))
    """
    job, epoch = spec.get("job"), spec.get("epoch")
    uid = job.get("uid") if isinstance(job, Mapping) else ""
    number = epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else 0
    return uid if isinstance(uid, str) else "", number
