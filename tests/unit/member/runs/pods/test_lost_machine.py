"""A run that has a pod on a lost machine ends, though nothing that does its work says so."""

from __future__ import annotations

import asyncio

import pytest

from hansa.errors import Retryable
from hansa.reconcile.member.inventory.lost_machines import BLIND_S
from tests.unit.member.runs.plain_job import (
    NAMESPACE,
)
from tests.unit.member.runs.pods.two_machines import (
    LIMIT_S,
    NODES,
    is_struck,
    lose,
    node,
    passes,
    running,
    stand,
    time_goes_by,
    written,
)

SLOW_S = BLIND_S / 2 + 1


async def test_it_ends_as_lost_and_is_released(agent):
    async with running(agent):
        node(agent, "m2", "Unknown")
        await time_goes_by(agent, LIMIT_S - 1)
        await asyncio.sleep(0.05)
        assert agent.said("Running") == ("True", "Running")
        await time_goes_by(agent, 1)
        await agent.until(lambda: agent.said("Released") is not None)
        assert agent.said("Running") == ("False", "MachineLost")
        assert agent.said("Released") == ("True", "MachineLost")


async def test_a_machine_that_is_taken_out_is_lost_at_once(agent):
    async with running(agent):
        node(agent, "m2", kind="DELETED")
        await agent.parts.struck_runs.look()
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))


GOES_ON = {
    "another machine is lost": "m1",
    "its pod there has ended": "m2",
}


@pytest.mark.parametrize("case", GOES_ON)
async def test_it_goes_on_where(agent, case):
    async with running(agent, GOES_ON[case]):
        if GOES_ON[case] == "m2":
            stand(agent, "m2", "Succeeded")
        node(agent, "m2", "Unknown")
        await time_goes_by(agent)
        await asyncio.sleep(0.05)
        assert agent.said("Running") == ("True", "Running")


async def test_it_goes_on_where_the_machine_its_pod_once_stood_on_is_lost(agent):
    async with running(agent, "m1"):
        node(agent, "m3")
        await lose(agent, "m2")
        stand(agent, "m3")
        node(agent, "m1", kind="DELETED")
        assert not is_struck(agent)
        await agent.parts.struck_runs.look()
        assert not is_struck(agent)


async def test_what_was_noted_of_a_machine_that_came_back_is_forgotten(agent):
    async with running(agent):
        agent.parts.context.runs.add = lambda *_, **__: None
        await lose(agent, "m2")
        assert is_struck(agent)
        node(agent, "m2")
        await agent.parts.struck_runs.look()
        stand(agent, "m1")
        node(agent, "m2", kind="DELETED")
        assert not is_struck(agent)


async def test_what_was_noted_holds_until_its_pods_are_read_again(agent):
    async with running(agent):
        agent.parts.context.runs.add = lambda *_, **__: None
        node(agent, "m3")
        await lose(agent, "m2")
        read = agent.own.list

        async def list_(*_, **__):
            raise Retryable("connection reset")

        agent.own.list = list_
        node(agent, "m3", kind="DELETED")
        await agent.parts.struck_runs.look()
        assert is_struck(agent)
        stand(agent, "m1")
        agent.own.list = read
        await agent.parts.struck_runs.look()
        assert not is_struck(agent)


async def test_a_machine_is_read_once_more_before_it_strikes(agent):
    """Its last word may be older than an outage of what tells of it."""
    async with running(agent):
        node(agent, "m2", "Unknown")
        written(agent, "m2", "True")
        await time_goes_by(agent)
        await asyncio.sleep(0.05)
        assert not is_struck(agent)
        assert agent.said("Running") == ("True", "Running")
        # Read again as long as nothing else was told of it, and its time begins anew.
        written(agent, "m2", "Unknown")
        await time_goes_by(agent, LIMIT_S - 10)
        assert not is_struck(agent)
        await time_goes_by(agent, 10)
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))


async def test_a_machine_that_was_put_in_again_strikes_nothing_before_that_is_told(agent):
    async with running(agent):
        node(agent, "m2", kind="DELETED")
        written(agent, "m2", "True")
        await agent.parts.struck_runs.look()
        assert not is_struck(agent)


async def test_after_an_outage_of_what_tells_of_machines_the_grace_begins_anew(agent):
    async with running(agent):
        act = agent.own.get

        async def get(path):
            raise Retryable(path)

        node(agent, "m2", "Unknown")
        await agent.parts.struck_runs.look()
        agent.own.get = get
        await time_goes_by(agent)
        agent.own.get = act
        await agent.parts.struck_runs.look()
        await time_goes_by(agent, LIMIT_S - 1)
        await asyncio.sleep(0.05)
        assert agent.said("Running") == ("True", "Running")
        await time_goes_by(agent, 1)
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))


async def test_a_machine_that_cannot_be_read_strikes_nothing(agent):
    async with running(agent):
        act = agent.own.get

        async def get(path):
            if path.startswith(NODES):
                raise Retryable("connection reset")
            return await act(path)

        agent.own.get = get
        await lose(agent, "m2")
        assert not is_struck(agent)
        agent.own.get = act
        await time_goes_by(agent, LIMIT_S + 10)
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))


async def test_a_slow_answer_is_one(agent):
    """A look that reads much takes longer than what counts as no answer."""
    async with running(agent):
        agent.parts.context.runs.add = lambda *_, **__: None
        get, list_ = agent.own.get, agent.own.list

        async def slow_get(path):
            passes(agent, SLOW_S)
            return await get(path)

        async def slow_list(path, **options):
            passes(agent, SLOW_S)
            return await list_(path, **options)

        agent.own.get, agent.own.list = slow_get, slow_list
        await lose(agent, "m2")
        assert is_struck(agent)
        await agent.parts.struck_runs.look()
        assert is_struck(agent)


async def test_pods_are_asked_for_while_a_machine_is_lost_and_once_a_run(agent):
    listed, act = [], agent.own.list

    async def list_(path, **options):
        listed.append(path)
        return await act(path, **options)

    agent.own.list = list_
    async with running(agent, "m1"):
        listed.clear()
        await agent.parts.struck_runs.look()
        node(agent, "m2", "False")
        await time_goes_by(agent, LIMIT_S - 1)
        assert listed == []
        await time_goes_by(agent, 30)
        assert listed == [f"{NAMESPACE}/pods"]
        # It came back, and may have got pods before it is lost again.
        node(agent, "m2", "True")
        await agent.parts.struck_runs.look()
        node(agent, "m2", "False")
        await time_goes_by(agent, LIMIT_S + 1)
        assert len(listed) == 2


async def test_pods_that_cannot_be_read_are_asked_for_again(agent):
    async with running(agent):
        act, failed = agent.own.list, []

        async def list_(path, **options):
            if not failed:
                failed.append(path)
                raise Retryable("connection reset")
            return await act(path, **options)

        agent.own.list = list_
        node(agent, "m2", "Unknown")
        await time_goes_by(agent)
        assert agent.said("Running") == ("True", "Running")
        await agent.parts.struck_runs.look()
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))
