"""Fencing: no clock, no partition and no forged word may let a job run twice."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from hansa.adapters.keys import Ed25519Signer
from hansa.model.times import from_rfc3339
from hansa.reconcile.fencing import EpochFacts, fence, release_holds, sign_release

SECONDS = st.floats(0, 4_000_000_000, allow_nan=False)
SKEW = st.floats(0, 600)
FACTS = st.builds(
    EpochFacts,
    refused=st.just(value=False),
    released=st.just(value=False),
    granted_s=SECONDS,
    not_after_s=SECONDS,
    last_contact_s=SECONDS,
    max_unattended_s=st.integers(60, 2_592_000),
)
SIGNER = Ed25519Signer.generate()
RELEASE = {"node": "tartu", "job_uid": "u", "epoch": 3}


@given(FACTS, SECONDS, SKEW)
def test_time_alone_opens_it_only_after_every_wait(facts, now_s, skew_s):
    if fence(facts, now_s, skew_s=skew_s).over:
        assert now_s > facts.last_contact_s + facts.max_unattended_s + skew_s
        assert now_s > facts.granted_s + facts.max_unattended_s + skew_s
        assert now_s > facts.not_after_s + skew_s


@given(SECONDS, st.floats(0, 1e4), st.integers(60, 299), SKEW)
def test_no_contract_is_shorter_than_a_run_takes_to_end_by_itself(
    contact_s, ago_s, longest_s, skew_s
):
    """Agent and guard may both be dead: then the pods end when their file goes stale."""
    facts = EpochFacts(
        refused=False,
        released=False,
        granted_s=contact_s - ago_s,
        not_after_s=contact_s - ago_s + 1,
        last_contact_s=contact_s,
        max_unattended_s=longest_s,
    )
    assert fence(facts, 0.0, skew_s=skew_s).at_s >= contact_s + 300 + skew_s


@given(FACTS, st.floats(-300, 300), st.floats(300, 600))
def test_the_member_has_stopped_before_it_opens(facts, member_clock_error_s, skew_s):
    """The member counts from its last renewal, which the hub has seen, on a clock of its own."""
    member_stops_at = (
        max(facts.last_contact_s, 0) + facts.max_unattended_s + abs(member_clock_error_s)
    )
    opens = fence(facts, 0.0, skew_s=skew_s).at_s

    assert opens >= member_stops_at


@given(FACTS, SECONDS, SECONDS, SKEW)
def test_once_open_it_stays_open(facts, now_s, later_s, skew_s):
    if fence(facts, now_s, skew_s=skew_s).over:
        assert fence(facts, max(now_s, later_s), skew_s=skew_s).over


@given(FACTS, SECONDS, SKEW, st.floats(0, 1e6))
def test_a_later_sign_of_life_never_opens_it_sooner(facts, now_s, skew_s, more_s):
    later = dataclasses.replace(facts, last_contact_s=facts.last_contact_s + more_s)

    if fence(later, now_s, skew_s=skew_s).over:
        assert fence(facts, now_s, skew_s=skew_s).over


@given(FACTS, SECONDS, st.sampled_from(["refused", "released"]))
def test_the_members_own_word_opens_it_at_once(facts, now_s, word):
    assert fence(dataclasses.replace(facts, **{word: True}), now_s, skew_s=1e6).over


def signed(signer=SIGNER, **changes):
    now_s = from_rfc3339("2026-01-01T00:00:00Z")
    return sign_release(signer, **(RELEASE | changes), now_s=now_s)


def holds(release, key=SIGNER.public_key):
    return release_holds(release, **RELEASE, public_key=key)


def test_a_release_by_the_nodes_key_holds():
    assert holds(signed())


FORGERIES = {
    "nothing": lambda: None,
    "another key": lambda: signed(Ed25519Signer.generate()),
    "another node": lambda: signed(node="narva"),
    "another job": lambda: signed(job_uid="v"),
    "another epoch": lambda: signed(epoch=2),
    "an epoch relabelled": lambda: signed(epoch=2) | {"epoch": 3},
    "a changed time": lambda: signed() | {"releasedAt": "2027-01-01T00:00:00Z"},
    "no signature": lambda: signed() | {"signature": ""},
    "garbage": lambda: signed() | {"signature": "!!"},
}


def test_no_forgery_holds():
    assert {name: holds(make()) for name, make in FORGERIES.items()} == dict.fromkeys(
        FORGERIES, False
    )
    assert not holds(signed(), key="")


def test_a_moment_before_every_wait_is_over_it_is_shut():
    """Each term alone holds it: a fence that forgets one would grant twice."""
    base = EpochFacts(
        refused=False,
        released=False,
        granted_s=0.0,
        not_after_s=0.0,
        last_contact_s=0.0,
        max_unattended_s=3600,
    )
    last = {
        "the contract": (base, 3660.0),
        "a later contact": (dataclasses.replace(base, last_contact_s=500.0), 4160.0),
        "a late grant": (dataclasses.replace(base, granted_s=700.0), 4360.0),
        "a long validity": (dataclasses.replace(base, not_after_s=9000.0), 9060.0),
    }

    shut = {name: fence(facts, at_s, skew_s=60.0).over for name, (facts, at_s) in last.items()}
    opened = {
        name: fence(facts, at_s + 1, skew_s=60.0).over for name, (facts, at_s) in last.items()
    }

    assert (set(shut.values()), set(opened.values())) == ({False}, {True})
