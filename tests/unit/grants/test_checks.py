"""Every rule of the member's law, one by one, and that it never raises."""

from __future__ import annotations

import pytest

from hansa.grants.checks import judge
from hansa.grants.epochs import EpochRecord, Outcome, Seen
from hansa.grants.facts import Bounds, GpuStock, Readiness
from hansa.grants.reasons import MemberReason, Objection, gravest_first
from tests.residency_kit import EVERYWHERE, stands_in, under_law_of
from tests.unit.grants.grant_kit import (
    FOREIGN,
    HUB,
    NOW_S,
    OWNER,
    UID,
    facts,
    grant,
    job,
    policy,
    small,
)

R = MemberReason

COHORT = {"name": "cohort", "jurisdiction": "EE", "claim": "cohort", "residency": EVERYWHERE}


def seen(epoch: int, outcome: Outcome = Outcome.ACCEPTED, digest: str = "x", *, highest: int = 0):
    """Return a memory of one epoch of the job."""
    record = EpochRecord(UID, epoch, digest, outcome, 0, 0)
    return Seen(record if epoch == 3 else None, max(epoch, highest))


NO_RESOLVER = Readiness(resolver_missing="install it")
REFUSED = {
    "no policy": (grant(), None, facts(), {R.POLICY_MISSING}),
    "empty": ({}, policy(), facts(), {R.MALFORMED}),
    "not JSON": (grant() | {"x": float("nan")}, policy(), facts(), {R.MALFORMED}),
    "unknown field": (grant(extra=1), policy(), facts(), {R.MALFORMED}),
    "huge number": (grant() | {"epoch": 1 << 60}, policy(), facts(), {R.MALFORMED}),
    "digest of another job": (
        grant(specDigest="sha256:" + "0" * 64),
        policy(),
        facts(),
        {R.DIGEST_MISMATCH},
    ),
    "more workers than asked": (grant(workers=3), policy(), facts(), {R.MALFORMED}),
    "fewer workers, not elastic": (grant(workers=1), policy(), facts(), {R.MALFORMED}),
    "fewer workers than useful": (
        grant(job(ray=small(count=4, minCount=2)), workers=1),
        policy(),
        facts(),
        {R.MALFORMED},
    ),
    "another node": (grant(node="riga"), policy(), facts(), {R.WRONG_NODE}),
    "unknown hub": (grant(by=(FOREIGN,)), policy(), facts(), {R.UNKNOWN_HUB}),
    "an owner is no hub": (grant(by=(OWNER,)), policy(), facts(), {R.UNKNOWN_HUB}),
    "one hub known, one not": (
        grant(by=(HUB, FOREIGN)),
        policy(),
        facts(),
        {R.UNKNOWN_HUB},
    ),
    "changed after signing": (grant() | {"epoch": 4}, policy(), facts(), {R.BAD_SIGNATURE}),
    "wrong node and hub": (
        grant(node="riga", by=(FOREIGN,)),
        policy(),
        facts(),
        {R.WRONG_NODE, R.UNKNOWN_HUB},
    ),
    "reserved env": (
        grant(job(env=[{"name": "LD_PRELOAD", "value": "x"}])),
        policy(),
        facts(),
        {R.MALFORMED},
    ),
    "clock off": (grant(), policy(), facts(hub_skew_s=600.0), {R.CLOCK_SKEW}),
    "clock unknown": (grant(), policy(), facts(hub_skew_s=None), {R.CLOCK_SKEW}),
    "withdrawn": (grant() | {"cancel": "Stop"}, policy(), facts(), {R.WITHDRAWN}),
    "suspended": (grant(job(suspend=True)), policy(), facts(), {R.WITHDRAWN}),
    "expired": (grant(notAfter="2027-01-15T07:59:59Z"), policy(), facts(), {R.EXPIRED}),
    "too early": (grant(notBefore="2027-01-15T08:01:01Z"), policy(), facts(), {R.NOT_YET_VALID}),
    "no time": (grant(notAfter="soon"), policy(), facts(), {R.MALFORMED}),
    "valid too long": (grant(notAfter="2028-01-15T08:00:00Z"), policy(), facts(), {R.MALFORMED}),
    "ends before it begins": (
        grant(notAfter="2027-01-15T07:00:00Z"),
        policy(),
        facts(),
        {R.MALFORMED},
    ),
    "stopped": (grant(), policy(switch="Stopped"), facts(), {R.STOPPED}),
    "paused": (grant(), policy(switch="Paused"), facts(), {R.PAUSED}),
    "older epoch": (
        grant(),
        policy(),
        facts(seen=seen(4)),
        {R.STALE_EPOCH},
    ),
    "second grant of an epoch": (
        grant(),
        policy(),
        facts(seen=seen(3)),
        {R.STALE_EPOCH},
    ),
    "location": (
        grant(job(residency=stands_in("LV"))),
        policy(),
        facts(),
        {R.RESIDENCY_DENIED},
    ),
    "legal control": (
        grant(),
        policy(
            legalControl=["EE", "US"],
            datasets=[COHORT | {"residency": under_law_of("EU")}],
        ),
        facts(),
        {R.LEGAL_CONTROL_DENIED},
    ),
    "unknown overlay": (
        grant(job(residency=stands_in("World", deny=["overlay/adequate"]))),
        policy(),
        facts(),
        {R.RESIDENCY_DENIED},
    ),
    "for another node of that name": (
        grant(audience=FOREIGN.key_id),
        policy(),
        facts(),
        {R.WRONG_NODE},
    ),
    "issued by a key that did not sign": (
        grant(issuer=FOREIGN.key_id),
        policy(),
        facts(),
        {R.BAD_SIGNATURE},
    ),
    "as old as what had to be forgotten": (
        grant(),
        policy(),
        facts(seen=Seen(floor_s=int(NOW_S))),
        {R.STALE_EPOCH},
    ),
    "the epoch before lives": (
        grant(),
        policy(),
        facts(seen=Seen(highest=2), live_epochs=(2,)),
        {R.PREVIOUS_RUN_LIVES},
    ),
    "tenant": (grant(), policy(tenants=["bank"]), facts(), {R.TENANT_NOT_ACCEPTED}),
    "workload": (
        grant(job(workload="FineTune")),
        policy(workloads=["Batch"]),
        facts(),
        {R.WORKLOAD_NOT_ACCEPTED},
    ),
    "a kind of work nobody serves": (
        grant(job(workload="Inference")),
        policy(),
        facts(),
        {R.WORKLOAD_NOT_ACCEPTED},
    ),
    "an agent that serves nothing": (
        grant(),
        policy(),
        facts(served=frozenset()),
        {R.WORKLOAD_NOT_ACCEPTED},
    ),
    "no registry": (grant(), policy(imageRegistries=[]), facts(), {R.IMAGE_NOT_ALLOWED}),
    "registry that only begins alike": (
        grant(),
        policy(imageRegistries=["hansa.loc"]),
        facts(),
        {R.IMAGE_NOT_ALLOWED},
    ),
    "data unknown": (
        grant(job(data=[{"name": "x"}])),
        policy(),
        facts(),
        {R.DATASET_UNKNOWN},
    ),
    "data not mountable": (
        grant(),
        policy(),
        facts(unusable_data={"cohort": "its claim is not bound"}),
        {R.DATASET_UNKNOWN},
    ),
    "data not lent": (
        grant(),
        policy(
            datasets=[COHORT | {"tenants": ["bank"], "residency": EVERYWHERE}],
        ),
        facts(),
        {R.DATASET_NOT_LENT},
    ),
    "secret": (grant(job(secrets=[{"name": "x"}])), policy(), facts(), {R.SECRET_NOT_LENT}),
    "secret of others": (
        grant(job(secrets=[{"name": "token"}]), institution="bank"),
        policy(),
        facts(),
        {R.SECRET_NOT_LENT},
    ),
    "runtime": (grant(), policy(maxRuntimeSeconds=60), facts(), {R.RUNTIME_TOO_LONG}),
    "no such class": (
        grant(job(ray=small(gpuClass="nvidia-h100"))),
        policy(),
        facts(),
        {R.GPUS_NOT_LENT},
    ),
    "too little memory": (
        grant(job(ray=small(gpuMemory="80Gi"))),
        policy(),
        facts(),
        {R.GPUS_NOT_LENT},
    ),
    "all GPUs held": (
        grant(),
        policy(),
        facts(stock={"nvidia-rtx-4090": GpuStock(8, 24 << 30, 7)}),
        {R.GPUS_NOT_LENT},
    ),
    "any GPU, none there": (grant(job(ray=small())), policy(), facts(stock={}), {R.GPUS_NOT_LENT}),
    "assurance": (
        grant(job(assurance="L2")),
        policy(assurance="L1"),
        facts(),
        {R.ASSURANCE_TOO_LOW},
    ),
    "hours": (
        grant(),
        policy(hours={"fromHour": 20, "toHour": 6}),
        facts(),
        {R.OUTSIDE_HOURS},
    ),
    "hours of the day": (
        grant(),
        policy(hours={"fromHour": 9, "toHour": 17}),
        facts(),
        {R.OUTSIDE_HOURS},
    ),
    "many jobs": (grant(), policy(maxConcurrentJobs=5), facts(running_jobs=5), {R.TOO_MANY_JOBS}),
    "old Ray": (
        grant(),
        policy(),
        facts(bounds=Bounds(ray_floor="2.61.0")),
        {R.RAY_TOO_OLD},
    ),
    "Ray under the security floor": (
        grant(job(ray={"version": "2.53.9"})),
        policy(),
        facts(),
        {R.MALFORMED},
    ),
    "not canonical": (
        grant() | {"cancel": "None", "overlays": ()} | {"signatures": [object()]},
        policy(),
        facts(),
        {R.MALFORMED},
    ),
    "no KubeRay": (
        grant(),
        policy(),
        facts(readiness=Readiness(kuberay_missing="install it")),
        {R.KUBERAY_MISSING},
    ),
    "no resolver, with data": (
        grant(),
        policy(egress=[{"cidr": "10.0.0.0/8"}]),
        facts(readiness=NO_RESOLVER),
        {R.RESOLVER_MISSING},
    ),
    "no resolver, without egress": (
        grant(job(data=[])),
        policy(),
        facts(readiness=NO_RESOLVER),
        {R.RESOLVER_MISSING},
    ),
    "everything broken": (
        grant(),
        policy(),
        facts(readiness=Readiness("", "x", disk_full="y", canary_open="z", ledger_behind="3150")),
        {R.KUBERAY_TOO_OLD, R.DISK_FULL, R.CANARY_ADMITTED, R.LEDGER_BEHIND},
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refused(case):
    wire, law, member, reasons = case
    judgement = judge(wire, law, member)
    assert not judgement.accepted
    assert {o.reason for o in judgement.objections} == reasons, judgement.objections
    assert all(o.message for o in judgement.objections)


ACCEPTED = {
    "no resolver, with egress and no data": (
        grant(job(data=[])),
        policy(egress=[{"cidr": "10.0.0.0/8"}]),
        facts(readiness=NO_RESOLVER),
    ),
    "plain": (grant(), policy(), facts()),
    "itself alive": (grant(), policy(), facts(live_epochs=(3,))),
    "secret lent": (grant(job(secrets=[{"name": "token"}])), policy(), facts()),
    "at night": (grant(), policy(hours={"fromHour": 22, "toHour": 9}), facts()),
    "by day": (grant(), policy(hours={"fromHour": 8, "toHour": 9}), facts()),
    "slash registry": (grant(), policy(imageRegistries=["hansa.local/"]), facts()),
    "overlay": (
        grant(
            job(residency=stands_in("overlay/near")),
            overlays=[{"name": "near", "places": ["Baltic"]}],
        ),
        policy(),
        facts(),
    ),
    "seen and accepted before": (grant(), policy(), facts(seen=Seen())),
    "newer epoch": (grant(), policy(), facts(seen=seen(2))),
    "no GPUs at all": (grant(job(ray={"version": "2.54.0"})), policy(), facts(stock={})),
}


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(case):
    judgement = judge(*case)
    assert judgement.objections == ()
    assert judgement.accepted


def test_an_accepted_grant_may_be_judged_again():
    first = judge(grant(), policy(), facts())
    assert first.proposal is not None
    for outcome, accepted in (
        (Outcome.ACCEPTED, True),
        (Outcome.ENDED, False),
        (Outcome.REFUSED, False),
    ):
        known = facts(seen=seen(3, outcome, first.proposal.digest))
        assert judge(grant(), policy(), known).accepted is accepted


def test_reasons_have_an_order_and_kinds():
    mild, grave = Objection(R.DISK_FULL, "a"), Objection(R.RESIDENCY_DENIED, "b")
    assert gravest_first((mild, grave)) == (grave, mild)
    assert R.DISK_FULL.transient
    assert not R.RESIDENCY_DENIED.transient
    assert R.BAD_SIGNATURE.untrusted
    assert not R.DISK_FULL.untrusted
