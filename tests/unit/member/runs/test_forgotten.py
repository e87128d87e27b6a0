"""A grant that was accepted, and of which neither memory nor run is left: released, and never run again."""

from __future__ import annotations

import asyncio

import pytest

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.epochs import Outcome
from hansa.member import wiring
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.kopf_handlers import take_policy
from hansa.member.runs import forgotten
from hansa.ports import Page
from hansa.reconcile.fencing import release_holds
from tests.unit.grants.grant_kit import FOREIGN, NODE, UID, grant, job, policy
from tests.unit.member.runs.plain_job import (
    GRANT,
    NAMESPACE,
    PLAIN,
    RUN,
    WORK,
    PlainJob,
    Running,
    working,
)

TOLD = {"type": "Accepted", "status": "True", "reason": "Accepted"}


class Forgetful(Running):
    """An agent whose memory was taken from it after it had told the hub of a grant."""

    def accepted(self, *signers, **status):
        spec = grant(job(**PLAIN), **({"by": signers} if signers else {}))
        metadata = {"name": GRANT.rpartition("/")[2], "namespace": "hansa-node-tartu"}
        told = {"conditions": [TOLD]} | status
        self.hub.put(
            GRANT, {"metadata": metadata | {"generation": 1}, "spec": spec, "status": told}
        )
        return spec

    def record(self):
        return self.parts.context.epochs.records.get(UID, 3)


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    return Forgetful()


async def test_it_is_remembered_as_ended_and_then_released(agent):
    agent.accepted()
    async with working(agent):
        await agent.until(lambda: "release" in agent.status())

    word = agent.status()["release"]
    assert release_holds(word, node="tartu", job_uid=UID, epoch=3, public_key=NODE.public_key)
    assert agent.record().outcome is Outcome.ENDED
    assert NAMESPACE not in agent.own.objects


async def test_it_never_runs_again(agent):
    spec = agent.accepted()
    async with working(agent):
        await agent.until(lambda: "release" in agent.status())
        metadata = agent.hub.objects[GRANT]["metadata"]
        agent.hub.put(GRANT, {"metadata": metadata, "spec": spec})  # as if nobody had seen it
        await agent.until(lambda: agent.said("Accepted") == ("False", "StaleEpoch"))
    assert NAMESPACE not in agent.own.objects


async def test_what_is_left_of_it_is_gone_before_it_is_released(agent):
    """The cache does not hold its namespace yet: the API server itself is asked."""
    agent.accepted()
    labels = {"hansa.dev/job-uid": UID, "hansa.dev/epoch": "3"}
    agent.own.objects[NAMESPACE] = {"metadata": {"name": RUN, "uid": "n", "labels": labels}}
    there, listed = [], agent.own.list

    async def lists(path, **query):
        page = await listed(path, **query)
        hidden = path == "/api/v1/namespaces"
        return Page([], page.resource_version) if hidden else page

    agent.own.list = lists
    replaces = agent.hub.replace

    async def replace(path, body):
        if "release" in body["status"]:
            there.append(NAMESPACE in agent.own.objects)
        return await replaces(path, body)

    agent.hub.replace = replace
    async with working(agent):
        await agent.until(lambda: NAMESPACE not in agent.own.objects)
        agent.parts.context.runs.add(RUN)  # as the watch does once it has caught up
        await agent.until(lambda: "release" in agent.status())
    assert there == [False]


async def test_a_run_that_is_still_there_goes_on(agent):
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        await agent.until(lambda: agent.said("Accepted") == ("True", "Accepted"))
    heir = Forgetful()
    heir.own.objects, heir.hub.objects = agent.own.objects, agent.hub.objects
    for path in [path for path in heir.own.objects if "hansa-epochs" in path]:
        del heir.own.objects[path]
    async with working(heir):
        await heir.until(lambda: heir.record() is not None)
        await asyncio.sleep(0.05)
    assert heir.record().outcome is Outcome.ACCEPTED
    assert WORK in heir.own.objects
    assert "release" not in heir.status()


UNPROVEN = {
    "signed by a stranger": {"signers": (FOREIGN,)},
    "released already": {"release": {"epoch": 3}},
    "refused": {"conditions": [TOLD | {"status": "False"}]},
}


@pytest.mark.parametrize("case", UNPROVEN.values(), ids=UNPROVEN.keys())
async def test_what_proves_nothing_moves_no_memory(agent, case):
    agent.accepted(*case.pop("signers", ()), **case)
    async with working(agent):
        await agent.until(lambda: agent.parts.context.grants.synced)
        assert not await forgotten.end(agent.parts.context, RUN)
    assert agent.record() is None


async def test_another_replica_s_record_stands(agent):
    """It accepted the grant after this one had read the memory."""
    spec = agent.accepted()
    context = agent.parts.context
    await context.epochs.load()
    other = Forgetful()
    other.own = agent.own
    theirs = wiring.EpochStore(agent.own, "hansa-system")
    await theirs.load()
    body = WorkGrantSpec.model_validate(spec)
    digest = forgotten.read(spec).digest
    await theirs.put([context.record(body, digest, Outcome.ACCEPTED)])
    async with working(agent):
        await agent.until(lambda: agent.record() is not None)
        await agent.until(lambda: WORK in agent.own.objects)
    assert agent.record().outcome is Outcome.ACCEPTED


async def test_without_a_policy_it_waits_and_then_goes_on(agent):
    agent.accepted()
    context = agent.parts.context
    state, held = context.cluster_state, context.cluster_state.policy
    state.put_policy(HeldPolicy(None, 1, "u", "gone"))
    async with working(agent):
        await agent.until(lambda: context.runs.failures(RUN) > 1)
        assert agent.record() is None
        state.put_policy(held)
        await agent.until(lambda: "release" in agent.status())


async def test_a_hub_that_is_trusted_again_has_its_release(agent, monkeypatch):
    """No event of the grant comes: it was looked at under a law that trusts another hub."""
    agent.accepted()
    context, stranger = agent.parts.context, {"name": "other", "publicKey": FOREIGN.public_key}

    def trust(number, **hubs):
        spec = policy(datasets=[], **hubs).model_dump(mode="json", by_alias=True)
        metadata = {"name": "local", "uid": "u", "generation": number}
        take_policy(context, "MODIFIED", {"metadata": metadata, "spec": spec})

    looked, end = [], forgotten.end

    async def ends(*run):
        looked.append(await end(*run))
        return looked[-1]

    monkeypatch.setattr(forgotten, "end", ends)
    trust(2, trustedHubs=[stranger])
    async with working(agent):
        await agent.until(lambda: looked == [False])
        assert agent.record() is None
        trust(3)
        await agent.until(lambda: "release" in agent.status())
