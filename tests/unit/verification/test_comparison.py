"""When two runs are equal. What another institution sends may be anything."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.comparison import (
    Comparator,
    HardwareClass,
    Match,
    Outcome,
    compare,
)

L40S = HardwareClass("sha256:" + 64 * "a", "nvidia-l40s", 580, "bfloat16", "2x4")
H100 = replace(L40S, accelerator="nvidia-h100")
UNTOLD = replace(L40S, driver_major=None)
NEAR = Comparator(absolute=0.01, relative=0.001)


def gave(value, *, on=L40S, outputs=()):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Outcome(on, "sha256:" + hashlib.sha256(text).hexdigest(), tuple(outputs), text)


def deep(depth):
    return b"[" * depth + b"1" + b"]" * depth


TRUE = gave({"loss": 1.0, "epochs": 3, "name": "run", "curve": [2.0, 1.0]})
CASES = {
    "the same bits": (TRUE, TRUE, None, Match.EQUAL),
    "the same bits on other hardware": (TRUE, replace(TRUE, hardware=H100), None, Match.EQUAL),
    "other bits": (TRUE, gave({"loss": 1.001}), None, Match.DIFFERENT),
    "other bits, and nobody tells which driver": (
        replace(TRUE, hardware=UNTOLD),
        gave({}, on=UNTOLD),
        None,
        Match.INCOMPARABLE,
    ),
    "other numbers than the job allows, whichever driver": (
        replace(TRUE, hardware=UNTOLD),
        gave({}, on=UNTOLD),
        Comparator(),
        Match.DIFFERENT,
    ),
    "other bits on other hardware": (TRUE, gave({}, on=H100), None, Match.INCOMPARABLE),
    "another driver": (
        TRUE,
        gave({}, on=replace(L40S, driver_major=575)),
        None,
        Match.INCOMPARABLE,
    ),
    "another output": (
        gave(1, outputs=["sha256:1"]),
        gave(1, outputs=["sha256:2"]),
        None,
        Match.DIFFERENT,
    ),
    "a missing output": (gave(1), gave(1, outputs=["sha256:2"]), None, Match.DIFFERENT),
    "near": (gave({"loss": 1.0}), gave({"loss": 1.01}, on=H100), NEAR, Match.EQUAL),
    "not near": (gave({"loss": 1.0}), gave({"loss": 1.02}), NEAR, Match.DIFFERENT),
    "near for its size": (gave(1000), gave(1001), NEAR, Match.EQUAL),
    "other names": (gave({"a": 1}), gave({"b": 1}), NEAR, Match.DIFFERENT),
    "a number and a word": (gave(1), gave("1"), NEAR, Match.DIFFERENT),
    "a number and a truth": (gave(1), gave(True), NEAR, Match.DIFFERENT),  # noqa: FBT003
    "other words": (gave({"a": "x"}), gave({"a": "y"}), NEAR, Match.DIFFERENT),
    "another length": (gave([1]), gave([1, 1]), NEAR, Match.DIFFERENT),
    "nothing and nothing": (gave([None]), gave([None, 1][:1]), NEAR, Match.EQUAL),
    "deep inside": (gave({"a": [{"b": 1}]}), gave({"a": [{"b": 2}]}), NEAR, Match.DIFFERENT),
    "not what the receipt says": (
        replace(gave(1), result=b"1.0"),
        gave(1.001),
        NEAR,
        Match.DIFFERENT,
    ),
    "not shown": (replace(gave(1), result=None), gave(2), NEAR, Match.DIFFERENT),
    "the auditor shows nothing": (gave(1), replace(gave(2), result=None), NEAR, Match.INCOMPARABLE),
    "the auditor shows another": (
        gave(1),
        replace(gave(2), result=b"1"),
        NEAR,
        Match.INCOMPARABLE,
    ),
    "no JSON": (gave(b"\xff"), gave(1), NEAR, Match.DIFFERENT),
    "the auditor's is no JSON": (gave(1), gave(b"{"), NEAR, Match.INCOMPARABLE),
    "NaN": (gave(b"NaN"), gave(1), NEAR, Match.DIFFERENT),
    "infinite": (gave(b"1e999"), gave(1), NEAR, Match.DIFFERENT),
    "very deep": (gave(deep(100_000)), gave(1), NEAR, Match.DIFFERENT),
    "deeper than is compared": (gave(deep(64)), gave(deep(63)), NEAR, Match.DIFFERENT),
    "as deep as is compared": (gave(deep(63)), gave(b" " + deep(63)), NEAR, Match.EQUAL),
    "very long": (gave(b" " * (1 << 20) + b"1"), gave(1), NEAR, Match.DIFFERENT),
    "an integer of 5,000 digits": (gave(b"9" * 5_000), gave(1), NEAR, Match.DIFFERENT),
    "an integer that is no float": (gave(10**400), gave(10**400 + 1), NEAR, Match.DIFFERENT),
    "large integers exactly": (
        gave(2**53),
        gave(2**53 + 1),
        Comparator(),
        Match.DIFFERENT,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_equal_different_or_incomparable(case):
    claimed, again, comparator, match = case
    found = compare(claimed, again, comparator)
    assert found.match is match
    assert found.why


def test_says_where():
    found = compare(gave({"a": [1, {"b": 5}]}), gave({"a": [1, {"b": 6}]}), NEAR)
    assert found.why.startswith("result.a[1].b: 5 and 6")


@pytest.mark.parametrize(
    "bad",
    [{"absolute": -1}, {"relative": -0.1}, {"absolute": float("nan")}, {"relative": 1.0}],
    ids=str,
)
def test_a_tolerance_that_is_none(bad):
    with pytest.raises(ValueError, match=f"comparator.{next(iter(bad))}"):
        Comparator(**bad)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON, st.floats(0, 10), st.floats(0, 0.5))
def test_it_matters_to_nobody_who_is_who(one, other, absolute, relative):
    comparator = Comparator(absolute, relative)
    there = compare(gave(one), gave(other), comparator).match
    assert there is compare(gave(other), gave(one), comparator).match
    assert compare(gave(one), gave(one), comparator).match is Match.EQUAL


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_judged(one, other):
    assert compare(gave(one), gave(other), NEAR).match in Match
