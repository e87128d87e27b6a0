"""The client, the reflector and the election against a real API server."""

import asyncio
import contextlib

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import Bounds, KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.adapters.kube.lease import Candidate, LeaseElection, LeaseTimes
from hansa.adapters.kube.reflector import Reflector, Selection
from hansa.errors import Conflict, NotFound, Retryable, Terminal

pytestmark = pytest.mark.apiserver

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def cluster(control_plane: ControlPlane):
    connection = from_kubeconfig(control_plane.kubeconfig)
    async with KubeCluster(connection, clock=SystemClock(), agent="hansa-test") as client:
        yield client


@contextlib.asynccontextmanager
async def running(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # plain predicates over a server's state
            await asyncio.sleep(0.02)


def config_map(name: str, value: str = "1", labels=None):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels or {}},
        "data": {"value": value},
    }


async def test_objects_go_round(cluster):
    await cluster.delete(f"{MAPS}/round")
    made = await cluster.create(MAPS, config_map("round"))
    with pytest.raises(Conflict):
        await cluster.create(MAPS, config_map("round"))
    merged = await cluster.merge(f"{MAPS}/round", {"data": {"more": "2"}})
    applied = await cluster.apply(f"{MAPS}/round", config_map("round", "3"), manager="test")

    assert merged["data"] == {"value": "1", "more": "2"}
    assert applied["data"] == {"value": "3", "more": "2"}
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    replaced = await cluster.replace(f"{MAPS}/round", applied | {"data": {"value": "5"}})
    assert replaced["data"] == {"value": "5"}
    with pytest.raises(Conflict):
        await cluster.replace(f"{MAPS}/round", applied | {"data": {"value": "6"}})
    with pytest.raises(Conflict):
        await cluster.merge(f"{MAPS}/round", stale | {"data": {"value": "4"}})
    with pytest.raises(Conflict):
        await cluster.delete(f"{MAPS}/round", uid="00000000-0000-0000-0000-000000000000")
    await cluster.delete(f"{MAPS}/round", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await cluster.get(f"{MAPS}/round")
    await cluster.delete(f"{MAPS}/round")


async def test_refusals_are_errors_of_the_tree(cluster, control_plane):
    with pytest.raises(Terminal, match=r"metadata\.name") as refused:
        await cluster.create(MAPS, config_map("Not A Name"))
    assert refused.value.status == 422
    stranger = from_kubeconfig(control_plane.kubeconfig_for("stranger"))
    async with KubeCluster(stranger, clock=SystemClock()) as other:
        with pytest.raises(Terminal, match="stranger") as forbidden:
            await other.get(MAPS)
    assert forbidden.value.status == 403


async def test_the_server_tells_its_time(cluster):
    async def skew_s():
        await cluster.get("/api/v1/namespaces/default")
        return cluster.server_time_skew_s

    async with asyncio.timeout(PATIENCE_S):
        # A request that a busy machine delays is off by half its time; the server tells whole seconds.
        while abs(await skew_s()) > 2:  # noqa: ASYNC110  # the server tells no event
            await asyncio.sleep(1)

    assert cluster.server_time_skew_s is not None
    assert abs(cluster.server_time_skew_s) <= 2


async def test_lists_longer_than_a_page_are_whole(cluster, monkeypatch):
    monkeypatch.setattr(cluster, "_bounds", Bounds(page_items=3))
    labels = {"test": "pages"}
    for number in range(8):
        await cluster.apply(
            f"{MAPS}/page-{number}",
            config_map(f"page-{number}", labels=labels),
            manager="test",
        )

    page = await cluster.list(MAPS, labels="test=pages")

    assert {item["metadata"]["name"] for item in page.items} == {f"page-{n}" for n in range(8)}


async def test_a_reflector_follows_changes(cluster):
    seen = []
    labels = {"test": "reflector"}
    mirror = Reflector(
        cluster,
        MAPS,
        clock=SystemClock(),
        selection=Selection("test=reflector"),
        on_change=lambda kind, thing: seen.append((kind, thing["metadata"]["name"])),
    )
    async with running(mirror.run()):
        await mirror.wait_synced()
        await cluster.create(MAPS, config_map("followed", labels=labels))
        await until(lambda: len(mirror) == 1)
        await cluster.merge(f"{MAPS}/followed", {"data": {"value": "2"}})
        await until(lambda: len(seen) == 2)
        assert mirror.get("default/followed")["data"]["value"] == "2"
        await cluster.delete(f"{MAPS}/followed")
        await until(lambda: len(mirror) == 0)

    assert seen == [(kind, "followed") for kind in ("ADDED", "MODIFIED", "DELETED")]


async def test_a_leader_gives_up_cleanly_and_another_takes_over(cluster):
    def candidate(name):
        return LeaseElection(
            cluster,
            "election",
            Candidate("default", name),
            clock=SystemClock(),
            times=LeaseTimes(3600, 0.05),
        )

    first, second = candidate("first"), candidate("second")
    async with running(second.run()):
        await until(second.still_leader)
        async with running(first.run()) as rival:
            await until(lambda: not first.trouble)
            assert not rival.done()
            assert not first.still_leader()
            assert second.still_leader()
    async with running(first.run()):
        await until(first.still_leader)
        assert not second.still_leader()


async def test_a_server_that_is_gone_is_retryable(control_plane):
    connection = from_kubeconfig(control_plane.kubeconfig)
    nowhere = type(connection)(server="https://127.0.0.1:1", ca_file=connection.ca_file)
    async with KubeCluster(nowhere, clock=SystemClock()) as client:
        with pytest.raises(Retryable):
            await client.get(MAPS)
