"""What is said of a grant that comes too late: released only where nothing of its job can run here."""

from __future__ import annotations

import asyncio
import math

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

LATER_GRANT = f"{GRANT.rpartition('/')[0]}/{grant_name(UID, 7)}"
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
            LATER_GRANT, {"metadata": metadata, "spec": wire, "status": {"conditions": [row]}}
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


def first_fails(act, count, *, where):
    """Let the first calls that are meant fail, as a server does that is busy."""
    failed = []

    async def tried(path, *body, **query):
        if len(failed) < count and where(path, *body, **query):
            failed.append(path)
            raise Retryable("no answer")
        return await act(path, *body, **query)

    return tried


def asks_for_what_is_left(_path, **query):
    return query.get("labels") == f"{JOB_UID_LABEL}={UID}"


def tells_of_epoch_3(path, body):
    return path == f"{GRANT}/status" and "release" in body["status"]


async def test_where_nobody_can_tell_it_is_not(agent):
    await agent.remembers(Outcome.ENDED)
    agent.own.list = first_fails(agent.own.list, math.inf, where=asks_for_what_is_left)
    assert await told(agent) is None
    assert GRANT in agent.hub.objects


@pytest.mark.parametrize("failures", [1, 3])
async def test_as_soon_as_somebody_can_tell_it_is_and_no_event_says_so(agent, failures):
    await agent.remembers(Outcome.ENDED)
    agent.own.list = first_fails(agent.own.list, failures, where=asks_for_what_is_left)
    async with working(agent):
        await agent.until(lambda: "release" in agent.status())
    word = agent.status()["release"]
    assert release_holds(word, node="tartu", job_uid=UID, epoch=3, public_key=NODE.public_key)


async def test_a_release_that_the_hub_did_not_take_is_told_again(agent):
    """The later run, which stood in its way, is closed by then, and its grant deleted: nothing asks anew."""
    await agent.remembers(Outcome.ACCEPTED, stale_grants.read(LATER).digest)
    agent.put_later(LATER)
    replaces = first_fails(agent.hub.replace, 1, where=tells_of_epoch_3)

    async def replace(path, body):
        answer = await replaces(path, body)
        if path == f"{LATER_GRANT}/status" and "release" in body["status"]:
            await agent.hub.delete(LATER_GRANT)
        return answer

    agent.hub.replace = replace
    async with working(agent):
        await agent.until(lambda: agent.said("Accepted") is not None)
        assert "release" not in agent.status()
        agent.put_later({**LATER, "cancel": "Stop"})
        await agent.until(lambda: "release" in agent.status())
    assert LATER_GRANT not in agent.hub.objects


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
