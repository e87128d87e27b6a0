"""An AIJob's status while it runs nowhere, whole; and what counts as a transition."""

import pytest

from hansa.model.plan import Placement, Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.reconcile.hub.status import job_status
from tests.unit.reconcile.hub.hub_objects import NOW_S, UID, condition, job_view
from tests.unit.reconcile.hub.status.job_status_kit import (
    AT,
    DONE,
    GAINING,
    GRANTED,
    HOLDS,
    PREEMPTED,
    RAN,
    VALID,
    VICTIM,
    YES,
    facts,
    fields,
    seen,
    view,
)


def test_placed():
    job = job_view({"queuePosition": 3, "runningAt": RAN})
    verdicts = [
        Verdict("vilnius", Reason.OUTBID, "dearer"),
        Verdict("tartu", Reason.PLACED),
        Verdict("riga", Reason.RESIDENCY_DENIED, "x" * 2000),
        Verdict("oslo", Reason.RESIDENCY_DENIED),
    ]

    told = job_status.placed(job, Placement(UID, "tartu", 2, 0), 4, verdicts, NOW_S)

    assert facts(told) == [
        VALID,
        GRANTED,
        ("Running", "False", "WaitingForNode", "Node tartu has not started it yet."),
        ("Reconciling", "True", "Placed", "Waiting for node tartu."),
    ]
    rows = [
        {"node": "oslo", "reason": "ResidencyDenied", "message": ""},
        {"node": "riga", "reason": "ResidencyDenied", "message": "x" * 1024},
        {"node": "tartu", "reason": "Placed", "message": ""},
        {"node": "vilnius", "reason": "HigherCost", "message": "dearer"},
    ]
    assert fields(told) == seen(
        job,
        node="tartu",
        epoch=4,
        workers=2,
        grantedAt=AT,
        runningAt=RAN,
        verdicts=rows,
        waitedSeconds=10,
    )


def test_only_the_gravest_verdicts_are_told():
    verdicts = [Verdict(f"n{number:02}", Reason.OUTBID) for number in range(40)]
    verdicts += [Verdict("zz", Reason.RESIDENCY_DENIED)]

    told = job_status.waiting(job_view(), Waiting(UID, Reason.PENDING, ""), verdicts, NOW_S)

    assert [row["node"] for row in told["verdicts"]] == ["zz", *(f"n{n:02}" for n in range(31))]


