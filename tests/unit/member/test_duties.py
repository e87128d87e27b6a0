"""The heartbeat, which also notices that the hub's store is older than it was."""

from __future__ import annotations

import pytest

from hansa.member.duties import Duties
from tests.unit.member.runs.test_another_workload import Running


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


@pytest.mark.parametrize("version", ["", "x", "²", None, 7])
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
