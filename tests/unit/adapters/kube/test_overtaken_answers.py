"""Answers to our own writes that the watch has overtaken."""

import asyncio

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.reflector import Reflector
from hansa.ports import Page, WatchEvent
from tests.unit.adapters.servers import thing


class Telling:
    """A server that lists nothing, and whose watch tells what it is given."""

    def __init__(self, *told: WatchEvent) -> None:
        self._told = told
        self.is_done = asyncio.Event()

    async def pages(self, *_, **__):
        yield Page([], "5")

    async def watch(self, *_, **__):
        for event in self._told:
            yield event
        self.is_done.set()
        await asyncio.Event().wait()


ANSWERS = {
    "deleted before its answer came": (7, [("ADDED", 7), ("DELETED", 8)], False),
    "deleted by what a bookmark passed over": (7, [("BOOKMARK", 8)], False),
    "the watch has not come so far": (7, [("BOOKMARK", 6)], True),
    "told already": (7, [("ADDED", 7), ("BOOKMARK", 9)], True),
    "changed since": (7, [("ADDED", 7), ("MODIFIED", 8)], True),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_that_its_objects_end_has_overtaken_brings_nothing_back(case):
    version, told, is_there = ANSWERS[case]
    server = Telling(*(WatchEvent(kind, thing("run", at)) for kind, at in told))
    mirror = Reflector(server, "/namespaces", clock=SystemClock())
    task = asyncio.create_task(mirror.run())
    async with asyncio.timeout(PATIENCE_S):
        await server.is_done.wait()
    mirror.absorb(thing("run", version))
    assert ("run" in mirror) == is_there
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