WAITS = {
    "its turn": (
        {},
        Waiting(UID, Reason.WAITING_FOR_CAPACITY, "full"),
        [
            VALID,
            ("Placed", "False", "WaitingForCapacity", "full"),
            ("Reconciling", "True", "WaitingForCapacity", "full"),
        ],
    ),
    "without words": (
        {},
        Waiting(UID, Reason.SUSPENDED, ""),
        [
            VALID,
            ("Placed", "False", "Suspended", "Suspended"),
            ("Reconciling", "True", "Suspended", "Suspended"),
        ],
    ),
    "its owner": (
        {},
        Waiting(UID, Reason.UNKNOWN_POOL, "no such pool"),
        [
            ("Accepted", "False", "UnknownPool", "no such pool"),
            ("Placed", "False", "UnknownPool", "no such pool"),
            ("Stalled", "True", "UnknownPool", "no such pool"),
        ],
    ),
    "after a preemption": (
        {"epoch": 1} | VICTIM,
        Waiting(UID, Reason.PENDING, "soon"),
        [
            VALID,
            ("Placed", "False", "Pending", "soon"),
            ("Reconciling", "True", "Pending", "soon"),
            PREEMPTED,
        ],
    ),
    "after a later epoch than the one preempted": (
        {"epoch": 2} | VICTIM,
        Waiting(UID, Reason.PENDING, "soon"),
        [VALID, ("Placed", "False", "Pending", "soon"), ("Reconciling", "True", "Pending", "soon")],
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_waiting(case):
    status, outcome, expected = WAITS[case]

    assert facts(job_status.waiting(job_view(status), outcome, (), NOW_S)) == expected


def test_a_waiting_job_holds_nothing_and_keeps_its_epoch():
    held = HOLDS | {"workers": 2, "grantedAt": AT, "runningAt": RAN, "usage": {}, "cost": {}}
    job = job_view(held | {"startEstimate": {}})

    told = job_status.waiting(job, Waiting(UID, Reason.PENDING, "soon"), (), NOW_S)

    assert fields(told) == seen(job, epoch=1, verdicts=[], waitingSince=AT)


def test_a_spec_that_cannot_be_read_has_no_digest():
    told = job_status.waiting(
        job_view(entrypoint=3), Waiting(UID, Reason.MISCONFIGURED, "bad"), (), NOW_S
    )

    assert "specDigest" not in told


ROW = VICTIM["preemptions"][0]
OLD = ROW | {"epoch": 7}
RECORDS = {
    "first": ((), "lab", [ROW]),
    "another epoch's": ([OLD], "lab", [OLD, ROW]),
    "again for this epoch": ([ROW | {"inFavourOf": "clinic"}, OLD], "lab", [OLD, ROW]),
    "taken back": ([ROW], "", []),
    "taken back, others stay": ([ROW, OLD], "", [OLD]),
    "nothing to say": ((), "", None),
    "the oldest goes": (
        [ROW | {"epoch": n} for n in range(2, 19)],
        "lab",
        [*(ROW | {"epoch": n} for n in range(4, 19)), ROW],
    ),
}


@pytest.mark.parametrize("case", RECORDS)
def test_preemptions_are_recorded_once_an_epoch(case):
    known, gainer, rows = RECORDS[case]
    job = job_view({"preemptions": known} if known else {})

    told = job_status.preemptions(job, view(), gainer, NOW_S, gaining_uid=GAINING)

    assert told == ({} if rows is None else {"preemptions": rows})


def test_for_whom_an_epoch_was_stopped():
    status = {"preemptions": [ROW, OLD | {"inFavourOf": "clinic"}]}

    assert [job_status.preempted_for(status, epoch) for epoch in (1, 7, 2)] == ["lab", "clinic", ""]
    assert job_status.preempted_for({}, 1) == ""


def refusal(reason="Paused", message="closed", epoch=1, node="tartu"):
    return {
        "node": node,
        "epoch": epoch,
        "reason": reason,
        "message": message,
        "policyGeneration": 4,
        "specDigest": "sha256:" + "b" * 64,
        "refusedAt": AT,
    }


def wordless(row):
    return {name: value for name, value in row.items() if name != "message"}


def refused(*conditions):
    return view({"policyGeneration": 4, "conditions": list(conditions)})


NO = condition("Accepted", "False", "Paused", "closed")
OTHERS = [refusal(epoch=number, node=f"n{number}") for number in range(2, 400)]
REFUSALS = {
    "words": ((), refused(NO), "Node tartu refused: closed", [refusal()]),
    "a reason only": (
        (),
        refused(NO | {"message": ""}),
        "Node tartu refused: Paused",
        [refusal(message="")],
    ),
    "taken back meanwhile": (
        (),
        refused(),
        "Node tartu refused: Refused",
        [refusal("Refused", "")],
    ),
    "told twice": (
        [refusal("Stopped"), OTHERS[0]],
        refused(NO),
        "Node tartu refused: closed",
        [OTHERS[0], refusal()],
    ),
    "for a second time": (
        [refusal(epoch=2), OTHERS[0]],
        refused(NO),
        "Node tartu refused: closed",
        [OTHERS[0], refusal() | {"times": 2}],
    ),
    "of another spec": (
        [OTHERS[0] | {"specDigest": "x"}],
        refused(NO),
        "Node tartu refused: closed",
        [refusal()],
    ),
    "too many": (
        OTHERS,
        refused(NO),
        "Node tartu refused: closed",
        [*map(wordless, OTHERS[-255:-31]), *OTHERS[-31:], refusal()],
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused(case):
    known, grant, message, rows = REFUSALS[case]
    job = job_view(HOLDS | {"refusals": known})

    told = job_status.refused(job, grant, NOW_S)

    assert facts(told) == [
        VALID,
        ("Placed", "False", "NodeRefused", message),
        ("Reconciling", "True", "NodeRefused", message),
    ]
    assert fields(told) == seen(job, epoch=1, refusals=rows, verdicts=[], waitingSince=AT)


LATER = {"named": (7, "7"), "not named": (0, "later")}


@pytest.mark.parametrize("case", LATER)
def test_outdated(case):
    highest, word = LATER[case]
    job = job_view(HOLDS)

    told = job_status.outdated(job, view({"highestEpoch": highest}), NOW_S)

    message = (
        f"Node tartu has seen epoch {word} of this job, the hub remembers 1, as after a restored"
        " backup. It waits for the node's release."
    )
    assert facts(told) == [
        VALID,
        ("Placed", "False", "WaitingForRelease", message),
        ("Reconciling", "True", "WaitingForRelease", message),
    ]
    assert fields(told) == seen(job) | HOLDS


BEFORE = {
    "node": "tartu",
    "conditions": [condition("Running")],
    "verdicts": [{"node": "riga", "reason": "ResidencyDenied", "message": "no"}],
}
FULL = {"node": "tartu", "reason": "WaitingForCapacity", "message": "full"}
NEWS = {
    "nothing": ({}, False),
    "figures": ({"queuePosition": 3, "startEstimate": {}, "usage": {}, "cost": {}}, False),
    "an empty list": ({"refusals": []}, False),
    "words and times": (
        {"conditions": [condition("Running", message="new") | {"lastTransitionTime": DONE}]},
        False,
    ),
    "a verdict's words": ({"verdicts": [BEFORE["verdicts"][0] | {"message": "never"}]}, False),
    "a verdict": ({"verdicts": [BEFORE["verdicts"][0] | {"reason": "NodePaused"}]}, True),
    "no verdicts": ({"verdicts": []}, True),
    "a node that may take it": ({"verdicts": [*BEFORE["verdicts"], FULL]}, False),
    "a node": ({"node": "riga"}, True),
    "a condition's status": ({"conditions": [condition("Running", "False")]}, True),
    "a condition's reason": ({"conditions": [condition("Running", reason="Other")]}, True),
    "a generation": ({"conditions": [condition("Running") | {"observedGeneration": 2}]}, True),
    "a condition more": ({"conditions": [condition("Running"), YES]}, True),
    "a result": ({"result": "42"}, True),
}


@pytest.mark.parametrize("case", NEWS)
def test_transitions(case):
    changes, expected = NEWS[case]

    assert job_status.transition(job_view(BEFORE), BEFORE | changes) is expected
