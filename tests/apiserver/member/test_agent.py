"""The member agent between two real API servers, from joining to the last object removed."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import pytest

from e2e.testbed.addons import second_lock
from e2e.testbed.addons.volumes import volume_manifests
from e2e.testbed.cluster.audit import read_events
from hansa.api.kinds import MEMBERPOLICY, SOVEREIGNNODE
from hansa.errors import NotFound
from hansa.grants import envelope
from tests.apiserver.member.kit import Hub, Member, at_work, job_spec, policy, until, workload
from tests.residency_kit import EVERYWHERE, stands_in

pytestmark = pytest.mark.apiserver


@pytest.fixture
def hub(granting_hub: Hub) -> Hub:
    return granting_hub


@pytest.fixture
def member(joined_member: Member) -> Member:
    return joined_member


async def test_a_grant_becomes_a_run_and_leaves_nothing_behind(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        accepted = await hub.said(name, "Accepted")
        assert accepted["status"] == "True"
        await member.made(workload(spec))
        await member.run_well(workload(spec))
        released = await hub.said(name, "Released")
        assert (released["status"], released["reason"]) == ("True", "Succeeded")
        status = await hub.status(name)
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "Accepted": "True",
            "Running": "False",
            "Succeeded": "True",
            "Released": "True",
        }
        assert status["workload"] == f"{workload(spec)}/{workload(spec)}"
        assert {"acceptedAt", "runningAt", "renderedAt", "finishedAt"} <= status.keys()
        assert await member.gone(workload(spec))
        node = await until(lambda: _declared(hub), "a declaration")
        release = status["release"]
        message = envelope.release_message(
            node=hub.node,
            job_uid=spec["job"]["uid"],
            epoch=1,
            released_at=release["releasedAt"],
        )
        assert envelope.signature_holds(node["releaseKey"], message, release["signature"])


async def _declared(hub: Hub):
    node = await hub.cluster.get(SOVEREIGNNODE.path(name=hub.node))
    status = node.get("status") or {}
    return status if status.get("inventory") else None


async def test_the_member_declares_itself(hub, member):
    async with at_work(member.agent()):
        status = await until(lambda: _declared(hub), "a declaration")
        own = await until(lambda: _obeyed(member), "the policy's status")
    assert status["declaredJurisdiction"] == "EE"
    assert status["inventory"] == [
        {"gpuClass": "nvidia-rtx-4090", "memory": "24564Mi", "total": 16, "allocated": 0}
    ]
    assert status["shapes"][0]["machines"] == 2
    assert status["switch"] == "Open"
    conditions = {c["type"]: c["status"] for c in status["memberConditions"]}
    assert conditions == dict.fromkeys(
        (
            "Enforcing",
            "HubReachable",
            "KubeRayReady",
            "ClockInSync",
            "DiskAvailable",
            "SecondLockHolds",
            "ReceiptsTaken",
        ),
        "True",
    )
    lease = await hub.cluster.get(
        f"/apis/coordination.k8s.io/v1/namespaces/{hub.namespace}/leases/hansa-node"
    )
    assert lease["spec"]["holderIdentity"] == hub.node
    assert own["canary"] == "Denied"


async def _obeyed(member):
    return (await member.cluster.get(MEMBERPOLICY.path(name="local"))).get("status")


REFUSALS = {
    "another node's": ({"node": "riga"}, {}, {}, "WrongNode"),
    "expired": (
        {"notBefore": "2020-01-01T00:00:00Z", "notAfter": "2020-01-01T00:10:00Z"},
        {},
        {},
        "Expired",
    ),
    "foreign data": ({}, {"data": [{"name": "nowhere"}]}, {}, "DatasetUnknown"),
    "foreign image": ({}, {"image": "evil.example/x@sha256:" + "1" * 64}, {}, "ImageNotAllowed"),
    "residency": ({}, {"residency": stands_in("LV")}, {}, "ResidencyDenied"),
    "paused": ({}, {}, {"switch": "Paused"}, "Paused"),
    "unknown hub": ({}, {}, {"trustedHubs": []}, "UnknownHub"),
    "too long": ({}, {"maxRuntimeSeconds": 100}, {"maxRuntimeSeconds": 10}, "RuntimeTooLong"),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusals_are_told_and_nothing_runs(hub, member, case):
    grant, job, law, reason = case
    await member.decree(policy(hub, **law))
    async with at_work(member.agent()):
        spec = hub.spec(job_spec(**job), **grant)
        name = await hub.grant(spec)
        said = await hub.said(name, "Accepted")
        assert (said["status"], said["reason"]) == ("False", reason), said
        assert said["message"]
        assert await member.gone(workload(spec))


async def test_a_released_grant_written_again_is_stale(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        await member.run_well(workload(spec))
        await hub.said(name, "Released")
        await hub.cluster.delete(
            f"/apis/hansa.dev/v1alpha1/namespaces/{hub.namespace}/workgrants/{name}"
        )
        await hub.grant(spec)
        said = await hub.said(name, "Accepted")
        assert (said["status"], said["reason"]) == ("False", "StaleEpoch")


async def test_cancel_stops_and_releases(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        await member.made(workload(spec))
        await hub.cancel(name)
        released = await hub.said(name, "Released")
        assert released["reason"] == "Cancelled"
        assert await member.gone(workload(spec))
        assert await hub.condition(name, "Failed") is None


async def test_the_stop_switch_ends_running_work(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        await member.made(workload(spec))
        await member.decree(policy(hub, switch="Stopped"))
        released = await hub.said(name, "Released")
        assert released["reason"] == "Stopped"
        assert await member.gone(workload(spec))


async def test_a_restarted_agent_goes_on_where_it_was(hub, member):
    spec = hub.spec()
    async with at_work(member.agent()):
        name = await hub.grant(spec)
        await member.made(workload(spec))
    await member.run_well(workload(spec))
    async with at_work(member.agent()):
        released = await hub.said(name, "Released")
    assert released["reason"] == "Succeeded"
    assert await member.gone(workload(spec))


async def test_no_user_string_reaches_a_shell(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        await hub.grant(spec)
        rayjob = await member.made(workload(spec))
        assert rayjob["spec"]["entrypoint"] == "python3 /hansa/launch.py"
        path = f"/api/v1/namespaces/{workload(spec)}/configmaps/grant"
        held = await member.cluster.get(path)
        assert json.loads(held["data"]["argv.json"]) == spec["jobSpec"]["entrypoint"]
        assert json.loads(held["data"]["grant.json"]) == spec | {"cancel": "None"}


async def test_rendered_pods_pass_restricted_pod_security_and_their_quota(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec()
        await hub.grant(spec)
        rayjob = await member.made(workload(spec))
        namespace = workload(spec)
        cluster = rayjob["spec"]["rayClusterSpec"]
        templates = [
            cluster["headGroupSpec"]["template"],
            cluster["workerGroupSpecs"][0]["template"],
            rayjob["spec"]["submitterPodTemplate"],
        ]
        await until(lambda: _quota_counted(member, namespace), "quota")
        for index, template in enumerate(templates):
            pod = {"apiVersion": "v1", "kind": "Pod", **template}
            pod["metadata"] = {**template["metadata"], "name": f"p{index}"}
            async with member.as_kuberay() as kuberay:
                made = await kuberay.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
            assert not made["spec"].get("automountServiceAccountToken")


async def _quota_counted(member: Member, namespace: str) -> bool:
    try:
        quota = await member.cluster.get(f"/api/v1/namespaces/{namespace}/resourcequotas/size")
    except NotFound:
        return False
    return bool((quota.get("status") or {}).get("hard"))


async def test_without_the_hub_work_goes_on_and_is_reported_later(hub, member):
    """The agent is restarted too while the hub is away: its own cluster is all it has."""
    spec = hub.spec()
    async with at_work(member.agent()):
        name = await hub.grant(spec)
        await member.made(workload(spec))
    await member.cable.cut()
    async with at_work(member.agent()):
        await member.run_well(workload(spec))
        assert (await member.rayjob(workload(spec))) is not None
        assert "finishedAt" not in await hub.status(name)
        await member.cable.mend()
        released = await hub.said(name, "Released")
    assert released["reason"] == "Succeeded"
    assert await member.gone(workload(spec))


async def test_a_job_whose_contract_says_stop_is_stopped_without_the_hub(hub, member):
    async with at_work(member.agent()):
        spec = hub.spec(job_spec(disconnection={"policy": "Stop"}))
        name = await hub.grant(spec)
        await member.made(workload(spec))
        await member.cable.cut()
        await until(lambda: member.gone(workload(spec)), "the stop")
        await member.cable.mend()
        released = await hub.said(name, "Released")
    assert released["reason"] == "Unattended"


async def test_lent_data_reaches_the_job_and_survives_it(hub, member):
    claim = f"cohort-{uuid.uuid4().hex[:6]}"
    for body in volume_manifests(Path("/srv"), namespace="hansa-system", claim=claim):
        member.plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    own = f"/api/v1/namespaces/hansa-system/persistentvolumeclaims/{claim}"
    await until(lambda: _bound(member, own), "the holder's claim to be bound")
    await member.decree(
        policy(
            hub,
            datasets=[
                {"name": "cohort", "jurisdiction": "EE", "claim": claim, "residency": EVERYWHERE}
            ],
        )
    )
    async with at_work(member.agent()):
        spec = hub.spec(job_spec(data=[{"name": "cohort"}]))
        name = await hub.grant(spec)
        assert (await hub.said(name, "Accepted"))["status"] == "True"
        await member.made(workload(spec))
        theirs = f"/api/v1/namespaces/{workload(spec)}/persistentvolumeclaims/cohort"
        await until(lambda: _bound(member, theirs), "the job's claim to be bound")
        await member.run_well(workload(spec))
        await hub.said(name, "Released")
    await until(lambda: member.gone(workload(spec)), "the job's volume to go")
    assert await _bound(member, own)


async def _bound(member: Member, path: str) -> bool:
    claim = await member.cluster.get(path)
    return (claim.get("status") or {}).get("phase") == "Bound"


async def test_what_the_hub_writes_wrong_harms_nothing(hub, member):
    async with at_work(member.agent()):
        forged = hub.spec()
        forged["institution"] = "somebody-else"
        name = await hub.grant(forged)
        assert (await hub.said(name, "Accepted"))["reason"] == "BadSignature"
        spec = hub.spec()
        good = await hub.grant(spec)
        assert (await hub.said(good, "Accepted"))["status"] == "True"


def made_twice(plane, namespaces):
    """Return the objects of these runs that the agent asked for although they were there."""
    return [
        event["requestURI"]
        for event in read_events(plane.audit_log)
        if event["verb"] == "create"
        and event["objectRef"].get("namespace", event["objectRef"].get("name")) in namespaces
        and event["responseStatus"]["code"] == 409
        and event["user"]["username"] == second_lock.AGENT
    ]


async def test_a_burst_is_accepted_whole_and_made_once(hub, member):
    async with at_work(member.agent()):
        job = job_spec(ray={"version": "2.60.0"})
        specs = [hub.spec(job) for _ in range(16)]
        names = await asyncio.gather(*(hub.grant(spec) for spec in specs))
        for name in names:
            assert (await hub.said(name, "Accepted"))["status"] == "True"
        for spec in specs:
            await member.made(workload(spec))
        assert made_twice(member.plane, {workload(spec) for spec in specs}) == []
        await asyncio.gather(*(hub.cancel(name) for name in names))
        for name in names:
            assert (await hub.said(name, "Released"))["reason"] == "Cancelled"
