"""What is remembered of epochs: its lines, that it never turns back, and which grants it makes stale."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.grants.epochs import BEGUN, EpochRecord, Epochs, Outcome, Seen, stale

UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
DIGESTS = st.text("0123456789abcdef", min_size=16, max_size=16)
RECORDS = st.builds(
    EpochRecord,
    job_uid=st.sampled_from((UID, UID[:-1] + "1")),
    epoch=st.integers(1, 12),
    digest=DIGESTS,
    outcome=st.sampled_from(Outcome),
    seen_s=st.integers(0, 10**12),
    keep_until_s=st.integers(0, 10**12),
    reason=st.sampled_from(("-", BEGUN, "Cancelled", "ResidencyDenied")),
    authorizations=st.lists(DIGESTS, max_size=3).map(tuple),
)


@given(RECORDS)
def test_a_record_survives_its_line(record):
    assert EpochRecord.parse(record.key, record.line()) == record


SPOILT = {
    "empty": ("u.1", ""),
    "short": ("u.1", "a A 1 2 -"),
    "long": ("u.1", "a A 1 2 - - -"),
    "an outcome that is none": ("u.1", "a Z 1 2 - -"),
    "a time that is none": ("u.1", "a A x 2 - -"),
    "no epoch": ("u", "a A 1 2 - -"),
    "an epoch that is none": ("u.e", "a A 1 2 - -"),
}


@pytest.mark.parametrize(("key", "line"), SPOILT.values(), ids=SPOILT)
def test_spoilt_lines_are_no_records(key, line):
    assert EpochRecord.parse(key, line) is None


@given(st.lists(RECORDS, min_size=1), st.randoms())
def test_memory_never_turns_back_whatever_the_order(records, chance):
    """Also where names sort e10 before e9: the highest epoch stays the highest."""
    memory = Epochs()
    chance.shuffle(records)
    for record in records:
        before = memory.get(record.job_uid, record.epoch)
        stands = memory.take(record)
        assert before is None or before.outcome is not Outcome.ENDED or stands is before
        assert (
            before is None
            or not before.begun
            or stands.outcome is not Outcome.ACCEPTED
            or stands.begun
        )
    for uid in {record.job_uid for record in records}:
        mine = [record for record in records if record.job_uid == uid]
        assert memory.highest(uid).epoch == max(record.epoch for record in mine)
        ended = {record.epoch for record in mine if record.outcome is Outcome.ENDED}
        assert ended <= {r.epoch for r in memory.of(uid) if r.outcome is Outcome.ENDED}


@given(RECORDS, st.integers(1, 12), DIGESTS)
def test_only_a_newer_or_the_very_same_accepted_grant_is_fresh(record, epoch, digest):
    memory = Epochs()
    memory.take(record)
    fresh = epoch > record.epoch or (
        epoch == record.epoch and digest == record.digest and record.outcome is Outcome.ACCEPTED
    )
    assert (stale(memory.seen(record.job_uid, epoch), epoch, digest, 1.0) == "") is fresh
    assert stale(Seen(), epoch, digest, 1.0) == ""


def accepted(epoch: int, **changes) -> EpochRecord:
    return replace(EpochRecord(UID, epoch, "d", Outcome.ACCEPTED, epoch, 100), **changes)


def test_what_had_to_be_forgotten_counts_as_seen():
    memory = Epochs()
    for epoch in range(1, 31):
        memory.take(accepted(epoch, job_uid=f"{epoch:08d}{UID[8:]}"))
    surplus = memory.surplus(20, lambda _: True, lambda record: record.epoch == 1)
    assert [record.epoch for record in surplus] == list(
        range(2, 14)
    )  # oldest first, none that lives
    memory.drop(surplus)
    memory.floor_s = max(record.seen_s for record in surplus)

    forgotten = memory.seen(surplus[0].job_uid, 2)
    assert "had to forget" in stale(forgotten, 2, "d", issued_s=13.0)
    assert stale(forgotten, 2, "d", issued_s=14.0) == ""


def test_uses_of_a_signature_are_counted_but_for_refusals_and_the_grant_itself():
    memory = Epochs()
    memory.take(accepted(1, authorizations=("a",), outcome=Outcome.ENDED))
    memory.take(accepted(2, authorizations=("a", "b")))
    memory.take(accepted(3, authorizations=("a",), outcome=Outcome.REFUSED))
    assert (memory.uses("a"), memory.uses("b"), memory.uses("c")) == (2, 1, 0)
    assert memory.uses("a", but=f"{UID}.2") == 1
