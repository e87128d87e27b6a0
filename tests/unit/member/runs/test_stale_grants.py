"""What is said of a grant that comes too late: released only where nothing of its job can run here."""

from __future__ import annotations

import asyncio

import pytest

from hansa.api.meta import JOB_UID_LABEL
from hansa.errors import Retryable
from hansa.grants.envelope import grant_name
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.runs import stale_grants
from hansa.reconcile.fencing import release_holds
from tests.unit.grants.grant_kit import NODE, UID, grant, job
from tests.unit.member.runs.plain_job import GRANT, PLAIN, PlainJob, Running, working

LEFT = "/api/v1/namespaces/aij-of-epoch-7"


class Outdated(Running):
    """An agent that has seen a later epoch than the one it is granted."""

    async def remembers(self, outcome, digest="0" * 16):
        spec = stale_grants.read(self.granted()).spec
        context = self.parts.context
        later = spec.model_copy(update={"epoch": 7})
        await context.epochs.load()
        await context.epochs.put([context.record(later, digest, outcome)])

    def put_later(self, wire):
        """Have the hub show a grant of the later epoch, said to be accepted."""
        metadata = {"name": grant_name(UID, 7), "namespace": "hansa-node-tartu", "generation": 1}
        row = {"type": "Accepted", "status": "True", "reason": "Accepted"}
        self.hub.put(
            f"{GRANT.rpartition('/')[0]}/{metadata['name']}",
            {"metadata": metadata, "spec": wire, "status": {"conditions": [row]}},
        )


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Outdated()


async def told(agent):
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
    assert agent.said("Accepted") == ("False", "StaleEpoch")
    assert agent.status()["highestEpoch"] == 7
    return agent.status().get("release")


async def test_where_all_has_ended_it_is_released(agent):
    await agent.remembers(Outcome.ENDED)
    word = await told(agent)
    assert release_holds(word, node="tartu", job_uid=UID, epoch=3, public_key=NODE.public_key)


LATER = grant(job(**PLAIN), epoch=7)


async def test_while_a_later_run_is_accepted_it_is_not(agent):
    await agent.remembers(Outcome.ACCEPTED, stale_grants.read(LATER).digest)
    agent.put_later(LATER)
    assert await told(agent) is None


async def test_another_grant_of_the_later_epoch_answers_for_no_run(agent):
    """The accepted one is gone; a restored hub has proposed another under its name."""
    await agent.remembers(Outcome.ACCEPTED, "0" * 16)
    agent.put_later(LATER)
    assert await told(agent) is not None


async def test_an_accepted_run_that_is_gone_with_its_grant_puts_no_release_off(agent):
    """Its guard ended it while the agent was away, and the hub was restored to a time before it."""
    await agent.remembers(Outcome.ACCEPTED)
    assert await told(agent) is not None
    assert agent.parts.context.epochs.records.get(UID, 7).outcome is Outcome.ENDED


async def test_while_a_namespace_of_the_job_is_left_it_is_not(agent):
    await agent.remembers(Outcome.ENDED)
    agent.own.objects[LEFT] = {
        "metadata": {"name": "x", "uid": "x", "labels": {JOB_UID_LABEL: UID}}
    }
    assert await told(agent) is None


async def test_where_nobody_can_tell_it_is_not(agent):
    await agent.remembers(Outcome.ENDED)
    lists = agent.own.list

    async def fails(path, **query):
        if query.get("labels") == f"{JOB_UID_LABEL}={UID}":
            raise Retryable("no answer")
        return await lists(path, **query)

    agent.own.list = fails
    assert await told(agent) is None
    assert GRANT in agent.hub.objects


@pytest.mark.parametrize("remembers", [True, False], ids=["remembers", "has forgotten all"])
async def test_a_release_that_was_put_off_comes_when_the_agent_is_back(agent, remembers):
    """The one that refused it waited for a later run to go, and is gone itself."""
    if remembers:
        await agent.remembers(Outcome.ENDED)
    else:
        agent.granted()
    held = agent.hub.objects[GRANT]
    row = {"type": "Accepted", "status": "False", "reason": "StaleEpoch"}
    agent.hub.put(GRANT, {**held, "status": {"conditions": [row], "highestEpoch": 7}})
    async with working(agent):
        await agent.until(lambda: "release" in agent.status())
    word = agent.status()["release"]
    assert release_holds(word, node="tartu", job_uid=UID, epoch=3, public_key=NODE.public_key)


async def test_a_release_is_put_off_as_long_as_something_of_the_job_is_left(agent):
    agent.granted()
    held = agent.hub.objects[GRANT]
    row = {"type": "Accepted", "status": "False", "reason": "StaleEpoch"}
    agent.hub.put(GRANT, {**held, "status": {"conditions": [row], "highestEpoch": 7}})
    agent.own.objects[LEFT] = {
        "metadata": {"name": "x", "uid": "x", "labels": {JOB_UID_LABEL: UID}}
    }
    async with working(agent):
        await agent.until(lambda: agent.parts.context.grants.synced)
        await asyncio.sleep(0.1)
    assert "release" not in agent.status()
