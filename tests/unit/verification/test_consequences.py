"""What follows: a cheat loses all that is held, to the kitty; a fault loses one run's pay; the affected are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.verification.consequences import (
    Consequences,
    Unsettled,
    of_probe,
    of_verdict,
)
from hansa.verification.levels import Evidence, Shown
from hansa.verification.probe.verifier import Judgement, Refusal
from hansa.verification.verdict import Verdict

FIRST = Unsettled("r1", "job-a/1", 100)
AUDITED = Unsettled("r2", "job-b/1", 200)
LATER = Unsettled("r3", "job-c/2", 300)
UNPAID = Unsettled("r4", "job-d/1", 0)
ALL = (FIRST, AUDITED, LATER, UNPAID)
CHEAT = Consequences(
    seize=(("r1", 100), ("r2", 200), ("r3", 300)),
    evidence=(Shown(Evidence.AUDIT, 9, passed=False),),
    doubtful=("job-a/1", "job-b/1", "job-c/2", "job-d/1"),
)
VERDICTS = {
    Verdict.OPEN: Consequences(),
    Verdict.INCONCLUSIVE: Consequences(),
    Verdict.PASSED: Consequences(release=("r2",), evidence=(Shown(Evidence.AUDIT, 9),)),
    Verdict.FAILED: CHEAT,
    Verdict.LOST: Consequences(void=("r2",)),
}


def test_a_failure_that_others_get_through_stands_for_all_that_nobody_looked_at():
    """And for no work that succeeded: that a job failed is no cheat yet."""
    again = replace(AUDITED, receipt="r5")
    failed = [replace(one, failed=True) for one in (AUDITED, LATER)]
    found = of_verdict(Verdict.LOST, failed[0], (FIRST, *failed, again, UNPAID), 9, Evidence.AUDIT)
    assert found == Consequences(void=("r2", "r3", "r5"))


@pytest.mark.parametrize("verdict", Verdict)
def test_of_a_verdict(verdict):
    assert of_verdict(verdict, AUDITED, ALL, 9, Evidence.AUDIT) == VERDICTS[verdict]


def test_the_audited_one_is_lost_though_it_is_not_in_the_list():
    found = of_verdict(Verdict.FAILED, AUDITED, (FIRST,), 9, Evidence.AUDIT)
    assert found.seize == (("r1", 100), ("r2", 200))


def test_an_own_audit_says_only_that():
    found = of_verdict(Verdict.PASSED, AUDITED, ALL, 9, Evidence.OWN_AUDIT)
    assert found.evidence == (Shown(Evidence.OWN_AUDIT, 9),)


PROBES = {
    None: (Shown(Evidence.PROBE, 9),),
    Refusal.WRONG_PRODUCT: (Shown(Evidence.PROBE, 9, passed=False),),
    Refusal.NOT_COMMITTED: (Shown(Evidence.PROBE, 9, passed=False),),
    Refusal.TOO_SLOW: (),
    Refusal.MALFORMED: (),
}


@pytest.mark.parametrize("refusal", [None, *Refusal])
def test_a_slow_network_is_no_wrong_product(refusal):
    assert of_probe(Judgement(refusal, "why"), 9) == Consequences(evidence=PROBES[refusal])


def test_what_is_not_due_yet_goes_back_and_is_not_seized():
    pending = Unsettled("r5", "job-e/1", 900, pending=True)
    found = of_verdict(Verdict.FAILED, AUDITED, (FIRST, pending), 9, Evidence.AUDIT)
    assert found.seize == (("r1", 100), ("r2", 200))
    assert found.void == ("r5",)
    assert found.doubtful == ("job-a/1", "job-b/1", "job-e/1")
