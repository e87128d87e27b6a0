"""Who follows a log is told to the member that runs it, and what the member shows is the job's; the hub keeps none."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from hansa.reconcile.hub.actions import AskForLog, SetJobStatus
from hansa.reconcile.hub.derive import derive
from tests.unit.reconcile.hub.hub_objects import (
    ACCEPTED,
    DONE,
    NOW_S,
    PLACED,
    case,
    epoch,
    grant_manifest,
    job_view,
)

WISH = str(LogRequest(NOW_S + 60, 1, 7))
SHOWN = {"epoch": 1, "start": 0, "text": "one"}


def asking(text: str):
    return {"annotations": {LOG_REQUEST_ANNOTATION: text}}


def followed(wish: str = "", told: str = "", **status: Any):
    """A job whose owner asks by ``wish``, with a grant that says ``told``."""
    grant = grant_manifest(status=ACCEPTED | status)
    grant["metadata"] |= asking(told)
    return case(job_view(PLACED, meta=asking(wish)), epoch(grant))


WISHES: dict[str, Any] = {
    "a wish": (followed(WISH), [WISH]),
    "told already": (followed(WISH, WISH), []),
    "a later byte": (followed(WISH, str(LogRequest(NOW_S + 60, 1, 0))), [WISH]),
    "nobody any more": (followed("", WISH), [""]),
    "run out": (followed(str(LogRequest(NOW_S - 61, 1, 0)), WISH), [""]),
    "for longer than any may": (followed(str(LogRequest(NOW_S + 1000, 1, 0))), []),
    "about another run": (followed(str(LogRequest(NOW_S + 60, 2, 0))), []),
    "no wish at all": (followed("please"), []),
    "not accepted yet": (
        case(job_view(PLACED, meta=asking(WISH)), epoch(grant_manifest())),
        [],
    ),
    "ended": (case(job_view(PLACED, meta=asking(WISH)), epoch(grant_manifest(status=DONE))), []),
}


@pytest.mark.parametrize("name", WISHES)
def test_what_the_member_is_told(name):
    given, wishes = WISHES[name]

    asked = [action for action in derive(given) if isinstance(action, AskForLog)]

    assert [action.request for action in asked] == wishes
    assert all(action.name == given.epochs[0].grant.name for action in asked)


PIECES: dict[str, Any] = {
    "the first": ({}, {"start": 0, "text": "one"}, SHOWN),
    "the next": ({"log": SHOWN}, {"start": 3, "text": "two"}, SHOWN | {"start": 3, "text": "two"}),
    "taken back": ({"log": SHOWN}, None, None),
}


@pytest.mark.parametrize("name", PIECES)
def test_the_job_shows_the_piece_that_the_member_shows(name):
    before, shown, expected = PIECES[name]
    grant = grant_manifest(status=ACCEPTED | ({"log": shown} if shown else {}))

    [told] = [
        action
        for action in derive(case(job_view(PLACED | before), epoch(grant)))
        if isinstance(action, SetJobStatus)
    ]

    assert told.status.get("log") == expected
    again = case(job_view(dict(told.status)), epoch(grant))
    assert not any(isinstance(action, SetJobStatus) for action in derive(again))
