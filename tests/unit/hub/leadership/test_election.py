"""Leases, round by round: no pool has two leaders, whoever starts, stops, stalls or claims when."""

from __future__ import annotations

import asyncio
from itertools import count

import numpy as np
import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.kube.lease import Candidate, LeaseElection
from hansa.errors import Conflict, NotFound, Retryable
from hansa.hub.leadership.election import DivisionChanged, HubElection, find_division
from hansa.hub.settings import Leadership
from hansa.ports import Page
from tests.seeds import seeds

DURATION_S, RETRY_S = 15.0, 2.0
POOLS = ("north", "south", "league")


class Clock:
    def __init__(self):
        self.passed_s = 100.0

    def monotonic(self):
        return self.passed_s

    def now(self):
        return 1_800_000_000.0 + self.passed_s


class Server:
    """Keeps Leases, with versions; one that is down answers nobody."""

    def __init__(self):
        self.leases, self.versions, self.down = {}, count(1), False

    async def get(self, path):
        await self._up()
        if path not in self.leases:
            raise NotFound(path)
        return self.leases[path]

    async def list(self, path):
        assert path == "/apis/coordination.k8s.io/v1/namespaces/hansa/leases"
        await self._up()
        return Page([*self.leases.values()], "1")

    async def create(self, path, body):
        await self._up()
        where = f"{path}/{body['metadata']['name']}"
        if where in self.leases:
            raise Conflict(where)
        return self._store(where, body["metadata"], body["spec"])

    async def merge(self, path, body):
        await self._up()
        old = self.leases[path]
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Conflict(path)
        return self._store(
            path, old["metadata"] | body["metadata"], {**old["spec"], **body["spec"]}
        )

    def _store(self, path, meta, spec):
        meta = {**meta, "resourceVersion": str(next(self.versions))}
        self.leases[path] = {"metadata": meta, "spec": spec}
        return self.leases[path]

    async def turn(self):
        """Let others go first, where a test wants it."""

    async def _up(self):
        await self.turn()
        if self.down:
            raise Retryable("no answer")

    def names(self):
        return sorted(path.rpartition("/")[2] for path in self.leases)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return Clock()


async def candidacy(server, clock, name, *pools):
    settings = Leadership(pools=pools, duration_seconds=DURATION_S, retry_seconds=RETRY_S)
    who = Candidate("hansa", name)
    division = await find_division(server, settings, who)
    return HubElection(
        server,
        settings,
        division,
        candidate=who,
        clock=clock,
        on_change=lambda _: None,
        unfit=lambda: "",
    )


async def rounds(clock, *elections, times=1):
    for _ in range(times):
        for election in elections:
            await election.stand()
        clock.passed_s += RETRY_S


async def test_two_pool_hubs_and_the_main_hub_lead_beside_each_other(server, clock):
    north = await candidacy(server, clock, "a", "north", "baltic")
    south = await candidacy(server, clock, "b", "south")
    await rounds(clock, north, south)
    main = await candidacy(server, clock, "c")
    await rounds(clock, north, south, main, times=20)

    assert [one.still_leader() for one in (north, south, main)] == [True] * 3
    assert server.names() == [
        "hansa-hub",
        "hansa-hub.baltic",
        "hansa-hub.north",
        "hansa-hub.south",
    ]
    assert [main._division.leads(pool) for pool in POOLS] == [False, False, True]
    assert main.others == ("hansa-hub.baltic", "hansa-hub.north", "hansa-hub.south")


OVERLAPS = {
    "the same pool": (("north",), ("north",)),
    "one in common": (("north", "baltic"), ("north", "south")),
    "one in common, the last": (("baltic", "south"), ("north", "south")),
    "the other way round": (("north", "south"), ("south", "north")),
}


@pytest.mark.parametrize("case", OVERLAPS)
async def test_of_hubs_that_claim_the_same_pool_one_leads_and_the_other_takes_over(
    server, clock, case
):
    ours, theirs = OVERLAPS[case]
    first = await candidacy(server, clock, "a", *ours)
    second = await candidacy(server, clock, "b", *theirs)
    for _ in range(30):
        await rounds(clock, first, second)
        assert not second.still_leader()
    assert first.still_leader()

    await first._give_up()
    await rounds(clock, second)
    assert second.still_leader()


async def test_a_pool_hub_waits_until_the_main_hub_has_let_go(server, clock):
    main = await candidacy(server, clock, "main")
    await rounds(clock, main)
    north = await candidacy(server, clock, "north", "north")
    await rounds(clock, north)
    assert (main.still_leader(), north.still_leader()) == (True, False)
    assert north.trouble == "main holds Lease hansa-hub and still leads north"

    with pytest.raises(DivisionChanged, match="were none and are north now"):
        await asyncio.wait_for(main.run(), PATIENCE_S)
    assert not main.still_leader()
    await rounds(clock, north, times=3)
    assert not north.still_leader()  # what the main hub wrote last may still be on its way
    anew = await candidacy(server, clock, "main")
    await rounds(clock, anew, north)
    assert (anew.still_leader(), north.still_leader()) == (True, True)
    assert not anew._division.leads("north")


