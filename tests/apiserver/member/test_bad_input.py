"""What a member does when its surroundings are wrong: it says so, says what to do, runs nothing."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

import pytest
from aiohttp import web

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.audit import read_events
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import MEMBERPOLICY
from hansa.member.app import Agent
from hansa.member.hub_link import identity
from tests.apiserver.member.kit import (
    Hub,
    Member,
    at_work,
    install_kuberay,
    machine,
    until,
    workload,
)

pytestmark = pytest.mark.apiserver
MIB = 1 << 20


class WrongClock(SystemClock):
    """A clock that is off, the same way always."""

    def __init__(self, off_s: float) -> None:
        self._off_s = off_s

    def now(self) -> float:
        return super().now() + self._off_s


async def trouble(member: Member, kind: str) -> dict | None:
    """Return a condition of the member's policy while it is False."""
    law = await member.cluster.get(MEMBERPOLICY.path(name="local"))
    held = (law.get("status") or {}).get("conditions") or []
    return next((c for c in held if (c["type"], c["status"]) == (kind, "False")), None)


async def refuses(hub: Hub, member: Member, agent: Agent, reason: str, kind: str) -> str:
    """Have a good grant refused; return what the condition advises."""
    async with at_work(agent):
        spec = hub.spec()
        said = await hub.said(await hub.grant(spec), "Accepted")
        assert (said["status"], said["reason"]) == ("False", reason), said
        assert said["message"]
        found = await until(lambda: trouble(member, kind), f"{kind} is False")
        assert await member.gone(workload(spec))
    assert found["reason"]
    return found["message"]


async def test_without_kuberay(granting_hub: Hub, joined_member: Member, binaries: Binaries):
    plane = joined_member.plane
    plane.kubectl("delete", "crd", "rayjobs.ray.io")
    try:
        advice = await refuses(
            granting_hub, joined_member, joined_member.agent(), "KubeRayMissing", "KubeRayReady"
        )
    finally:
        install_kuberay(plane, binaries)
    assert "install 1.5.1 or newer" in advice


