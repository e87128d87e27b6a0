"""A run that lost a pod, whose successor does not come up, ends after the start limit."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hansa.errors import Retryable
from hansa.member import wiring
from hansa.model.times import rfc3339
from hansa.reconcile.member.workload import Finding
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import NAMESPACE, RUN, WORK, PlainJob, Running, working
from tests.unit.member.runs.pods.two_machines import Ahead

LIMIT_S = 900
POD = f"{NAMESPACE}/pods/{RUN}-abc"


class OnePod(PlainJob):
    """Misses its pod unless it runs."""

    def head(self, traces):
        up = [pod for pod in traces.pods if pod["status"]["phase"] == "Running"]
        return up[0]["metadata"]["uid"] if up else ""

    def missing(self, traces):
        return 1 - sum(pod["status"]["phase"] == "Running" for pod in traces.pods)

    def diagnose(self, end, traces):
        return Finding(end, "" if traces.has_begun else "it never began")


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (OnePod(),))
    made = Running()
    made.parts.context.clock = Ahead()
    return made


def stand(agent, phase):
    metadata = {"name": f"{RUN}-abc", "namespace": RUN}
    agent.own.logs[f"{POD}/log?main"] = "half done"
    agent.own.put(POD, {"metadata": metadata, "spec": {}, "status": {"phase": phase}})


@contextlib.asynccontextmanager
async def running(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        began = {"startTime": rfc3339(NOW_S)}
        stand(agent, "Running")
        agent.own.put(WORK, {**agent.own.objects[WORK], "status": began})
        await agent.until(lambda: agent.said("Running") == ("True", "Running"))
        yield


async def time_goes_by(agent, seconds):
    for _ in range(seconds // 60):
        agent.parts.context.clock.steady_s += 60
        await agent.parts.short_runs.look()
    await asyncio.sleep(0.05)


async def test_it_ends_once_its_pod_was_missing_for_as_long_as_a_start_may_take(agent):
    async with running(agent):
        await time_goes_by(agent, LIMIT_S)
        stand(agent, "Pending")
        await time_goes_by(agent, LIMIT_S)
        assert agent.said("Running") == ("True", "Running")
        await time_goes_by(agent, 120)
        await agent.until(lambda: agent.said("Running") == ("False", "NeverStarted"))
        assert "it never began" not in agent.words("Running")


async def test_it_goes_on_where_its_pod_came_up_again(agent):
    async with running(agent):
        for _ in range(3):
            stand(agent, "Pending")
            await time_goes_by(agent, LIMIT_S - 60)
            stand(agent, "Running")
            await time_goes_by(agent, 60)
        assert agent.said("Running") == ("True", "Running")


async def unread(path, **_):
    raise Retryable(path)


async def test_what_cannot_be_seen_once_is_missing_no_less_before_and_after(agent):
    async with running(agent):
        stand(agent, "Pending")
        await time_goes_by(agent, LIMIT_S)
        act, agent.own.list = agent.own.list, unread
        await time_goes_by(agent, 60)
        agent.own.list = act
        await time_goes_by(agent, 120)
        await agent.until(lambda: agent.said("Running") == ("False", "NeverStarted"))


async def test_what_cannot_be_seen_is_not_missing(agent):
    async with running(agent):
        stand(agent, "Pending")
        await time_goes_by(agent, 60)
        act, agent.own.list = agent.own.list, unread
        await time_goes_by(agent, 2 * LIMIT_S)
        assert agent.said("Running") == ("True", "Running")
        agent.own.list = act
        await time_goes_by(agent, 60)
        assert agent.said("Running") == ("True", "Running")
        stand(agent, "Running")
        await time_goes_by(agent, LIMIT_S)
        assert agent.said("Running") == ("True", "Running")


async def test_a_run_that_has_not_begun_has_its_own_limit(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await time_goes_by(agent, 2 * LIMIT_S)
        assert agent.said("Running") is None


async def test_a_head_that_is_another_one_ends_it_before_its_command_begins_once_more(agent):
    async with running(agent):
        await time_goes_by(agent, 120)
        agent.own.objects.pop(POD)
        await time_goes_by(agent, 60)
        assert agent.said("Running") == ("True", "Running")
        stand(agent, "Running")
        agent.own.objects[POD]["metadata"]["uid"] = "another"
        await time_goes_by(agent, 60)
        await agent.until(lambda: agent.said("Running") == ("False", "HeadLost"))
