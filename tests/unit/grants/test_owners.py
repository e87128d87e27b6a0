"""Data owners' signatures: over the work, for one institution, for their own data, and only so often."""

from __future__ import annotations

import pytest

from hansa.adapters.keys import Ed25519Signer
from hansa.api.aijob import AIJobSpec
from hansa.grants import authorization
from hansa.grants.checks import judge
from hansa.grants.reasons import MemberReason as R
from tests.residency_kit import EVERYWHERE, stands_in
from tests.unit.grants.grant_kit import FOREIGN, OWNER, authorized, facts, grant, job, policy

OTHER = Ed25519Signer.generate()
OWNERS = [
    {"name": "clinic", "publicKey": OWNER.public_key},
    {"name": "registry", "publicKey": OTHER.public_key},
]


def held(*names: str, **owners: list[str]):
    return [
        {
            "name": n,
            "jurisdiction": "EE",
            "claim": n,
            "owners": owners.get(n, []),
            "residency": EVERYWHERE,
        }
        for n in names
    ]


def raised(body, **terms):
    """Return a signed job with other terms than were signed."""
    return body | {"authorizations": [said | terms for said in body["authorizations"]]}


OWNED = policy(trustedOwners=OWNERS, datasets=held("cohort", cohort=["clinic"]))
BOTH = policy(
    trustedOwners=OWNERS, datasets=held("cohort", "births", cohort=["clinic"], births=["registry"])
)
TWO = job(data=[{"name": "cohort"}, {"name": "births"}])
SPENT = facts(uses=lambda _: 2)

CASES = {
    "nobody asks for one": (job(), policy(), facts(), set()),
    "the owner signed": (authorized(job()), OWNED, facts(), set()),
    "nobody signed": (job(), OWNED, facts(), {R.OWNER_SIGNATURE_MISSING}),
    "another trusted owner signed": (
        authorized(job(), OTHER),
        OWNED,
        facts(),
        {R.OWNER_SIGNATURE_MISSING},
    ),
    "somebody signed": (authorized(job(), FOREIGN), OWNED, facts(), {R.OWNER_SIGNATURE_MISSING}),
    "one of two owners signed": (
        authorized(TWO),
        BOTH,
        facts(),
        {R.OWNER_SIGNATURE_MISSING},
    ),
    "both owners signed": (authorized(authorized(TWO), OTHER), BOTH, facts(), set()),
    "signed for another institution": (
        authorized(job(), institution="bank"),
        OWNED,
        facts(),
        {R.OWNER_SIGNATURE_INVALID, R.OWNER_SIGNATURE_MISSING},
    ),
    "other arguments": (
        authorized(job()) | {"entrypoint": ["python3", "copy.py"]},
        OWNED,
        facts(),
        {R.OWNER_SIGNATURE_INVALID, R.OWNER_SIGNATURE_MISSING},
    ),
    "a wider residency": (
        authorized(job(residency=stands_in("EE"))) | {"residency": EVERYWHERE},
        OWNED,
        facts(),
        {R.OWNER_SIGNATURE_INVALID, R.OWNER_SIGNATURE_MISSING},
    ),
    "a spoilt signature where none is needed": (
        authorized(job()) | {"env": [{"name": "A"}]},
        policy(),
        facts(),
        {R.OWNER_SIGNATURE_INVALID},
    ),
    "ended": (
        authorized(job(), notAfter="2027-01-15T07:00:00Z"),
        OWNED,
        facts(),
        {R.AUTHORIZATION_SPENT},
    ),
    "used up": (
        authorized(job(), maxRuns=2),
        OWNED,
        SPENT,
        {R.AUTHORIZATION_SPENT},
    ),
    "one use left": (authorized(job(), maxRuns=3), OWNED, SPENT, set()),
    "terms raised afterwards": (
        raised(authorized(job()), maxRuns=9),
        OWNED,
        facts(),
        {R.OWNER_SIGNATURE_INVALID, R.OWNER_SIGNATURE_MISSING},
    ),
    "a data set whose owners nobody named": (
        authorized(job()),
        policy(ownerSignature="RequiredForData"),
        facts(),
        {R.OWNER_SIGNATURE_MISSING},
    ),
    "no data, so no owner": (
        job(data=[]),
        policy(ownerSignature="RequiredForData"),
        facts(),
        set(),
    ),
    "whatever the work": (
        job(data=[]),
        policy(ownerSignature="Required"),
        facts(),
        {R.OWNER_SIGNATURE_MISSING},
    ),
}


@pytest.mark.parametrize(("body", "law", "known", "reasons"), CASES.values(), ids=CASES)
def test_owners(body, law, known, reasons):
    judgement = judge(grant(body), law, known)
    assert {objection.reason for objection in judgement.objections} == reasons
    assert all("hansa sign" in o.message or "sign" in o.message for o in judgement.objections)


UNSIGNED = {
    "pool": "other",
    "priority": 9,
    "suspend": False,
    "audit": {"of": "study", "epoch": 1, "node": "tartu"},
    "budget": {"limit": "1", "currency": "EUR"},
}
NORMAL = {"env": [], "ray": {"version": "2.60.0", "head": {"cpu": "1"}}, "workload": "Batch"}


def test_the_signature_covers_the_work_and_not_its_place_in_the_queue():
    signed = authorized(job(ray={"version": "2.60.0"}))
    for change in ({key: value} for key, value in (UNSIGNED | NORMAL).items()):
        assert judge(grant(signed | change), OWNED, facts()).accepted, change


WORK = {
    "image": "hansa.local/other@sha256:" + "1" * 64,
    "entrypoint": ["python3", "other.py"],
    "residency": EVERYWHERE | {"location": {"allow": ["EE"]}},
    "data": [{"name": "cohort"}, {"name": "genomes"}],
    "env": [{"name": "MORE", "value": "1"}],
    "maxRuntimeSeconds": 99,
    "result": {"maxBytes": 9},
    "runtimeEnv": {"pip": "six==1.16.0 --hash=sha256:" + "a" * 64},
}
"""What an owner decides about, whichever fields a table names."""


@pytest.mark.parametrize("field", WORK)
def test_what_is_done_with_the_data_cannot_be_changed_after_signing(field):
    signed = authorized(job(ray={"version": "2.60.0"}))
    judgement = judge(grant(signed | {field: WORK[field]}), OWNED, facts())
    assert R.OWNER_SIGNATURE_INVALID in {objection.reason for objection in judgement.objections}


def test_every_field_of_a_job_is_signed_or_named_as_not():
    """A field added later is covered by itself: only what is named stays outside."""
    fields = set(AIJobSpec.model_fields)
    assert fields >= authorization.UNSIGNED
    covered = authorization.work(
        AIJobSpec.model_validate(
            job(
                workload="FineTune",
                files=[{"name": "a.py", "content": "1"}],
                env=[{"name": "A"}],
                runtimeEnv={"pip": "six==1.16.0 --hash=sha256:" + "a" * 64},
                secrets=[{"name": "token"}],
                residency=stands_in("EE"),
                maxRuntimeSeconds=5,
                checkpointSeconds=5,
                disconnection={"policy": "Stop"},
                assurance="L1",
                comparator={"absolute": "0.1"},
                result={"maxBytes": 1},
            )
        )
    )
    names = {info.alias or name for name, info in AIJobSpec.model_fields.items()}
    outside = {AIJobSpec.model_fields[name].alias or name for name in authorization.UNSIGNED}
    assert set(covered) == names - outside