async def test_a_main_hub_that_is_gone_without_a_word_is_waited_out(server, clock):
    main = await candidacy(server, clock, "main")
    await rounds(clock, main)
    north = await candidacy(server, clock, "north", "north")
    waited_s = 0.0
    while not north.still_leader():
        await rounds(clock, north)
        waited_s += RETRY_S
        assert not (main.still_leader() and north.still_leader())
        assert waited_s < 3 * DURATION_S
    assert waited_s >= DURATION_S


async def test_a_main_hub_of_a_version_without_other_leaders_is_not_led_beside(server, clock):
    """As a rollback brings it back: it leads every pool, and leaves what another wrote on the Lease."""
    north = await candidacy(server, clock, "north", "north")
    await rounds(clock, north)
    main = await candidacy(server, clock, "main")
    await rounds(clock, main, north, times=3)
    assert north.still_leader()
    await main._give_up()
    older = LeaseElection(server, "hansa-hub", Candidate("hansa", "older"), clock=clock)
    await older.stand()
    await rounds(clock, north)
    assert (older.still_leader(), north.still_leader()) == (True, False)
    assert north.trouble == "older holds Lease hansa-hub and still leads north"


async def test_a_claim_outlives_its_holder(server, clock):
    north = await candidacy(server, clock, "north", "north")
    await rounds(clock, north)
    clock.passed_s += 10 * DURATION_S
    main = await candidacy(server, clock, "main")
    await rounds(clock, main)
    assert main.still_leader()
    assert not main._division.leads("north")


async def test_a_pool_given_back_is_led_by_the_main_hub_after_its_last_leader_could(
    server, clock, monkeypatch
):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("hansa.hub.leadership.election.pause", sleep)
    north = await candidacy(server, clock, "north", "north")
    await rounds(clock, north)
    main = await candidacy(server, clock, "main")
    await rounds(clock, main)
    (path,) = (path for path in server.leases if path.endswith(".north"))
    del server.leases[path]

    with pytest.raises(DivisionChanged, match="were north and are none now"):
        await main.stand()
    anew = await candidacy(server, clock, "main again")

    assert slept == [DURATION_S]
    assert anew._division.leads("north")


async def test_a_server_that_does_not_answer_ends_leadership_in_time(server, clock):
    north = await candidacy(server, clock, "north", "north")
    await rounds(clock, north)
    server.down = True
    led = []
    for _ in range(10):
        await rounds(clock, north)
        led.append(north.still_leader())
    assert led[0]
    assert not led[-1]
    assert led.index(False) * RETRY_S <= DURATION_S * 0.8
    server.down = False
    await rounds(clock, north, times=3)
    assert north.still_leader()


async def test_replicas_do_not_wait_for_each_other_crosswise(server, clock):
    await rounds(clock, await candidacy(server, clock, "b", "south"))
    first = await candidacy(server, clock, "a", "north", "south")
    second = await candidacy(server, clock, "b", "north", "south")
    await rounds(clock, first, second, times=20)
    assert [first.still_leader(), second.still_leader()] == [True, False]


class Chance:
    """Hubs that overlap come, go, stall and die in any order, between any two of their calls."""

    WISHED = ((), (), ("north",), ("north", "south"), ("south",))

    def __init__(self, server, clock, seed):
        self.server, self.clock, self.rng = server, clock, np.random.default_rng(seed)
        self.calls, self.names = [], count()
        self.living, self.rounds = {}, {}
        self.most = 0
        server.turn = self.turn

    async def turn(self):
        call = asyncio.get_running_loop().create_future()
        self.calls.append(call)
        await call

    async def waits(self, seconds):
        due_s = self.clock.passed_s + seconds
        while self.clock.passed_s < due_s:
            await self.turn()

    async def step(self):
        """Begin a round or let one call through; nobody has anything to say for a while at times."""
        slot = int(self.rng.integers(len(self.WISHED)))
        if slot not in self.rounds:
            self.rounds[slot] = asyncio.create_task(self.round(slot))
        await asyncio.sleep(0)
        self.clock.passed_s += self.rng.choice((0.0, 0.1, 0.1, 0.5, 0.5, 2.0))
        if self.calls:
            self.calls.pop(int(self.rng.integers(len(self.calls)))).set_result(None)
        for _ in range(4):
            await asyncio.sleep(0)
        self.look()

    async def round(self, slot):
        one = self.living.get(slot)
        try:
            if one is None:
                name, pools = f"hub-{next(self.names)}", self.WISHED[slot]
                self.living[slot] = await candidacy(self.server, self.clock, name, *pools)
            elif self.rng.random() < 0.03:
                del self.living[slot]
            elif self.rng.random() < 0.03:
                await self.living.pop(slot)._give_up()
            else:
                await one.stand()
        except DivisionChanged:
            del self.living[slot]
        finally:
            del self.rounds[slot]

    def look(self):
        leaders = [one for one in self.living.values() if one.still_leader()]
        for pool in (*POOLS, ""):
            assert sum(one._division.leads(pool) for one in leaders) <= 1
        self.most = max(self.most, len(leaders))

    async def end(self):
        for task in self.rounds.values():
            task.cancel()
        await asyncio.gather(*self.rounds.values(), return_exceptions=True)


@pytest.mark.parametrize("seed", seeds(60))
async def test_no_pool_ever_has_two_leaders(server, clock, seed, monkeypatch):
    chance = Chance(server, clock, seed)
    monkeypatch.setattr("hansa.hub.leadership.election.pause", chance.waits)
    for _ in range(1500):
        await chance.step()
    await chance.end()
    assert chance.most > 1
