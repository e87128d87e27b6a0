"""The set-based reading of the law that every policy is checked by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.lawful import Lawful, around
from hansa.model.snapshot import PlaceSet, ResidencyRule


def _rule(
    *allow: str, deny: tuple[str, ...] = (), law: tuple[str, ...] = ("World",)
) -> ResidencyRule:
    return ResidencyRule(PlaceSet(frozenset(allow), frozenset(deny)), PlaceSet(frozenset(law)))


RULES = {
    "anywhere": (_rule("World"), ["ee", "lv", "pt"]),
    "a country": (_rule("EE"), ["ee"]),
    "a bloc": (_rule("Baltic"), ["ee", "lv"]),
    "deny wins": (_rule("EU", deny=("Baltic",)), ["pt"]),
    "an overlay": (_rule("overlay/west"), ["pt"]),
    "an overlay inside an overlay": (_rule("overlay/outer"), ["ee", "pt"]),
    "foreign law reaches Portugal": (_rule("World", law=("EU",)), ["ee", "lv"]),
}


@pytest.mark.parametrize(("rule", "expected"), RULES.values(), ids=RULES)
def test_where_a_job_may_run(rule, expected, site, job, league):
    foreign = replace(site("pt", "PT", 8), legal_control=frozenset({"PT", "US"}))
    snapshot = league(site("ee", "EE", 8), site("lv", "LV", 8), foreign)
    overlays = {
        "west": frozenset({"PT"}),
        "outer": frozenset({"overlay/west", "EE", "overlay/outer"}),
    }
    pools = (replace(snapshot.pools[0], overlays=overlays),)
    lawful = Lawful(replace(snapshot, pools=pools))
    assert list(lawful.sites(job("j", 1, residency=rule))) == expected


def test_data_assurance_pool_and_holders_rules(site, job, league):
    here = replace(site("here", "EE", 8), datasets={"d": "EE"}, assurance=2)
    there = replace(site("there", "LV", 8), datasets={"d": "LV"})
    undeclared = replace(site("none", "EE", 8), legal_control=frozenset())
    snapshot = league(here, there, undeclared)
    assert Lawful(snapshot).sites(job("j", 1)) == ("here", "there")
    assert Lawful(snapshot).sites(job("j", 1, data=("d",))) == ("here", "there")
    assert Lawful(snapshot).sites(job("j", 1, assurance=1)) == ("here",)
    strict = replace(here, dataset_rules={"d": _rule("LV")})
    announced = replace(snapshot, sites=(strict, there, undeclared))
    assert Lawful(announced).sites(job("j", 1, data=("d",))) == ("there",)
    small = (replace(snapshot.pools[0], site_jurisdictions=frozenset({"LV"})),)
    assert Lawful(replace(snapshot, pools=small)).sites(job("j", 1)) == ("there",)


def test_what_lies_around_the_places_of_the_demo():
    """Written out by hand, because the oracle shares the table of blocs with the product."""
    assert around("EE") == {"EE", "Baltic", "EU", "EEA", "World"}
    assert around("LV") == {"LV", "Baltic", "EU", "EEA", "World"}
    assert around("PT-11") == {"PT-11", "PT", "EU", "EEA", "World"}
    assert around("US") == {"US", "World"}
