"""An AIJob's status while a node holds it and when the run has ended, whole."""

import pytest

from hansa.reconcile.hub.status import job_status
from hansa.reconcile.hub.status.billing import Bill
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition, job_view
from tests.unit.reconcile.hub.status.job_status_kit import (
    AT,
    BILL,
    BILLED,
    DONE,
    GRANTED,
    HOLDS,
    PREEMPTED,
    RAN,
    RUNNING,
    VALID,
    VICTIM,
    YES,
    facts,
    fields,
    seen,
    view,
)

UP = ("Running", "True", "Running", "A worker runs.")
WAITING = ("Running", "False", "WaitingForNode", "Node tartu has not answered yet.")
COMING = ("Reconciling", "True", "Placed", "Waiting for node tartu.")
AWAITED = " Another run may begin once node tartu has released this one."
# The job's status, the grant's, whether a stop was asked for; then what is said.
REPORTS = {
    "no answer": ({}, {}, "None", [VALID, GRANTED, WAITING, COMING]),
    "accepted": (
        {},
        {"conditions": [YES]},
        "None",
        [
            VALID,
            GRANTED,
            ("Running", "False", "Starting", "Node tartu accepted it."),
            COMING,
        ],
    ),
    "running": ({}, {"conditions": [YES, RUNNING]}, "None", [VALID, GRANTED, UP]),
    "stopping": (
        {},
        {"conditions": [YES, RUNNING]},
        "Stop",
        [
            VALID,
            GRANTED,
            UP,
            ("Reconciling", "True", "Stopping", "Node tartu was asked to stop."),
        ],
    ),
    "preempted": (
        VICTIM,
        {"conditions": [YES, RUNNING]},
        "Stop",
        [
            VALID,
            GRANTED,
            UP,
            PREEMPTED,
            ("Reconciling", "True", "Preempted", "Node tartu was asked to stop it for other work."),
        ],
    ),
    "stopped": (
        {},
        {"conditions": [YES, condition("Running", "False", "Stopped", "gone")]},
        "None",
        [VALID, GRANTED, ("Running", "False", "Stopped", "gone"), COMING],
    ),
    "ended, to be tried again, and not released": (
        {},
        {"conditions": [YES, condition("Running", "False", "MachineLost", "It was lost.")]},
        "None",
        [
            VALID,
            GRANTED,
            ("Running", "False", "MachineLost", f"It was lost.{AWAITED}"),
            COMING,
        ],
    ),
    "ended with as many words as there may be": (
        {},
        {"conditions": [YES, condition("Running", "False", "MachineLost", "x" * 1024)]},
        "None",
        [
            VALID,
            GRANTED,
            ("Running", "False", "MachineLost", f"{'x' * (1024 - len(AWAITED))}{AWAITED}"),
            COMING,
        ],
    ),
}


@pytest.mark.parametrize("case", REPORTS)
def test_reported(case):
    status, reported, cancel, expected = REPORTS[case]
    job = job_view(HOLDS | status)

    told = job_status.reported(job, view(reported, cancel=cancel), BILL, NOW_S)

    assert facts(told) == expected
    assert fields(told) == seen(job) | HOLDS | status | BILLED


ENDED = ("Running", "False", "Finished", "The run at node tartu has ended.")
SUCCEEDED = {"conditions": [condition("Succeeded", "True", "Succeeded", "well")]}
FAILED = {"conditions": [condition("Failed", "True", "AppFailed", "badly")]}
WELL = ("Succeeded", "True", "Succeeded", "well")
OUTPUT = {"result": "42", "logTail": "bye"}
TIMES = {"runningAt": RAN, "finishedAt": DONE}
# The job's changes, the grant's status; then what is said, and the fields beside the bill.
ENDS = {
    "well": (
        {},
        SUCCEEDED | TIMES | OUTPUT,
        [VALID, GRANTED, ENDED, WELL],
        TIMES | OUTPUT,
    ),
    "badly": (
        {},
        FAILED | TIMES | {"logTail": "bye"},
        [
            VALID,
            GRANTED,
            ENDED,
            ("Failed", "True", "AppFailed", "badly"),
            ("Stalled", "True", "AppFailed", "badly"),
        ],
        TIMES | {"logTail": "bye"},
    ),
    "without a time": ({}, SUCCEEDED, [VALID, GRANTED, ENDED, WELL], {"finishedAt": AT}),
    "at a time that is none": (
        {},
        SUCCEEDED | {"finishedAt": "soon"},
        [VALID, GRANTED, ENDED, WELL],
        {"finishedAt": AT},
    ),
    "a result nobody declared": (
        {"result": None},
        SUCCEEDED | TIMES | OUTPUT,
        [VALID, GRANTED, ENDED, WELL],
        TIMES | {"logTail": "bye"},
    ),
    "followed to its end": (
        {},
        SUCCEEDED | TIMES | {"log": {"start": 7, "text": "bye", "state": "Ended"}},
        [VALID, GRANTED, ENDED, WELL],
        TIMES | {"log": {"epoch": 1, "start": 7, "text": "bye", "state": "Ended"}},
    ),
    "an empty result": (
        {},
        SUCCEEDED | TIMES | {"result": "", "logTail": ""},
        [VALID, GRANTED, ENDED, WELL],
        TIMES | {"result": "", "logTail": ""},
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_ended(case):
    spec, reported, said, more = ENDS[case]
    job = job_view(HOLDS, **spec)

    told = job_status.reported(job, view(reported), BILL, NOW_S)

    assert facts(told) == said
    assert fields(told) == seen(job) | HOLDS | BILLED | more


AMOUNTS = {0: "0", 1: "0.000001", 350_000: "0.35", 10_000_000: "10", 1_000_000_001: "1000.000001"}


@pytest.mark.parametrize("micros", AMOUNTS)
def test_amounts(micros):
    told = job_status.reported(job_view(), view(), Bill(0, 0, micros, "NOK"), NOW_S)

    assert told["cost"] == {"amount": AMOUNTS[micros], "currency": "NOK"}
