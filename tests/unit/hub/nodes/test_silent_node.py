"""A node that falls silent: the job that it holds says so, and when it may move; and no more once it is back."""

from __future__ import annotations

import pytest

from hansa.cli.jobs import explain
from hansa.hub.events import event_of
from hansa.model.times import from_rfc3339, rfc3339
from tests.unit.hub import kit
from tests.unit.hub.driving import driven
from tests.unit.reconcile.hub.hub_objects import SKEW_S, condition

UNATTENDED_S = 3600


@pytest.fixture
def store(clock):
    return kit.one_job(clock)


def job(store):
    return store.objects[kit.job_path("study")]


def said(store, kind):
    rows = {row["type"]: row for row in job(store)["status"]["conditions"]}
    return (rows[kind]["status"], rows[kind]["reason"], rows[kind]["message"])


def wait(hub, seconds, *, beats):
    hub.clock.now_s += seconds
    if beats:
        kit.beat(hub.store, "tartu")
    for _ in range(3):
        driven(hub.controller.tick())
        hub.queue.come_back()
        hub.settle_down()


def not_after_s(store):
    (grant,) = kit.grants(store).values()
    return from_rfc3339(grant["spec"]["notAfter"])


def running(store, clock):
    hub = kit.led(store, clock)
    wait(hub, 1, beats=True)
    (path,) = kit.grants(store)
    at = rfc3339(clock.now())
    kit.answer(
        store,
        path,
        {
            "acceptedAt": at,
            "runningAt": at,
            "conditions": [condition("Accepted"), condition("Running", "True", "Running")],
        },
    )
    wait(hub, 1, beats=True)
    assert said(store, "Running")[:2] == ("True", "Running")
    return hub


def test_a_job_says_that_its_node_is_silent_and_when_it_may_move(store, clock):
    hub = running(store, clock)
    heard_s = clock.now()
    wait(hub, 120, beats=False)

    status, reason, message = said(store, "Running")

    assert (status, reason) == ("Unknown", "NodeUnreachable")
    assert f"since {rfc3339(heard_s)}" in message
    at_s = max(heard_s + UNATTENDED_S, not_after_s(store)) + SKEW_S
    assert f"after {rfc3339(at_s)}" in message
    assert any(rfc3339(at_s) in line for line in explain.summary(job(store)))


def test_a_node_that_is_back_is_believed_again(store, clock):
    hub = running(store, clock)
    wait(hub, 120, beats=False)
    wait(hub, 5, beats=True)
    assert said(store, "Running")[:2] == ("True", "Running")


def test_it_is_told_once(store, clock, monkeypatch):
    told = []
    hub = running(store, clock)
    monkeypatch.setattr("hansa.hub.executor.event_of", told.append)
    monkeypatch.setattr(hub.executor._recorder, "emit", lambda _: True)
    for _ in range(4):
        wait(hub, 60, beats=False)
    (silent,) = [said for said in told if said.kind == "silent"]
    event = event_of(silent)
    assert (event.type, event.reason) == ("Warning", "NodeUnreachable")
    assert "it may run elsewhere after" in event.note
