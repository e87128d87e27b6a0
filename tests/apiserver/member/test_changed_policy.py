"""A policy that changes on a real API server, under runs of a real agent."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.adapters.keys import Ed25519Signer
from tests.apiserver.member.kit import Hub, Member, at_work, policy, until, workload

pytestmark = pytest.mark.apiserver
OTHER = [{"name": "other", "publicKey": Ed25519Signer.generate().public_key}]


@pytest.fixture
def hub(granting_hub: Hub) -> Hub:
    return granting_hub


@pytest.fixture
def member(joined_member: Member) -> Member:
    return joined_member


STOPS: dict[str, tuple[dict[str, Any], str]] = {
    "the hub's key is removed": ({"trustedHubs": OTHER}, "UnknownHub"),
    "the tenant is not accepted any more": ({"tenants": ["bank"]}, "TenantNotAccepted"),
    "the registry is withdrawn": ({"imageRegistries": ["other.example/"]}, "ImageNotAllowed"),
}


@pytest.mark.parametrize("case", STOPS.values(), ids=STOPS)
async def test_what_the_law_forbids_now_stops_and_is_not_taken_again(hub, member, case):
    change, reason = case
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        await member.made(workload(spec))
        await hub.said(name, "Accepted")
        await member.decree(policy(hub, **change))
        released = await hub.said(name, "Released")
        assert (released["status"], released["reason"]) == ("True", "PolicyChanged")
        assert await member.gone(workload(spec))
        refused = await hub.said(await hub.grant(hub.spec()), "Accepted")
    assert (refused["status"], refused["reason"]) == ("False", reason)


async def test_what_is_only_not_lent_any_more_finishes(hub, member):
    none = [{"gpuClass": "nvidia-rtx-4090", "maxGpus": 0}]
    async with at_work(member.agent()):
        spec = hub.spec()
        name = await hub.grant(spec)
        await member.made(workload(spec))
        await member.decree(policy(hub, lending=none))
        await until(lambda: member.heeds("local"), "the agent to keep the new policy")
        refused = await hub.said(await hub.grant(hub.spec()), "Accepted")
        assert (refused["status"], refused["reason"]) == ("False", "GpusNotLent")
        await member.run_well(workload(spec))
        released = await hub.said(name, "Released")
        assert (released["status"], released["reason"]) == ("True", "Succeeded")
        await until(lambda: member.gone(workload(spec)), "the run to be gone")
