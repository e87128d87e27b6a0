"""Law that changes: for every field of the MemberPolicy, what becomes of new, accepted and running work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.grants import trust
from hansa.grants.checks import judge
from hansa.grants.facts import GpuStock, Proposal
from hansa.grants.policy_changes import REACH, Reach, judge_again
from hansa.grants.reasons import MemberReason
from tests.residency_kit import stands_in, under_law_of
from tests.unit.grants.grant_kit import FOREIGN, authorized, facts, grant, job, policy

NEAR = stands_in("overlay/near")
OURS = {
    "name": "cohort", "jurisdiction": "EE", "claim": "cohort", "owners": ["clinic"],
    "residency": NEAR,
}  # fmt: skip
"""Its holder says what near means; the hub says that it is everywhere."""
BODY = authorized(
    job(
        secrets=[{"name": "token"}],
        result={"maxBytes": 9},
        maxRuntimeSeconds=600,
        assurance="L1",
        runtimeEnv={"pip": "six==1.16.0 --hash=sha256:" + "a" * 64},
    )
)
GRANT = grant(BODY, overlays=[{"name": "near", "places": ["World"]}])
BEFORE: dict[str, Any] = {
    "datasets": [OURS],
    "overlays": [{"name": "near", "places": ["EE"]}],
    "assurance": "L1",
    "tenants": ["hospital"],
    "packageIndex": {"host": "pypi.example.org", "address": "192.0.2.7"},
}
FULL = facts(stock={"nvidia-rtx-4090": GpuStock(0, 24 << 30)})
STOPS, TAKEN_BACK, NOTHING = "stops", "taken back", "nothing"
"""What becomes of a run; of a grant that is accepted; of a run whose like is not accepted again."""

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "jurisdiction": ({"jurisdiction": "LV"}, STOPS),
    "legalControl": (
        {
            "legalControl": ["EE", "US"],
            "datasets": [OURS | {"residency": under_law_of("EE")}],
        },
        STOPS,
    ),
    "switch: Paused": ({"switch": "Paused"}, TAKEN_BACK),
    "switch: Stopped": ({"switch": "Stopped"}, STOPS),
    "trustedHubs": ({"trustedHubs": [{"name": "x", "publicKey": FOREIGN.public_key}]}, STOPS),
    "trustedOwners": ({"trustedOwners": [{"name": "x", "publicKey": FOREIGN.public_key}]}, STOPS),
    "ownerSignature": ({"ownerSignature": "Required", "trustedOwners": []}, STOPS),
    "overlays": ({"overlays": [{"name": "near", "places": ["LV"]}]}, STOPS),
    "tenants": ({"tenants": ["bank"]}, STOPS),
    "workloads": ({"workloads": ["FineTune"]}, TAKEN_BACK),
    "imageRegistries": ({"imageRegistries": ["other.example"]}, STOPS),
    "datasets: gone": ({"datasets": []}, STOPS),
    "datasets: residency": (
        {"datasets": [OURS | {"residency": stands_in("LV")}]},
        STOPS,
    ),
    "datasets: tenants": ({"datasets": [OURS | {"tenants": ["bank"]}]}, STOPS),
    "datasets: owners": ({"datasets": [OURS | {"owners": ["registry"]}]}, STOPS),
    "secrets": ({"secrets": []}, STOPS),
    "maxRuntimeSeconds": ({"maxRuntimeSeconds": 599}, TAKEN_BACK),
    "maxConcurrentJobs": ({"maxConcurrentJobs": 0}, TAKEN_BACK),
    "hours": ({"hours": {"fromHour": 9, "toHour": 10}}, TAKEN_BACK),
    "assurance": ({"assurance": "L0"}, TAKEN_BACK),
    "egress": ({"egress": [{"cidr": "10.0.0.0/8"}]}, NOTHING),
    "exports": ({"exports": {"result": "Allow"}}, NOTHING),
    "tenantExports": ({"tenantExports": [{"tenant": "hospital"}]}, NOTHING),
    "datasets: exports": ({"datasets": [OURS | {"exports": {"logs": "Allow"}}]}, NOTHING),
    "packageIndex: gone": ({"packageIndex": None}, TAKEN_BACK),
    "packageIndex: other": (
        {"packageIndex": {"host": "other.example.org", "address": "192.0.2.8"}},
        NOTHING,
    ),
    "lending": ({}, TAKEN_BACK),
}
"""``lending`` acts through the inventory: nothing of the class is lent any more (``FULL``)."""
EXPECTED = {
    STOPS: (False, False, False),
    TAKEN_BACK: (False, False, True),
    NOTHING: (True, True, True),
}


def proposal() -> Proposal:
    found = trust.read(GRANT)
    assert isinstance(found, Proposal)
    return found


def test_the_work_was_allowed():
    assert judge(GRANT, policy(**BEFORE), facts()).objections == ()


@pytest.mark.parametrize(("name", "change", "fate"), [(n, *c) for n, c in CHANGES.items()])
def test_every_field(name, change, fate):
    law, now = policy(**BEFORE | change), FULL if name == "lending" else facts()

    is_new_accepted = judge(GRANT, law, now).accepted
    stands = [
        judge_again(proposal(), law, now, reach) is None
        for reach in (Reach.ACCEPTED, Reach.RUNNING)
    ]

    assert (is_new_accepted, *stands) == EXPECTED[fate]


def test_no_field_of_the_policy_is_without_a_row():
    fields = {info.alias or name for name, info in MemberPolicySpec.model_fields.items()}
    assert {row.partition(":")[0] for row in CHANGES} == fields


def test_every_reason_has_a_reach():
    assert set(REACH) == set(MemberReason)


def test_an_owners_signature_that_has_run_out_lets_a_run_finish():
    late = replace(facts(), now_s=facts().now_s + 3601)
    law = policy(**BEFORE)
    assert judge_again(proposal(), law, late, Reach.ACCEPTED) is not None
    assert judge_again(proposal(), law, late, Reach.RUNNING) is None


def test_what_passes_by_itself_takes_nothing_back():
    away = replace(facts(), hub_skew_s=None, live_epochs=(3,))
    assert judge_again(proposal(), policy(**BEFORE), away, Reach.ACCEPTED) is None


PAGE = Path(__file__).parents[3] / "docs" / "reference" / "policy-changes.md"
WORDS = {
    STOPS: ("ends", "stops"),
    TAKEN_BACK: ("ends", "finishes"),
    NOTHING: ("takes effect", ""),
}


def test_the_page_says_what_the_table_does():
    lines = [
        line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    told = {cells[0].strip(" `"): [cell.strip() for cell in cells[2:]] for cells in lines}
    assert set(told) == {name.partition(":")[0] for name in CHANGES}
    for name, (_, fate) in CHANGES.items():
        accepted, running = told[name.partition(":")[0]]
        assert WORDS[fate][0] in accepted, name
        assert WORDS[fate][1] in running, name
