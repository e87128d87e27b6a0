"""The agent's regular duties: the heartbeat also notices that the hub's store is older than it was."""

from __future__ import annotations

import pytest

from hansa.member.cluster.cluster_state import Canary
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.duties import Duties
from tests.hostile import Random
from tests.unit.member.hostile_hub import LAW, HostileHub, member_of
from tests.unit.member.runs.plain_job import Running


@pytest.fixture
def agent():
    return Running()


@pytest.fixture
def asked(agent, monkeypatch):
    lists: list[str] = []
    monkeypatch.setattr(agent.parts.context.grants, "list_again", lambda: lists.append("again"))
    return lists


async def test_a_store_that_goes_on_is_followed_by_its_watch(agent, asked):
    duties = Duties(agent.parts.context)
    for _ in range(5):
        await duties.heartbeat()
    assert asked == []


async def test_a_store_that_went_back_is_listed_again_once(agent, asked):
    """As after a restore: the watch waits for versions that are still to come."""
    duties = Duties(agent.parts.context)
    agent.hub._version = 900
    await duties.heartbeat()
    agent.hub._version = 30
    for _ in range(3):
        await duties.heartbeat()
    assert asked == ["again"]


@pytest.mark.parametrize("meta", [None, "x", ["x"], 7, {}])
async def test_a_renewal_without_metadata_does_no_harm(agent, asked, meta):
    duties, merges = Duties(agent.parts.context), agent.hub.merge

    async def merge(path, body):
        return await merges(path, body) | {"metadata": meta}

    await duties.heartbeat()
    agent.hub.merge = merge
    await duties.heartbeat()
    assert len(asked) <= 1


@pytest.mark.parametrize(
    "version", ["", "x", "²", None, 7, "-1", "9" * 5000], ids=lambda one: repr(one)[:9]
)
async def test_a_version_that_is_none_does_no_harm(agent, asked, version):
    duties = Duties(agent.parts.context)
    merges = agent.hub.merge

    async def merge(path, body):
        lease = await merges(path, body)
        return lease | {"metadata": lease["metadata"] | {"resourceVersion": version}}

    await duties.heartbeat()
    agent.hub.merge = merge
    await duties.heartbeat()
    assert len(asked) <= 1


async def test_a_trial_of_the_lock_during_a_change_of_law_says_nothing(monkeypatch):
    """Once a switch from Stopped to Open looked like a lock without its rule for Stopped."""
    parts = member_of(HostileHub(Random(0)))
    state = parts.context.cluster_state

    async def opened_meanwhile(_, law, __):
        assert law.switch == "Stopped"
        state.put_policy(HeldPolicy(LAW, 3, "u", ""))
        return Canary("Admitted", "stopped")

    state.put_policy(HeldPolicy(LAW.model_copy(update={"switch": "Stopped"}), 2, "u", ""))
    monkeypatch.setattr("hansa.member.duties.second_lock.try_lock", opened_meanwhile)
    await Duties(parts.context).canary()
    assert state.canary == Canary("Denied", "")
