"""How many pods of a run that goes on are not up: KubeRay replaces what it loses, and nobody waits for it."""

from __future__ import annotations

import pytest

from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import Traces
from tests.unit.reconcile.member.ray.left_behind import pod, unschedulable, waiting

HEAD = pod("head", phase="Running")
UP = pod("worker", phase="Running")
GOING = {**UP, "metadata": {**UP["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
MISSING = {
    "all are up": ([HEAD, UP, UP], 0),
    "one has no room": ([HEAD, UP, pod("worker", **unschedulable("0/2 nodes"))], 1),
    "one is being pulled": (
        [HEAD, UP, pod("worker", phase="Pending", containerStatuses=waiting("ImagePullBackOff"))],
        1,
    ),
    "one was refused, so that it is not there": ([HEAD, UP], 1),
    "one was evicted, another is up in its place": (
        [HEAD, UP, pod("worker", phase="Failed", reason="Evicted"), UP],
        0,
    ),
    "one goes and does not end": ([HEAD, UP, GOING], 1),
    "the head is made anew": ([pod("head", phase="Pending"), UP, UP], 1),
    "the submitter is none of them": ([HEAD, UP, UP, pod("", phase="Pending")], 0),
    "more than asked for": ([HEAD, UP, UP, UP], 0),
    "none is there: KubeRay ends that": ([], 0),
    "pods that say nothing": ([UP, {"metadata": {"name": "odd"}}], 2),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing(case):
    pods, missing = MISSING[case]
    assert RayJob().missing(Traces(pods, workers=2)) == missing


def test_a_head_that_works_alone_is_missed_too():
    assert RayJob().missing(Traces([pod("head", phase="Pending")], workers=0)) == 1
    assert RayJob().missing(Traces([HEAD], workers=0)) == 0


def test_the_head_is_the_pod_that_is_up():
    def known(uid, one):
        return {**one, "metadata": {**one["metadata"], "uid": uid}}

    going = known(
        "a", {**GOING, "metadata": {**GOING["metadata"], "labels": HEAD["metadata"]["labels"]}}
    )
    assert RayJob().head(Traces([known("w", UP), going, known("b", HEAD)])) == "b"
    assert RayJob().head(Traces([known("w", UP), going])) == ""
