"""The rules that end a run, at their edges, and terms that nonsense only makes stricter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.api.aijob import Disconnection
from hansa.model.times import rfc3339
from hansa.reconcile import fencing
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts import time_limits as contract
from hansa.reconcile.member.contracts.time_limits import STRICTEST, Contract, read_contract, terms

NOW = 1_000_000.0
HOUR = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=NOW - 10_000)
PATIENT = Contract(3585, 60, NOW - 10_000, start_limit_s=5000)
SHORT = Contract(unattended_limit_s=45, max_runtime_s=60, granted_s=NOW - 10_000)
CONTRACTS = st.builds(
    Contract,
    unattended_limit_s=st.integers(0, 2_592_000),
    max_runtime_s=st.integers(1, 2_592_000),
    granted_s=st.integers(0, 4_000_000_000),
)


def limit(**terms):
    job = Disconnection.model_validate(terms)
    return contract.unattended_limit_s(job, disconnect_s=45, stop_margin_s=15)


LIMITS = {
    "the default": ({}, 3585),
    "as short as may be": ({"maxUnattendedSeconds": 60}, 45),
    "at once": ({"policy": "Stop"}, 45),
    "at once, and short": ({"policy": "Stop", "maxUnattendedSeconds": 60}, 45),
}


@pytest.mark.parametrize(("job", "seconds"), LIMITS.values(), ids=LIMITS)
def test_how_long_a_job_may_be_without_the_hub(job, seconds):
    assert limit(**job) == seconds


@given(CONTRACTS)
def test_terms_are_read_as_they_were_written(agreed):
    assert read_contract(terms(agreed), agreed.granted_s) == agreed


SPOILT = {
    "nothing": None,
    "no table": ["x"],
    "empty": {},
    "words": dict.fromkeys(terms(HOUR), "soon"),
    "negative": dict.fromkeys(terms(HOUR), "-1"),
    "endless": dict.fromkeys(terms(HOUR), "inf"),
    "other digits": dict.fromkeys(terms(HOUR), "٣٦٠٠"),
    "too many digits": dict.fromkeys(terms(HOUR), "9" * 400),
    "no strings": dict.fromkeys(terms(HOUR), 3600),
}


@pytest.mark.parametrize("found", SPOILT.values(), ids=SPOILT)
def test_spoilt_terms_are_the_strictest(found):
    assert read_contract(found, NOW) == STRICTEST


def test_one_spoilt_term_leaves_the_others():
    found = terms(HOUR) | {contract.RUNTIME_ANNOTATION: "long"}
    assert read_contract(found, NOW) == Contract(3585, 0, HOUR.granted_s)


LENGTHENED = {
    "more than any job may run": ({contract.RUNTIME_ANNOTATION: "2592001"}, "max_runtime_s"),
    "longer alone than any job may be": (
        {contract.UNATTENDED_ANNOTATION: "2592001"},
        "unattended_limit_s",
    ),
    "longer to start than can be set": ({contract.START_ANNOTATION: "7201"}, "start_limit_s"),
    "granted after it was made": (
        {contract.GRANTED_ANNOTATION: rfc3339(NOW + contract.GRANTED_AHEAD_S + 1)},
        "granted_s",
    ),
    "granted in another age": ({contract.GRANTED_ANNOTATION: "9999-01-01T00:00:00Z"}, "granted_s"),
}


@pytest.mark.parametrize(("notes", "term"), LENGTHENED.values(), ids=LENGTHENED)
def test_no_term_is_longer_than_one_can_be(notes, term):
    read = read_contract(terms(HOUR) | notes, NOW)
    assert read == replace(HOUR, **{term: getattr(STRICTEST, term)})


def test_a_clock_that_was_a_little_ahead_when_it_was_granted_spoils_nothing():
    young = replace(HOUR, granted_s=NOW + contract.GRANTED_AHEAD_S)
    assert read_contract(terms(young), NOW) == young


def test_the_strictest_terms_end_a_run_soon():
    assert contract.is_unattended(STRICTEST, contract.unattended_s(STRICTEST, 45, NOW))
    assert contract.is_overdue(STRICTEST, NOW - 61, NOW)


EDGES = {
    "unattended": (contract.is_unattended(HOUR, 3585), contract.is_unattended(HOUR, 3584)),
    "overdue": (
        contract.is_overdue(HOUR, NOW - 7261, NOW),
        contract.is_overdue(HOUR, NOW - 7260, NOW),
    ),
    "never started": (
        contract.never_started(HOUR, NOW - 901, NOW),
        contract.never_started(HOUR, NOW - 900, NOW),
    ),
    "never started, by a limit of its own": (
        contract.never_started(PATIENT, NOW - 5001, NOW),
        contract.never_started(PATIENT, NOW - 5000, NOW),
    ),
    "given up, whoever was told": (
        contract.is_given_up(HOUR, NOW - 961, NOW),
        contract.is_given_up(HOUR, NOW - 960, NOW),
    ),
    "had its time": (
        contract.had_its_time(HOUR, NOW - 7201, NOW),
        contract.had_its_time(HOUR, NOW - 7200, NOW),
    ),
    "outlived": (
        contract.outlived(HOUR, NOW - 8161, NOW),
        contract.outlived(HOUR, NOW - 8160, NOW),
    ),
}


@pytest.mark.parametrize(("over", "before"), EDGES.values(), ids=EDGES)
def test_edges(over, before):
    assert over
    assert not before


def test_a_run_that_does_not_run_is_not_overdue():
    assert not contract.is_overdue(SHORT, None, NOW)


def test_time_before_the_grant_does_not_count():
    young = Contract(3585, 7200, NOW - 5)
    assert contract.unattended_s(young, float("inf"), NOW) == 5


@given(CONTRACTS, st.integers(0, 4_000_000_000), st.one_of(st.none(), st.integers(0, 8_000_000)))
def test_only_a_run_that_was_looked_at_can_be_late(agreed, made_s, ran_s):
    """Younger runs cost no look at their RayJobs."""
    now_s = float(made_s + 3_000_000)
    since = None if ran_s is None else made_s + ran_s
    late = contract.is_overdue(agreed, since, now_s) or contract.is_given_up(agreed, made_s, now_s)
    if late and (since is None or since >= made_s):
        assert contract.may_be_late(agreed, made_s, now_s)


@given(
    st.integers(60, 2_592_000), st.integers(0, 4_000_000_000), st.sampled_from(["Continue", "Stop"])
)
def test_the_pods_have_ended_when_the_hub_places_the_job_elsewhere(longest_s, contact_s, policy):
    """Agent and guard dead, all clocks right: the probe has killed the last process by then."""
    agreed = Contract(limit(maxUnattendedSeconds=longest_s, policy=policy), 7200, float(contact_s))
    facts = fencing.EpochFacts(
        refused=False,
        released=False,
        granted_s=float(contact_s),
        not_after_s=0.0,
        last_contact_s=float(contact_s),
        max_unattended_s=longest_s,
    )
    ends_s = contract.alive_until_s(agreed, contact_s)
    ends_s += (alive.PROBE_FAILURES + 1) * alive.PROBE_PERIOD_S + alive.PROBE_GRACE_S
    assert ends_s <= fencing.fence(facts, 0, skew_s=0).at_s


KUBELET_S, WRITES_S = 90, 15 + 10 + 5 + 3
"""A ConfigMap's way into a pod; heartbeat, its Lease, and a pass of the guard."""


@given(CONTRACTS)
def test_pods_are_told_in_time_while_all_is_well(agreed):
    assert agreed.validity_s > agreed.step_s + KUBELET_S + WRITES_S
    assert contract.LEAST_STEP_S <= agreed.step_s <= contract.LONGEST_STEP_S
