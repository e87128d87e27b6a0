"""Bitsets against plain sets, over a hundred thousand random cases; and rules nobody can read."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.lawful import is_within
from hansa.api import places
from hansa.model.reasons import Reason
from hansa.model.snapshot import PlaceSet, ResidencyRule, Site
from hansa.placement.rules.residency import Atlas, Fault
from tests.unit.placement.leagues.random_leagues import COUNTRIES, OVERLAYS, random_rule

RULES, SITES = 400, 300


def test_bits_agree_with_sets_in_a_hundred_thousand_cases():
    rng = np.random.default_rng(7)
    atlas = Atlas(COUNTRIES)
    standing = rng.choice(COUNTRIES, size=SITES)
    laws = [frozenset(rng.choice(COUNTRIES, size=rng.integers(1, 4))) for _ in range(SITES)]
    sites = [
        Site("s", "i", "o", str(c), frozenset(map(str, law)))
        for c, law in zip(standing, laws, strict=True)
    ]
    bits = [atlas.bits_of_site(site) for site in sites]
    outcomes = set()
    for _ in range(RULES):
        rules = [random_rule(rng) for _ in range(int(rng.integers(1, 4)))]
        law = atlas.compile(rules, OVERLAYS)
        assert not isinstance(law, Fault)
        ok = {c: all(is_within(r.location, c, OVERLAYS) for r in rules) for c in COUNTRIES}
        under = {c: all(is_within(r.legal_control, c, OVERLAYS) for r in rules) for c in COUNTRIES}
        for site, (location, control) in zip(sites, bits, strict=True):
            expected = None
            if not ok[site.jurisdiction]:
                expected = Reason.RESIDENCY_DENIED
            elif not all(under[law_] for law_ in site.legal_control):
                expected = Reason.LEGAL_CONTROL_DENIED
            assert law.objection(location, control) is expected
            outcomes.add(expected)
    assert RULES * SITES >= 100_000
    assert outcomes == {None, Reason.RESIDENCY_DENIED, Reason.LEGAL_CONTROL_DENIED}


DENIED = {
    "deny wins over allow": (PlaceSet(frozenset({"EU"}), frozenset({"EE"})), "EE", False),
    "a region is in its country": (PlaceSet(frozenset({"PT"})), "PT-11", True),
    "a country is not in its region": (PlaceSet(frozenset({"PT-11"})), "PT", False),
    "Norway is in the EEA": (PlaceSet(frozenset({"EEA"})), "NO", True),
    "Norway is not in the EU": (PlaceSet(frozenset({"EU"})), "NO", False),
    "an overlay of an overlay": (PlaceSet(frozenset({"overlay/friends"})), "FI", True),
    "an overlay denies too": (PlaceSet(deny=frozenset({"overlay/friends"})), "FI", False),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "country", "is_allowed"), DENIED.values(), ids=DENIED)
def test_where_a_rule_lets_data_go(rule, country, is_allowed):
    atlas = Atlas({"PT-11"})
    law = atlas.compile([ResidencyRule(rule)], OVERLAYS)
    bit = atlas.bit(country)
    assert (law.objection(bit, bit) is None) == is_allowed


OWNERS, POOLS = Reason.UNKNOWN_JURISDICTION, Reason.POOL_MISCONFIGURED
FAULTS = {
    "misspelt bloc": ({"Nordics"}, {}, OWNERS, "did you mean Nordic"),
    "misspelt overlay": ({"overlay/freinds"}, {"friends": frozenset({"EE"})}, OWNERS, "overlay/friends"),
    "no such country": ({"QX"}, {}, OWNERS, "there is no place QX"),
    "nothing like it": ({"zzzzzzzzz"}, {}, OWNERS, "there is no place zzzzzzzzz"),
    "unknown inside an overlay": ({"overlay/a"}, {"a": frozenset({"Atlantis"})}, POOLS, "overlay/a names Atlantis"),
    "itself": ({"overlay/a"}, {"a": frozenset({"overlay/a"})}, POOLS, "through itself"),
    "a circle": ({"overlay/a"}, {"a": frozenset({"overlay/b"}), "b": frozenset({"EE", "overlay/a"})}, POOLS, "through itself"),
}  # fmt: skip


@pytest.mark.parametrize(("allow", "overlays", "reason", "words"), FAULTS.values(), ids=FAULTS)
def test_a_rule_nobody_can_interpret_says_what_is_wrong_and_whose(allow, overlays, reason, words):
    fault = Atlas().compile([ResidencyRule(PlaceSet(frozenset(allow)))], overlays)
    assert isinstance(fault, Fault)
    assert fault.reason is reason
    assert words in fault.message


def test_two_ways_to_one_overlay_are_no_circle():
    overlays = {"a": frozenset({"overlay/b", "overlay/c"}), "b": frozenset({"overlay/d"}), "c": frozenset({"overlay/d"}), "d": frozenset({"EE"})}  # fmt: skip
    law = Atlas().compile([ResidencyRule(PlaceSet(frozenset({"overlay/a"})))], overlays)
    assert not isinstance(law, Fault)


UNKNOWN_SITES = {
    "law undeclared": ("EE", frozenset()),
    "law unknown": ("EE", frozenset({"EE", "QX"})),
    "place unknown": ("QX", frozenset({"EE"})),
}


@pytest.mark.parametrize(("jurisdiction", "law"), UNKNOWN_SITES.values(), ids=UNKNOWN_SITES)
def test_a_site_that_is_not_fully_known_takes_nothing(jurisdiction, law):
    atlas = Atlas()
    bits = atlas.bits_of_site(Site("s", "i", "o", jurisdiction, law))
    compiled = atlas.compile([ResidencyRule()], {})
    assert not isinstance(compiled, Fault)
    assert compiled.objection(*bits) is Reason.JURISDICTION_DISPUTED


def test_blocs_are_made_of_countries():
    assert {name: len(bloc) for name, bloc in places.BLOCS.items()} == {
        "EU": 27, "EEA": 30, "Nordic": 5, "Baltic": 3, "Mercosur": 5, "AfricanUnion": 55,
        "ASEAN": 11, "CARICOM": 15, "World": 249,
    }  # fmt: skip
    assert all(bloc <= places.COUNTRIES for bloc in places.BLOCS.values())
