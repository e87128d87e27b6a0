"""Switch and contracts with a real agent that cannot act: the guard ends its runs, and the agent catches up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.guard.hung_agents import empty_its_memory, fill_its_memory, freeze, kill
from tests.apiserver.guard.kit import NAMESPACES, guarding
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Hub, Member, job_spec, policy, until, workload

pytestmark = pytest.mark.apiserver


SHORT = {
    "HANSA_MEMBER_TIMING__HEARTBEAT_SECONDS": "0.5",
    "HANSA_MEMBER_TIMING__DISCONNECT_SECONDS": "20",
    "HANSA_MEMBER_TIMING__CONTACT_SECONDS": "1",
}
"""Work under the contract ``Stop`` ends 20 s after the last of many words with the hub."""


@pytest.fixture
def agent(joined_member: Member, tmp_path: Path):
    process = AgentProcess(joined_member, "agent", tmp_path, 10, **SHORT)
    yield process
    process.kill()


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


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_contracts_are_kept_for_an_agent_that_cannot(
    granting_hub: Hub, joined_member: Member, agent: AgentProcess, tmp_path: Path, fault: Any
):
    """The last contact ages: of a run that may not go without the hub nothing is left, the other goes on."""
    hub, member = granting_hub, joined_member
    short, long = hub.spec(job_spec(disconnection={"policy": "Stop"})), hub.spec()
    names = {workload(spec): await hub.grant(spec) for spec in (short, long)}
    for run, name in names.items():
        await member.made(run)
        await hub.said(name, "Accepted")
    with guarding(hub.node, member.plane.kubeconfig, tmp_path):
        assert not await member.gone(workload(short))
        await fault(agent, member)
        try:
            await member.cable.cut()
            await until(lambda: member.gone(workload(short)), "the run to be gone")
            assert not await member.gone(workload(long))
        finally:
            await member.cluster.delete(f"{NAMESPACES}/{workload(long)}")
            if fault is fill_its_memory:
                await empty_its_memory(member)
    if fault is fill_its_memory:
        await member.cable.mend()
        released = await hub.said(names[workload(short)], "Released")
        assert released["reason"] == "Unattended"
