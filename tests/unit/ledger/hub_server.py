"""A hub from which the ledger reads prices and to which it writes budgets."""

from __future__ import annotations

import asyncio

from hansa.errors import Conflict
from hansa.ports import Page
from tests.unit.reconcile.hub.hub_objects import project_manifest


class Server:
    """Lists what it was given, and remembers what was applied."""

    def __init__(self, nodes=(), projects=()) -> None:
        self.things = {
            "sovereignnodes": list(nodes),
            "projects": list(projects),
            "workgrants": [],
        }
        self.applied: dict[str, dict] = {}

    async def list(self, path, **_):
        return Page(self.things[path.rpartition("/")[2]], "1")

    async def pages(self, path, **_):
        yield await self.list(path)

    async def watch(self, *_, **__):
        await asyncio.Event().wait()
        yield

    async def apply(self, path, body, *, manager):
        assert manager == "hansa-ledger"
        if body["metadata"]["uid"] == "gone":
            raise Conflict("made anew")
        self.applied[path] = body["status"]


def project(name="screening", uid="u1", **more):
    found = project_manifest(**more)
    found["metadata"] |= {"name": name, "uid": uid, "generation": 2}
    return found
