"""A run whose objects a cluster does not take, and does not refuse either, is given up after the start limit."""

from __future__ import annotations

import asyncio

import pytest

from hansa.errors import Retryable
from hansa.member import wiring
from tests.unit.member.runs.plain_job import NAMESPACE, SETTINGS, WORK, PlainJob, Running, working
from tests.unit.member.runs.pods.two_machines import Ahead

WEBHOOK = '500 InternalError: failed calling webhook "mutate.mesh.example": connection refused'


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    made = Running()
    made.parts.context.clock = Ahead()
    return made


def shut(agent, is_shut):
    create = agent.own.create

    async def refused(path, body):
        if is_shut() and body["kind"] == "Job":
            raise Retryable(WEBHOOK)
        return await create(path, body)

    agent.own.create = refused


async def test_a_webhook_that_is_down_for_good_ends_it_with_the_servers_words(agent):
    shut(agent, lambda: True)
    agent.granted()
    async with working(agent):
        await agent.until(lambda: NAMESPACE in agent.own.objects)
        await asyncio.sleep(0.1)
        assert agent.said("Released") is None
        agent.parts.context.clock.steady_s += SETTINGS.timing.start_limit_seconds + 1
        await agent.until(lambda: agent.said("Released") is not None)
        assert agent.said("Running") == ("False", "RenderFailed")
        assert "failed calling webhook" in agent.words("Running")
        assert NAMESPACE not in agent.own.objects


async def test_one_that_is_back_in_time_costs_nothing(agent):
    is_shut = [True]
    shut(agent, lambda: is_shut[0])
    agent.granted()
    async with working(agent):
        await agent.until(lambda: NAMESPACE in agent.own.objects)
        await asyncio.sleep(0.1)
        agent.parts.context.clock.steady_s += SETTINGS.timing.start_limit_seconds - 1
        await asyncio.sleep(0.1)
        is_shut[0] = False
        await agent.until(lambda: WORK in agent.own.objects)
        agent.parts.context.clock.steady_s += 2
        await asyncio.sleep(0.1)
        assert agent.said("Running") is None
