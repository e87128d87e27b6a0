"""Timestamps come back as the seconds they were made of; other values are no timestamps."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hansa
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
    "nano": ("2027-01-15T08:00:00.250000999Z", 1_800_000_000.25),
    "many digits": (f"2027-01-15T08:00:00.{'0' * 60}Z", 1_800_000_000.0),
    "an unknown zone": ("2027-01-15T08:00:00-00:00", 1_800_000_000.0),
    "before the epoch": ("1969-12-31T23:59:59Z", -1.0),
    "empty": ("", None),
    "words": ("yesterday", None),
    "no such day": ("2027-02-30T00:00:00Z", None),
    "year 0": ("0000-01-01T00:00:00Z", None),
    "no zone": ("2027-01-15T08:00:00", None),
    "no time": ("2027-01-15", None),
    "no seconds": ("2027-01-15T08:00Z", None),
    "a week date": ("2027-W02-5T08:00:00Z", None),
    "a week date alone": ("2026-W48-1", None),
    "a day of the year": ("2027-015T08:00:00Z", None),
    "without hyphens": ("20270115T080000Z", None),
    "a comma": ("2027-01-15T08:00:00,5Z", None),
    "a lower-case t": ("2027-01-15t08:00:00Z", None),
    "a lower-case z": ("2027-01-15T08:00:00z", None),
    "a space": ("2027-01-15 08:00:00Z", None),
    "a point and no digits": ("2027-01-15T08:00:00.Z", None),
    "a leap second": ("2016-12-31T23:59:60Z", None),
    "hour 24": ("2027-01-15T24:00:00Z", None),
    "a zone of a day": ("2027-01-15T08:00:00+24:00", None),
    "a zone in seconds": ("2027-01-15T08:00:00+02:00:30", None),
    "a zone without a colon": ("2027-01-15T08:00:00+0200", None),
    "a line end": ("2027-01-15T08:00:00Z\n", None),
    "digits of another script": ("\u0662\u0660\u0662\u0667-01-15T08:00:00Z", None),
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


PLAIN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
"""Section 5.6 of RFC 3339, as it stands there in upper case."""


def read_plainly(text: str) -> int | None:
    """Return the whole seconds of a time, by the calendar's own arithmetic."""
    found = PLAIN.fullmatch(text)
    if found is None:
        return None
    numbers = [int(part or 0) for part in found.group(1, 2, 3, 4, 5, 6, 9, 10)]
    year, month, day, hour, minute, second, zone_hour, zone_minute = numbers
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    if max(hour, zone_hour) > 23 or max(minute, second, zone_minute) > 59:
        return None
    sign = -1 if found[8] == "-" else 1
    days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    minutes = (hour - sign * zone_hour) * 60 + minute - sign * zone_minute
    return days * 86_400 + minutes * 60 + second


def two(least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).map("{:02}".format)


DAYS = st.one_of(
    st.tuples(st.just("2027"), two(0, 13), two(0, 32)).map("-".join),
    st.sampled_from(
        ["2026-W48-1", "2026-W48", "2027-015", "20270115", "2027-1-5", "\uff12027-01-15"]
    ),
)
CLOCKS = st.one_of(
    st.tuples(two(0, 25), two(0, 60), two(0, 61)).map(":".join),
    st.sampled_from(["08", "08:00", "080000", "8:0:0"]),
)
ZONES = st.one_of(
    st.sampled_from(["Z", "z", "", "+0200", "+02", "+02:00:30", "-00:00", "Z\n", " Z", "ZZ"]),
    st.tuples(st.sampled_from("+-"), two(0, 25), st.just(":"), two(0, 60)).map("".join),
)
PARTS = (
    *(DAYS, st.sampled_from(["T", "T", "T", "t", " ", ""]), CLOCKS),
    *(st.sampled_from(["", "", ".5", ".123456789", ",5", ".", ".5_0"]), ZONES),
)


@settings(max_examples=500)
@given(st.tuples(*PARTS).map("".join))
def test_what_is_a_time_is_what_the_plain_grammar_says(text):
    seconds = from_rfc3339(text)
    assert (None if seconds is None else math.floor(seconds)) == read_plainly(text)


def test_nobody_else_reads_times():
    """A second reader would take other texts, or the same as another moment.

    The launcher is a program of its own in the run's image, and reads the guard's note by its one form.
    """
    root = Path(hansa.__file__).parent
    reading = re.compile(r"fromisoformat|strptime|dateutil")
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if reading.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"model/times.py", "reconcile/member/ray/launcher.py"}
