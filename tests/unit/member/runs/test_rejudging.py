"""A policy that changes under accepted work and under a run: what the whole agent does for every field of it.

What becomes of the grant is one table, ``changed_policies``; docs/reference/policy-changes.md says it to people.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.member.kopf_handlers import take_policy
from tests.unit.grants.policy_changes.changed_policies import (
    AT_THE_END,
    AT_THE_FENCE,
    CHANGES,
    STOPS,
    TAKEN_BACK,
    law_after,
    law_before,
)
from tests.unit.member.runs.ended_runs import ENDED, POD, RAYJOB, Ending
from tests.unit.member.runs.plain_job import GRANT, RUN, working
from tests.unit.reconcile.member.inventory.node_objects import GPUS, gfd, node

FENCE = f"/apis/networking.k8s.io/v1/namespaces/{RUN}/networkpolicies/fence"
LOG = f"loss 0.5\nhansa-result:{base64.b64encode(b'good').decode()}\n"
MACHINE = node(gfd("NVIDIA-GeForce-RTX-4090", "24564", 2), GPUS[2])
"""It holds this one job, which the policy lets run alone: what it holds itself is not in its way."""
VOLUME = {"capacity": {"storage": "1Gi"}, "nfs": {"server": "nas", "path": "/cohort"}}
TOKEN = "/api/v1/namespaces/hansa-system/secrets/token"
OF_FATE = {
    fate: [name for name, row in CHANGES.items() if row.fate == fate]
    for fate in (STOPS, TAKEN_BACK, AT_THE_FENCE, AT_THE_END)
}


class Lawful(Ending):
    """An agent whose cluster has all that the grant of a row asks for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        context = self.parts.context
        context.cluster_state.put_machine(MACHINE)
        context.cluster_state.volumes = {"cohort": VOLUME}
        self.own.put(TOKEN, {"metadata": {"name": "token"}})
        self.made: list[str] = []
        self._create, self.own.create = self.own.create, self._note
        metadata = {"name": GRANT.rpartition("/")[2], "namespace": "hansa-node-tartu"}
        grant = {"metadata": metadata | {"generation": 1}, "spec": CHANGES[name].grant}
        self.hub.put(GRANT, grant)

    async def _note(self, path: str, body: dict[str, Any]) -> Any:
        self.made.append(f"{path}/{body['metadata']['name']}")
        return await self._create(path, body)

    def enforce(self, law: MemberPolicySpec) -> None:
        """Tell the agent of a policy, as kopf does."""
        generation = self.parts.context.cluster_state.policy.generation + 1
        metadata = {"name": "local", "uid": "u", "generation": generation}
        spec = law.model_dump(mode="json", by_alias=True, exclude_none=True)
        take_policy(self.parts.context, "MODIFIED", {"metadata": metadata, "spec": spec})

    async def accept(self) -> None:
        """Accept the grant, and make nothing of it: no worker is free."""
        self.parts.run_controller.work = asyncio.Event().wait
        async with working(self):
            await self.until(lambda: self.said("Accepted") is not None)
        del self.parts.run_controller.work
        assert self.said("Accepted") == ("True", "Accepted")

    async def run(self) -> None:
        """Wait until it is made, and let it run."""
        await self.until(lambda: RAYJOB in self.own.objects)
        running = ENDED | {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
        self.own.put(RAYJOB, {**self.own.objects[RAYJOB], "status": running})
        await self.until(lambda: self.said("Running") == ("True", "Running"))

    async def settle(self) -> None:
        """Let every run be looked at that was woken."""
        await self.until(lambda: not self.parts.context.runs.unfinished)

    async def end(self) -> None:
        self.own.put(POD, {"metadata": {"name": f"{RUN}-abc", "namespace": RUN}})
        self.own.logs[f"{POD}/log?submitter"] = LOG
        self.own.put(RAYJOB, {**self.own.objects[RAYJOB], "status": ENDED})
        await self.released()

    async def released(self) -> None:
        await self.until(lambda: self.said("Released") is not None)

    def left(self) -> dict[str, Any]:
        """What of the run's own words has reached the hub."""
        return {word: self.status().get(word) for word in ("result", "logTail")}


def reason(name: str) -> str:
    return "Stopped" if name == "switch: Stopped" else "PolicyChanged"


@pytest.mark.parametrize("name", OF_FATE[STOPS] + OF_FATE[TAKEN_BACK])
async def test_of_what_is_accepted_and_may_not_be_any_more_nothing_is_made(name):
    agent = Lawful(name)
    agent.enforce(law_before(name))
    await agent.accept()
    agent.enforce(law_after(name))
    async with working(agent):
        await agent.released()
    assert agent.said("Released") == ("True", reason(name))
    assert [path for path in agent.made if RUN in path] == []


@pytest.mark.parametrize("name", OF_FATE[STOPS])
async def test_what_runs_and_may_not_any_more_ends(name):
    agent = Lawful(name)
    agent.enforce(law_before(name))
    async with working(agent):
        await agent.run()
        agent.enforce(law_after(name))
        await agent.released()
    assert agent.said("Released") == ("True", reason(name))
    assert [path for path in agent.own.objects if RUN in path] == []


@pytest.mark.parametrize("name", OF_FATE[TAKEN_BACK] + OF_FATE[AT_THE_FENCE])
async def test_what_runs_and_would_only_not_be_taken_again_finishes_as_it_was_made(name):
    agent = Lawful(name)
    agent.enforce(law_before(name))
    async with working(agent):
        await agent.run()
        made = {path: thing for path, thing in agent.own.objects.items() if RUN in path}
        agent.enforce(law_after(name))
        await agent.settle()
        assert {path: agent.own.objects.get(path) for path in made} == made
        await agent.end()
    assert agent.said("Released") == ("True", "Succeeded")


async def fence(*laws: MemberPolicySpec, name: str) -> Any:
    """Return the fence of a run that was accepted under the first policy and made under the last."""
    agent = Lawful(name)
    agent.enforce(laws[0])
    await agent.accept()
    agent.enforce(laws[-1])
    async with working(agent):
        await agent.until(lambda: RAYJOB in agent.own.objects)
    return agent.own.objects[FENCE]["spec"]


@pytest.mark.parametrize("name", OF_FATE[AT_THE_FENCE])
async def test_a_fence_is_made_as_the_policy_is_when_it_is_made(name):
    before, after = law_before(name), law_after(name)
    old, new = await fence(before, name=name), await fence(after, name=name)
    assert await fence(before, after, name=name) == new
    assert old != new


async def left(*laws: MemberPolicySpec, name: str) -> dict[str, Any]:
    """Return what has left of a run that ran under the first policy and ended under the last."""
    agent = Lawful(name)
    agent.enforce(laws[0])
    async with working(agent):
        await agent.run()
        agent.enforce(laws[-1])
        await agent.settle()
        await agent.end()
    assert agent.said("Released") == ("True", "Succeeded")
    return agent.left()


@pytest.mark.parametrize("name", OF_FATE[AT_THE_END])
async def test_what_leaves_is_what_may_when_the_run_ends(name):
    before, after = law_before(name), law_after(name)
    old, new = await left(before, name=name), await left(after, name=name)
    assert await left(before, after, name=name) == new
    assert old != new


async def test_a_policy_that_changes_while_work_waits_to_be_made_is_the_one_that_counts():
    """Accepted work waits until no grant is judged, and for receipts: in between the law may have changed."""
    name = "switch: Paused"
    agent = Lawful(name)
    agent.enforce(law_before(name))
    await agent.accept()
    begin, late = agent.parts.metering.begin, law_after(name)

    async def changes(entry):
        await begin(entry)
        agent.enforce(late)

    agent.parts.metering.begin = changes
    async with working(agent):
        await agent.released()
    assert agent.said("Released") == ("True", "PolicyChanged")
    assert [path for path in agent.made if RUN in path] == []


async def test_a_run_ends_by_the_clock_too_where_no_event_says_that_the_policy_has_changed():
    """All workers are away, and nothing wakes the run."""
    name = "trustedHubs"
    agent = Lawful(name)
    agent.enforce(law_before(name))
    async with working(agent):
        await agent.run()
    agent.enforce(law_after(name))
    watch = asyncio.create_task(agent.parts.run_controller.watch_deadlines())
    await agent.until(lambda: RAYJOB not in agent.own.objects)
    watch.cancel()


async def test_without_a_policy_that_can_be_read_nothing_is_made_and_what_is_accepted_waits():
    agent = Lawful("tenants")
    agent.enforce(law_before("tenants"))
    await agent.accept()
    take_policy(agent.parts.context, "DELETED", {"metadata": {"name": "local"}})
    async with working(agent):
        await agent.until(lambda: agent.parts.context.runs.failures(RUN) > 1)
        assert [path for path in agent.made if RUN in path] == []
        agent.enforce(law_before("tenants"))
        await agent.until(lambda: RAYJOB in agent.own.objects)
