"""A certificate renews itself: real API servers, a real hub process, a real agent, nobody helping."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2e.testbed.cluster.audit import read_events
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.keys import Ed25519Signer, parse_private_key
from hansa.api.kinds import AIJOB, MEMBERPOLICY, SOVEREIGNNODE
from hansa.api.meta import API_VERSION
from hansa.grants.envelope import workload_name
from hansa.member.hub_link import certificates, identity
from hansa.member.hub_link.join import SecretKeeper, enrol, new_identity
from hansa.member.settings import MemberSettings
from tests.apiserver.access.joining import CSRS, join_identity
from tests.apiserver.hub.league import League
from tests.apiserver.hub.process import HubProcess
from tests.apiserver.member.kit import Cable, Member, at_work, client, policy, until

pytestmark = pytest.mark.apiserver

NODE = "renewing"
SECONDS = 600
"""The shortest validity that Kubernetes signs. It dates short certificates back by 300 s."""
SETTINGS = MemberSettings(
    node=NODE,
    identity={
        "secret": f"identity-{NODE}",
        "certificate_seconds": SECONDS,
        # Of 900 s from the date in the certificate: due at once, or within 15 s, as the spread has it.
        "renew_fraction": 0.35,
    },
    timing={"retry_seconds": 0.2, "tick_seconds": 0.2, "heartbeat_seconds": 0.5},
    serving={"health_port": 0, "bind": "127.0.0.1"},
)
SPEC = {"institution": NODE, "jurisdiction": "EE", "legalControl": ["EE"], "accepted": "Accepted"}


@pytest.fixture
async def member(league: League, hub: HubProcess, member_plane: ControlPlane):
    """A member that has joined through the hub, with a certificate that soon ends."""
    await hub.ready()
    async with client(member_plane) as cluster, await join_identity(league) as joiner:
        keeper = SecretKeeper(cluster, SETTINGS.namespace, SETTINGS.identity.secret)
        cable = Cable(league.plane.url)
        await cable.mend()
        fresh = new_identity(NODE, replace(joiner._connection, server=cable.url))
        pinned = {
            "keyFingerprint": certificates.load_key(fresh.key_pem).fingerprint,
            "releaseKey": fresh.signer.public_key,
        }
        node = {"apiVersion": API_VERSION, "kind": "SovereignNode", "metadata": {"name": NODE}}
        await league.admin.create(SOVEREIGNNODE.path(), node | {"spec": SPEC | pinned})
        await league.eventually(lambda: enrol(joiner, keeper, fresh, seconds=SECONDS, poll_s=0.1))
        member = Member(cluster, member_plane, SETTINGS, cable)
        key = Ed25519Signer(parse_private_key(hub.key_file.read_bytes()))
        await member.decree(policy(SimpleNamespace(signer=key)))
        yield member
        await cluster.delete(MEMBERPOLICY.path(name="local"))
        await league.admin.delete(SOVEREIGNNODE.path(name=NODE))
        await cable.cut()


async def test_a_certificate_renews_itself_and_work_goes_on(league: League, member: Member):
    first = await _held(member)
    async with at_work(member.agent()):
        await league.node_becomes(NODE, "True", "Ready")
        run = await _under_way(league, member, "before")

        second = await until(lambda: _changed(member, first), "a new certificate")

        await member.run_well(run)
        await league.job_becomes("before", "Succeeded")
        names = (f"after-{number}" for number in itertools.count())
        await until(lambda: _uses_another(league, member, next(names), first), "its use")
    assert second.key_pem != first.key_pem
    assert second.validity_s[1] >= first.validity_s[1]
    assert second.release_key_pem == first.release_key_pem
    assert _credential(first) in _used(league.plane.audit_log)
    reasons = await until(lambda: _reasons(league), "an answer to every request")
    assert reasons == {"Renewal"}


async def _reasons(league: League) -> set[str] | None:
    """Return why the node's requests were approved, once all are: one may have come just now."""
    asked = [row for row in (await league.admin.list(CSRS)).items if _by_the_node(row)]
    decided = [row["status"].get("conditions") for row in asked if row.get("status")]
    if len(decided) < len(asked) or not all(decided):
        return None
    return {conditions[0]["reason"] for conditions in decided}


async def _held(member: Member) -> identity.HubIdentity:
    return await identity.load(member.cluster, SETTINGS.namespace, SETTINGS.identity.secret)


async def _changed(member: Member, before: identity.HubIdentity) -> identity.HubIdentity | None:
    now = await _held(member)
    return None if now.certificate_pem == before.certificate_pem else now


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
    """Run a job; tell whether its last write was made with a certificate other than ``before``.

    A client looks at its files once a second, so that the first job may still go the old way. On a
    busy machine the second certificate may have been renewed in its turn before it was used.
    """
    await member.run_well(await _under_way(league, member, name))
    await league.job_becomes(name, "Succeeded")
    return _used(league.plane.audit_log)[-1] != _credential(before)


def _credential(held: identity.HubIdentity) -> str:
    """Return how the API server's audit log names a client certificate."""
    certificate = x509.load_pem_x509_certificate(held.certificate_pem.encode())
    return "X509SHA256=" + hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _used(log: Path) -> list[str]:
    """Return the certificates the node's writes were made with, in order, each run of one once."""
    found: list[str] = []
    for event in read_events(log):
        user = event["user"]
        if user["username"] != f"hansa:node:{NODE}":
            continue
        (credential,) = user["extra"]["authentication.kubernetes.io/credential-id"]
        if found[-1:] != [credential]:
            found.append(credential)
    return found


def _by_the_node(request: dict) -> bool:
    return request["spec"]["username"] == f"hansa:node:{NODE}"
