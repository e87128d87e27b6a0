"""The switch with a real agent that cannot act: the guard ends its runs, and the agent catches up."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hansa.errors import HansaError
from hansa.member.state.epoch_store import NAME, PAGES
from tests.apiserver.guard.kit import NAMESPACES, SYSTEM, guarding
from tests.apiserver.member.kit import Hub, Member, policy, until, workload
from tests.apiserver.member.test_replicas import AgentProcess

pytestmark = pytest.mark.apiserver
PAGE_BYTES = 1 << 20
"""What the values of a ConfigMap may come to."""
HALVES = ("first", "second")
PAGE = f"{NAMESPACES}/{SYSTEM}/configmaps/" + NAME


@pytest.fixture
def agent(joined_member: Member, tmp_path: Path):
    process = AgentProcess(joined_member, "agent", tmp_path, 10)
    yield process
    process.kill()


async def kill(agent: AgentProcess, _: Member) -> None:
    agent.kill()


async def freeze(agent: AgentProcess, _: Member) -> None:
    os.kill(agent.pid, signal.SIGSTOP)


async def fill_its_memory(_: AgentProcess, member: Member) -> None:
    """Every page is so full that the API server refuses to remember one end more."""
    for number in range(PAGES):
        path = PAGE.format(number)
        held = (await member.cluster.get(path)).get("data") or {}
        room = PAGE_BYTES - sum(len(value) for value in held.values())
        for key, size in ((HALVES[0], room // 2), (HALVES[1], room - room // 2)):
            await member.cluster.merge(path, {"data": {key: "x" * size}})
    with pytest.raises(HansaError):
        await member.cluster.merge(path, {"data": {"more": "x"}})


async def empty_its_memory(member: Member) -> None:
    for number in range(PAGES):
        await member.cluster.merge(PAGE.format(number), {"data": dict.fromkeys(HALVES)})


FAULTS = {"killed": kill, "frozen": freeze, "memory full": fill_its_memory}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_stopped_ends_the_runs_of_an_agent_that_cannot(
    granting_hub: Hub, joined_member: Member, agent: AgentProcess, tmp_path: Path, fault: Any
):
    hub, member = granting_hub, joined_member
    specs = [hub.spec() for _ in range(3)]
    names = [await hub.grant(spec) for spec in specs]
    for spec in specs:
        await member.made(workload(spec))
    for name in names:
        await hub.said(name, "Accepted")
    await fault(agent, member)
    try:
        await member.decree(policy(hub, switch="Stopped"))
        with guarding(hub.node, member.plane.kubeconfig, tmp_path):
            for spec in specs:
                await until(lambda spec=spec: member.gone(workload(spec)), "the run to be gone")
    finally:
        if fault is fill_its_memory:
            await empty_its_memory(member)
    if fault is fill_its_memory:
        released = [await hub.said(name, "Released") for name in names]
        assert {one["reason"] for one in released} == {"Stopped"}
