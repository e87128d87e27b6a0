"""Who audits: independent, allowed by the law of the data, drawn by the ticket."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.auditors import Candidate, Independence, rank
from hansa.verification.levels import Level


def node(name, *, of=None, group=None, country="AT", level=Level.SAMPLED, refused=""):
    of = of or f"uni-{name}"
    return Candidate(name, of, group or of, country, level, refused)


PROVIDER = node("berlin", of="charite", country="DE")
OTHERS = tuple(node(f"n{i}") for i in range(8))
CASES = {
    "nobody but itself": ((), Independence.SELF, ("berlin",)),
    "its own other node is itself": (
        (node("potsdam", of="charite"),),
        Independence.SELF,
        ("berlin",),
    ),
    "a sister in the same group is no other": (
        (node("munich", group="charite"),),
        Independence.SELF,
        ("berlin",),
    ),
    "the payer does not audit what it pays": (
        (node("payer-node", of="payer", group="holding"),),
        Independence.SELF,
        ("berlin",),
    ),
    "nor does whom the payer owns": (
        (node("daughter", group="payer"),),
        Independence.SELF,
        ("berlin",),
    ),
    "the law of the data": (
        (node("oslo", refused="ResidencyDenied"), node("vienna")),
        Independence.INDEPENDENT,
        ("vienna",),
    ),
    "the data may be nowhere else": (
        (node("oslo", refused="ResidencyDenied"),),
        Independence.SELF,
        ("berlin",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_who_audits(case):
    others, independence, nodes = case
    found = rank(5, PROVIDER, "payer", (PROVIDER, *others))
    assert (found.independence, found.nodes) == (independence, nodes)


def test_not_even_itself():
    away = replace(PROVIDER, refused="NodeCordoned")
    assert rank(5, away, "payer", ()).independence is Independence.NONE


@given(st.integers(0, 2**256 - 1), st.permutations(OTHERS), st.integers(0, 7))
def test_nobody_else_moves_when_one_leaves(ticket, others, leaving):
    before = rank(ticket, PROVIDER, "payer", OTHERS).nodes
    after = rank(ticket, PROVIDER, "payer", [one for one in others if one != OTHERS[leaving]]).nodes
    assert after == tuple(name for name in before if name != OTHERS[leaving].node)


def test_everybody_gets_a_share():
    firsts = Counter(rank(t, PROVIDER, "payer", OTHERS).nodes[0] for t in range(4_000))
    assert all(400 < count < 600 for count in firsts.values())
    assert len(firsts) == 8


ABROAD = tuple(node(f"abroad{i}", country="NO") for i in range(3))
AT_HOME = tuple(node(f"home{i}", country="DE") for i in range(5))
NEW = tuple(node(f"new{i}", country="NO", level=Level.DECLARED) for i in range(5))


def firsts(others, tickets=2_000):
    return Counter(rank(t, PROVIDER, "payer", others).nodes[0] for t in range(tickets))


def test_another_jurisdiction_comes_first():
    assert firsts((*AT_HOME, *ABROAD)).keys() == {one.node for one in ABROAD}


def test_who_has_shown_nothing_comes_last():
    found = rank(5, PROVIDER, "payer", (*NEW, *AT_HOME)).nodes
    assert set(found[:5]) == {one.node for one in AT_HOME}


FRIENDS = {
    "abroad, alone": (*AT_HOME, ABROAD[0]),
    "abroad, both": (*AT_HOME, *ABROAD[:2]),
    "shown something, alone": (*NEW, AT_HOME[0]),
    "with ten nodes": (
        *AT_HOME,
        *(node(f"friend{i}", of="friend", country="DE") for i in range(10)),
    ),
}


@pytest.mark.parametrize("others", FRIENDS.values(), ids=FRIENDS)
def test_no_friend_is_asked_first_more_often_than_another(others):
    of = {one.node: one.owner_group for one in others}
    asked = Counter(of[name] for name in firsts(others).elements())
    fair = 2_000 / len(set(of.values()))
    assert max(asked.values()) < 1.25 * fair


def test_a_second_node_of_a_group_is_asked_behind_all_other_groups():
    several = (*AT_HOME, *(node(f"friend{i}", of="friend", country="DE") for i in range(3)))
    found = rank(5, PROVIDER, "payer", several).nodes
    assert sum(name.startswith("friend") for name in found[:6]) == 1
    assert len(found) == 8
