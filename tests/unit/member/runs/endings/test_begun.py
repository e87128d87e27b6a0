"""A run whose command has begun is never ended as one that never began, whatever the hub has heard."""

from __future__ import annotations

import pytest

from hansa.errors import Retryable
from hansa.member import wiring
from hansa.model.times import rfc3339
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import START_LIMIT_S
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.workload import WorkloadView
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import (
    NAMESPACE,
    RUN,
    WORK,
    PlainJob,
    Running,
    working,
)

ALIVE = f"{NAMESPACE}/configmaps/{alive.NAME}"
SINCE_S = NOW_S - START_LIMIT_S
BEGUN = {"upAt": rfc3339(SINCE_S), "begun": True}
KILLED = {"upAt": rfc3339(SINCE_S)}
"""Its pods were up, and a head that was killed begins anew."""


class Heads(PlainJob):
    """A Job of pods that are up before their command begins; once they are, too old to be starting."""

    def observe(self, thing):
        status = thing.get("status") or {}
        return WorkloadView(
            created_s=SINCE_S - 1 if status else NOW_S,
            started="begun" in status,
            running="upAt" in status,
            running_s=SINCE_S if "upAt" in status else None,
            end=EndReason.NEVER_STARTED if "late" in status else None,
            ended_s=NOW_S,
        )


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (Heads(),))
    made = Running()
    made.granted()
    return made


def deaf(agent):
    """A hub that takes no word that a run runs."""
    take = agent.hub.replace

    async def replace(path, body):
        rows = body["status"].get("conditions", ())
        if any(row["type"] == "Running" and row["status"] == "True" for row in rows):
            raise Retryable("away")
        return await take(path, body)

    agent.hub.replace = replace


def put(agent, status):
    agent.own.put(WORK, {**agent.own.objects[WORK], "status": status})


async def made(agent):
    """Have the run made with its command begun, so that no start limit is met on the way."""
    await agent.until(lambda: WORK in agent.own.objects)
    put(agent, BEGUN)


async def test_its_head_is_killed_before_the_hub_heard_of_it(agent):
    deaf(agent)
    async with working(agent):
        await made(agent)
        await agent.until(lambda: agent.parts.context.begun)
        await killed(agent)
        assert WORK in agent.own.objects
        assert agent.said("Running") is None


async def killed(agent):
    """Have its head killed, and the run looked at."""
    put(agent, KILLED)
    [watched] = agent.parts.context.watched
    await agent.until(lambda: not watched.view(RUN).started)
    await agent.parts.run_controller._carry(RUN)


@pytest.mark.parametrize("noted", [True, False], ids=["the guard has noted it", "nobody has"])
async def test_and_the_agent_that_saw_it_is_gone(agent, noted):
    deaf(agent)
    async with working(agent):
        await made(agent)
    agent.parts.context.begun.clear()
    put(agent, KILLED)
    if noted:
        held = agent.own.objects[ALIVE]
        agent.own.put(ALIVE, {**held, "data": held["data"] | alive.begun(SINCE_S)})
    async with working(agent):
        await killed(agent)
        if noted:
            await agent.until(lambda: agent.parts.context.begun)
            assert agent.said("Running") is None
        else:
            await agent.until(lambda: agent.said("Released") == ("True", "NeverStarted"))
    assert (WORK in agent.own.objects) is noted


async def test_what_was_stopped_before_the_hub_heard_of_it_is_told_as_having_run(agent):
    deaf(agent)
    async with working(agent):
        await made(agent)
        await agent.until(lambda: agent.parts.context.begun)
        await agent.own.delete(NAMESPACE)
        await agent.until(lambda: agent.said("Released") == ("True", "DeletedAtMember"))
    assert agent.status()["runningAt"] == rfc3339(SINCE_S)
    assert not agent.parts.context.begun


async def test_what_its_own_operator_calls_late_although_it_had_begun_is_told_once(agent):
    async with working(agent):
        await made(agent)
        held = agent.own.objects[ALIVE]
        agent.own.put(ALIVE, {**held, "data": held["data"] | alive.begun(SINCE_S)})
        put(agent, KILLED | {"late": True})
        await agent.until(lambda: agent.said("Released") is not None)
