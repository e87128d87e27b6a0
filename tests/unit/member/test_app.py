"""What an agent begins with: the identity it has joined with, and what the agent before it knew."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.adapters.kube.config import Connection
from hansa.adapters.sealing import IdentityKey
from hansa.errors import Retryable
from hansa.member import app
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.hub_link.identity import HubIdentity, save
from hansa.member.kopf_handlers import take_policy
from hansa.member.settings import MemberSettings
from hansa.reconcile.member.contracts.contact_lease import contact_spec, lease_path
from tests.unit.member.hub_link import paper
from tests.unit.member.runs.plain_job import SETTINGS, Running
from tests.unit.member.small_cluster import SmallCluster

NOW_S = 1_800_000_000.0
LEASE = lease_path("hansa-system", "tartu")


class Assembled(Exception):
    """The agent has come as far as is looked at here; it holds its clients."""


async def clients(own, monkeypatch, still_leader=lambda: True):
    """Return what an agent that has just begun is wired with."""

    def assembled(_, clients, **__):
        raise Assembled(clients)

    monkeypatch.setattr(app, "assemble", assembled)
    held = HubIdentity(
        node="tartu",
        server="http://hub.invalid",
        ca_pem="",
        token=paper.token(),
        key_pem=IdentityKey.generate().private_pem(),
        release_key_pem=Ed25519Signer.generate().private_pem().decode(),
    )
    await save(own, "hansa-system", "hansa-identity", held)
    settings = MemberSettings(node="tartu")
    agent = app.Agent(settings, Connection(server="http://own.invalid"), clock=SystemClock())
    async with AsyncExitStack() as stack:
        with pytest.raises(Assembled) as found:
            await agent._run(stack, own, still_leader)
    return found.value.args[0]


async def test_an_agent_that_does_not_lead_any_more_writes_nothing_at_home_or_on_the_hub(
    monkeypatch,
):
    own = SmallCluster(NOW_S)
    found = await clients(own, monkeypatch, lambda: False)
    for cluster in (found.own, found.hub):
        with pytest.raises(Retryable, match="does not lead"):
            await cluster.create("/api/v1/namespaces", {"metadata": {"name": "x"}})
    assert await found.own.list("/api/v1/namespaces") == await own.list("/api/v1/namespaces")


async def test_a_restart_begins_no_contract_anew(monkeypatch):
    own = SmallCluster(NOW_S)
    own.put(LEASE, {"metadata": {"name": "x"}, "spec": contact_spec("tartu", NOW_S - 900)})
    assert (await clients(own, monkeypatch)).last_contact_s == NOW_S - 900


SPEECHLESS = {
    "no Lease": None,
    "no spec": {},
    "no time": {"spec": {}},
    "no such time": {"spec": {"renewTime": "yesterday"}},
    "a number": {"spec": {"renewTime": 7}},
}


@pytest.mark.parametrize("lease", SPEECHLESS.values(), ids=SPEECHLESS)
async def test_a_contact_that_nobody_can_read_is_none(lease, monkeypatch):
    own = SmallCluster(NOW_S)
    if lease is not None:
        own.put(LEASE, {"metadata": {"name": "x"}} | lease)
    assert (await clients(own, monkeypatch)).last_contact_s is None


async def test_a_policy_that_is_read_takes_the_place_of_none_that_an_event_has_told_of(monkeypatch):
    """The answer may be older: it was under way while the policy changed."""
    running, own = Running(), SmallCluster(NOW_S)
    context = running.parts.context
    context.cluster_state.put_policy(HeldPolicy())
    old, new = (
        {"metadata": {"name": "local", "uid": "u", "generation": generation}, "spec": law}
        for generation, law in ((1, {"jurisdiction": "EE"}), (2, {"switch": "Stopped"}))
    )

    told: list[tuple[str, Any]] = []

    async def get(_):
        for event in told:
            take_policy(context, *event)
        return old

    monkeypatch.setattr(own, "get", get)
    agent = app.Agent(SETTINGS, Connection(server="http://own.invalid"), clock=SystemClock())
    for events, generation in (([], 1), ([("MODIFIED", new)], 2), ([("DELETED", new)], 0)):
        told[:] = events
        await agent._remember(context, own)
        assert context.cluster_state.policy.generation == generation
