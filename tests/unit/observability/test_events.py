"""Events: what is said twice, too fast, or to a server that will not listen."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from e2e.testbed.host.clock import PATIENCE_S
from hansa.errors import Retryable
from hansa.model.reasons import Reason
from hansa.observability import events
from hansa.observability.recorder import EventRecorder, Limit

JOB = events.Subject("hansa.dev/v1alpha1", "AIJob", "study", "clinic", "u-1")
NODE = events.Subject("hansa.dev/v1alpha1", "SovereignNode", "tartu", uid="u-4")
POOL = events.Subject("hansa.dev/v1alpha1", "ComputePool", "league", uid="u-3")
POLICY = events.Subject("hansa.dev/v1alpha1", "MemberPolicy", "local", uid="u-2")


@dataclass
class ManualClock:
    seconds: float = 1_000.0

    def now(self):
        return 1_800_000_000.0 + self.seconds

    def monotonic(self):
        return self.seconds


@dataclass
class Sink:
    """Takes creations, or fails them."""

    error: Exception | None = None
    created: list = field(default_factory=list)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self, path, body):
        if self.error:
            raise self.error
        self.created.append((path, body))
        self.wrote.set()
        return body


def recorder(sink, clock, **limits):
    return EventRecorder(
        sink, clock, controller="hansa.dev/hub", instance="hub-0", limit=Limit(**limits)
    )


async def test_an_event_has_the_shape_the_api_server_wants():
    sink, clock = Sink(), ManualClock()
    rec = recorder(sink, clock)
    assert rec.emit(events.job_granted(JOB, "tartu", 3))
    await rec.flush()
    path, body = sink.created[0]
    assert path == "/apis/events.k8s.io/v1/namespaces/clinic/events"
    assert body["regarding"] == {
        "apiVersion": "hansa.dev/v1alpha1",
        "kind": "AIJob",
        "name": "study",
        "namespace": "clinic",
        "uid": "u-1",
    }
    assert body["eventTime"] == "2027-01-15T08:16:40.000000Z"
    assert (body["reason"], body["action"], body["type"]) == ("Granted", "Grant", "Normal")
    assert body["reportingController"] == "hansa.dev/hub"


async def test_events_on_cluster_scoped_objects_go_to_default():
    sink = Sink()
    rec = recorder(sink, ManualClock())
    rec.emit(events.policy_enforced(POLICY, 2))
    await rec.flush()
    assert sink.created[0][0] == "/apis/events.k8s.io/v1/namespaces/default/events"
    assert "namespace" not in sink.created[0][1]["regarding"]


SAME = {
    "the same again": (
        events.job_waiting(JOB, Reason.WAITING_FOR_CAPACITY, "full"),
        events.job_waiting(JOB, Reason.WAITING_FOR_CAPACITY, "full"),
        False,
    ),
    "another message": (
        events.job_waiting(JOB, Reason.WAITING_FOR_CAPACITY, "full"),
        events.job_waiting(JOB, Reason.WAITING_FOR_CAPACITY, "fuller"),
        True,
    ),
    "another epoch": (
        events.job_granted(JOB, "tartu", 1),
        events.job_granted(JOB, "tartu", 2),
        True,
    ),
    "another node": (
        events.job_refused(JOB, "tartu", "Paused", "paused"),
        events.job_refused(JOB, "riga", "Paused", "paused"),
        True,
    ),
}


@pytest.mark.parametrize(("first", "second", "told"), SAME.values(), ids=SAME.keys())
def test_what_counts_as_the_same_event(first, second, told):
    rec = recorder(Sink(), ManualClock())
    assert rec.emit(first)
    assert rec.emit(second) is told


def test_a_lasting_state_is_said_again_after_its_window():
    clock = ManualClock()
    rec = recorder(Sink(), clock)
    event = events.kuberay_unfit(POLICY, "too old")
    rec.emit(event)
    clock.seconds += event.window_s - 1
    assert not rec.emit(event)
    clock.seconds += 1
    assert rec.emit(event)
    assert rec.outcomes["repeated"] == 1


def test_a_flood_is_limited_and_recovers():
    clock = ManualClock()
    rec = recorder(Sink(), clock, per_second=2.0, burst=3)
    flood = [events.job_granted(JOB, "tartu", epoch) for epoch in range(10)]
    assert [rec.emit(event) for event in flood] == [True] * 3 + [False] * 7
    clock.seconds += 1.0
    assert [rec.emit(event) for event in flood[3:]] == [True, True] + [False] * 5


async def test_a_server_that_refuses_costs_an_event_and_nothing_else():
    sink = Sink(error=Retryable("429"))
    rec = recorder(sink, ManualClock())
    rec.emit(events.policy_enforced(POLICY, 2))
    await rec.flush()
    sink.error = None
    rec.emit(events.hub_reachable(POLICY))
    writer = asyncio.create_task(rec.run())
    await asyncio.wait_for(sink.wrote.wait(), PATIENCE_S)
    writer.cancel()
    await asyncio.wait([writer])
    assert dict(rec.outcomes) == {"failed": 1, "written": 1}


SAID = {
    "granted": events.job_granted(JOB, "tartu", 1),
    "waiting": events.job_waiting(JOB, Reason.WAITING_FOR_CAPACITY, "full"),
    "misconfigured": events.job_misconfigured(JOB, Reason.UNKNOWN_POOL, "no pool"),
    "refused": events.job_refused(JOB, "tartu", "Paused", "paused"),
    "succeeded": events.job_succeeded(JOB, "tartu", 1),
    "failed": events.job_failed(JOB, "tartu", "OutOfMemory", "died"),
    "stopping": events.job_stopping(JOB, "tartu", "Drained", "maintenance"),
    "unsound": events.object_unsound(POOL, Reason.EXCEEDS_CAP, "caps that cannot hold"),
    "audited": events.job_audited(JOB, 1, "Passed", "tartu and riga got the same"),
    "a node audited": events.node_audited(NODE, "u.1", "Failed", "two agree against it"),
    "a level fell": events.node_level_fell(NODE, "L1", "L0", "an audit has failed"),
    "policy": events.policy_enforced(POLICY, 1),
    "refusal": events.grant_refused(POLICY, "clinic/study", "Paused", "paused"),
    "stop": events.run_stopped(POLICY, "clinic/study", "Unattended", "too long"),
    "hub gone": events.hub_unreachable(POLICY, "timeout"),
    "hub back": events.hub_reachable(POLICY),
    "kuberay": events.kuberay_unfit(POLICY, "missing"),
    "clock": events.clock_skewed(POLICY, "90 s"),
    "canary": events.canary_admitted(POLICY, "pod admitted"),
}


@pytest.mark.parametrize("event", SAID.values(), ids=SAID.keys())
def test_reasons_are_words_and_notes_are_not_empty(event):
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", event.reason)
    assert re.fullmatch(r"[A-Z][a-z]+", event.action)
    assert event.note
    assert event.type in {"Normal", "Warning"}


def test_every_event_has_its_own_key():
    assert len({event.key for event in SAID.values()}) == len(SAID)


def test_long_names_and_notes_fit_the_api():
    job = events.Subject("hansa.dev/v1alpha1", "AIJob", "a" * 49 + "." + "b" * 100, "clinic")
    rec = recorder(Sink(), ManualClock())
    rec.emit(events.job_failed(job, "tartu", "Failed", "x" * 5000))
    _, body = rec._queue.get_nowait()
    assert body["metadata"]["generateName"] == "a" * 49 + "-"
    assert len(body["note"]) == events.MAX_NOTE
