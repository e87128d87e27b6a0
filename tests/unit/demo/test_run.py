"""The audit of the demo: it runs and tells also where the story fails, and what it finds is what the logs say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from e2e.demo import run
from e2e.demo.audit import Binding, Finding, Stray
from e2e.demo.jobs import load_example
from e2e.demo.run import Running, faults, run_story
from e2e.demo.story import StoryError
from e2e.testbed.host.progress import Progress

IMAGE = f"hansa.local/ray-sklearn@sha256:{'1' * 64}"
UID = "11111111-2222-3333-4444-555555555555"
NAMESPACE = f"aij-{UID.replace('-', '')}-e1"


class Hub:
    """A hub that has one job of the story, and an audit of it."""

    def get(self, kind, *_):
        if kind == "sovereignnodes":
            node = {"jurisdiction": "EE", "legalControl": ["EE"]}
            return {"items": [{"metadata": {"name": "tartu"}, "spec": node}]}
        job = load_example("1-screening-estonia.yaml", IMAGE)
        job["metadata"]["uid"] = UID
        audit = {
            "metadata": {**job["metadata"], "name": "a1", "uid": "audit"},
            "spec": {**job["spec"], "audit": {"of": job["metadata"]["name"]}},
        }
        return {"items": [job, audit]}


def member(log):
    machines = {"tartu-0": "EE", "tartu-abroad": "FI"}
    items = [
        {"metadata": {"name": name, "labels": {"hansa.dev/jurisdiction": place}}}
        for name, place in machines.items()
    ]
    return SimpleNamespace(audit_log=log, get=lambda _: {"items": items})


def written(log, machine):
    """Write what an API server would have: a pod of the job, and where it was bound."""
    reference = {"resource": "pods", "namespace": NAMESPACE, "name": "p"}
    pod = {"metadata": {"name": "p", "labels": {"hansa.dev/job-uid": UID}}, "spec": {}}
    created = {"verb": "create", "responseStatus": {"code": 201}, "stage": "ResponseComplete"}
    events = [
        created | {"objectRef": reference, "responseObject": pod},
        created
        | {
            "objectRef": reference | {"subresource": "binding"},
            "requestObject": {"target": {"name": machine}},
        },
    ]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))


def running(log):
    policy = load_example("league/policy-tartu.yaml", IMAGE)
    league = SimpleNamespace(
        hub=Hub(),
        members={"tartu": member(log)},
        policies={"tartu": policy},
        stop_hub=None,
        start_hub=None,
    )
    return Running(league, SimpleNamespace(progress=Progress(), pods="real"), IMAGE)


@pytest.mark.parametrize(
    ("machine", "outside"), {"at home": ("tartu-0", 0), "abroad": ("tartu-abroad", 1)}.values()
)
def test_a_story_that_fails_is_examined_all_the_same(tmp_path, monkeypatch, machine, outside):
    def tell(_):
        raise StoryError("it did not come")

    monkeypatch.setattr(run, "tell", tell)
    written(log := tmp_path / "audit.log", machine)

    with pytest.raises(StoryError, match="it did not come") as caught:
        run_story(running(log))

    (note,) = caught.value.__notes__
    assert note.startswith(f"1 of 1 pods were work; outside: {outside}")
    assert ("tartu-abroad is outside" in note) is bool(outside)


STRAY = Stray(Binding("tartu", NAMESPACE, "p", "tartu-abroad"), "outside")
FAULTS = {
    "nothing": (Finding(9, 3, 3, ()), [], True, 0),
    "a pod outside": (Finding(9, 3, 3, (STRAY,)), [], True, 1),
    "something is left": (Finding(9, 3, 3, ()), ["a mount"], True, 1),
    "no pod of a job": (Finding(9, 0, 0, ()), [], True, 1),
    "pods of jobs that no machine was given": (Finding(9, 3, 0, ()), [], True, 1),
    "no pod, and none was promised": (Finding(9, 0, 0, ()), [], False, 0),
}


@pytest.mark.parametrize(("finding", "left", "real_pods", "wrong"), FAULTS.values(), ids=FAULTS)
def test_logs_that_show_nothing_are_a_failure(finding, left, real_pods, wrong):
    assert len(faults(finding, left, real_pods=real_pods)) == wrong
