"""The quick way to canonical JSON says the same as the library of RFC 8785, errors included."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.envelope import canonical

MOST = 2**53 - 1


class Word(enum.StrEnum):
    A = "a"


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


CASES: dict[str, Any] = {
    "control characters": {"a": "".join(map(chr, range(0x20))) + '\x7f\\/"'},
    "what HTML escapes": {"<": "<>&'\u2028"},
    "keys by UTF-16": {"\ue000": 1, "\U00010000": 2, "z": 3},
    "keys by ASCII": {"B": 1, "a": 2, "_": 3, "aa": 4, "": 5},
    "floats": [1.0, 1e21, 1e-7, 0.1, -0.0, 5e-324],
    "a float in depth": {"a": [{"b": 1.0}]},
    "whole numbers": [0, -1, MOST, -MOST],
    "booleans": [True, False, None],
    "an enum": {"a": Word.A},
    "a tuple": (1, "a"),
    "no plain ASCII": {"a": "\u00e4\u20ac\U0001f600"},
    "depth": deep(300),
}


@pytest.mark.parametrize("case", CASES)
def test_it_says_the_same(case):
    assert canonical(CASES[case]) == rfc8785.dumps(CASES[case])


ERRORS: dict[str, Any] = {
    "beyond a double": MOST + 1,
    "beyond 64 bits": 2**64,
    "not a number": math.nan,
    "a surrogate": "\ud800",
    "a surrogate as key": {"\ud800": 1},
    "a key that is no text": {1: 1},
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "bytes": b"a",
}


@pytest.mark.parametrize("case", ERRORS)
def test_it_refuses_the_same(case):
    value = {"a": [ERRORS[case]]}
    with pytest.raises(ValueError) as known:  # noqa: PT011  # its own errors are of that kind
        rfc8785.dumps(value)
    with pytest.raises(known.type):
        canonical(value)


LEAVES = (
    st.none() | st.booleans() | st.integers(-MOST, MOST) | st.text() | st.floats(allow_nan=False)
)
VALUES = st.recursive(
    LEAVES.filter(lambda leaf: not (isinstance(leaf, float) and math.isinf(leaf))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_says_the_same_of_any_value(value):
    assert canonical(value) == rfc8785.dumps(value)
