"""The line an epoch is remembered by, and which grants it makes stale."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.epochs import EpochRecord, Outcome, stale

RECORDS = st.builds(
    EpochRecord,
    epoch=st.integers(1, 10**9),
    digest=st.text("0123456789abcdef", min_size=16, max_size=16),
    outcome=st.sampled_from(Outcome),
    keep_until_s=st.integers(0, 10**12),
    reason=st.sampled_from(("-", "Cancelled", "ResidencyDenied")),
)


@given(RECORDS)
def test_a_record_survives_its_line(record):
    assert EpochRecord.parse(record.line()) == record


@pytest.mark.parametrize("line", ["", "x", "1 a A 2", "1 a Z 2 -", "x a A 2 -", "1 a A x -"])
def test_spoilt_lines_are_no_records(line):
    assert EpochRecord.parse(line) is None


@given(RECORDS, st.integers(1, 10**9), st.sampled_from(("a" * 16, "b" * 16)))
def test_only_a_newer_or_the_very_same_accepted_grant_is_fresh(seen, epoch, digest):
    fresh = epoch > seen.epoch or (
        epoch == seen.epoch and digest == seen.digest and seen.outcome is Outcome.ACCEPTED
    )
    assert (stale(seen, epoch, digest) == "") is fresh
    assert stale(None, epoch, digest) == ""
