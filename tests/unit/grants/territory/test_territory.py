"""Residency as the member evaluates it: tables, and the oracle by plain sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.lawful import lets_in
from hansa.api.places import BLOCS, COUNTRIES
from hansa.api.residency import Overlay, PlaceRule
from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.territory import Territory, residency_rules
from tests.residency_kit import EVERYWHERE
from tests.unit.grants.grant_kit import grant, policy

NEAR = Overlay(name="near", places=("Baltic", "FI"))
LOOP = Overlay(name="loop", places=("overlay/loop",))
NESTED = Overlay(name="nested", places=("overlay/near", "PT-11"))
TERRITORY = Territory([NEAR, LOOP, NESTED])

CASES = {
    "world": (("World",), (), "EE", True),
    "bloc": (("EU",), (), "EE", True),
    "outside a bloc": (("EU",), (), "CH", False),
    "deny wins": (("EU",), ("Baltic",), "EE", False),
    "region of an allowed country": (("PT",), (), "PT-11", True),
    "country of an allowed region": (("PT-11",), (), "PT", False),
    "another region": (("PT-11",), (), "PT-13", False),
    "region denied": (("PT",), ("PT-11",), "PT-11", False),
    "overlay": (("overlay/near",), (), "FI", True),
    "overlay in overlay": (("overlay/nested",), (), "LV", True),
    "overlay region": (("overlay/nested",), (), "PT-11", True),
    "unknown overlay allowed": (("overlay/x", "EE"), (), "EE", False),
    "unknown overlay denied": (("EE",), ("overlay/x",), "EE", False),
    "circular overlay": (("overlay/loop", "EE"), (), "EE", False),
    "unknown country": (("ZZ",), (), "EE", False),
    "unknown country denied": (("EE",), ("ZZ",), "EE", False),
    "machine nowhere": (("World",), (), "ZZ", False),
    "machine in no region": (("World",), (), "EE-ZZ", False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rule(case):
    allow, deny, where, allowed = case
    # As built by code that checks nothing: the member believes no check but its own.
    rule = PlaceRule.model_construct(allow=allow, deny=deny)
    why = TERRITORY.objection(rule, where)
    assert (why == "") is allowed, why


KNOWN = st.sampled_from(sorted(set(BLOCS) | {"World", "EE", "LV", "PT", "BR", "US", "NO"}))


@given(
    st.lists(KNOWN, min_size=1, max_size=4),
    st.lists(KNOWN, max_size=3),
    st.sampled_from(sorted(COUNTRIES)),
)
def test_against_the_oracle(allow, deny, country):
    why = Territory().objection(PlaceRule(allow=tuple(allow), deny=tuple(deny)), country)
    assert (why == "") is lets_in(country, allow, deny)


def test_an_overlay_defined_twice_is_both():
    both = Territory([Overlay(name="o", places=("EE",)), Overlay(name="o", places=("LV",))])
    assert both.contains("overlay/o", "EE")
    assert both.contains("overlay/o", "LV")
    assert not Territory([LOOP]).contains("overlay/loop", "EE")


def test_a_holders_rule_knows_its_own_overlays_only():
    """A hub may say what its pool's overlays are, not what another's are."""
    names = EVERYWHERE | {"location": {"allow": ["overlay/near"]}}
    cohort = {"name": "cohort", "jurisdiction": "EE", "claim": "c", "residency": names}
    law = policy(datasets=[cohort], overlays=[{"name": "near", "places": ["LV"]}])
    wire = grant(overlays=[{"name": "near", "places": ["EE"]}])
    spec = WorkGrantSpec.model_validate(wire)
    [_, holders] = residency_rules(spec, law)
    assert holders.territory.contains("overlay/near", "LV")
    assert not holders.territory.contains("overlay/near", "EE")
    unnamed = residency_rules(spec, policy(datasets=[cohort]))[1]
    assert unnamed.territory.unknown(["overlay/near"]) == ["overlay/near"]
