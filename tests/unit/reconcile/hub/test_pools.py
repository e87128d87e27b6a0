"""A ComputePool as the planner gets it, field by field; one that cannot be read admits nobody."""

import pytest

from hansa.model.snapshot import Cap, PlaceSet, Pool, PreemptionRule, ResidencyRule, Share
from hansa.reconcile.hub.pools import ParsedPool, parse_pool
from tests.residency_kit import EVERYWHERE, WORLD, stands_in

LONGEST_S = 2_592_000
OVERLAY = {"name": "good", "places": ["JP", "EE"]}
FULL = {
    "nodes": {"names": ["tartu"], "jurisdictions": ["EE"]},
    "institutions": [
        {"institution": "clinic"},
        {
            "institution": "lab",
            "cohort": "east",
            "nominalGpus": 8,
            "borrowingLimitGpus": 4,
            "lendingLimitGpus": 0,
            "weight": 3,
        },
    ],
    "cohorts": [{"name": "east", "parent": "all"}, {"name": "all"}],
    "usageHalfLifeHours": 2,
    "residency": stands_in("EU", deny=["LV"]),
    "overlays": [OVERLAY],
    "caps": [{"dimension": "Vendor", "maxPercent": 40}],
    "preemption": {"minRuntimeSeconds": 5, "maxPerHour": 1, "patienceSeconds": 7},
    "disconnection": {"maxUnattendedSeconds": 90},
    "assurance": "L3",
    "gpuClasses": ["nvidia-l40s"],
}


def parsed(spec, **meta):
    return parse_pool({"metadata": {"name": "league"} | meta, "spec": spec})


def test_every_field():
    pool = Pool(
        name="league",
        site_names=frozenset({"tartu"}),
        site_jurisdictions=frozenset({"EE"}),
        shares=(Share("clinic"), Share("lab", "east", 8, 4, 0, 3)),
        cohort_parents={"east": "all", "all": ""},
        ceiling=ResidencyRule(PlaceSet(frozenset({"EU"}), frozenset({"LV"}))),
        overlays={"good": frozenset({"JP", "EE"})},
        caps=(Cap("Vendor", 40),),
        preemption=PreemptionRule(min_runtime_s=5, max_per_hour=1, patience_s=7),
        assurance=3,
        gpu_classes=frozenset({"nvidia-l40s"}),
        usage_half_life_s=7200,
    )

    assert parsed(FULL, generation=6) == ParsedPool(pool, 6, 90, (OVERLAY,))


def test_a_pool_that_asks_for_nothing_admits_everybody():
    assert parsed({"residency": EVERYWHERE}) == ParsedPool(Pool("league"), 0, LONGEST_S)


POLICIES = {
    "Never": (False, False),
    "LowerPriority": (True, False),
    "Borrowers": (False, True),
    "LowerPriorityOrBorrowers": (True, True),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_preemption(policy):
    rule = parsed({"residency": EVERYWHERE, "preemption": {"policy": policy}}).pool.preemption

    assert (rule.lower_priority, rule.borrowers) == POLICIES[policy]


MALFORMED = {
    "unknown field": ({"residency": EVERYWHERE, "nodez": {}}, "nodez: "),
    "wrong type": ({"residency": EVERYWHERE, "nodes": 3}, "nodes: "),
    "nothing": ({}, "residency: "),
    "no spec": (None, "residency: "),
    "a misspelt ceiling": ({"residancy": EVERYWHERE}, "residency: "),
    "half a ceiling": ({"residency": {"location": WORLD}}, "residency.legalControl: "),
    "a ceiling without places": (
        {"residency": EVERYWHERE | {"location": {}}},
        "residency.location.allow: ",
    ),
    "a misspelt refusal": (
        {"residency": EVERYWHERE | {"location": WORLD | {"denny": ["US"]}}},
        "residency.location.denny: ",
    ),
    "out of range": (
        {"residency": EVERYWHERE, "institutions": [{"institution": "x", "weight": 0}]},
        "institutions.0.weight",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_pool_that_cannot_be_read_has_no_sites(case):
    spec, field = MALFORMED[case]

    told = parsed(spec, generation=2)

    assert told.fault.startswith(field)
    assert told == ParsedPool(
        Pool("league", site_names=frozenset()), generation=2, max_unattended_s=0, fault=told.fault
    )
