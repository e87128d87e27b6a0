"""Timestamps come back as the seconds they were made of; other values are no timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.times import from_rfc3339, rfc3339, rfc3339_micro

WRITTEN = {
    0: ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
    1.75: ("1970-01-01T00:00:01Z", "1970-01-01T00:00:01.750000Z"),
    951_782_400: ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"),
    1_800_000_000.5: ("2027-01-15T08:00:00Z", "2027-01-15T08:00:00.500000Z"),
}


@pytest.mark.parametrize("seconds", WRITTEN)
def test_writing(seconds):
    assert (rfc3339(seconds), rfc3339_micro(seconds)) == WRITTEN[seconds]


READ = {
    "UTC": ("2027-01-15T08:00:00Z", 1_800_000_000.0),
    "micro": ("2027-01-15T08:00:00.250000Z", 1_800_000_000.25),
    "offset": ("2027-01-15T10:00:00+02:00", 1_800_000_000.0),
    "no zone means UTC": ("2027-01-15T08:00:00", 1_800_000_000.0),
    "before the epoch": ("1969-12-31T23:59:59Z", -1.0),
    "empty": ("", None),
    "words": ("yesterday", None),
    "no such day": ("2027-02-30T00:00:00Z", None),
    "year 0": ("0000-01-01T00:00:00Z", None),
    "absent": (None, None),
    "a number": (1_800_000_000, None),
    "a list": (["2027-01-15T08:00:00Z"], None),
}


@pytest.mark.parametrize("case", READ)
def test_reading(case):
    text, seconds = READ[case]

    assert from_rfc3339(text) == seconds


LAST_S = 253_402_300_799
"""9999-12-31T23:59:59Z."""


@given(st.integers(0, LAST_S))
def test_seconds_come_back(seconds):
    assert from_rfc3339(rfc3339(seconds)) == seconds
    assert from_rfc3339(rfc3339_micro(seconds)) == seconds


@given(st.text())
def test_no_text_raises(text):
    from_rfc3339(text)
