"""A data set's rule means what its holder's own policy says, however the hub defines the same words."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.grants.checks import judge
from hansa.grants.reasons import MemberReason
from tests.residency_kit import stands_in, under_law_of
from tests.unit.grants.grant_kit import facts, grant, policy

NEAR = "overlay/near"
PLACE, LAW = {MemberReason.RESIDENCY_DENIED}, {MemberReason.LEGAL_CONTROL_DENIED}
BUT_NEAR = stands_in("World", deny=[NEAR])
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...], set[MemberReason]]] = {
    "a place that the hub widens": (stands_in(NEAR), ("LV",), ("World",), PLACE),
    "a law that the hub widens": (under_law_of(NEAR), ("LV",), ("World",), LAW),
    "a place that the hub alone explains": (stands_in(NEAR), (), ("World",), PLACE),
    "a law that the hub alone explains": (under_law_of(NEAR), (), ("World",), LAW),
    "a denied place that the hub narrows": (BUT_NEAR, ("EE",), ("LV",), PLACE),
    "a denied place that the hub alone explains": (BUT_NEAR, (), ("LV",), PLACE),
    "a place that the hub narrows": (stands_in(NEAR), ("EE",), ("LV",), set()),
    "a denied place that the hub widens": (BUT_NEAR, ("LV",), ("World",), set()),
}
"""The data set's rule, what near is to its holder, what it is to the hub, what the judge says in Estonia."""


def overlays(*places: str) -> list[dict[str, Any]]:
    return [{"name": "near", "places": [*places]}] if places else []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_holders_words_count(case):
    rule, ours, theirs, reasons = case
    cohort = {"name": "cohort", "jurisdiction": "EE", "claim": "cohort", "residency": rule}
    law = policy(datasets=[cohort], overlays=overlays(*ours))

    found = judge(grant(overlays=overlays(*theirs)), law, facts())

    assert {objection.reason for objection in found.objections} == reasons