async def test_with_an_old_kuberay(granting_hub: Hub, joined_member: Member):
    plane, labels = joined_member.plane, {"app.kubernetes.io/name": "kuberay-operator"}
    container = {"name": "operator", "image": "quay.io/kuberay/operator:v1.3.2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kuberay-operator", "namespace": "default", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    try:
        advice = await refuses(
            granting_hub, joined_member, joined_member.agent(), "KubeRayTooOld", "KubeRayReady"
        )
    finally:
        plane.kubectl("delete", "deployment", "kuberay-operator")
    assert "1.3.2 is too old; install 1.5.1 or newer" in advice


@pytest.mark.parametrize("off_s", [600, -600])
async def test_with_a_clock_ten_minutes_off(granting_hub: Hub, joined_member: Member, off_s: float):
    own = from_kubeconfig(joined_member.identity)
    agent = Agent(joined_member.settings, own, clock=WrongClock(off_s))

    advice = await refuses(granting_hub, joined_member, agent, "ClockSkew", "ClockInSync")

    # A call that a busy machine delays tells the time late, by half of what it took.
    found = re.search(r"\b(\d+) s off", advice)
    assert found
    assert abs(int(found[1]) - 600) < 60
    assert "synchronise" in advice


async def test_with_every_disk_full(granting_hub: Hub, joined_member: Member):
    plane = joined_member.plane

    def pressure(status: str) -> None:
        said = {"type": "DiskPressure", "status": status, "reason": "Kubelet", "message": ""}
        for name in ("m1", "m2"):
            patch = json.dumps({"status": {"conditions": [said]}})
            plane.kubectl("patch", "node", name, "--subresource=status", "-p", patch)

    pressure("True")
    try:
        advice = await refuses(
            granting_hub, joined_member, joined_member.agent(), "DiskFull", "DiskAvailable"
        )
    finally:
        pressure("False")
    assert "free space" in advice


async def _huge(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b'{"items": ["')
    for _ in range(64):
        await answer.write(b"x" * MIB)
    return answer


async def _slow(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


def _says(body: object) -> object:
    async def answer(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, content_type="application/json")

    return answer


SENSELESS = (
    *({}, {"job": 7}, {"epoch": "one", "job": {"uid": 3}}, {"node": []}, {"jobSpec": []}),
    *({"epoch": True}, {"overlays": 1}, {"signatures": {}}, {"notAfter": "9999-12-31T23:59:59Z"}),
)
"""Specs of objects that are shaped like grants and are none."""


async def _senseless(request: web.Request) -> web.Response:
    """List them, each with a name and version of its own: alike, only the first would arrive."""
    namespace = re.search(r"/namespaces/([^/]+)", request.path)
    meta = {"namespace": namespace[1] if namespace else "x"}
    items = [
        {
            "metadata": meta
            | {"name": f"x-e{number}", "uid": f"u{number}", "resourceVersion": str(number + 1)},
            "spec": spec,
            "status": {},
        }
        for number, spec in enumerate(SENSELESS)
    ]
    listed = {"kind": "WorkGrantList", "metadata": {"resourceVersion": "99"}, "items": items}
    return web.json_response(listed)


GARBAGE = {
    "a web page": _says("<html>log in first</html>"),
    "half a document": _says('{"items": ['),
    "no object": _says([1, 2]),
    "another kind": _says({"kind": "Pod", "metadata": {"name": "x"}}),
    "items that are none": _says(
        {"kind": "WorkGrantList", "metadata": {"resourceVersion": "1"}, "items": [1, None, {}]}
    ),
    "grants without sense": _senseless,
    "far too much": _huge,
    "nothing for ever": _slow,
}


@asynccontextmanager
async def serving(handler, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", GARBAGE)
async def test_with_a_hub_that_answers_garbage(joined_member: Member, name: str):
    cluster, settings = joined_member.cluster, joined_member.settings
    held = await identity.load(cluster, settings.namespace, settings.identity.secret)
    async with serving(GARBAGE[name]) as url:
        lost = replace(held, server=url)
        await identity.update(cluster, settings.namespace, settings.identity.secret, lost)
        agent = joined_member.agent()
        async with at_work(agent):
            found = await until(lambda: trouble(joined_member, "HubReachable"), "a complaint")
            assert not agent.status.healthy()
            runs = await cluster.list(
                "/api/v1/namespaces", labels=f"hansa.dev/node={settings.node}"
            )
            assert runs.items == []
    assert found["reason"]
    assert "no answer" in found["message"]


async def test_every_grant_without_sense_arrives_and_is_refused_by_itself(joined_member: Member):
    cluster, settings = joined_member.cluster, joined_member.settings
    held = await identity.load(cluster, settings.namespace, settings.identity.secret)
    async with serving(GARBAGE["grants without sense"]) as url:
        lost = replace(held, server=url)
        await identity.update(cluster, settings.namespace, settings.identity.secret, lost)
        agent = joined_member.agent()
        async with at_work(agent):
            context = agent.status.context
            assert context is not None
            await until(lambda: context.refusals["Malformed"] == len(SENSELESS), "all refusals")
            assert len(context.grants) == len(SENSELESS)
            # None is taken by this hub, so each is told again; it is counted once all the same.
            await asyncio.sleep(5 * settings.timing.retry_seconds)
            assert context.refusals == {"Malformed": len(SENSELESS)}


@pytest.mark.parametrize("name", ["a web page", "grants without sense", "nothing for ever"])
async def test_a_run_outlives_a_hub_that_turns_to_garbage(
    granting_hub: Hub, joined_member: Member, granting_plane: ControlPlane, name: str
):
    """Somebody else answers at the hub's address, with the hub's own certificate even."""
    hub, member = granting_hub, joined_member
    held = granting_plane.server_ca.issue_server("garbage", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(held.cert, held.key)
    async with at_work(member.agent()):
        spec = hub.spec()
        grant = await hub.grant(spec)
        await member.made(workload(spec))
        await member.move(workload(spec), jobDeploymentStatus="Running", jobStatus="RUNNING")
        await member.cable.cut()
        async with serving(GARBAGE[name], member.cable.port, tls):
            await until(lambda: trouble(member, "HubReachable"), "a complaint")
            assert await member.rayjob(workload(spec)) is not None
            await member.run_well(workload(spec))
            assert {"finishedAt", "release"}.isdisjoint(await hub.status(grant))
        await member.cable.mend()
        released = await hub.said(grant, "Released")
        told = await hub.condition(grant, "Succeeded")
    assert (released["status"], released["reason"]) == ("True", "Succeeded")
    assert told is not None
    assert told["status"] == "True"
    assert await member.gone(workload(spec))
    assert rayjobs_made(member.plane, workload(spec)) == 1


def rayjobs_made(plane: ControlPlane, name: str) -> int:
    """Count the RayJobs that were ever made in a run's namespace."""
    wanted = ("create", "rayjobs", name, HTTPStatus.CREATED)
    return sum(
        (
            event["verb"],
            event["objectRef"].get("resource"),
            event["objectRef"].get("namespace"),
            event["responseStatus"]["code"],
        )
        == wanted
        for event in read_events(plane.audit_log)
    )


CLAIMED = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "by-claim"},
    "spec": {
        "driver": "gpu.nvidia.com",
        "nodeName": "by-claim",
        "pool": {"name": "by-claim", "generation": 1, "resourceSliceCount": 1},
        "devices": [
            {
                "name": f"gpu-{number}",
                "attributes": {
                    "type": {"string": "gpu"},
                    "productName": {"string": "NVIDIA H100 80GB HBM3"},
                },
                "capacity": {"memory": {"value": "81559Mi"}},
            }
            for number in range(8)
        ],
    },
}

CLAIMS_ONLY = "by-claim: 8 nvidia-h100-80gb-hbm3 (gpu.nvidia.com) are offered by claim only (DRA)"


async def test_a_machine_whose_cards_only_a_claim_gets_is_named(joined_member: Member):
    plane = joined_member.plane
    node, status = machine("by-claim", gpus=0)
    plane.kubectl("apply", "-f", "-", stdin=node)
    plane.kubectl("patch", "node", "by-claim", "--subresource=status", "-p", status)
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(CLAIMED))

    async def named() -> bool:
        """Before the slices are read only the label tells of cards."""
        said = await trouble(joined_member, "MachinesUnderstood")
        return said is not None and CLAIMS_ONLY in said["message"]

    try:
        async with at_work(joined_member.agent()):
            await until(named, "the machine is named")
    finally:
        plane.kubectl("delete", "resourceslice,node", "by-claim")
