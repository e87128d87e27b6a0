"""The simulation's API server against a real one: the same random operations, the same answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from contextlib import aclosing

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube import client
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB
from hansa.errors import NotFound, Retryable
from tests.apiserver.simulation.twins import API, FINALIZER, Twins, with_defaults
from tests.simulation.servers import apiserver
from tests.simulation.servers.apiserver import NAMESPACES, MemCluster

pytestmark = pytest.mark.apiserver

PART, WHOLE = int(os.environ.get("HANSA_MODEL_OPERATIONS", "300")), 5000
"""Random operations: more for ``make prove``, which says how many, and from which seed."""

WATCH_S = 4
"""A real server sends a bookmark a minute, and one two seconds before it ends a watch."""


@pytest.fixture
async def twins(hub_plane, lot):
    space, model = f"twins-{uuid.uuid4().hex[:6]}", MemCluster("model", SystemClock())
    connection = from_kubeconfig(hub_plane.kubeconfig)
    async with KubeCluster(connection, clock=SystemClock(), agent="twins") as real:
        both = Twins(real, model, space, lot)
        await both.found()
        both.spec = await with_defaults(real, space)
        yield both


@pytest.mark.parametrize(
    "count", [PART, pytest.param(WHOLE, marks=pytest.mark.soak)], ids=["part", "whole"]
)
async def test_it_answers_as_a_real_server_does(twins, count, record_property):
    record_property("model operations", f"{count}, seed {twins.seed}")
    for _ in range(count):
        await twins.step()


async def test_a_status_of_nothing_is_not_applied(twins):
    body = {**API["aijobs"], "metadata": {"name": "a"}, "status": {"epoch": 1}}
    where = f"{AIJOB.path(twins.space, 'a')}/status"
    await twins.both(lambda at, _: at.apply(where, body, manager="hub"))


async def test_what_leaves_a_selection_is_told_as_deleted(twins):
    path = f"/api/v1/namespaces/{twins.space}/configmaps"
    body = {**API["configmaps"], "metadata": {"name": "a", "labels": {"color": "red"}}}
    await twins.both(lambda at, _: at.create(path, body))
    await twins.list("", path, "")
    await twins.both(lambda at, _: at.merge(f"{path}/a", {"metadata": {"labels": {"color": None}}}))
    await twins.read("configmaps", path, labels="color")


async def test_after_a_bookmark_nothing_is_missed_or_told_again(twins, monkeypatch):
    monkeypatch.setattr(apiserver, "BOOKMARK_S", 1)
    path = f"/api/v1/namespaces/{twins.space}/configmaps"
    since = [(await at.list(path)).resource_version for at in twins.sides]
    body = twins.body("configmaps", "a")
    await twins.both(lambda at, _: at.create(path, body))
    with monkeypatch.context() as hurried:
        hurried.setattr(client, "WATCH_TIMEOUT_S", WATCH_S)
        told = await asyncio.gather(*map(_to_bookmark, twins.sides, [path] * 2, since))
    assert [names for names, _ in told] == [["a"], ["a"]]
    await twins.both(lambda at, _: at.delete(f"{path}/a"))
    twins.listed[path] = [[mark for _, mark in told]]
    await twins.read("configmaps", path, labels="")


async def _to_bookmark(at, path, version):
    """Return whom a watch tells of before its bookmark, and the version that this gives.

    A busy server drops one for which a watcher has no room: then the watch that comes after is told.
    """
    names = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(Retryable):
                async with aclosing(at.watch(path, version)) as events:
                    async for event in events:
                        version = event.object["metadata"]["resourceVersion"]
                        if event.type == "BOOKMARK":
                            return names, version
                        if event.object["metadata"]["name"] != "kube-root-ca.crt":
                            names.append(event.object["metadata"]["name"])


async def test_a_namespace_takes_all_that_it_holds_with_it(twins):
    space = f"{NAMESPACES}/{twins.space}"
    paths = {"configmaps": f"/api/v1/namespaces/{twins.space}/configmaps"}
    paths["aijobs"] = AIJOB.path(twins.space)
    bodies = [(paths[kind], twins.body(kind, name)) for kind in paths for name in "ab"]
    for path, body in bodies:
        body["metadata"]["finalizers"] = [FINALIZER]
        await twins.both(lambda at, _, path=path, body=body: at.create(path, body))
    since = [(await at.list(NAMESPACES)).resource_version for at in twins.sides]
    uids = [(await at.get(space))["metadata"]["uid"] for at in twins.sides]
    await twins.both(lambda at, n: at.delete(space, uid=uids[n]))
    ending = [await at.get(space) for at in twins.sides]
    assert ["deletionTimestamp" in one["metadata"] for one in ending] == [True, True]
    assert [one["status"]["phase"] for one in ending] == ["Terminating", "Terminating"]
    # It ends, and takes nothing new; what it holds stands there until its finalizers are gone.
    late = twins.body("configmaps", "late")
    await twins.both(lambda at, _: at.create(paths["configmaps"], late))
    await twins.both(lambda at, n: at.delete(space, uid=uids[n]))
    for path, body in bodies:
        where = f"{path}/{body['metadata']['name']}"
        for at in twins.sides:
            await at.merge(where, {"metadata": {"finalizers": []}})
    twins.sides[1].finish_namespace(twins.space)
    await _gone(twins.sides[0], space)
    for path, body in bodies:
        where = f"{path}/{body['metadata']['name']}"
        await twins.both(lambda at, _, where=where: at.get(where))
        await twins.both(lambda at, _, path=path, body=body: at.create(path, body))
    told = [await _told_of(at, twins.space, since[n]) for n, at in enumerate(twins.sides)]
    assert [{*types} for types in told] == [{"MODIFIED", "DELETED"}] * 2
    assert [types.index("DELETED") for types in told] == [len(types) - 1 for types in told]
    # Made anew it is another, and empty.
    await twins.found()
    assert uids != [(await at.get(space))["metadata"]["uid"] for at in twins.sides]
    for path in paths.values():
        await twins.list("", path, "")


async def _gone(at, path):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await at.get(path)
            except NotFound:
                return
            await asyncio.sleep(0.1)


async def _told_of(at, name, version):
    """Return what a watch of namespaces tells of one, until it is gone."""
    types = []
    async with asyncio.timeout(PATIENCE_S), aclosing(at.watch(NAMESPACES, version)) as events:
        async for event in events:
            if event.object["metadata"].get("name") == name:
                types.append(event.type)
                if event.type == "DELETED":
                    break
    return types
