"""A run that has a pod on a lost machine ends, though nothing that does its work says so."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hansa.errors import Retryable
from hansa.member import wiring
from hansa.member.kopf_handlers import take_machine
from hansa.model.times import rfc3339
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import NAMESPACE, RUN, WORK, PlainJob, Running, working

LIMIT_S = 120
NODES = "/api/v1/nodes"


class Ahead:
    """A clock that is moved by hand."""

    steady_s = 0.0

    def now(self):
        return NOW_S

    def monotonic(self):
        return self.steady_s


@pytest.fixture
def agent(monkeypatch):
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    made = Running()
    made.parts.context.clock = Ahead()
    return made


def node(agent, name, said="True", kind="MODIFIED"):
    """Change a machine, and tell the agent."""
    take_machine(agent.parts.context, kind, written(agent, name, said))
    if kind == "DELETED":
        del agent.own.objects[f"{NODES}/{name}"]


def written(agent, name, said):
    """Change a machine of which the agent has not heard yet."""
    conditions = [{"type": "Ready", "status": said}]
    thing = {"metadata": {"name": name}, "status": {"conditions": conditions}}
    return agent.own.put(f"{NODES}/{name}", thing)


def stand(agent, machine, phase="Running"):
    path = f"{NAMESPACE}/pods/{RUN}-abc"
    metadata = {"name": f"{RUN}-abc", "namespace": RUN}
    agent.own.logs[f"{path}/log?main"] = "half done"
    spec = {"nodeName": machine}
    agent.own.put(path, {"metadata": metadata, "spec": spec, "status": {"phase": phase}})


@contextlib.asynccontextmanager
async def running(agent, machine="m2"):
    """Have a run on a machine of two, and no duty that ends it but looking for lost ones."""
    for name in ("m1", "m2"):
        node(agent, name)
    agent.granted()
    async with working(agent):
        await agent.until(lambda: WORK in agent.own.objects)
        began = {"startTime": rfc3339(NOW_S)}
        agent.own.put(WORK, {**agent.own.objects[WORK], "status": began})
        await agent.until(lambda: agent.said("Running") == ("True", "Running"))
        stand(agent, machine)
        yield


def passes(agent, seconds):
    agent.parts.context.clock.steady_s += seconds


async def test_it_ends_as_lost_and_is_released(agent):
    async with running(agent):
        node(agent, "m2", "Unknown")
        passes(agent, LIMIT_S - 1)
        await agent.parts.struck_runs.look()
        await asyncio.sleep(0.05)
        assert agent.said("Running") == ("True", "Running")
        passes(agent, 1)
        await agent.parts.struck_runs.look()
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
        passes(agent, LIMIT_S)
        await agent.parts.struck_runs.look()
        await asyncio.sleep(0.05)
        assert agent.said("Running") == ("True", "Running")


async def lose(agent, machine, said="Unknown"):
    node(agent, machine, said)
    passes(agent, LIMIT_S)
    await agent.parts.struck_runs.look()


def is_struck(agent):
    return agent.parts.context.has_lost_machine(RUN)


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


async def test_a_note_is_no_older_than_the_last_look(agent):
    async with running(agent):
        agent.parts.context.runs.add = lambda *_, **__: None
        node(agent, "m3")
        await lose(agent, "m2")
        assert is_struck(agent)

        async def list_(*_, **__):
            raise Retryable("connection reset")

        agent.own.list = list_
        node(agent, "m3", kind="DELETED")
        await agent.parts.struck_runs.look()
        assert not is_struck(agent)


async def test_a_machine_is_read_once_more_before_it_strikes(agent):
    """Its last word may be older than an outage of what tells of it."""
    async with running(agent):
        node(agent, "m2", "Unknown")
        written(agent, "m2", "True")
        passes(agent, LIMIT_S)
        await agent.parts.struck_runs.look()
        await asyncio.sleep(0.05)
        assert not is_struck(agent)
        assert agent.said("Running") == ("True", "Running")
        # Read again as long as nothing else was told of it.
        written(agent, "m2", "Unknown")
        await agent.parts.struck_runs.look()
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
        await agent.parts.struck_runs.look()
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))


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
        await agent.parts.struck_runs.look()
        assert listed == []
        passes(agent, LIMIT_S)
        for _ in range(3):
            await agent.parts.struck_runs.look()
        assert listed == [f"{NAMESPACE}/pods"]
        # It came back, and may have got pods before it is lost again.
        node(agent, "m2", "True")
        await agent.parts.struck_runs.look()
        node(agent, "m2", "False")
        passes(agent, LIMIT_S)
        await agent.parts.struck_runs.look()
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
        passes(agent, LIMIT_S)
        await agent.parts.struck_runs.look()
        assert agent.said("Running") == ("True", "Running")
        await agent.parts.struck_runs.look()
        await agent.until(lambda: agent.said("Running") == ("False", "MachineLost"))
