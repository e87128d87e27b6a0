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
from tests.unit.member.runs.plain_job import (
    NAMESPACE,
    RUN,
    SETTINGS,
    WORK,
    PlainJob,
    Running,
    working,
)
from tests.unit.member.small_cluster import SmallCluster

LIMIT_S = 120
CONTRACT_S = 3600
"""``spec.disconnection.maxUnattendedSeconds`` of the job."""
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


async def time_goes_by(agent, seconds=LIMIT_S, step_s=10):
    """Have the duty look as often as it does."""
    for _ in range(-(-seconds // step_s)):
        left_s, seconds = min(step_s, seconds), seconds - step_s
        passes(agent, left_s)
        await agent.parts.struck_runs.look()


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


class Held(SmallCluster):
    """A cluster that keeps what stands on a machine which does not answer: a namespace goes with its last pod."""

    async def delete(self, path, **options):
        held = [where for where in self.objects if where.startswith(f"{path}/pods/")]
        if not held:
            await super().delete(path, **options)
            return
        deleted = {"deletionTimestamp": rfc3339(NOW_S)}
        for where in [w for w in self.objects if w.startswith(f"{path}/") and w not in held]:
            self._drop(where)
        self.put(path, {**self.objects[path], "metadata": deleted})


@contextlib.asynccontextmanager
async def left(agent, machine="m2"):
    """Have a run that has ended, and is held by a machine that does not answer."""
    agent.own.__class__ = Held
    async with running(agent, machine):
        await lose(agent, "m2")
        if machine == "m2":
            await agent.until(
                lambda: "deletionTimestamp" in agent.own.objects[NAMESPACE]["metadata"]
            )
        yield


async def test_it_is_released_once_no_pod_of_it_can_live_any_more_though_its_machine_never_answers(
    agent,
):
    async with left(agent):
        assert "62 minutes" in agent.words("Running")
        await time_goes_by(agent, CONTRACT_S - 60)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        await time_goes_by(agent, 120 + SETTINGS.limits.clock_skew_seconds)
        await agent.until(lambda: agent.said("Released") is not None)
        assert agent.said("Released") == ("True", "MachineLost")
        assert "does not answer" in agent.words("Released")


async def test_it_is_not_released_while_a_pod_stands_where_somebody_can_end_it(agent):
    async with left(agent):
        pod = f"{NAMESPACE}/pods/{RUN}-xyz"
        status = {"phase": "Running"}
        metadata = {"name": f"{RUN}-xyz", "namespace": RUN}
        agent.own.put(pod, {"metadata": metadata, "spec": {"nodeName": "m1"}, "status": status})
        await time_goes_by(agent, 2 * CONTRACT_S)
        await asyncio.sleep(0.05)
        assert agent.said("Released") is None
        agent.own._drop(pod)
        await time_goes_by(agent, 10)
        await agent.until(lambda: agent.said("Released") is not None)


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


async def lose(agent, machine, said="Unknown"):
    node(agent, machine, said)
    await time_goes_by(agent)


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
        assert not is_struck(agent)
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
