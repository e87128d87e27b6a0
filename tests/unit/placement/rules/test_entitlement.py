"""Fairness: one at a time as for many at once, as the kernel has it, and who yields to whom."""

from __future__ import annotations

import numpy as np
import pytest

from hansa.model.snapshot import PreemptionRule
from hansa.placement.kernel import quota
from hansa.placement.rules import entitlement
from hansa.placement.rules.quota_tree import build_ledger
from hansa.placement.state.league import League
from tests.unit.placement.leagues.crowded_leagues import crowded_snapshot


def test_the_kernel_and_the_columns_draw_the_same_line():
    seen = set()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        league = League(crowded_snapshot(rng, jobs=0))
        accounts, leaves = league.ledger.accounts, league.ledger.leaves
        accounts.gpus[leaves] = rng.integers(0, 30, len(leaves))
        gpus = rng.integers(0, 12, len(leaves))
        # Every third up to the brim, or one beyond it.
        brim = np.maximum(0, accounts.nominal[leaves] - accounts.gpus[leaves]) + seed % 2
        gpus[::3] = brim[::3]
        pairs = [*zip(leaves.tolist(), gpus.tolist(), strict=True)]
        within = entitlement.is_within_nominal(accounts, leaves, gpus).tolist()
        assert within == [quota.tier_of(accounts, *pair) == 0 for pair in pairs]
        assert within == [entitlement.tier(accounts, *pair) == 0 for pair in pairs]
        over, left = entitlement.excesses(accounts), entitlement.nominal_left(accounts)
        for leaf in leaves.tolist():
            assert entitlement.excess(accounts, leaf) == over[leaf]
            assert left[leaf] == max(0, -over[leaf])
        assert entitlement.excess(accounts, entitlement.NOBODY) == over[entitlement.NOBODY] == 1
        seen |= set(within)
    assert seen == {True, False}


NEVER = PreemptionRule()
RANK = PreemptionRule(lower_priority=True)
OWNERS = PreemptionRule(borrowers=True)

STOPPED = {
    "nobody may be": (NEVER, 5, False),
    "anybody may be outranked": (RANK, -5, True),
    "a borrower": (OWNERS, 1, True),
    "who holds the nominal share": (OWNERS, 0, False),
}


@pytest.mark.parametrize("case", STOPPED)
def test_who_may_be_stopped_at_all(case):
    rule, over, expected = STOPPED[case]
    assert bool(entitlement.may_be_stopped(rule, over)) is expected
    assert entitlement.may_be_stopped(rule, np.array([over, over])).tolist() == [expected] * 2


RANKED = {
    "no such rule": (OWNERS, 5, 1, True, True, False),
    "own work": (RANK, 5, 1, True, False, True),
    "of one that keeps its share": (RANK, 5, 1, False, True, True),
    "of one that would lose its share": (RANK, 5, 1, False, False, False),
    "of the same rank": (RANK, 5, 5, True, True, False),
}


@pytest.mark.parametrize("case", RANKED)
def test_who_yields_to_rank(case):
    rule, mine, other, is_own, stays, expected = RANKED[case]
    found = entitlement.yields_to_rank(rule, mine, other, is_own=is_own, stays=stays)
    assert bool(found) is expected


OWNED = {
    "no such rule": (RANK, 5, False, True, False),
    "a borrower": (OWNERS, 1, False, True, True),
    "who has borrowed nothing": (OWNERS, 0, False, True, False),
    "the own institution": (OWNERS, 5, True, True, False),
    "to one that borrows itself": (OWNERS, 5, False, False, False),
}


@pytest.mark.parametrize("case", OWNED)
def test_who_gives_back_what_is_borrowed(case):
    rule, over, is_own, is_entitled, expected = OWNED[case]
    found = entitlement.yields_to_owner(rule, over, is_own=is_own, is_entitled=is_entitled)
    assert bool(found) is expected
    assert entitlement.reclaims(rule, is_entitled=is_entitled) is (rule.borrowers and is_entitled)


def test_accounts_of_no_pool_are_entitled_to_nothing():
    accounts = build_ledger({}, {}, ()).accounts
    assert entitlement.excesses(accounts).tolist() == [0, 1]
