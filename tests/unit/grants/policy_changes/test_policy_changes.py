"""Law that changes: for every field of the MemberPolicy, what becomes of new, accepted and running work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.grants import trust
from hansa.grants.checks import judge
from hansa.grants.facts import GpuStock, Proposal
from hansa.grants.policy_changes import REACH, Reach, judge_again
from hansa.grants.reasons import MemberReason
from tests.unit.grants.grant_kit import facts
from tests.unit.grants.policy_changes.changed_policies import (
    AT_THE_END,
    AT_THE_FENCE,
    CHANGES,
    GRANT,
    STOPS,
    TAKEN_BACK,
    law_after,
    law_before,
)

EXPECTED = {
    STOPS: (False, False, False),
    TAKEN_BACK: (False, False, True),
    AT_THE_FENCE: (True, True, True),
    AT_THE_END: (True, True, True),
}
FEW = facts(stock={"nvidia-rtx-4090": GpuStock(1, 24 << 30)})


def proposal(wire=GRANT) -> Proposal:
    found = trust.read(wire)
    assert isinstance(found, Proposal)
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_the_work_was_allowed(name):
    assert judge(CHANGES[name].grant, law_before(name), facts()).objections == ()


@pytest.mark.parametrize("name", CHANGES)
def test_every_field(name):
    row, law, now = CHANGES[name], law_after(name), FEW if name == "lending" else facts()

    is_new_accepted = judge(row.grant, law, now).accepted
    stands = [
        judge_again(proposal(row.grant), law, now, reach) is None
        for reach in (Reach.ACCEPTED, Reach.RUNNING)
    ]

    assert (is_new_accepted, *stands) == EXPECTED[row.fate]


def test_no_field_of_the_policy_is_without_a_row():
    fields = {info.alias or name for name, info in MemberPolicySpec.model_fields.items()}
    assert {row.partition(":")[0] for row in CHANGES} == fields


def test_every_reason_has_a_reach():
    assert set(REACH) == set(MemberReason)


def test_an_owners_signature_that_has_run_out_lets_a_run_finish():
    late = replace(facts(), now_s=facts().now_s + 3601)
    law = law_before("tenants")
    assert judge_again(proposal(), law, late, Reach.ACCEPTED) is not None
    assert judge_again(proposal(), law, late, Reach.RUNNING) is None


def test_what_passes_by_itself_takes_nothing_back():
    away = replace(facts(), hub_skew_s=None, live_epochs=(3,))
    assert judge_again(proposal(), law_before("tenants"), away, Reach.ACCEPTED) is None


PAGE = Path(__file__).parents[4] / "docs" / "reference" / "policy-changes.md"
ENDS, FINISHES, TAKES_EFFECT = "ends", "finishes", "takes effect"
FENCED, WHEN_IT_ENDS = "keeps the fence it was made with", "takes effect when it ends"
WORDS = {
    STOPS: (ENDS, "stops"),
    TAKEN_BACK: (ENDS, FINISHES),
    AT_THE_FENCE: (TAKES_EFFECT, FENCED),
    AT_THE_END: (TAKES_EFFECT, WHEN_IT_ENDS),
}
QUALIFIED = {
    "switch": ({ENDS}, {"`Paused`: finishes", "`Stopped`: stops"}),
    "trustedOwners": ({ENDS}, {"stops where one is needed"}),
    "overlays": ({"ends where it keeps the place out"}, {"stops where it keeps the place out"}),
    "datasets": (
        {ENDS, "other `exports`: takes effect"},
        {"stops", "other `exports`: takes effect when it ends"},
    ),
    "lending": ({"ends where too few are left"}, {FINISHES}),
    "maxRuntimeSeconds": ({ENDS}, {"finishes, within the time it was accepted for"}),
    "maxConcurrentJobs": ({"ends what is too many"}, {FINISHES}),
    "hours": ({"ends outside"}, {FINISHES}),
    "packageIndex": (
        {"gone: ends where a lock needs it", "other: takes effect"},
        {"gone: finishes", "other: keeps the fence it was made with"},
    ),
}
"""Fields of which the page says more than a word."""


def test_the_page_says_what_the_table_does():
    lines = [
        line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    told = {
        cells[0].strip(" `"): tuple({*cell.strip().split("; ")} for cell in cells[2:])
        for cells in lines
    }
    plain = {
        name: tuple({word} for word in WORDS[row.fate])
        for name, row in CHANGES.items()
        if ":" not in name
    }
    assert told == plain | QUALIFIED


@pytest.mark.parametrize("field", QUALIFIED)
def test_what_the_page_says_more_of_a_field_says_the_same(field):
    fates = [row.fate for name, row in CHANGES.items() if name.partition(":")[0] == field]
    for said, words in zip(QUALIFIED[field], zip(*map(WORDS.get, fates), strict=True), strict=True):
        verbs = {phrase.rpartition(": ")[2] for phrase in said}
        assert all(any(verb.startswith(word) for verb in verbs) for word in words)
        assert all(any(verb.startswith(word) for word in words) for verb in verbs)
