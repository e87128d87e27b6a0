"""A result that comes after its job has ended: the grant stays until it is there, or refused."""

from __future__ import annotations

import pytest

from hansa.reconcile.hub.actions import DeleteGrant, SetFinalizers, SetJobStatus
from hansa.reconcile.hub.derive import derive
from hansa.reconcile.hub.job_view import FINALIZER
from tests.unit.reconcile.hub.hub_objects import (
    DONE,
    TERMINAL,
    case,
    epoch,
    export,
    grant_manifest,
    job_view,
)

CASES = {
    "ended and released, a result waits at the member": (
        case(
            job_view(TERMINAL, meta={"finalizers": [FINALIZER]}),
            epoch(grant_manifest(status=DONE | export("Waiting")), released=True),
        ),
        [SetFinalizers],
    ),
    "its owner has released it": (
        case(
            job_view(TERMINAL),
            epoch(grant_manifest(status=DONE | export("Released", result="42")), released=True),
        ),
        [SetJobStatus, DeleteGrant],
    ),
    "its owner has not": (
        case(
            job_view(TERMINAL),
            epoch(grant_manifest(status=DONE | export("Refused")), released=True),
        ),
        [DeleteGrant],
    ),
    "released, and told": (
        case(
            job_view(TERMINAL | {"result": "42"}),
            epoch(grant_manifest(status=DONE | export("Released", result="42")), released=True),
        ),
        [DeleteGrant],
    ),
    "a result of a job that declares none": (
        case(
            job_view(TERMINAL, result=None),
            epoch(grant_manifest(status=DONE | export("Released", result="42")), released=True),
        ),
        [DeleteGrant],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_due(name):
    given, expected = CASES[name]

    assert [type(action) for action in derive(given)] == expected


def test_a_late_result_is_all_that_changes():
    job = job_view(TERMINAL)
    grant = grant_manifest(status=DONE | export("Released", result="42"))
    [told, _] = derive(case(job, epoch(grant, released=True)))

    assert isinstance(told, SetJobStatus)
    assert told.status == {**job.status, "result": "42"}
