"""The level a node has shown: cumulative, stale after a while, gone after a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.levels import DAY_S, Evidence, Freshness, Lack, Level, Shown, standing

NOW_S = 1_000 * DAY_S
FRESH = Freshness()
E = Evidence


def shown(kind, days_ago=1, *, passed=True):
    return Shown(kind, NOW_S - days_ago * DAY_S, passed)


LOGGED, PROBED, AUDITED = shown(E.RECEIPT), shown(E.PROBE), shown(E.AUDIT)
CASES = {
    "nothing": ((), Level.DECLARED, Lack.NOT_SHOWN),
    "receipts": ((LOGGED,), Level.LOGGED, Lack.NOT_SHOWN),
    "a probe without receipts": ((PROBED,), Level.DECLARED, Lack.NOT_SHOWN),
    "a probe": ((LOGGED, PROBED), Level.PROBED, Lack.NOT_SHOWN),
    "audits": ((LOGGED, PROBED, AUDITED), Level.SAMPLED, Lack.NOT_SHOWN),
    "hardware": ((LOGGED, PROBED, AUDITED, shown(E.HARDWARE)), Level.HARDWARE, Lack.NONE),
    "hardware instead of audits": (
        (LOGGED, PROBED, shown(E.HARDWARE)),
        Level.PROBED,
        Lack.NOT_SHOWN,
    ),
    "audits by itself": (
        (LOGGED, PROBED, shown(E.OWN_AUDIT)),
        Level.PROBED,
        Lack.ONLY_OWN_AUDITS,
    ),
    "an old probe": ((LOGGED, shown(E.PROBE, 31), AUDITED), Level.LOGGED, Lack.STALE),
    "old receipts": ((shown(E.RECEIPT, 30), PROBED), Level.DECLARED, Lack.STALE),
    "a failed audit": (
        (
            shown(E.RECEIPT, 3),
            shown(E.PROBE, 3),
            shown(E.AUDIT, 3),
            shown(E.AUDIT, 2, passed=False),
        ),
        Level.DECLARED,
        Lack.FAILED,
    ),
    "a failed audit, and new receipts": (
        (shown(E.PROBE, 3), shown(E.AUDIT, 3), shown(E.AUDIT, 2, passed=False), LOGGED),
        Level.DECLARED,
        Lack.FAILED,
    ),
    "a failed audit, new receipts, and an audit by itself": (
        (shown(E.AUDIT, 2, passed=False), LOGGED, shown(E.OWN_AUDIT)),
        Level.DECLARED,
        Lack.FAILED,
    ),
    "a failed audit, new receipts, and one that passed": (
        (shown(E.AUDIT, 2, passed=False), LOGGED, AUDITED),
        Level.LOGGED,
        Lack.NOT_SHOWN,
    ),
    "a failed audit that is overcome": (
        (shown(E.AUDIT, 2, passed=False), LOGGED, PROBED, AUDITED),
        Level.SAMPLED,
        Lack.NOT_SHOWN,
    ),
    "failed in the second in which it passed": (
        (LOGGED, shown(E.PROBE, 1, passed=False)),
        Level.DECLARED,
        Lack.FAILED,
    ),
    "a failed probe, new receipts, and an audit": (
        (shown(E.PROBE, 2, passed=False), LOGGED, AUDITED),
        Level.DECLARED,
        Lack.FAILED,
    ),
    "a failed probe that is overcome": (
        (shown(E.PROBE, 2, passed=False), LOGGED, PROBED),
        Level.PROBED,
        Lack.NOT_SHOWN,
    ),
    "a failed audit by itself that another overcomes": (
        (shown(E.OWN_AUDIT, 2, passed=False), LOGGED, AUDITED),
        Level.LOGGED,
        Lack.NOT_SHOWN,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_the_evidence_bears(case):
    evidence, level, lack = case
    found = standing(evidence, NOW_S, FRESH)
    assert (found.level, found.lack) == (level, lack)
    assert (found.why == "all is shown") is (lack is Lack.NONE)


@pytest.mark.parametrize("kind", [kind for kind in Evidence if kind is not E.RECEIPT])
def test_receipts_lift_nobody_until_what_failed_was_right_again(kind):
    """A cheat signs its receipts, too: they answer no failure of anything else."""
    failed = (shown(E.RECEIPT, 3), shown(kind, 2, passed=False))
    found = standing((*failed, LOGGED), NOW_S, FRESH)
    assert (found.level, found.lack, found.needs) == (Level.DECLARED, Lack.FAILED, kind)
    assert f"a new {kind.value} is needed" in found.why
    before = standing((*failed, shown(kind, 3), LOGGED), NOW_S, FRESH)
    assert before.level is Level.DECLARED
    assert standing((*failed, LOGGED, shown(kind)), NOW_S, FRESH).level >= Level.LOGGED


@pytest.mark.parametrize(("days", "level"), {7: Level.SAMPLED, 8: Level.PROBED}.items())
def test_an_overdue_audit_lowers(days, level):
    found = standing((LOGGED, PROBED, AUDITED), NOW_S, FRESH, oldest_due_s=NOW_S - days * DAY_S)
    assert found.level is level
    assert (found.lack is Lack.AUDITS_OVERDUE) is (level is Level.PROBED)


def test_it_says_what_is_missing():
    found = standing((LOGGED, shown(E.PROBE, 31)), NOW_S, FRESH)
    assert (
        found.why
        == "L2 needs a fresh Probe: its last one is of 1972-08-27T00:00:00Z, which is too old"
    )


def test_until_when_it_holds():
    evidence = (LOGGED, shown(E.PROBE, 20), AUDITED)
    found = standing(evidence, NOW_S, FRESH)
    assert found.until_s == NOW_S + 10 * DAY_S
    assert standing(evidence, found.until_s - 1, FRESH).level is Level.SAMPLED
    assert standing(evidence, found.until_s, FRESH).level is Level.LOGGED
    assert standing((), NOW_S, FRESH).until_s is None


def test_a_clock_that_ran_ahead_helps_nobody():
    evidence = (LOGGED, Shown(E.PROBE, NOW_S + 1))
    assert standing(evidence, NOW_S, FRESH).level is Level.LOGGED
    assert standing(evidence, NOW_S + 1, FRESH).level is Level.PROBED
    against = (*evidence, Shown(E.AUDIT, NOW_S + 9 * DAY_S, passed=False))
    assert standing(against, NOW_S + 1, FRESH).level is Level.DECLARED


EVIDENCE = st.lists(
    st.builds(
        Shown, st.sampled_from(Evidence), st.integers(NOW_S - 60 * DAY_S, NOW_S), st.booleans()
    )
)


@given(EVIDENCE, st.integers(0, 90 * DAY_S))
def test_time_never_lifts_and_a_failure_never_helps(evidence, later_s):
    before = standing(evidence, NOW_S, FRESH)
    assert standing(evidence, NOW_S + later_s, FRESH).level <= before.level
    failed = [*evidence, Shown(E.AUDIT, NOW_S, passed=False)]
    assert standing(failed, NOW_S, FRESH).level is Level.DECLARED
