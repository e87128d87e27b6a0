"""Control planes that many files share: each finds them without anything of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.api.group import GROUP

_UNFINALIZED = json.dumps({"metadata": {"finalizers": None}})


@contextmanager
def lent(plane: ControlPlane) -> Iterator[ControlPlane]:
    """Lend ``plane`` to one file; what that leaves of a league is gone before the next one looks."""
    yield plane
    clear(plane)


def clear(plane: ControlPlane) -> None:
    """Remove every object of our kinds, held by a finalizer or not, and the hubs' Leases."""
    asked = ("api-resources", f"--api-group={GROUP}", "--verbs=delete", "-o", "name")
    kinds = ",".join(plane.kubectl(*asked).split())
    if kinds:
        for left in _objects(plane, kinds):
            meta = left["metadata"]
            if meta.get("finalizers"):
                space = ("-n", meta["namespace"]) if "namespace" in meta else ()
                kind = f"{left['kind'].lower()}.{GROUP}"
                free = ("--type=merge", "-p", _UNFINALIZED)
                plane.kubectl("patch", kind, meta["name"], *space, *free)
        plane.kubectl("delete", kinds, "--all", "-A")
    plane.kubectl("delete", "leases", "--all", "-n", "default")


def _objects(plane: ControlPlane, kinds: str) -> list[dict]:
    found: list[dict] = json.loads(plane.kubectl("get", kinds, "-A", "-o", "json"))["items"]
    return found
