"""Which audits are due: by what is logged and agreed alone, the same for everybody."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.auditors import Candidate, Independence
from hansa.verification.due import Account, Epoch, Run, due
from hansa.verification.levels import Level
from hansa.verification.probability import Sampling, Stake, threshold
from hansa.verification.tickets import SPACE, EpochKey, Spoilt, ticket, under_silence

PROVIDER = Candidate("berlin", "charite", "charite", "DE", Level.SAMPLED)
VIENNA = Candidate("vienna", "tu-wien", "tu-wien", "AT", Level.SAMPLED)
KEYS = EpochKey(bytes(range(32)), {})
EPOCH = Epoch(KEYS, bytes(32))
SAMPLING = Sampling(floor=Fraction(1, 100))
RICH = {"berlin": Account(unsettled=110_000)}


def runs(count, provider=PROVIDER, payment=1_100):
    return [
        Run(
            hashlib.sha256(f"{provider.node}{i}".encode()).digest(),
            i,
            provider,
            "payer",
            payment,
            1_000,
        )
        for i in range(count)
    ]


def audits(some, epoch=EPOCH, accounts=RICH, sampling=SAMPLING):
    return due(some, epoch, accounts, sampling, lambda _: (PROVIDER, VIENNA))


SILENT = EpochKey(bytes(range(32)), {"oslo": Spoilt.NOT_REVEALED})
STRANGER = EpochKey(bytes(range(32)), {"rome": Spoilt.NOT_COMMITTED})
SHARES = {
    "a hundred runs held": (EPOCH, RICH, SAMPLING, (0.002, 0.025)),
    "nothing held": (EPOCH, {}, SAMPLING, (0.005, 0.05)),
    "a floor of a half": (EPOCH, RICH, Sampling(floor=Fraction(1, 2)), (0.46, 0.54)),
    "one key missing: the root": (Epoch(SILENT, bytes(32)), RICH, SAMPLING, (0.09, 0.15)),
    "a stranger's key changes nothing": (
        Epoch(STRANGER, bytes(32)),
        RICH,
        SAMPLING,
        (0.002, 0.025),
    ),
    "too few keys: all": (Epoch(EpochKey(None, {}), bytes(32)), RICH, SAMPLING, (1, 1)),
}


@pytest.mark.parametrize("case", SHARES.values(), ids=SHARES)
def test_how_many(case):
    epoch, accounts, sampling, (least, most) = case
    assert least <= len(audits(runs(2_000), epoch, accounts, sampling)) / 2_000 <= most


def test_a_new_member_begins_with_certainty_and_it_falls_with_what_it_leaves_at_stake():
    found = audits(runs(2_000), accounts={})
    assert found[0].run.sequence == 0
    assert found[0].threshold == SPACE
    assert found[0].why == "drawn with a probability of 100.00 %"
    assert [one.threshold for one in found] == sorted(
        (one.threshold for one in found), reverse=True
    )


def test_each_run_is_looked_at_with_the_stake_it_had():
    """Written down a second time: ticket below threshold, the runs before it counting as held."""
    found = {one.run.sequence for one in audits(runs(500))}
    for run in runs(500):
        stake = Stake(1_000, 1_100, 110_000 + 1_100 * run.sequence)
        drawn = ticket(KEYS.key, run.receipt, bytes(32))
        assert (run.sequence in found) is (drawn < under_silence(threshold(stake, SAMPLING), 0))


def test_one_members_runs_are_not_anothers_stake():
    other = replace(PROVIDER, node="lyon", institution="lyon", owner_group="lyon")
    both = audits([*runs(300), *runs(300, other, payment=10**9)])
    assert [one for one in both if one.run.provider == PROVIDER] == list(audits(runs(300)))


@given(st.permutations(runs(60)), st.integers(0, 59))
def test_order_and_repetition_change_nothing(some, twice):
    sampling = Sampling(floor=Fraction(1, 3))
    assert audits([*some, some[twice]], sampling=sampling) == audits(runs(60), sampling=sampling)


def test_where_the_data_may_be_nowhere_else():
    refused = replace(VIENNA, refused="ResidencyDenied")
    found = due(runs(1), EPOCH, {}, SAMPLING, lambda _: (PROVIDER, refused))
    assert found[0].auditors.independence is Independence.SELF
    assert audits(runs(1), accounts={})[0].auditors.nodes == ("vienna",)


def test_a_pool_has_parameters_of_its_own():
    floors = [Sampling(floor=Fraction(share, 10)) for share in (0, 5, 10)]
    some = [replace(run, sampling=floors[at % 3]) for at, run in enumerate(runs(3_000))]
    found = audits(some, accounts={"berlin": Account(unsettled=10**9)})
    shares = [sum(one.run.sampling is floor for one in found) / 1_000 for floor in floors]
    assert shares[0] < 0.01
    assert 0.46 <= shares[1] <= 0.54
    assert shares[2] == 1
