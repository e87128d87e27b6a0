"""What a run claims follows the hub's sight of its end, whatever its receipt says."""

from __future__ import annotations

import pytest

from hansa.grants.reasons import COURSES, Course
from hansa.receipts.countersign import Ending
from hansa.reconcile.member.end_reasons import EndReason
from hansa.verification.course.claims import Kind, claim

CLAIMS = {
    "a result": ("Succeeded", "d", None, Kind.RESULT, "d"),
    "nothing": ("Succeeded", None, None, Kind.SILENT, ""),
    "a result that its receipt hides": ("Succeeded", None, ("Succeeded", "t"), Kind.RESULT, "t"),
    "another than its owner has": ("Succeeded", "d", ("Succeeded", "t"), Kind.RESULT, "t"),
    "a loss, and told of success": ("MachineLost", None, ("Succeeded", "t"), Kind.RESULT, "t"),
    "success, and told of failure": ("Succeeded", "d", ("AppFailed", ""), Kind.FAILURE, ""),
    "a result that waits": ("Succeeded", None, ("Succeeded", "", True), Kind.SILENT, ""),
    "what the hub stopped": ("Cancelled", None, ("Cancelled", "", False, True), Kind.SILENT, ""),
    "what broke while the hub stopped it": (
        *("HeadLost", None, ("HeadLost", "", False, True)),
        *(Kind.SILENT, ""),
    ),
    "what it says that the hub stopped": ("Cancelled", None, ("Cancelled",), Kind.LOST, ""),
    "what nobody saw the hub stop": ("Cancelled", None, None, Kind.SILENT, ""),
    "a reason that nobody knows": ("Tired", None, None, Kind.LOST, ""),
}


@pytest.mark.parametrize(("reason", "digest", "told", "kind", "of"), CLAIMS.values(), ids=CLAIMS)
def test_what_a_run_claims(reason, digest, told, kind, of):
    found = claim(reason, digest, None if told is None else Ending(*told))
    assert (found.kind, found.digest) == (kind, of)


UNHEARD = {
    "a result": ("Succeeded", "d", Kind.RESULT),
    "a success with nothing to compare": ("Succeeded", None, Kind.LOST),
    "that it was stopped": ("Cancelled", None, Kind.LOST),
    "a failure": ("AppFailed", None, Kind.FAILURE),
    "a loss": ("MachineLost", None, Kind.LOST),
}


@pytest.mark.parametrize(("reason", "digest", "kind"), UNHEARD.values(), ids=UNHEARD)
def test_what_a_run_claims_that_the_hub_gave_up_without_a_word(reason, digest, kind):
    """What nobody else can look at is lost: else falling silent would earn more than saying so."""
    assert claim(reason, digest, None, is_unheard=True).kind is kind


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_is_a_success_a_failure_of_the_job_or_work_that_was_lost(reason: EndReason):
    """No end is paid and beyond audits, but what the hub itself stopped."""
    found = claim(reason.value, "d", Ending(reason.value, "d")).kind
    expected = {"Succeeded": Kind.RESULT, "Failed": Kind.FAILURE, "Interrupted": Kind.LOST}
    assert found is expected[reason.verdict]


def test_what_a_job_does_itself_is_what_another_run_would_end_alike():
    given_up = {cause.value for cause, course in COURSES.items() if course is Course.GIVE_UP}
    failures = {
        cause.value for cause in COURSES if claim(cause.value, None, None).kind is Kind.FAILURE
    }
    assert failures == given_up
