"""A run at a member of two machines, one of which is lost; what the agent looks for is looked for by hand."""

from __future__ import annotations

import contextlib

from hansa.member.kopf_handlers import take_machine
from hansa.model.times import rfc3339
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.plain_job import NAMESPACE, RUN, WORK, working

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


async def lose(agent, machine, said="Unknown"):
    node(agent, machine, said)
    await time_goes_by(agent)


def is_struck(agent):
    return agent.parts.context.has_lost_machine(RUN)
