"""Which news of a grant a job's owner is told at once, and which may wait for better."""

import dataclasses

import pytest

from hansa.model.plan import Placement
from hansa.reconcile.hub.actions import CancelGrant, EmitEvent, RequeueAfter, SetJobStatus
from hansa.reconcile.hub.derive import ACCEPTANCE_MAY_WAIT_S, derive
from hansa.reconcile.hub.job_view import FINALIZER
from tests.unit.reconcile.hub.hub_objects import (
    ACCEPTED,
    DONE,
    NOW_S,
    PLACED,
    REFUSED,
    UID,
    case,
    condition,
    epoch,
    grant_manifest,
    job_view,
)

PLACE = Placement(UID, "tartu", 2, 0)
STARTING = [
    condition("Accepted", reason="Accepted"),
    condition("Placed", reason="Placed"),
    condition("Running", "False", "Starting"),
    condition("Reconciling", reason="Placed"),
]
GRANTED = dict(derive(case(job_view(), decision=PLACE))[0].status)
TOLD = PLACED | {
    "conditions": STARTING,
    "observedGeneration": 1,
    "specDigest": job_view().parsed.digest,
}
RUNNING = {"conditions": [*ACCEPTED["conditions"], condition("Running", reason="Running")]}
EARLY = {
    "accepted at once": (GRANTED, {}, ACCEPTED, ACCEPTANCE_MAY_WAIT_S, [SetJobStatus]),
    "running at once": (GRANTED, {}, ACCEPTED | RUNNING, 0, [SetJobStatus]),
    "refused at once": (GRANTED, {}, REFUSED, 0, [SetJobStatus, EmitEvent]),
    "ended at once": (GRANTED, {}, DONE, 0, [SetJobStatus, EmitEvent]),
    "suspended at once": (
        GRANTED,
        {"suspend": True},
        ACCEPTED,
        0,
        [CancelGrant, EmitEvent, SetJobStatus],
    ),
    "never told of its place": (PLACED, {}, ACCEPTED, 0, [SetJobStatus]),
    "its log at once": (GRANTED, {}, ACCEPTED | {"log": {"start": 0}}, 0, [SetJobStatus]),
    "another priority at once": (
        GRANTED | {"observedGeneration": 0},
        {},
        ACCEPTED,
        0,
        [SetJobStatus],
    ),
}


@pytest.mark.parametrize("name", EARLY)
def test_what_may_wait_and_for_how_long(name):
    """The grant was made this very moment; then half of the pause is over; then all."""
    status, spec, said, pause_s, expected = EARLY[name]
    job, seen = job_view(status, **spec), epoch(grant_manifest(status=said))

    for passed_s in (0.0, pause_s / 2):
        actions = derive(case(job, seen, now_s=NOW_S + passed_s))
        if pause_s:
            assert actions == (RequeueAfter(pause_s - passed_s),)
        else:
            assert [type(action) for action in actions] == expected
    late = case(job, seen, now_s=NOW_S + pause_s)
    assert [type(action) for action in derive(late)] == expected
    hurried = derive(dataclasses.replace(late, tidying=False))
    assert hurried == (RequeueAfter(0.0),) if pause_s else [type(a) for a in hurried] == expected


def test_no_clock_that_went_back_keeps_an_owner_waiting():
    seen = epoch(grant_manifest(status=ACCEPTED))

    actions = derive(case(job_view(GRANTED), seen, now_s=NOW_S - 3600))

    assert [type(action) for action in actions] == [SetJobStatus]


def test_that_a_node_fell_silent_does_not_wait_with_its_acceptance():
    seen = epoch(grant_manifest(status=ACCEPTED))

    actions = derive(case(job_view(GRANTED), seen, silent=True))

    assert [type(action) for action in actions] == [EmitEvent, SetJobStatus]


@pytest.mark.parametrize("meta", [{}, {"finalizers": [FINALIZER]}], ids=["now", "a hub of before"])
def test_a_job_that_is_told_is_left_alone(meta):
    job = job_view(TOLD, meta=meta)

    assert derive(case(job, epoch(grant_manifest(status=ACCEPTED)))) == ()
