"""What a job costs the hub's API server over its life: each write is counted, and by whom it was made.

All programs as they are shipped, over servers in memory that nothing goes wrong with. One write more for
each job is a decision (ADR 33), and is taken here.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

import numpy as np

from hansa.api.kinds import AIJOB, WORKGRANT
from hansa.api.meta import API_VERSION
from hansa.ports import Manifest
from tests.simulation.league import HUBS, SITES, League, in_memory
from tests.simulation.loop import CURRENT, VirtualLoop
from tests.simulation.story import CLASS, SPEC

KINDS = {
    AIJOB.path(): "job",
    WORKGRANT.path(): "grant",
    "/apis/events.k8s.io/v1/events": "event",
}
PARTS = ("spec", "status")
SETTLED_S, BEGUN_S, LONGEST_RUN_S = 60.0, 30.0, 1400.0
MOST_MOVES = 3
"""An expected start that moves by half each time, over a wait as long as the longest run."""
Row = tuple[str, str]
"""Of which kind, and what of it was written."""


class Writes:
    """Every write about a job that the hub's API server commits, by job and by who made it."""

    def __init__(self, league: League) -> None:
        self._before: dict[str, Manifest] = {}
        self._of: dict[tuple[str, str], Counter[Row]] = {}
        league.hub_server.observers.append(self._seen)

    def of(self, job: str, who: str) -> Counter[Row]:
        """Return what the ``owner``, the ``hub`` or the ``member`` wrote for a job."""
        return self._of.get((job, who), Counter())

    def _seen(self, change: str, collection: str, thing: Manifest) -> None:
        kind, meta = KINDS.get(collection), thing["metadata"]
        if kind == "job":
            name = meta["name"]
        elif kind == "grant":
            name = thing["spec"]["job"]["name"]
        elif kind == "event" and thing["regarding"]["kind"] == AIJOB.name:
            name = thing["regarding"]["name"]
        else:
            return
        before, self._before[meta["uid"]] = self._before.get(meta["uid"], {}), thing
        changed = [part for part in PARTS if before.get(part) != thing.get(part)]
        what = {"ADDED": "made", "DELETED": "deleted"}.get(change) or " ".join(changed or ["meta"])
        process = CURRENT.get(None)
        program = process.name if process else "owner"
        who = {**dict.fromkeys(HUBS, "hub"), **dict.fromkeys(SITES, "member")}.get(program, program)
        self._of.setdefault((name, who), Counter())[kind, what] += 1


Story = Callable[[League], Awaitable[None]]


def writes_of(story: Story) -> Writes:
    """Play a story in a league that has settled, and return what was written."""

    async def play() -> Writes:
        league = League(
            lambda name: np.random.default_rng([5, zlib.crc32(name.encode())]), lambda _: None
        )
        writes = Writes(league)
        await league.found()
        for program in league.programs.values():
            program.start()
        await asyncio.sleep(SETTLED_S)
        await story(league)
        await asyncio.sleep(SETTLED_S)
        assert not league.hub_server.objects[WORKGRANT.path()]
        await league.close()
        return writes

    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    try:
        with in_memory():
            return loop.run_until_complete(play())
    finally:
        loop.close()
        logging.disable(logging.NOTSET)


async def submit(league: League, name: str, gpus: int, tenant: str = "clinic") -> None:
    workers = {"count": gpus, "gpus": 1, "gpuClass": CLASS, "cpu": "1", "memory": "1Gi"}
    spec = SPEC | {"ray": {"version": "2.60.0", "workers": workers}}
    body = {"apiVersion": API_VERSION, "kind": AIJOB.name, "metadata": {"name": name}, "spec": spec}
    await league.hub_server.create(AIJOB.path(tenant), body)


HAPPY = Counter(
    {
        ("job", "status"): 3,  # placed under its epoch, running, ended
        ("grant", "made"): 1,
        ("grant", "deleted"): 1,
        ("event", "made"): 2,  # granted, succeeded: a courtesy, and twenty a second at the most
    }
)
BY_ITS_NODE = Counter({("grant", "status"): 4})  # accepted, running, ended, released


def test_a_job_that_runs_to_its_end():
    async def story(league: League) -> None:
        await submit(league, "study", 2)
        await asyncio.sleep(LONGEST_RUN_S)

    writes = writes_of(story)
    assert writes.of("study", "owner") == {("job", "made"): 1}
    assert writes.of("study", "hub") == HAPPY
    assert writes.of("study", "member") == BY_ITS_NODE


def test_a_job_that_waits_says_so_once_and_what_moves_seldom():
    async def story(league: League) -> None:
        for name, tenant in (("first", "clinic"), ("second", "lab"), ("third", "clinic")):
            await submit(league, name, 4, tenant)  # two of the three sites have so much
        await asyncio.sleep(3 * LONGEST_RUN_S)

    writes = writes_of(story)
    *at_once, waited = sorted(
        (writes.of(name, "hub") for name in ("first", "second", "third")), key=Counter.total
    )
    assert at_once == [HAPPY, HAPPY]
    told = waited - HAPPY
    assert told == {("job", "status"): told["job", "status"], ("event", "made"): 1}
    assert 1 <= told["job", "status"] <= 1 + MOST_MOVES


def test_a_job_that_is_deleted_while_it_runs():
    async def story(league: League) -> None:
        await submit(league, "study", 2)
        await asyncio.sleep(BEGUN_S)
        await league.hub_server.delete(AIJOB.path("clinic", "study"))

    writes = writes_of(story)
    assert writes.of("study", "owner") == {("job", "made"): 1, ("job", "deleted"): 1}
    never_ended = HAPPY - Counter({("job", "status"): 1, ("event", "made"): 1})
    assert writes.of("study", "hub") == never_ended + Counter({("grant", "spec"): 1})
    assert writes.of("study", "member").total() <= BY_ITS_NODE.total()
