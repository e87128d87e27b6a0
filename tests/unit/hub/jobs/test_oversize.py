"""A job that is too large is told so and kept small; nobody else's work waits for it."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from hansa.api.aijob import MAX_JOB_BYTES
from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from hansa.reconcile.hub.job_view import OVERSIZE, JobView, parse_spec, trimmed_job, view_job
from tests.unit.hub import kit
from tests.unit.reconcile.hub.hub_objects import job_manifest

BIG = "x" * MAX_JOB_BYTES
PLACES = {
    "entrypoint": ({}, {"entrypoint": ["python", BIG]}),
    "env": ({}, {"env": [{"name": "A", "value": BIG}]}),
    "annotations": ({"annotations": {"note": BIG}}, {}),
    "a wish for a log": ({"annotations": {LOG_REQUEST_ANNOTATION: BIG}}, {}),
    "labels": ({"labels": {f"l{i}": "x" * 60 for i in range(2200)}}, {}),
    "owners": ({"ownerReferences": [{"name": "x" * 200} for _ in range(700)]}, {}),
}


@pytest.mark.parametrize("case", PLACES)
def test_whatever_makes_a_job_large_it_is_kept_small(case):
    meta, spec = PLACES[case]
    job = job_manifest({"epoch": 3}, meta={"finalizers": ["hansa.dev/grant"], **meta}, **spec)

    kept = trimmed_job(job)

    assert len(json.dumps(kept)) < 1000
    assert kept["spec"][OVERSIZE] > MAX_JOB_BYTES
    assert kept["status"] == {"epoch": 3}  # what it holds is not forgotten
    assert kept["metadata"]["finalizers"] == ["hansa.dev/grant"]


def test_a_job_of_the_full_size_is_kept_whole():
    job = job_manifest(entrypoint=["python", "x" * (MAX_JOB_BYTES - 2000)])

    kept = trimmed_job(job)
    assert {name: kept[name] for name in ("spec", "status")} == {
        name: job[name] for name in ("spec", "status")
    }
    assert view_job(kept, parse_spec(kept["spec"])) == view_job(job, parse_spec(job["spec"]))


def test_of_metadata_nothing_is_kept_that_is_not_used():
    """What ``kubectl apply`` last applied is the whole object a second time, in each of thousands."""
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 2000}
    job = job_manifest(meta={"annotations": applied, "labels": {"a": "b"}, "generateName": "x-"})

    kept = trimmed_job(job)

    assert not kept["metadata"].keys() & {"annotations", "labels", "generateName"}
    assert view_job(kept, parse_spec(kept["spec"])) == view_job(job, parse_spec(job["spec"]))


METADATA = {
    "generation": 7,
    "creationTimestamp": "2026-11-30T01:00:00Z",
    "deletionTimestamp": "2026-11-30T02:00:00Z",
    "finalizers": ["hansa.dev/grant", "another.dev/keeps"],
    "annotations": {LOG_REQUEST_ANNOTATION: str(LogRequest(1e9, 3, 4096))},
}
"""Every field of an AIJob's metadata that its view is read from, none at its default."""


def test_what_is_kept_is_read_like_the_whole():
    whole = job_manifest({"epoch": 3}, meta=METADATA)
    plain = view_job(job_manifest({"epoch": 3}), parse_spec(whole["spec"]))
    seen = view_job(whole, parse_spec(whole["spec"]))
    kept = view_job(trimmed_job(whole), parse_spec(whole["spec"]))

    assert kept == seen
    told = {f.name for f in fields(JobView) if getattr(seen, f.name) == getattr(plain, f.name)}
    assert told == {"uid", "namespace", "name", "resource_version", "parsed", "status"}


def test_a_request_for_a_log_cannot_make_a_job_large():
    note = {"annotations": {LOG_REQUEST_ANNOTATION: "x" * 50_000}}
    assert len(json.dumps(trimmed_job(job_manifest(meta=note)))) < 2000


def test_what_jobs_have_in_common_is_kept_once():
    status = {"verdicts": [{"node": "tartu", "reason": "WaitingForCapacity", "message": "full"}]}
    one, two = (
        trimmed_job(json.loads(json.dumps(job_manifest(status, meta={"name": name}))))
        for name in ("one", "two")
    )

    assert one["metadata"] != two["metadata"]
    assert one["status"]["verdicts"] is two["status"]["verdicts"]
    assert one["spec"] is two["spec"]
    other = trimmed_job(job_manifest(status, priority=7))
    for name in ("ray", "residency"):
        assert other["spec"][name] is one["spec"][name]
    whole = job_manifest(status, meta={"name": "one"})
    assert {name: one[name] for name in ("spec", "status")} == {
        name: whole[name] for name in ("spec", "status")
    }


def test_a_job_that_is_too_large_is_told_so_and_the_next_one_runs(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent())
    kit.submit(store, "huge", entrypoint=["python", BIG])
    kit.submit(store, "study")
    hub = kit.led(store, clock)

    hub.settle_down()

    huge, study = (store.objects[kit.job_path(name)] for name in ("huge", "study"))
    (placed,) = (row for row in huge["status"]["conditions"] if row["type"] == "Placed")
    assert placed["reason"] == "Misconfigured"
    assert f"at most {MAX_JOB_BYTES} are read" in placed["message"]
    assert study["status"]["node"] == "tartu"
    assert all(len(json.dumps(job)) < 4000 for job in hub.caches.jobs.values())
