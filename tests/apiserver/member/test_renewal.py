"""A token renews itself: real API servers, a real hub process, a real agent, nobody helping."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from e2e.testbed.cluster.audit import read_events
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.keys import Ed25519Signer, parse_private_key
from hansa.api.kinds import AIJOB, MEMBERPOLICY, SOVEREIGNNODE
from hansa.api.meta import API_VERSION, node_user
from hansa.grants.envelope import workload_name
from hansa.member.hub_link import identity
from hansa.member.hub_link.join import SecretKeeper, enrol, new_identity
from hansa.member.settings import MemberSettings
from hansa.model.times import from_rfc3339
from tests.apiserver.access.joining import join_identity
from tests.apiserver.hub.league import League
from tests.apiserver.hub.process import HubProcess
from tests.apiserver.member.cable import Cable
from tests.apiserver.member.kit import Member, at_work, client, holder_of, policy, until

pytestmark = pytest.mark.apiserver

NODE = "renewing"
SECONDS = 600
"""The shortest validity that Kubernetes gives."""
SETTINGS = MemberSettings(
    node=NODE,
    identity={
        "secret": f"identity-{NODE}",
        "token_seconds": SECONDS,
        # The least there is: due after half a minute or a whole one, as the spread has it.
        "renew_fraction": 0.101,
    },
    timing={"retry_seconds": 0.2, "tick_seconds": 0.2, "heartbeat_seconds": 0.5},
    serving={"health_port": 0, "bind": "127.0.0.1"},
)
SPEC = {"institution": NODE, "jurisdiction": "EE", "legalControl": ["EE"], "accepted": "Accepted"}


@pytest.fixture
async def member(league: League, hub: HubProcess, member_plane: ControlPlane):
    """A member that has joined through the hub, with a token that soon ends."""
    await hub.ready()
    async with client(member_plane) as cluster, await join_identity(league) as joiner:
        keeper = SecretKeeper(cluster, SETTINGS.namespace, SETTINGS.identity.secret)
        cable = Cable(league.plane.url)
        await cable.mend()
        fresh = new_identity(NODE, replace(joiner._connection, server=cable.url))
        pinned = {
            "identityKey": fresh.key.public_key,
            "releaseKey": fresh.signer.public_key,
        }
        node = {"apiVersion": API_VERSION, "kind": "SovereignNode", "metadata": {"name": NODE}}
        await league.admin.create(SOVEREIGNNODE.path(), node | {"spec": SPEC | pinned})
        as_node = holder_of(joiner._connection)
        await enrol(joiner, as_node, keeper, fresh, seconds=SECONDS, poll_s=0.1)
        member = Member(cluster, member_plane, SETTINGS, cable)
        key = Ed25519Signer(parse_private_key(hub.key_file.read_bytes()))
        await member.decree(policy(SimpleNamespace(signer=key)))
        yield member
        await cluster.delete(MEMBERPOLICY.path(name="local"))
        await league.admin.delete(SOVEREIGNNODE.path(name=NODE))
        await cable.cut()


async def test_a_token_renews_itself_and_work_goes_on(league: League, member: Member):
    first = await _held(member)
    async with at_work(member.agent()):
        await league.node_becomes(NODE, "True", "Ready")
        run = await _under_way(league, member, "before")

        second = await until(lambda: _changed(member, first), "a new token")

        await member.run_well(run)
        await league.job_becomes("before", "Succeeded")
        names = (f"after-{number}" for number in itertools.count())
        await until(lambda: _uses_another(league, member, next(names), first), "its use")
    assert second.key_pem == first.key_pem
    assert second.token_facts.end_s > first.token_facts.end_s
    assert second.release_key_pem == first.release_key_pem
    assert _credential(first) in _used(league.plane.audit_log)
    assert _askers(league.plane.audit_log) >= {node_user(NODE)}
    node = await league.admin.get(SOVEREIGNNODE.path(name=NODE))
    assert from_rfc3339(node["status"]["identityNotAfter"]) > first.token_facts.end_s


async def _held(member: Member) -> identity.HubIdentity:
    return await identity.load(member.cluster, SETTINGS.namespace, SETTINGS.identity.secret)


async def _changed(member: Member, before: identity.HubIdentity) -> identity.HubIdentity | None:
    now = await _held(member)
    return None if now.token == before.token else now


async def _under_way(league: League, member: Member, name: str) -> str:
    """Submit a job; return the name of its run, once it is made."""
    uid = (await league.submit(name))["metadata"]["uid"]
    run = workload_name(uid, 1)
    await member.made(run)
    await league.sees(
        lambda: league.admin.get(AIJOB.path("clinic", name)),
        lambda job: job["status"].get("node") == NODE,
        f"{name} is at {NODE}",
    )
    return run


async def _uses_another(
    league: League, member: Member, name: str, before: identity.HubIdentity
) -> bool:
    """Run a job; tell whether its last write was made with a token other than ``before``.

    A client looks at its files once a second, so that the first job may still go the old way. On a
    busy machine the second token may have been renewed in its turn before it was used.
    """
    await member.run_well(await _under_way(league, member, name))
    await league.job_becomes(name, "Succeeded")
    return _used(league.plane.audit_log)[-1] != _credential(before)


def _credential(held: identity.HubIdentity) -> str:
    """Return how the API server's audit log names a token."""
    middle = held.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return "JTI=" + claims["jti"]


def _used(log: Path) -> list[str]:
    """Return the tokens the node's writes were made with, in order, each run of one once."""
    found: list[str] = []
    for event in read_events(log):
        user = event["user"]
        if user.get("username") != node_user(NODE):
            continue
        (credential,) = user["extra"]["authentication.kubernetes.io/credential-id"]
        if found[-1:] != [credential]:
            found.append(credential)
    return found


def _askers(log: Path) -> set[str]:
    """Return who asked for tokens of the node."""
    return {
        event["user"].get("username", "")
        for event in read_events(log)
        if event.get("objectRef", {}).get("subresource") == "token"
        and event.get("objectRef", {}).get("namespace") == f"hansa-node-{NODE}"
    }
