"""Two replicas: one leads; killed, the other goes on; no epoch is granted twice."""

import asyncio
from collections import Counter

import pytest

from hansa.api.kinds import AIJOB
from tests.apiserver.hub.acceptance import accepted
from tests.apiserver.hub.league import condition_of
from tests.apiserver.hub.process import HubProcess, until

pytestmark = pytest.mark.apiserver
JOBS = 40


@pytest.fixture
def replicas(hub_plane, tmp_path):
    pair = [HubProcess(hub_plane, tmp_path, name) for name in ("hub-a", "hub-b")]
    yield pair
    for process in pair:
        if process.running:
            process.stop()


def leads(process):
    return 'hansa_leader{lease="hansa-hub"} 1.0' in process.page("/metrics")


async def test_the_leader_is_killed_in_the_middle_of_a_burst(league, replicas):
    await asyncio.gather(*(process.ready() for process in replicas))
    await until(lambda: sum(map(leads, replicas)) == 1, what="one leader", poll_s=0.2)
    leader, follower = sorted(replicas, key=leads, reverse=True)
    async with league.node("tallinn"), league.node("tartu"):
        names = [f"burst-{number}" for number in range(JOBS)]
        applied = asyncio.gather(*(league.submit(name) for name in names))
        await league.sees(league.grants, lambda grants: len(grants) >= 5, "some grants")
        leader.kill()
        await applied
        await until(lambda: leads(follower), what="the follower leads", poll_s=0.2)
        for name in names:
            await accepted(league, name)
        grants = await league.grants()
        jobs = (await league.admin.list(AIJOB.path("clinic"))).items
        await asyncio.gather(*(league.admin.delete(AIJOB.path("clinic", name)) for name in names))
        await league.sees(league.grants, lambda left: not left, "all grants are gone")

    per_job = Counter(grant["spec"]["job"]["uid"] for grant in grants)
    assert per_job == {job["metadata"]["uid"]: 1 for job in jobs}
    assert {job["status"]["epoch"] for job in jobs} == {1}
    assert {job["status"]["node"] for job in jobs} == {g["spec"]["node"] for g in grants}


async def test_a_leader_that_ends_cleanly_is_replaced_at_once(league, replicas):
    await asyncio.gather(*(process.ready() for process in replicas))
    await until(lambda: sum(map(leads, replicas)) == 1, what="one leader", poll_s=0.2)
    leader, follower = sorted(replicas, key=leads, reverse=True)

    assert leader.stop() == 0
    await until(lambda: leads(follower), what="the follower leads", poll_s=0.1)
    lease = await league.admin.get(
        "/apis/coordination.k8s.io/v1/namespaces/default/leases/hansa-hub"
    )

    assert lease["spec"]["holderIdentity"] == follower.name


async def test_an_epoch_recorded_without_a_grant_is_exposed_again(league, replicas):
    """The leader died between the two writes: the same epoch goes out, not another."""
    await asyncio.gather(*(process.ready() for process in replicas))
    await until(lambda: sum(map(leads, replicas)) == 1, what="one leader", poll_s=0.2)
    async with league.node("narva"):
        for process in replicas:
            process.kill()
        await league.submit("halfway", suspend=False)
        job = await league.job("halfway")
        half = {
            "apiVersion": job["apiVersion"],
            "kind": "AIJob",
            "metadata": {"name": "halfway", "namespace": "clinic"},
            "status": {"epoch": 7, "node": "narva"},
        }
        path = AIJOB.path("clinic", "halfway")
        await league.admin.apply(f"{path}/status", half, manager="hansa-hub")
        again = HubProcess(league.plane, replicas[0].log.parent, "hub-c")
        try:
            await again.ready()
            job = await league.job_becomes("halfway", "Running", "False", "Starting")
            (grant,) = await league.grants()
            await league.admin.delete(path)
            await league.sees(league.grants, lambda left: not left, "the grant is gone")
        finally:
            again.stop()

    assert (grant["spec"]["epoch"], grant["spec"]["node"]) == (7, "narva")
    assert job["status"]["epoch"] == 7
    assert condition_of(job, "Placed")["status"] == "True"
