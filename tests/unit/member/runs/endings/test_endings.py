"""The agent looks at what is left of a run, and the owner reads why it ended: in words, and never in the job's."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

from hansa.errors import NotFound, Retryable, Terminal
from hansa.grants.envelope import grant_name, workload_name
from hansa.member.cluster.policy import HeldPolicy
from hansa.model.times import rfc3339
from hansa.reconcile.member.outgoing import ABSENT, UNREAD
from tests.unit.grants.grant_kit import NOW_S, UID, grant, job, policy
from tests.unit.member.runs.plain_job import GRANT, NAMESPACE, PLAIN, RUN, Running, working

RAYJOB = f"/apis/ray.io/v1/namespaces/{RUN}/rayjobs/{RUN}"
PULL = 'Back-off pulling image "registry.example/a":\n 401 Unauthorized\x07'
WAITING = {
    "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": PULL}}}]
}
OOM = {"state": {"terminated": {"reason": "OOMKilled", "message": "SECRET", "exitCode": 137}}}
FAILED = {
    "jobStatus": "FAILED",
    "jobDeploymentStatus": "Failed",
    "reason": "AppFailed",
    "message": "Job entrypoint command failed with exit code 1, last available logs: SECRET",
}


def closed(agent):
    """An institution that lets no word of a job's out."""
    shut = policy(datasets=[], exports={"logs": "Deny", "result": "Deny"})
    agent.parts.context.cluster_state.put_policy(HeldPolicy(shut, 2, "u", ""))


def put_pod(agent, role, status):
    metadata = {"name": role, "namespace": RUN, "labels": {"ray.io/node-type": role}}
    agent.own.put(f"{NAMESPACE}/pods/{role}", {"metadata": metadata, "status": status})


def ends(agent, status, after_s=300):
    told = {"startTime": rfc3339(NOW_S), "endTime": rfc3339(NOW_S + after_s), **status}
    agent.own.put(RAYJOB, agent.own.objects[RAYJOB] | {"status": told})


def words(agent):
    rows = agent.status()["conditions"]
    return next(row["message"] for row in rows if row["type"] == "Running")


@contextlib.asynccontextmanager
async def made(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: RAYJOB in agent.own.objects)
        yield


async def test_an_image_that_cannot_be_pulled_is_given_up_with_the_kubelets_words():
    agent = Running()
    closed(agent)
    async with made(agent):
        put_pod(agent, "worker", WAITING)
        agent.parts.context.clock.now = lambda: NOW_S + 901
        agent.own.put(RAYJOB, agent.own.objects[RAYJOB])
        await agent.until(lambda: "release" in agent.status())
    assert agent.said("Running") == ("False", "ImageNotPulled")
    assert agent.said("Released") == ("True", "ImageNotPulled")
    assert agent.said("Failed") is None
    assert words(agent) == (
        "The job's image could not be pulled. Back-off pulling image"
        ' "registry.example/a": 401 Unauthorized'
    )


def selecting_events(own):
    """As an API server lists events: by the kind that they are about, where it is asked for."""
    whole = own.list

    async def listed(path, **query):
        page = await whole(path, **query)
        kind = query.get("fields", "").removeprefix("involvedObject.kind=")
        if not path.endswith("/events") or not kind:
            return page
        about = [event for event in page.items if event["involvedObject"]["kind"] == kind]
        return replace(page, items=about)

    own.list = listed


async def test_a_ray_cluster_that_a_webhook_refuses_is_told_in_its_words():
    agent = Running()
    selecting_events(agent.own)
    about = {"kind": "RayJob", "name": RUN}
    told = {"reason": "FailedToCreateRayCluster", "message": 'webhook "kyverno" denied the request'}
    async with made(agent):
        event = {"metadata": {"name": "e"}, "involvedObject": about, **told}
        agent.own.put(f"{NAMESPACE}/events/e", event)
        agent.parts.context.clock.now = lambda: NOW_S + 901
        agent.own.put(RAYJOB, agent.own.objects[RAYJOB])
        await agent.until(lambda: "release" in agent.status())
    assert agent.said("Running") == ("False", "PodsRefused")
    assert told["message"] in words(agent)


async def test_memory_that_ran_out_is_told_where_no_log_may_leave():
    agent = Running()
    closed(agent)
    async with made(agent):
        put_pod(agent, "worker", {"containerStatuses": [OOM]})
        ends(agent, FAILED)
        await agent.until(lambda: "release" in agent.status())
    assert agent.said("Failed") == ("True", "OutOfMemory")
    assert "(OOMKilled)" in words(agent)
    assert "SECRET" not in str(agent.hub.written)


# What the law says of logs; whether how the pods died is told.
LAWS = {"Allow": True, "Tail": True, "Deny": False}


