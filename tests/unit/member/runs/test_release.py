"""What a run leaves behind: GPU seconds of the time it held them, and how long its way here took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.grants import trust
from hansa.grants.epochs import Outcome
from hansa.grants.facts import Proposal
from hansa.member.runs.release import count_build, gpu_seconds, sign_release
from hansa.member.state.run_index import Entry
from hansa.model.times import rfc3339
from hansa.observability import metrics
from hansa.reconcile import fencing
from hansa.reconcile.member.lifecycle import Run
from hansa.reconcile.member.workload import WorkloadView
from tests.unit.grants.grant_kit import NODE, NOW_S, UID, grant, job
from tests.unit.member.runs.plain_job import GRANT, Running


def entry(**changes) -> Entry:
    wire = grant(job(**changes))
    found = trust.read(wire)
    assert isinstance(found, Proposal)
    return Entry(found.spec, wire, found.digest)


NO_GPUS = {"ray": {"version": "2.60.0", "workers": {"count": 2}}}
USED = {
    "two GPUs, ten minutes": ({}, WorkloadView(NOW_S - 600), 1200),
    "no GPUs": (NO_GPUS, WorkloadView(NOW_S - 600), 0),
    "from when it was made, not from when it ran": (
        {},
        WorkloadView(NOW_S - 600, running=True, running_s=NOW_S - 10),
        1200,
    ),
    "a second that is not over": ({}, WorkloadView(NOW_S - 1.9), 2),
    "a clock that was set back": ({}, WorkloadView(NOW_S + 600), 0),
    "never made": ({}, None, 0),
}


@pytest.mark.parametrize("case", USED.values(), ids=USED)
def test_gpu_seconds(case):
    changes, view, seconds = case
    one, context = entry(**changes), Running().parts.context
    record = context.record(one.spec, one.digest, Outcome.ACCEPTED)
    run = Run(contract=context.contract(one), record=record, workload=view)
    assert gpu_seconds(one, run, NOW_S) == seconds


def test_a_release_is_of_this_node_and_epoch_now():
    said = sign_release(Running().parts.context, UID, 3)
    at = fencing.sign_release(NODE, node="tartu", job_uid=UID, epoch=3, now_s=NOW_S)
    assert said == at


MADE = {
    "in time": ({"creationTimestamp": rfc3339(NOW_S - 5)}, [5.0]),
    "no time": ({}, []),
    "no such time": ({"creationTimestamp": "yesterday"}, []),
}


@pytest.mark.parametrize("case", MADE.values(), ids=MADE)
def test_how_long_the_way_took_is_counted_where_the_hub_says_when_it_began(case, monkeypatch):
    """Its word is data: whatever it says of the time, the run was made."""
    told, counted = case
    agent, seen = Running(), []
    agent.granted()
    context = agent.parts.context
    thing = agent.hub.objects[GRANT]
    metadata = {k: v for k, v in thing["metadata"].items() if k != "creationTimestamp"} | told
    context.grants.put({**thing, "metadata": metadata})
    monkeypatch.setattr(context.instruments, "observe", lambda *said: seen.append(said))
    one = entry(data=[])

    count_build(context, one)
    count_build(context, replace(one, spec=one.spec.model_copy(update={"epoch": 4})))

    assert seen == [(metrics.GRANT_TO_WORKLOAD, took_s) for took_s in counted]
