"""Which silences of the hub count against a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.grants.envelope import workload_name
from hansa.member import wiring
from hansa.member.hub_link.contact import Contact
from tests.unit.grants.grant_kit import NOW_S, UID
from tests.unit.member.runs.plain_job import NAMESPACE, WORK, PlainJob, Running, working

RUN = workload_name(UID, 3)
STOP = {"disconnection": {"policy": "Stop"}}


class Ticking:
    """A clock that is moved by hand."""

    def __init__(self):
        self.passed_s = 0.0

    def now(self):
        return NOW_S + self.passed_s

    def monotonic(self):
        return self.passed_s


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def agent(monkeypatch, clock):
    """It has had its first word with the hub this very moment."""
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    running = Running()
    context = running.parts.context
    context.clock = clock
    context.contact = Contact(clock, last_s=None)
    context.contact.made(context.contact.moment())
    return running


async def test_a_silence_that_was_over_when_the_grant_came_ends_no_run(agent):
    """The hub sets notBefore a minute back: into the time before this agent's first word with it."""
    spec = agent.granted(**STOP)
    assert spec["notBefore"] < spec["notAfter"]
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)


async def test_a_silence_after_the_grant_came_ends_it_also_once_it_is_over(agent, clock):
    agent.granted(**STOP)
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        clock.passed_s = 46
        agent.parts.context.contact.made(agent.parts.context.contact.moment())
        clock.passed_s = 47
        agent.parts.context.runs.add(RUN)
        await agent.until(lambda: NAMESPACE not in agent.own.objects)


async def test_a_silence_counts_against_what_an_earlier_process_had_accepted(agent):
    agent.granted(**STOP)
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        index = agent.parts.context.run_index
        index.put(replace(index.get(RUN), taken=None), holding=True)
        agent.parts.context.runs.add(RUN)
        await agent.until(lambda: NAMESPACE not in agent.own.objects)
