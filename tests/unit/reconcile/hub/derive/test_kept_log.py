"""A grant stays while its member keeps the log of the run, for those who ask; and no longer, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.job.log_window import LONGEST_KEPT_S
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from hansa.model.times import rfc3339
from hansa.reconcile.hub.actions import (
    AskForLog,
    DeleteGrant,
    DeleteJob,
    RequeueAfter,
    SetFinalizers,
    SetJobStatus,
)
from hansa.reconcile.hub.derive import derive
from hansa.reconcile.hub.job_view import FINALIZER
from tests.unit.reconcile.hub.hub_objects import (
    NOW_S,
    PLACED,
    TERMINAL,
    case,
    condition,
    epoch,
    export,
    grant_manifest,
    job_view,
)

DONE = {
    "acceptedAt": rfc3339(NOW_S),
    "conditions": [condition("Accepted"), condition("Succeeded")],
}
WISH = str(LogRequest(NOW_S + 60, 1, 7))


def kept(left_s: float) -> dict[str, Any]:
    return {"keptLog": {"start": 0, "end": 9, "until": rfc3339(NOW_S + left_s)}}


def ended(
    *, left_s: float = 60, ago_s: float = 5, wish: str = "", ttl_s: int | None = None, **told: Any
):
    """A job that ended, all of which is written down, with a grant whose member keeps its log."""
    status = TERMINAL | {"finishedAt": rfc3339(NOW_S - ago_s)} | kept(left_s)
    meta = {"annotations": {LOG_REQUEST_ANNOTATION: wish}}
    spec = {} if ttl_s is None else {"ttlSecondsAfterFinished": ttl_s}
    grant = grant_manifest(status=DONE | kept(left_s) | told)
    return case(job_view(status, meta=meta, **spec), epoch(grant, released=True))


DUE: dict[str, Any] = {
    "it is kept": (ended(), [RequeueAfter]),
    "somebody asks": (ended(wish=WISH), [AskForLog, RequeueAfter]),
    "its time is over": (ended(left_s=-1), [DeleteGrant]),
    "for longer than any is": (
        ended(left_s=1e7, ago_s=LONGEST_KEPT_S + 1),
        [DeleteGrant],
    ),
    "the member gave it up": (ended(keptLog=None), [SetJobStatus, DeleteGrant]),
    "a piece comes": (
        ended(log={"start": 7, "text": "x", "state": "Ended"}),
        [SetJobStatus, RequeueAfter],
    ),
    "the job has had its time": (ended(ttl_s=5), [RequeueAfter, DeleteJob]),
    "the job has its time still": (ended(ttl_s=50), [RequeueAfter, RequeueAfter]),
    "the job has had its time, and a result waits": (
        ended(ttl_s=5, **export("Waiting")),
        [RequeueAfter],
    ),
}


@pytest.mark.parametrize("name", DUE)
def test_what_is_due(name):
    given, expected = DUE[name]

    assert [type(action) for action in derive(given)] == expected


def test_the_job_itself_is_let_go_meanwhile():
    status = TERMINAL | {"finishedAt": rfc3339(NOW_S)} | kept(60)
    job = job_view(status, meta={"finalizers": [FINALIZER]})
    given = case(job, epoch(grant_manifest(status=DONE | kept(60)), released=True))

    assert [type(action) for action in derive(given)] == [RequeueAfter, SetFinalizers]


POD = {"role": "Head", "reason": "OOMKilled", "exitCode": 137, "logTail": "boom"}
PODS = {"node": "tartu", "epoch": 1, "pods": [POD]}
ENDS: dict[str, Any] = {
    "told": ({"postMortem": [POD]}, {}, PODS),
    "nothing told": ({}, {}, None),
    "an earlier run's stays": ({}, {"postMortem": PODS | {"epoch": 7}}, PODS | {"epoch": 7}),
    "and goes for a later one's": (
        {"postMortem": [POD]},
        {"postMortem": PODS | {"epoch": 7}},
        PODS,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_pods_died_is_kept_with_the_job(name):
    told, before, expected = ENDS[name]
    job = job_view(PLACED | before)

    actions = derive(case(job, epoch(grant_manifest(status=DONE | told | kept(60)))))

    [written] = [action for action in actions if isinstance(action, SetJobStatus)]
    assert written.status.get("postMortem") == expected
    assert written.status["keptLog"] == kept(60)["keptLog"]


def test_how_pods_died_is_kept_with_a_job_that_is_tried_again():
    told = {
        "acceptedAt": rfc3339(NOW_S),
        "conditions": [condition("Running", "False", "MachineLost")],
        "postMortem": [POD],
    }

    actions = derive(case(job_view(PLACED), epoch(grant_manifest(status=told), released=True)))

    [written] = [action for action in actions if isinstance(action, SetJobStatus)]
    assert written.status["postMortem"] == PODS
    assert "node" not in written.status
