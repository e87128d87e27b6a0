"""Two leaders on one API server divide the pools: each job is granted once, by the leader of its pool."""

import asyncio
from collections import Counter

import pytest

from hansa.api.kinds import AIJOB, COMPUTEPOOL
from tests.apiserver.hub.acceptance import accepted
from tests.apiserver.hub.league import condition_of
from tests.apiserver.hub.process import UNRIVALLED, HubProcess, until

pytestmark = pytest.mark.apiserver
JOBS = 25
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
NORTH = {"HANSA_HUB_LEADERSHIP__POOLS": '["north"]'}


def leads(process, lease="hansa-hub"):
    return f'hansa_leader{{lease="{lease}"}} 1.0' in process.page("/metrics")


def leads_north(process):
    return leads(process, "hansa-hub.north")


@pytest.fixture
def start(hub_plane, tmp_path):
    """Start a hub; all end with the test."""
    started = []

    def begin(name, **settings):
        started.append(HubProcess(hub_plane, tmp_path, name, **settings))
        return started[-1]

    yield begin
    for process in started:
        if process.running:
            process.stop()


@pytest.fixture
async def divided(league):
    """Pools of two leaders, each with a node of its own; as it was when the test ends."""
    await league.pool("league", {"nodes": {"names": ["sofia"]}})
    await league.pool("north", {"nodes": {"names": ["narva"]}})
    yield league
    await league.pool("league", {})
    await league.admin.delete(COMPUTEPOOL.path(name="north"))
    await league.admin.delete(f"{LEASES}/hansa-hub.north")
    await league.admin.delete(f"{LEASES}/hansa-hub")


async def submit(league, pool):
    names = [f"{pool}-{number}" for number in range(JOBS)]
    await asyncio.gather(*(league.submit(name, pool=pool) for name in names))
    return names


async def test_one_leader_fails_over_and_the_other_does_not_notice(divided, start):
    league, main = divided, start("main")
    await main.ready()
    await until(lambda: leads(main), what="the main hub leads", poll_s=0.2)

    # A hub that claims a pool has the main hub begin anew without it, as a kubelet would let it.
    pair = [start(name, **NORTH) for name in ("north-a", "north-b")]
    await until(lambda: not main.running, what="the main hub ends", poll_s=0.2)
    assert "were none and are north now" in main.log.read_text()
    main = start("main-again", **UNRIVALLED)
    await asyncio.gather(*(process.ready() for process in (main, *pair)))
    await until(lambda: leads(main), what="the main hub leads again", poll_s=0.2)
    await until(lambda: sum(map(leads_north, pair)) == 1, what="one leads north", poll_s=0.2)
    leader, follower = sorted(pair, key=leads_north, reverse=True)
    lease = await league.admin.get(f"{LEASES}/hansa-hub")

    async with league.node("narva"), league.node("sofia"):
        burst = asyncio.gather(*(submit(league, pool) for pool in ("north", "league")))
        await league.sees(
            lambda: league.grants("narva"), lambda grants: len(grants) >= 5, "some grants"
        )
        leader.kill()
        names = [name for made in await burst for name in made]
        for name in names:
            await accepted(league, name)
        assert leads(main)
        assert leads_north(follower)
        grants = await league.grants()
        jobs = (await league.admin.list(AIJOB.path("clinic"))).items
        await asyncio.gather(*(league.admin.delete(AIJOB.path("clinic", name)) for name in names))
        await league.sees(league.grants, lambda left: not left, "all grants are gone")
    after = await league.admin.get(f"{LEASES}/hansa-hub")

    per_job = Counter(grant["spec"]["job"]["uid"] for grant in grants)
    assert per_job == {job["metadata"]["uid"]: 1 for job in jobs}
    assert {job["status"]["epoch"] for job in jobs} == {1}
    nodes = {"north": "narva", "league": "sofia"}
    assert all(job["status"]["node"] == nodes[job["spec"]["pool"]] for job in jobs)
    for field in ("holderIdentity", "leaseTransitions", "acquireTime"):
        assert after["spec"][field] == lease["spec"][field]


async def test_a_node_that_two_leaders_want_takes_no_work_until_one_lets_go(divided, start):
    league = divided
    north = start("north", **NORTH, **UNRIVALLED)
    await until(lambda: leads_north(north), what="north is led", poll_s=0.2)
    main = start("main", **UNRIVALLED)
    await asyncio.gather(north.ready(), main.ready())
    await until(lambda: leads(main), what="the main hub leads", poll_s=0.2)
    async with league.node("sofia"):
        await league.pool("north", {"nodes": {"names": ["sofia"]}})
        row = await league.node_becomes("sofia", "False", "NodeOfTwoLeaders")
        assert "league, north" in row["message"]
        for pool in ("north", "league"):
            await league.submit(f"in-{pool}", pool=pool)
            job = await league.job_becomes(f"in-{pool}", "Placed", "False")
            assert job["status"]["verdicts"][0]["reason"] == "NodeOfTwoLeaders"
        await league.pool("league", {"nodes": {"names": ["elsewhere"]}})
        await accepted(league, "in-north")
        job = await league.job("in-league")
        assert condition_of(job, "Placed")["status"] == "False"
        for pool in ("north", "league"):
            await league.admin.delete(AIJOB.path("clinic", f"in-{pool}"))
        await league.sees(league.grants, lambda left: not left, "the grants are gone")


async def test_a_misspelt_pool_is_told_and_a_pool_given_back_is_led_again(divided, start):
    league = divided
    lost = start("lost", HANSA_HUB_LEADERSHIP__POOLS='["nroth"]')
    await until(lambda: leads(lost, "hansa-hub.nroth"), what="it leads", poll_s=0.2)
    assert "there is no ComputePool nroth; there are: league, north" in lost.log.read_text()
    main = start("main")
    await main.ready()
    assert lost.stop() == 0
    await league.admin.delete(f"{LEASES}/hansa-hub.nroth")
    await until(lambda: not main.running, what="the main hub ends", poll_s=0.2)
    again = start("again")
    await again.ready()
    await until(lambda: leads(again), what="the main hub leads all", poll_s=0.2)
    await league.submit("asks", pool="nroth")
    await league.job_becomes("asks", "Placed", "False", "UnknownPool")
    await league.admin.delete(AIJOB.path("clinic", "asks"))
