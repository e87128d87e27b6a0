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
    "another jurisdiction first": (
        (node("bonn", country="DE"), node("oslo", country="NO")),
        Independence.INDEPENDENT,
        ("oslo", "bonn"),
    ),
    "who has shown nothing is asked last": (
        (node("new", country="NO", level=Level.DECLARED), node("bonn", country="DE")),
        Independence.INDEPENDENT,
        ("bonn", "new"),
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
