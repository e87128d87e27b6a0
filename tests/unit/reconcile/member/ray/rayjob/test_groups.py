"""Heads that have GPUs and several groups of workers, from what is granted to what is rendered and counted."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.capacity import cpu_millis_wanted, gpus_wanted
from hansa.reconcile.hub.job_view import shape_of
from hansa.reconcile.member.ray.pods import HIDING
from tests.unit.grants.grant_kit import grant, job
from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request

GIB = 1 << 30
ONE = {"count": 1, "gpus": 2}
PLAIN = {"name": "cpu", "count": 3, "cpu": "4", "memory": "8Gi"}
WIDE = {"name": "wide", "count": 2, "cpu": "1", "memory": "32Gi", "gpus": 2}


def ray(**parts):
    return {"version": "2.60.0", "workers": ONE, **parts}


def made(shape, workers):
    return request(grant=WorkGrantSpec.model_validate(grant(job(ray=shape), workers=workers)))


def groups_of(run):
    cluster = rendered(run)["RayJob"]["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"] | {"groupName": "head"}, *cluster["workerGroupSpecs"]]


def gpus_of(group):
    [container] = group["template"]["spec"]["containers"]
    return int(container["resources"]["limits"].get("nvidia.com/gpu", 0))


RUNS = {
    "one group": (ray(), 1, [("head", 1, 0, "0"), ("workers", 1, 2, "1")]),
    "a head with GPUs": (
        ray(head={"gpus": 2, "cpu": "7500m"}),
        2,
        [("head", 1, 2, "8"), ("workers", 1, 2, "1")],
    ),
    "a head alone": (
        ray(head={"gpus": 2}, workers={"count": 0, "gpus": 2}),
        1,
        [("head", 1, 2, "1")],
    ),
    "a head alone before workers without GPUs": (
        ray(head={"gpus": 2}, workers={"count": 0, "gpus": 2}, workerGroups=[PLAIN]),
        1,
        [("head", 1, 2, "1"), ("cpu", 3, 0, "4")],
    ),
    "three groups": (
        ray(workerGroups=[PLAIN, WIDE]),
        3,
        [("head", 1, 0, "0"), ("workers", 1, 2, "1"), ("cpu", 3, 0, "4"), ("wide", 2, 2, "1")],
    ),
    "an elastic first group": (
        ray(workers={"count": 9, "minCount": 2, "gpus": 2}, workerGroups=[WIDE], head={"gpus": 2}),
        7,
        [("head", 1, 2, "1"), ("workers", 4, 2, "1"), ("wide", 2, 2, "1")],
    ),
    "groups without any GPU": (
        ray(workers={"count": 2, "cpu": "2"}, workerGroups=[PLAIN]),
        2,
        [("head", 1, 0, "0"), ("workers", 2, 0, "2"), ("cpu", 3, 0, "4")],
    ),
}


@pytest.mark.parametrize(("shape", "granted", "expected"), RUNS.values(), ids=RUNS)
def test_a_run_is_the_pods_that_were_granted(shape, granted, expected):
    run = made(shape, granted)
    found = groups_of(run)

    assert [
        (one["groupName"], one.get("replicas", 1), gpus_of(one), one["rayStartParams"]["num-cpus"])
        for one in found
    ] == expected
    gpus = sum(many * each for _, many, each, _ in expected)
    assert gpus_wanted(run.grant) == gpus
    quota = rendered(run)["ResourceQuota"]["spec"]["hard"]
    assert quota["requests.nvidia.com/gpu"] == str(gpus)
    assert quota["pods"] == str(sum(many for _, many, *_ in expected) + 1)
    for one in found:
        spec = one["template"]["spec"]
        hidden = {e["name"]: e["value"] for e in spec["containers"][0]["env"]}.get(HIDING)
        assert (hidden is None) == (gpus_of(one) > 0)
        keys = [
            e["key"]
            for term in spec["affinity"]["nodeAffinity"][
                "requiredDuringSchedulingIgnoredDuringExecution"
            ]["nodeSelectorTerms"]
            for e in term["matchExpressions"]
        ]
        assert ("nvidia.com/gpu.product" in keys) == (gpus_of(one) > 0)


def test_all_cpus_are_counted_and_the_quota_has_room_for_them():
    run = made(ray(head={"cpu": "500m"}, workerGroups=[PLAIN, WIDE]), 3)

    assert cpu_millis_wanted(run.grant) == 1000 + 3 * 4000 + 2 * 1000 + 500
    hard = rendered(run)["ResourceQuota"]["spec"]["hard"]
    headroom = 8 * 500 + 100
    assert hard["requests.cpu"] == f"{15_500 + headroom}m"
    asked = (2 + 3 * 8 + 2 * 32 + 2) * GIB
    assert int(hard["requests.memory"]) == asked + 8 * (512 << 20) + (256 << 20)


PLANNED = {
    "one group": (ray(), {"workers": 1, "gpus": 2, "heads": 1, "head_cpu_millis": 1000}),
    "a head with GPUs is one of the gang, each as large as the largest": (
        ray(head={"gpus": 2, "cpu": "8", "memory": "1Gi"}),
        {"workers": 2, "cpu_millis": 8000, "memory_bytes": 2 * GIB, "heads": 0, "min_workers": 0},
    ),
    "a head alone": (
        ray(head={"gpus": 2, "memory": "3Gi"}, workers={"count": 0, "gpus": 2, "memory": "9Gi"}),
        {"workers": 1, "gpus": 2, "memory_bytes": 3 * GIB, "heads": 0, "head_cpu_millis": 0},
    ),
    "workers without GPUs stand where the head does": (
        ray(workerGroups=[PLAIN, WIDE]),
        {"workers": 3, "memory_bytes": 32 * GIB, "heads": 4, "head_cpu_millis": 4000},
    ),
    "the first group is elastic, the rest is not": (
        ray(workers={"count": 9, "minCount": 2, "gpus": 2}, workerGroups=[WIDE], head={"gpus": 2}),
        {"workers": 12, "min_workers": 5, "heads": 0},
    ),
    "no GPUs at all": (
        ray(workers={"count": 2}, workerGroups=[PLAIN]),
        {"workers": 2, "gpus": 0, "cpu_millis": 1000, "heads": 4, "head_memory_bytes": 8 * GIB},
    ),
}


@pytest.mark.parametrize(("shape", "expected"), PLANNED.values(), ids=PLANNED)
def test_what_the_planner_places(shape, expected):
    spec = WorkGrantSpec.model_validate(grant(job(ray=shape), workers=_most(shape))).job_spec
    found = shape_of(spec)
    assert {name: getattr(found, name) for name in expected} == expected


def _most(shape):
    groups = sum(g["count"] for g in shape.get("workerGroups", ()) if g.get("gpus"))
    return shape["workers"]["count"] + groups + (shape.get("head", {}).get("gpus", 0) > 0)


REFUSED = {
    "a head with fewer GPUs": (ray(head={"gpus": 1}), 2, "head.gpus must be 0 or as many"),
    "a group with more": (
        ray(workerGroups=[WIDE | {"gpus": 4}]),
        3,
        "gpus of group wide must be 0 or as many",
    ),
    "nobody to take tasks": (
        ray(workers={"count": 0}),
        1,
        "workers.count may be 0 only where the head has GPUs",
    ),
    "two groups of one name": (ray(workerGroups=[WIDE, WIDE]), 5, "two workerGroups have one name"),
    "the first group's name": (
        ray(workerGroups=[WIDE | {"name": "workers"}]),
        3,
        "workers is the first group's name",
    ),
    "the name that KubeRay gives the head's group": (
        ray(workerGroups=[WIDE | {"name": "headgroup"}]),
        3,
        "headgroup the head's with KubeRay",
    ),
    "a grant that forgets the head": (
        ray(head={"gpus": 2}),
        1,
        "1 workers are granted, the job asks for 2",
    ),
    "a grant that forgets a group": (ray(workerGroups=[WIDE]), 1, "the job asks for 3"),
    "a grant of more than all groups": (ray(workerGroups=[WIDE, PLAIN]), 4, "the job asks for 3"),
    "fewer than the elastic group's least": (
        ray(workers={"count": 9, "minCount": 2, "gpus": 2}, workerGroups=[WIDE]),
        3,
        "3 workers are granted, the job asks for 4 to 11",
    ),
}


@pytest.mark.parametrize(("shape", "granted", "words"), REFUSED.values(), ids=REFUSED)
def test_a_member_refuses_what_its_owner_did_not_ask(shape, granted, words):
    with pytest.raises(ValidationError, match=words):
        WorkGrantSpec.model_validate(grant(job(ray=shape), workers=granted))
