"""Work of another kind than RayJob goes through the whole agent, and only the list of workloads names it."""

from __future__ import annotations

import pytest

from hansa.api.aijob import SERVED_WORKLOADS
from hansa.grants.epochs import Outcome
from hansa.grants.facts import Proposal
from hansa.grants.trust import read
from hansa.member import wiring
from hansa.reconcile.workloads import WORKLOADS
from tests.unit.member.runs.plain_job import GRANT, NAMESPACE, RUN, WORK, PlainJob, Running, working


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Running()


async def test_it_is_fenced_made_watched_told_of_and_removed(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        made = agent.own.objects
        work = made[WORK]
        assert (work["kind"], work["apiVersion"]) == ("Job", "batch/v1")
        assert work["metadata"]["labels"]["hansa.dev/epoch"] == "3"
        labels = made[NAMESPACE]["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        assert made[f"{NAMESPACE}/resourcequotas/size"]["spec"] == {"hard": {"pods": "1"}}
        assert set(made[f"{NAMESPACE}/configmaps/grant"]["data"]) == {"grant.json", "hello.txt"}
        [fence] = [thing for path, thing in made.items() if "/networkpolicies/" in path]
        assert fence["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]

        began = {"startTime": "2027-01-15T08:00:05Z"}
        agent.own.put(WORK, {**work, "status": began})
        await agent.until(lambda: agent.said("Running") == ("True", "Running"))
        assert agent.status()["runningAt"] == began["startTime"]

        pod = f"{NAMESPACE}/pods/{RUN}-abc"
        agent.own.put(pod, {"metadata": {"name": f"{RUN}-abc", "namespace": RUN}})
        agent.own.logs[f"{pod}/log?main"] = "all done"
        ended = {"succeeded": 1, "completionTime": "2027-01-15T08:01:00Z"}
        agent.own.put(WORK, {**work, "status": began | ended})
        await agent.until(lambda: agent.said("Released") is not None)

    assert agent.said("Succeeded") == ("True", "Succeeded")
    assert agent.status()["logTail"] == "ALL DONE"
    assert agent.said("Released") == ("True", "Succeeded")
    left = [path for path in agent.own.objects if RUN in path]
    assert left == []
    assert not any("ray.io" in path for path in agent.own.objects)


async def test_work_that_none_of_the_workloads_serves_is_refused(agent):
    agent.granted(workload="FineTune")
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)

    assert agent.said("Accepted") == ("False", "WorkloadNotAccepted")
    assert "it runs Batch" in str(agent.status()["conditions"])
    assert NAMESPACE not in agent.own.objects


async def test_a_run_that_an_earlier_agent_accepted_and_this_one_cannot_run_is_ended(agent):
    spec = agent.granted(workload="Inference")
    proposal = read(spec)
    assert isinstance(proposal, Proposal)
    context = agent.parts.context
    record = context.record(proposal.spec, proposal.digest, Outcome.ACCEPTED)
    agent.own.put(NAMESPACE, {"metadata": {"name": RUN, "labels": {}}})
    told = {"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted"}]}
    agent.hub.put(GRANT, {**agent.hub.objects[GRANT], "status": told})
    await context.epochs.put((record,))
    async with working(agent):
        await agent.until(lambda: agent.said("Released") is not None)

    assert agent.said("Released") == ("True", "NotServed")
    assert NAMESPACE not in agent.own.objects


def test_the_agent_serves_what_the_api_says_is_served_each_kind_in_one_way():
    served = [kind for workload in WORKLOADS for kind in workload.serves]

    assert sorted(served) == sorted(SERVED_WORKLOADS)
    assert len(served) == len(set(served))
