"""A leader that stalls between its decision and the request: another has led by then, and decided otherwise.

It dies as the request leaves, so that nobody takes back at once what that makes; nothing else goes wrong here.
With the grant written before its record (a defect that ``make prove`` plants) it makes a second live run.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable

import numpy as np

from hansa.api.kinds import AIJOB, MEMBERPOLICY, WORKGRANT
from hansa.api.meta import API_VERSION, NODE_NAMESPACE_PREFIX
from tests.simulation.happenings.law import Laws
from tests.simulation.invariants import Watchman
from tests.simulation.league import HUB, HUBS, SITES, League, in_memory
from tests.simulation.loop import CURRENT, VirtualLoop, pause
from tests.simulation.servers.faults import Stall
from tests.simulation.story import CLASS, SPEC

LEADS = "/apis/coordination.k8s.io/v1/namespaces/hansa-system/leases/hansa-hub"
SETTLED_S, STALLED_S, HEARD_S, DECIDED_S = 60.0, 900.0, 3.0, 30.0
"""No run ends within ten seconds of its beginning: what the stalled request begins meets the other one alive."""


class Played:
    """What was seen of one job whose grant's creation stalled."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.made: list[tuple[str, str]] = []
        """Who made a grant, and for which site."""
        self.violations: list[str] = []

    def seen(self, change: str, collection: str, grant: dict) -> None:
        process = CURRENT.get(None)
        if change == "ADDED" and collection == WORKGRANT.path():
            site = grant["metadata"]["namespace"].removeprefix(NODE_NAMESPACE_PREFIX)
            self.made.append((process.name, site))

    @property
    def stalled_at(self) -> str:
        """The site for which the stalled grant is; empty: none has stalled."""
        said = next((line for line in self.lines if "stalls before create" in line), "")
        return next((site for site in SITES if NODE_NAMESPACE_PREFIX + site in said), "")


async def leader(league: League) -> str:
    lease = await league.hub_server.get(LEADS)
    return next(name for name in reversed(HUBS) if lease["spec"]["holderIdentity"].startswith(name))


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(STALLED_S):
        while not holds():
            await pause(1.0)


async def switch(league: League, site: str, to: str) -> None:
    await league.servers[site].merge(MEMBERPOLICY.path(name="local"), {"spec": {"switch": to}})


async def story() -> Played:
    played = Played()
    league = League(
        lambda name: np.random.default_rng([5, zlib.crc32(name.encode())]), played.lines.append
    )
    laws = Laws(league, np.random.default_rng(5))
    watchman = Watchman(league, laws, played.lines.append, asyncio.get_running_loop().time)
    league.hub_server.observers.append(played.seen)
    await league.found()
    for program in league.programs.values():
        program.start()
    await asyncio.sleep(SETTLED_S)
    first = await leader(league)
    league.programs[first].lines[HUB].stall = Stall(frozenset({"create"}), STALLED_S)
    workers = {"count": 2, "gpus": 1, "gpuClass": CLASS, "cpu": "1", "memory": "1Gi"}
    spec = SPEC | {"ray": {"version": "2.60.0", "workers": workers}}
    body = {"apiVersion": API_VERSION, "kind": AIJOB.name, "metadata": {"name": "study"}}
    job = await league.hub_server.create(AIJOB.path("clinic"), body | {"spec": spec})
    watchman.acknowledged[job["metadata"]["uid"]] = job
    await until(lambda: played.stalled_at)
    await switch(league, played.stalled_at, "Paused")
    await until(lambda: watchman.live)
    second = await leader(league)
    assert second != first
    await switch(league, played.stalled_at, "Open")
    await asyncio.sleep(HEARD_S)
    league.programs[second].kill(pause_s=STALLED_S)
    league.programs[first].process.wake()
    await asyncio.sleep(DECIDED_S)
    played.violations = watchman.violations
    await league.close()
    return played


def test_a_request_that_leaves_after_another_leader_took_over_makes_no_second_run():
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    try:
        with in_memory():
            played = loop.run_until_complete(story())
    finally:
        loop.close()
        logging.disable(logging.NOTSET)
    makers = [maker for maker, site in played.made if site == played.stalled_at]
    others = [site for _, site in played.made if site != played.stalled_at]
    assert len(set(makers)) == 2, "the stalled request came, after the other leader's own"
    assert others, "the other leader decided otherwise"
    assert played.violations == []
