"""What the member writes into a grant's status, patch by patch, and reads back."""

import pytest

from hansa.grants.reasons import MemberReason, Objection
from hansa.model.times import rfc3339
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.grant_status import Ending, Stamp
from hansa.reconcile.member.lifecycle import Reported, explain
from hansa.reconcile.member.outgoing import Outgoing
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition

STAMP = Stamp(NOW_S, policy_generation=4)
AT = rfc3339(NOW_S)
OBJECTIONS = tuple(
    Objection(reason, f"because {number}")
    for number, reason in enumerate([MemberReason.PAUSED, *[MemberReason.DISK_FULL] * 5])
)
RELEASE = {"epoch": 1, "releasedAt": AT, "keyId": "sha256:0", "signature": "AAAA"}


def grant(status=None, generation=3):
    return {"metadata": {"generation": generation}, "status": status}


def said(kind, status, reason, message, since_s=NOW_S):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(since_s),
        "observedGeneration": 3,
    }


def patch(*conditions, **fields):
    always = {"observedGeneration": 3, "policyGeneration": 4, "conditions": list(conditions)}
    return {"status": fields | always}


def no(message="because 0; because 1; because 2; because 3"):
    return said("Accepted", "False", "Paused", message)


def end(reason, result=None, tail=None):
    ending = Ending(reason, NOW_S - 5, 70, Outgoing("words", result, tail=tail))
    return grant_status.finished(grant(), ending, STAMP)


def test_a_run_that_was_over_at_once_says_since_when_it_ran():
    ending = Ending(EndReason.SUCCEEDED, NOW_S - 5, 70, Outgoing("words"), running_s=NOW_S - 7)
    told = grant_status.finished(grant(), ending, STAMP)["status"]
    assert told["runningAt"] == rfc3339(NOW_S - 7)


ENDED = {"finishedAt": rfc3339(NOW_S - 5), "gpuSeconds": 70}
LOST = "The member refused this epoch before; see its log."
FREE = said("Released", "True", "Stopped", "Nothing of this epoch runs any more.")
FAILED_FREE = FREE | {"reason": "AppFailed"}
PATCHES = {
    "accepted": (
        grant_status.accepted(grant(), "w", STAMP),
        patch(
            said("Accepted", "True", "Accepted", "The member has verified and accepted the grant."),
            acceptedAt=AT,
            workload="w/w",
        ),
    ),
    "refused": (grant_status.refused(grant(), OBJECTIONS, STAMP), patch(no())),
    "refused for one reason": (
        grant_status.refused(grant(), OBJECTIONS[:1], STAMP),
        patch(no("because 0")),
    ),
    "refused as stale, still running": (
        grant_status.refused_as_stale(grant(), OBJECTIONS, STAMP, highest_epoch=7, release=None),
        patch(no(), highestEpoch=7),
    ),
    "refused as stale, released": (
        grant_status.refused_as_stale(grant(), OBJECTIONS, STAMP, highest_epoch=7, release=RELEASE),
        patch(no(), highestEpoch=7, release=RELEASE),
    ),
    "refused again": (
        grant_status.refused_again(grant(), "Paused", STAMP),
        patch(no(LOST)),
    ),
    "running": (
        grant_status.running(grant(), NOW_S - 3, NOW_S - 9, STAMP),
        patch(
            said("Running", "True", "Running", "All workers run."),
            runningAt=rfc3339(NOW_S - 3),
            renderedAt=rfc3339(NOW_S - 9),
        ),
    ),
    "ended well": (
        end(EndReason.SUCCEEDED, "42", "last line"),
        patch(
            said("Running", "False", "Succeeded", "words"),
            said("Succeeded", "True", "Succeeded", "words"),
            **ENDED,
            result="42",
            logTail="last line",
        ),
    ),
    "an empty result is one": (
        end(EndReason.SUCCEEDED, ""),
        patch(
            said("Running", "False", "Succeeded", "words"),
            said("Succeeded", "True", "Succeeded", "words"),
            **ENDED,
            result="",
        ),
    ),
    "a log without text is one": (
        end(EndReason.APP_FAILED, tail=""),
        patch(
            said("Running", "False", "AppFailed", "words"),
            said("Failed", "True", "AppFailed", "words"),
            **ENDED,
            logTail="",
        ),
    ),
    "failed": (
        end(EndReason.APP_FAILED),
        patch(
            said("Running", "False", "AppFailed", "words"),
            said("Failed", "True", "AppFailed", "words"),
            **ENDED,
        ),
    ),
    "interrupted is neither": (
        end(EndReason.STOPPED),
        patch(said("Running", "False", "Stopped", "words"), **ENDED),
    ),
    "released before its end was told": (
        grant_status.released(grant(), EndReason.STOPPED, RELEASE, STAMP),
        patch(
            FREE,
            said("Running", "False", "Stopped", explain(EndReason.STOPPED)),
            release=RELEASE,
            finishedAt=AT,
        ),
    ),
    "a failure released before it was told": (
        grant_status.released(grant(), EndReason.APP_FAILED, RELEASE, STAMP),
        patch(
            FAILED_FREE,
            said("Running", "False", "AppFailed", explain(EndReason.APP_FAILED)),
            said("Failed", "True", "AppFailed", explain(EndReason.APP_FAILED)),
            release=RELEASE,
            finishedAt=AT,
        ),
    ),
    "released after its end was told": (
        grant_status.released(grant({"finishedAt": AT}), EndReason.STOPPED, RELEASE, STAMP),
        patch(FREE, release=RELEASE),
    ),
}


@pytest.mark.parametrize("case", PATCHES)
def test_patches(case):
    written, expected = PATCHES[case]

    assert written == expected


def test_earlier_conditions_stay_and_keep_their_times():
    earlier = said("Accepted", "True", "Accepted", "yes", NOW_S - 99)
    known = said("Running", "True", "Running", "old words", NOW_S - 50)

    written = grant_status.running(grant({"conditions": [earlier, known]}), 0, 0, STAMP)

    fresh = said("Running", "True", "Running", "All workers run.", NOW_S - 50)
    assert written["status"]["conditions"] == [earlier, fresh]


def test_a_grant_without_a_generation():
    written = grant_status.refused_again({"metadata": {}}, "Paused", STAMP)

    assert written["status"]["observedGeneration"] == 0


REPORTS = {
    "no status": (None, Reported()),
    "an empty status": ({}, Reported()),
    "conditions of null": ({"conditions": None}, Reported()),
    "accepted": ({"conditions": [condition("Accepted")]}, Reported(accepted=True)),
    "refused": ({"conditions": [condition("Accepted", "False")]}, Reported(accepted=False)),
    "undecided": ({"conditions": [condition("Accepted", "Unknown")]}, Reported()),
    "another condition": ({"conditions": [condition("Running")]}, Reported()),
    "rendered": ({"renderedAt": AT}, Reported(rendered=True)),
    "running": ({"runningAt": AT}, Reported(running=True)),
    "finished": ({"finishedAt": AT}, Reported(finished=True)),
    "released": ({"release": RELEASE}, Reported(released=True)),
    "an empty time is none": ({"runningAt": ""}, Reported()),
}


@pytest.mark.parametrize("case", REPORTS)
def test_what_the_hub_was_told(case):
    status, expected = REPORTS[case]

    assert grant_status.reported(grant(status)) == expected
