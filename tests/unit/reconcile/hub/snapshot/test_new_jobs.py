"""A job that has only ever waited is planned by its request alone: nothing else of its status counts."""

import pytest

from hansa.api.job.status import AIJobStatus
from hansa.model.plan import Placement
from hansa.model.times import rfc3339
from hansa.reconcile.hub import snapshot
from tests.unit.reconcile.hub.hub_objects import NOW_S, condition, job_view
from tests.unit.reconcile.hub.snapshot.planned_jobs import planned

AT = rfc3339(NOW_S - 100)
BUDGET = {"limit": "10", "currency": "EUR"}
DIGEST = job_view(budget=BUDGET).parsed.digest
NO = {
    "node": "tartu",
    "epoch": 1,
    "reason": "BadSignature",
    "message": "not here",
    "policyGeneration": 9,
    "specDigest": DIGEST,
    "refusedAt": AT,
}
COST = {"amount": "3.50", "currency": "EUR"}
TOLD = {
    "observedGeneration": 1,
    "specDigest": DIGEST,
    "node": "tartu",
    "epoch": 3,
    "workers": 1,
    "queuePosition": 7,
    "startEstimate": {"p50": AT, "p90": AT},
    "verdicts": [{"node": "tartu", "reason": "NoSuchAccelerator", "message": "has none"}],
    "refusals": [NO],
    "retries": [{"cause": "Node", "times": 1, "specDigest": DIGEST, "node": "tartu"}],
    "preemptions": [{"node": "tartu", "epoch": 1, "gainingUid": "b", "inFavourOf": "b", "at": AT}],
    "grantedAt": AT,
    "runningAt": AT,
    "finishedAt": AT,
    "result": "done",
    "logTail": "words",
    "log": {"text": "words"},
    "keptLog": {"bytes": 7},
    "postMortem": {"exitCode": 1},
    "waitingSince": AT,
    "waitedSeconds": 60,
    "usage": {"gpuSeconds": 100, "wallSeconds": 100},
    "cost": COST,
    "earlier": {"gpuSeconds": 100, "wallSeconds": 100, "cost": COST},
    "assurance": {"level": "L1"},
    "conditions": [condition("Placed", "False", "WaitingForCapacity")],
}
"""A field of the status → what may stand there, and would tell of a past if anything looked at it."""


def test_every_field_of_the_status_has_a_row():
    fields = AIJobStatus.model_fields.items()
    assert {*TOLD} == {field.alias or name for name, field in fields}


@pytest.mark.parametrize("name", TOLD)
def test_a_field_that_tells_of_no_past_changes_nothing(name, monkeypatch):
    job = job_view({name: TOLD[name]}, budget=BUDGET)
    short = planned(job)
    assert (short == planned(job_view({}, budget=BUDGET))) is (name not in snapshot.PAST)
    monkeypatch.setattr(snapshot, "PAST", frozenset(TOLD))
    assert planned(job) == short


def test_a_new_job_that_is_placed_holds_its_room():
    placed = planned(job_view({}), decision=Placement("study-uid", "tartu", 2, 0))
    assert [holding.site for holding in placed.holdings] == ["tartu"]