@pytest.mark.parametrize("rule", LAWS)
async def test_how_pods_died_is_told_where_the_logs_end_may_leave(rule):
    agent = Running()
    shut = policy(datasets=[], exports={"logs": rule})
    agent.parts.context.cluster_state.put_policy(HeldPolicy(shut, 2, "u", ""))
    about = {"kind": "Pod", "name": "worker", "namespace": RUN}
    event = {"type": "Warning", "reason": "BackOff", "message": "on gpu-17", "count": 2}
    async with made(agent):
        put_pod(agent, "worker", {"containerStatuses": [{"name": "ray-worker", **OOM}]})
        if LAWS[rule]:  # elsewhere it is not even read
            agent.own.logs[f"{NAMESPACE}/pods/worker/log?ray-worker"] = "SECRET\n"
        agent.own.logs[f"{NAMESPACE}/pods/worker/log?submitter"] = ""
        seen = {"metadata": {"name": "e"}, "involvedObject": about, "source": {"host": "gpu-17"}}
        agent.own.put(f"{NAMESPACE}/events/e", seen | event)
        ends(agent, FAILED)
        await agent.until(lambda: "release" in agent.status())

    row = {
        "role": "Worker",
        "reason": "OOMKilled",
        "exitCode": 137,
        "events": ["BackOff (2 times): on (a machine)"],
        "logTail": "SECRET",
    }
    assert agent.status().get("postMortem") == ([row] if LAWS[rule] else None)
    assert ("SECRET" in str(agent.hub.written)) is LAWS[rule]


async def test_a_log_of_a_pod_that_cannot_be_read_is_none():
    agent = Running()
    async with made(agent):
        put_pod(agent, "worker", {"containerStatuses": [{"name": "gone", **OOM}]})
        agent.own.text = unreadable_text
        ends(agent, FAILED)
        await agent.until(lambda: "release" in agent.status())

    [row] = agent.status()["postMortem"]
    assert "logTail" not in row


async def unreadable_text(*_):
    raise Retryable("500")


# What the API server says of the log of a run that has succeeded; what is told of it.
UNTOLD = {
    "its kubelet does not answer": (Retryable("500"), UNREAD),
    "nobody may read it": (Terminal("403", status=403), UNREAD),
    "its pod is gone": (NotFound("404"), ABSENT),
    "its container never began": (Terminal("400", status=400), ABSENT),
}


@pytest.mark.parametrize("case", UNTOLD)
async def test_a_log_that_cannot_be_read_is_told_from_one_that_is_not_there(case):
    error, tail = UNTOLD[case]
    agent = Running()

    async def text(*_):
        raise error

    async with made(agent):
        metadata = {"name": "submitter", "namespace": RUN}
        agent.own.put(f"{NAMESPACE}/pods/submitter", {"metadata": metadata, "status": {}})
        agent.own.text = text
        ends(agent, {"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"})
        await agent.until(lambda: "release" in agent.status())
    assert agent.said("Succeeded") == ("True", "Succeeded")
    assert agent.status()["logTail"] == tail


async def test_pods_that_cannot_be_read_do_not_hold_up_the_end():
    agent = Running()
    read = agent.own.list

    async def unreadable(path, **more):
        if path.endswith("/events"):
            raise Retryable("500")
        return await read(path, **more)

    agent.own.list = unreadable
    async with made(agent):
        ends(agent, FAILED)
        await agent.until(lambda: "release" in agent.status())
    assert agent.said("Failed") == ("True", "AppFailed")


REFUSED = Terminal("422 Invalid: spec.x: SECRETPATH\nis wrong", reason="Invalid", status=422)
# Kind that the API server refuses; what the owner reads of it.
KINDS = {
    "the object that does the work": (
        "rayjobs",
        "RayJob: 422 Invalid: spec.x: SECRETPATH is wrong",
    ),
    "the quota": ("resourcequotas", "ResourceQuota: 422 Invalid: spec.x: SECRETPATH is wrong"),
    "the namespace": ("namespaces", "Namespace: 422 Invalid: spec.x: SECRETPATH is wrong"),
    "a lent secret": ("secrets", "Secret: 422 Invalid"),
}


@pytest.mark.parametrize("case", KINDS)
async def test_what_the_members_server_refuses_reaches_the_owner_in_words(case):
    collection, said = KINDS[case]
    agent = Running()
    create = agent.own.create

    async def refusing(path, body):
        if path.endswith(f"/{collection}"):
            raise REFUSED
        return await create(path, body)

    agent.own.create = refusing
    lent = {"secrets": [{"name": "token"}]} if collection == "secrets" else {}
    if lent:
        place = "/api/v1/namespaces/hansa-system/secrets/token"
        agent.own.put(place, {"metadata": {"name": "token"}, "data": {"a": "Yg=="}})
    agent.granted(**lent)
    async with working(agent):
        await agent.until(lambda: "release" in agent.status())
    assert GRANT in agent.hub.objects
    assert agent.said("Running") == ("False", "RenderFailed")
    assert words(agent) == f"The member could not make the job's objects. {said}"


async def test_the_next_run_of_the_job_here_keeps_off_the_machine_that_was_lost():
    agent, wish = Running(), "preferredDuringSchedulingIgnoredDuringExecution"
    closed(agent)
    lost = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]
    async with made(agent):
        assert wish not in str(agent.own.objects[RAYJOB])
        put_pod(agent, "worker", {"conditions": lost})
        agent.own.objects[f"{NAMESPACE}/pods/worker"]["spec"] = {"nodeName": "gpu-17"}
        ends(agent, FAILED)
        await agent.until(lambda: "release" in agent.status())
        assert agent.said("Running") == ("False", "MachineLost")

        later = GRANT.replace(grant_name(UID, 3), grant_name(UID, 4))
        spec = grant(job(**PLAIN), epoch=4)
        metadata = {"name": grant_name(UID, 4), "namespace": "hansa-node-tartu", "generation": 1}
        agent.hub.put(later, {"metadata": metadata, "spec": spec})
        again = RAYJOB.replace(RUN, workload_name(UID, 4))
        await agent.until(lambda: again in agent.own.objects)
    assert '"operator": "NotIn", "values": ["gpu-17"]' in json.dumps(agent.own.objects[again])
