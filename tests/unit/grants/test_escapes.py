"""The judge's half of the table of escapes: as a signed grant each is refused, and none is ever rendered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.api.workgrant import WorkGrantSpec
from hansa.grants.checks import judge
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import Creation, RunRequest
from tests import hostile
from tests.apiserver.lock import escapes, table
from tests.apiserver.lock.attempts import LAW, LAWFUL, attempts, control, holds, verdict
from tests.apiserver.lock.escaping.by_rayjob import RAYJOBS
from tests.hostile import Random
from tests.unit.grants.grant_kit import HUB, facts, grant
from tests.unit.reconcile.member.run_request_kit import CARDS, HOST_PATH

TRIED = {name: attempt for name, attempt in attempts().items() if attempt is not None}
MADE = {
    *("Namespace", "ServiceAccount", "RoleBinding", "NetworkPolicy", "ResourceQuota", "ConfigMap"),
    *("Secret", "PersistentVolume", "PersistentVolumeClaim", "RayJob"),
}
"""All the agent ever makes of a grant."""


def test_what_the_escapes_are_put_into_is_lawful():
    assert verdict(LAWFUL).accepted


@pytest.mark.parametrize("name", TRIED)
def test_a_grant_with_a_way_out_is_refused(name: str):
    assert control(TRIED[name])


def test_there_are_as_many_as_promised():
    said = table.counts(table.rows())
    assert said["escapes"] == len(escapes.PODS) + len(RAYJOBS) + len(escapes.REQUESTS)
    assert said["refused_by_judge_as_a_field"] >= 150
    assert said["refused_by_lock"] >= 150


def rendered(spec: dict[str, Any]) -> list[Creation]:
    """Return all that an agent makes of a grant it accepted."""
    request = RunRequest(
        grant=WorkGrantSpec.model_validate(spec),
        wire=spec,
        policy=LAW,
        gpu_class="nvidia-rtx-4090",
        cards=CARDS,
        places=("EE",),
        volumes={"cohort": HOST_PATH},
        secrets={"token": {"token": "c2VjcmV0"}},
        resolver="10.96.0.53",
    )
    return [creation for wave in waves(request, RayJob()) for creation in wave]


def pods_of(rayjob: dict[str, Any]) -> list[dict[str, Any]]:
    spec = rayjob["spec"]
    cluster = spec["rayClusterSpec"]
    groups = (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    return [spec["submitterPodTemplate"], *(group["template"] for group in groups)]


def check(creations: list[Creation]) -> None:
    """Nothing of the table is in what was made."""
    assert {creation.body["kind"] for creation in creations} <= MADE
    (rayjob,) = [creation.body for creation in creations if creation.body["kind"] == "RayJob"]
    for pod in pods_of(rayjob):
        assert [name for name, escape in escapes.PODS.items() if holds(pod, escape)] == []
    assert [name for name, escape in RAYJOBS.items() if holds(rayjob, escape)] == []
    posted = {name: r.body for name, r in escapes.REQUESTS.items() if r.method == "POST"}
    for creation in creations:
        assert [name for name, body in posted.items() if body == creation.body] == []


def test_the_lawful_grant_is_rendered_without_a_way_out():
    check(rendered(grant(LAWFUL)))


def test_a_way_out_would_be_seen():
    """The comparison itself: each escape, put into the lawful pod, is found there."""
    (rayjob,) = [c.body for c in rendered(grant(LAWFUL)) if c.body["kind"] == "RayJob"]
    worker = pods_of(rayjob)[-1]
    worker["spec"]["initContainers"] = [{"name": "x"}]
    for key in ("ports", "envFrom"):
        worker["spec"]["containers"][0].setdefault(key, [])
    for name, escape in escapes.PODS.items():
        assert holds(escapes.spoilt(worker, escape), escape), name


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_accepted_grant_is_rendered_with_a_way_out(rng: Random):
    body = hostile.mutated(rng, LAWFUL, changes=2, wide=False)
    if not isinstance(body, dict) or "ray" not in body:
        return
    spec = hostile.signed(
        grant(LAWFUL) | {"jobSpec": body, "specDigest": hostile.digest(body)}, HUB
    )
    if judge(spec, LAW, facts()).accepted:
        check(rendered(spec))
