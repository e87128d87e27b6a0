"""Who signed: every signature of a grant has to hold, one of them its issuer's; and that a list names nothing twice."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.grants.checks import distrust, judge
from hansa.grants.facts import Proposal
from hansa.grants.reasons import MemberReason as R
from hansa.grants.reasons import Objection
from hansa.grants.trust import read
from tests.unit.grants.grant_kit import FOREIGN, HUB, NODE, authorized, facts, grant, job, policy

SECOND = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"s" * 32))
LAW = policy(
    trustedHubs=[
        {"name": "league", "publicKey": HUB.public_key},
        {"name": "second", "publicKey": SECOND.public_key},
    ]
)
[OF_ANOTHER, BY_THE_SECOND] = grant(epoch=4, by=(HUB, SECOND))["signatures"]
"""Trusted hubs', over something else."""
CASES = {
    "the hub's own": (grant(), ()),
    "two hubs'": (grant(by=(HUB, SECOND)), ()),
    "a second hub's that does not hold": (
        grant() | {"signatures": [*grant()["signatures"], BY_THE_SECOND]},
        (R.BAD_SIGNATURE,),
    ),
    "of another grant": (grant() | {"signatures": [OF_ANOTHER]}, (R.BAD_SIGNATURE,)),
    "a stranger's": (grant(by=(FOREIGN,)), (R.UNKNOWN_HUB,)),
    "a stranger's beside the hub's": (grant(by=(HUB, FOREIGN)), (R.UNKNOWN_HUB,)),
    "to another node's key": (grant(audience=HUB.key_id), (R.WRONG_NODE,)),
    "to another node": (grant(node="riga", audience=NODE.key_id), (R.WRONG_NODE,)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_whom_a_member_believes(case):
    wire, reasons = case
    proposal = read(wire)
    assert isinstance(proposal, Proposal)
    assert tuple(o.reason for o in distrust(proposal, LAW, facts())) == reasons
    assert judge(wire, LAW, facts()).accepted is (not reasons)


HELD_TWICE = {
    "jobSpec.data": job(data=[{"name": "cohort"}] * 2),
    "jobSpec.secrets": job(secrets=[{"name": "token"}, {"name": "token", "mode": "Files"}]),
    "jobSpec.env": job(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
    "jobSpec.files": job(files=[{"name": "a", "content": "1"}, {"name": "a", "content": "2"}]),
    "jobSpec.authorizations": authorized(authorized(job()), maxRuns=2),
    "jobSpec.ray.workers.customResources": job(
        ray={
            "version": "2.60.0",
            "workers": {"count": 2, "gpus": 1, "customResources": [{"name": "ssd"}] * 2},
        }
    ),
}


@pytest.mark.parametrize(("place", "body"), HELD_TWICE.items(), ids=HELD_TWICE)
def test_no_list_of_a_job_names_anything_twice(place, body):
    """Where a hub's API server keeps a map, a hub alone could send two of one name."""
    found = read(grant(body))
    assert isinstance(found, Objection)
    assert (found.reason, found.message.partition(";")[0]) == (
        R.MALFORMED,
        f"two of {place} have one key",
    )


@pytest.mark.parametrize("place", ["signatures", "overlays"])
def test_nor_does_a_grant(place):
    overlay = {"name": "near", "places": ["EE"]}
    twice = grant(overlays=[overlay, overlay]) if place == "overlays" else grant(by=(HUB, HUB))
    found = read(twice)
    assert isinstance(found, Objection)
    assert found.message.startswith(f"two of {place} have one key")


def test_who_is_not_trusted_learns_nothing_of_the_policy():
    wire = grant(job(image="evil/x@sha256:" + "0" * 64), by=(FOREIGN,))
    assert {o.reason for o in judge(wire, policy(), facts()).objections} == {R.UNKNOWN_HUB}
