"""Whose each pool and each node is: two leaders never both place work, whatever pools a node is in."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from hansa.model.reasons import Reason
from hansa.model.snapshot import Site
from hansa.reconcile.hub.leaders.claims import (
    annotations_of,
    claims_of,
    given_back_of,
    led_elsewhere,
)
from hansa.reconcile.hub.leaders.division import WHOLE, Division, Part, shared

NORTH, SOUTH = frozenset({"baltic", "north"}), frozenset({"south"})
MAIN = Division(claims={"baltic": NORTH, "north": NORTH, "south": SOUTH})
HUBS = {"main": MAIN, "north": Division(own=NORTH), "south": Division(own=SOUTH)}
POOLS = ("baltic", "north", "south", "league", "spare")
PARTS = {
    "in no pool": ((), "own", "others", "others"),
    "the main hub's": (("league",), "own", "others", "others"),
    "in two of the main hub's": (("league", "spare"), "own", "others", "others"),
    "another's": (("north",), "others", "own", "others"),
    "in two of another's": (("north", "baltic"), "others", "own", "others"),
    "in pools of two others": (("north", "south"), "shared", "shared", "shared"),
    "the main hub's and another's": (("north", "league"), "shared", "shared", "others"),
    "in everybody's": (POOLS, "shared", "shared", "shared"),
}


@pytest.mark.parametrize("case", PARTS)
def test_whose_a_node_is(case):
    pools, *parts = PARTS[case]
    assert [hub.part(pools).value for hub in HUBS.values()] == parts


@pytest.mark.parametrize("pools", [*chain.from_iterable(combinations(POOLS, n) for n in range(6))])
def test_one_hub_at_most_uses_a_node_and_exactly_one_keeps_it(pools):
    parts = [(hub, hub.part(pools)) for hub in HUBS.values()]
    assert sum(part is Part.OWN for _, part in parts) <= 1
    assert sum(hub.keeps(part) for hub, part in parts) == 1


@pytest.mark.parametrize("pool", [*POOLS, "nowhere", ""])
def test_exactly_one_hub_leads_each_pool_also_one_that_is_not_there(pool):
    assert sum(hub.leads(pool) for hub in HUBS.values()) == 1


def test_a_hub_by_itself_leads_everything():
    assert WHOLE.is_whole
    assert not any(hub.is_whole for hub in HUBS.values())
    assert WHOLE.leads("any")
    assert WHOLE.part(POOLS) is Part.OWN


GRAVER = {
    "nothing": (None, True),
    "less grave": (Reason.NODE_CORDONED, True),
    "graver": (Reason.JURISDICTION_DISPUTED, False),
}


@pytest.mark.parametrize("case", GRAVER)
def test_a_shared_node_says_why_unless_there_is_a_graver_reason(case):
    before, told = GRAVER[case]
    site = Site("n", "i", "o", "EE", frozenset(), unavailable=before)
    after = shared(site, {"south", "north"})
    assert after.unavailable is (Reason.NODE_OF_TWO_LEADERS if told else before)
    assert ("north, south" in after.unavailable_message) is told


def lease(name, **annotations):
    return {"metadata": {"name": name, "annotations": annotations}}


def test_claims_are_read_as_they_are_written():
    north = annotations_of(Division(own=NORTH), "a")
    leases = [
        lease("hansa-hub.north", **north),
        lease("hansa-hub.baltic", **north),
        lease("hansa-hub.south"),
        lease("hansa-hub", **annotations_of(MAIN, "b")),
        lease("other-hub.east"),
    ]
    assert claims_of(leases, "hansa-hub") == MAIN.claims
    assert led_elsewhere(leases[3]) == {"baltic", "north", "south"}
    assert given_back_of(leases, "hansa-hub") == frozenset()
    assert given_back_of(leases[1:], "hansa-hub") == {"north"}


@pytest.mark.parametrize("said", [None, 7, "", {"north": 1}])
def test_a_main_hub_that_says_nothing_readable_leaves_no_pool_to_others(said):
    assert (
        led_elsewhere(lease("hansa-hub", **{"hansa.dev/pools-led-elsewhere": said})) == frozenset()
    )
    assert led_elsewhere({"metadata": {"name": "hansa-hub"}}) == frozenset()
