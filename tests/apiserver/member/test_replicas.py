"""Two replicas of the agent as real processes: one works; told to stop, the other goes on at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hansa.errors import NotFound
from tests.apiserver.member.agent_process import AgentProcess
from tests.apiserver.member.kit import Hub, Member, until, workload

pytestmark = pytest.mark.apiserver
LEASES = "/apis/coordination.k8s.io/v1/namespaces/hansa-system/leases"
LEASE_S = 10
ENDLESS_S = 3600
"""A lease that does not run out during a test: who holds it next was given it."""


@pytest.fixture
def replicas(joined_member: Member, tmp_path: Path, request: pytest.FixtureRequest):
    lease_s = getattr(request, "param", LEASE_S)
    pair = [AgentProcess(joined_member, name, tmp_path, lease_s) for name in ("agent-a", "agent-b")]
    yield pair
    for process in pair:
        process.kill()


async def holder(member: Member) -> str:
    try:
        lease = await member.cluster.get(f"{LEASES}/hansa-member-{member.settings.node}")
    except NotFound:
        return ""
    return lease["spec"].get("holderIdentity") or ""


async def roles(replicas: list[AgentProcess]) -> tuple[AgentProcess, AgentProcess]:
    """Wait for one that works and one that stands by, both ready."""
    await until(lambda: all(p.ready for p in replicas), "both ready")

    at_work = await until(lambda: [p for p in replicas if p.works], "one at work")
    standing_by = [p for p in replicas if p not in at_work]
    assert len(at_work) == len(standing_by) == 1
    return at_work[0], standing_by[0]


@pytest.mark.parametrize("replicas", [ENDLESS_S], indirect=True)
async def test_the_standby_goes_on_when_the_leader_is_told_to_stop(
    granting_hub: Hub, joined_member: Member, replicas: list[AgentProcess]
):
    leader, standby = await roles(replicas)
    spec = granting_hub.spec()
    name = await granting_hub.grant(spec)
    accepted = await granting_hub.said(name, "Accepted")
    assert accepted["status"] == "True", accepted
    await joined_member.made(workload(spec))
    assert await holder(joined_member) == leader.name

    assert leader.stop() == 0
    assert await holder(joined_member) in ("", standby.name)

    await until(lambda: standby.works, "the standby at work")
    await joined_member.run_well(workload(spec))
    released = await granting_hub.said(name, "Released")
    assert released["reason"] == "Succeeded"
    assert standby.stop() == 0


async def test_a_killed_leader_is_replaced_and_no_run_is_made_twice(
    granting_hub: Hub, joined_member: Member, replicas: list[AgentProcess]
):
    leader, standby = await roles(replicas)
    specs = [granting_hub.spec() for _ in range(6)]
    names = await asyncio.gather(*(granting_hub.grant(spec) for spec in specs))
    accepted = await granting_hub.said(names[0], "Accepted")
    assert accepted["status"] == "True", accepted
    leader.kill()

    for spec in specs:
        await joined_member.made(workload(spec))
    conditions = [await granting_hub.said(name, "Accepted") for name in names]
    assert [condition["status"] for condition in conditions] == ["True"] * len(names)
    # The leader may have done everything before it was killed: its lease still has to run out.
    await until(lambda: standby.works, "the standby at work")
    await asyncio.gather(*(granting_hub.cancel(name) for name in names))
    for name in names:
        await granting_hub.said(name, "Released")
