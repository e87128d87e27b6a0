"""What a hub may call a grant: one fault each, told by its field; what is too much costs little."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.shape import misshapen
from tests import hostile
from tests.hostile import Random
from tests.quick import quickest_s

AT_MOST_S = 0.1
META = {
    "name": "x-e1",
    "namespace": "hansa-node-tartu",
    "uid": "u",
    "resourceVersion": "7",
    "generation": 1,
    "creationTimestamp": "2027-01-15T08:00:00Z",
}
CONDITION = {"type": "Running", "status": "True", "reason": "x", "lastTransitionTime": "x"}
GRANT = {"metadata": META, "spec": {"epoch": 1}, "status": {"conditions": [CONDITION]}}


def meta(**changes: Any) -> dict[str, Any]:
    return GRANT | {"metadata": META | changes}


def conditions(*rows: Any) -> dict[str, Any]:
    return GRANT | {"status": {"conditions": list(rows)}}


GOOD = {
    "a grant": GRANT,
    "nothing but its names": {"metadata": META},
    "no status yet": GRANT | {"status": None},
    "no conditions yet": GRANT | {"status": {"conditions": None}},
    "a bare condition": conditions({}),
    "a spec that is none": GRANT | {"spec": {"job": 7}},
}
BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "it is no object"),
    "a text": ("x", "it is no object"),
    "no metadata": ({"spec": {}}, "metadata is no object"),
    "a climbing name": (meta(name="../../secrets/x"), "metadata.name"),
    "a name that ends the line": (meta(name="a\n"), "metadata.name"),
    "a name with a question": (meta(name="a?b"), "metadata.name"),
    "another script's name": (meta(name="\u04351"), "metadata.name"),
    "a name too long": (meta(name="x" * 254), "metadata.name"),
    "no name": (meta(name=""), "metadata.name"),
    "a number for a name": (meta(name=7), "metadata.name"),
    "no namespace": (meta(namespace=None), "metadata.namespace"),
    "a list for a uid": (meta(uid=["u"]), "metadata.uid"),
    "a uid too long": (meta(uid="u" * 254), "metadata.uid"),
    "a number for a version": (meta(resourceVersion=7), "metadata.resourceVersion"),
    "a text for a generation": (meta(generation="x"), "metadata.generation"),
    "a truth for a generation": (meta(generation=True), "metadata.generation"),
    "a number for a time": (meta(creationTimestamp=7), "metadata.creationTimestamp"),
    "a spec that is no object": (GRANT | {"spec": 7}, "spec is no object"),
    "a status that is no object": (GRANT | {"status": [1]}, "status is no object"),
    "conditions that are no list": (GRANT | {"status": {"conditions": {"a": 1}}}, "no list"),
    "a condition that is none": (conditions(1), "something else than objects"),
    "a condition of no type": (conditions(CONDITION | {"type": 7}), "no text"),
    "a condition of no time": (conditions(CONDITION | {"lastTransitionTime": 7}), "no text"),
    "too many bytes": (GRANT | {"spec": {"x": "x" * (600 << 10)}}, "larger than"),
    "too many values": (GRANT | {"spec": {"x": [1] * 20_000}}, "more than"),
    "too many values in the status": (conditions(*[CONDITION] * 3_000), "more than"),
    "too deep": (GRANT | {"spec": {"x": hostile.deep(300)}}, "deeper"),
    "a million lists": (GRANT | {"spec": {"x": [[]] * 1_000_000}}, "larger than"),
}


@pytest.mark.parametrize("grant", GOOD.values(), ids=GOOD)
def test_let_in(grant: dict[str, Any]):
    assert not misshapen(grant)


@pytest.mark.parametrize(("grant", "why"), BAD.values(), ids=BAD)
def test_passed_over(grant: Any, why: str):
    assert why in misshapen(grant)
    assert quickest_s(lambda: misshapen(grant), AT_MOST_S) < AT_MOST_S


@given(st.randoms(use_true_random=False))
def test_nothing_raises(rng: Random):
    assert isinstance(misshapen(hostile.mutated(rng, GRANT, changes=4)), str)
    assert isinstance(misshapen(hostile.value(rng, 4)), str)
