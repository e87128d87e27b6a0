"""Manifests as other tools and other clusters write them: lists, other resources, other ways to write a number.

What has a place in an AIJob is taken, what has none is named, and a refusal says what to do.
"""

from __future__ import annotations

import pytest
import yaml

from hansa.api.aijob import AIJobSpec
from hansa.cli.convert.rayjob import Choice
from hansa.cli.documents import read_documents
from hansa.errors import Terminal
from tests.unit.cli.convert.rayjobs import CHOICE, IMAGE, group, made, pod, rayjob

WORKERS = "spec.rayClusterSpec.workerGroupSpecs[0]"
BOX = f"{WORKERS}.template.spec.containers[0]"
AUTOSCALED = {"enableInTreeAutoscaling": True}
BARE = Choice("gpu", ("EE",), ("EU",), image=IMAGE)


def asking(**limits):
    return rayjob(groups=[group(2, limits={"cpu": "4", "memory": "8Gi", **limits})])


@pytest.mark.parametrize("kind", ["List", "RayJobList"])
def test_what_kubectl_prints_of_several_is_read(kind):
    listed = {"apiVersion": "v1", "kind": kind, "items": [rayjob(), rayjob()]}
    assert made(*read_documents(yaml.safe_dump(listed))).job == made(rayjob()).job


CARDS = (
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "nvidia.com/gpu.shared",
    "nvidia.com/mig-1g.10gb",
)


@pytest.mark.parametrize("resource", CARDS)
def test_every_card_that_members_lend_is_a_gpu(resource):
    one = made(asking(**{resource: 1}))
    assert one.job["spec"]["ray"]["workers"]["gpus"] == 1
    assert (
        f"{resource}: give --gpu-class"
        in {n.field: n.advice for n in one.notes}[f"{BOX}.resources"]
    )


@pytest.mark.parametrize("resource", ["rdma/ib", "vpc.amazonaws.com/efa", "hugepages-2Mi"])
def test_a_resource_that_no_member_lends_is_named_and_left_out(resource):
    one = made(asking(**{"nvidia.com/gpu": 1, resource: "32"}))
    assert one.job["spec"]["ray"]["workers"]["gpus"] == 1
    assert f"{BOX}.resources.limits.{resource}" in {note.field for note in one.notes}


WRITTEN = {
    "an exponent": ({"cpu": "1e1", "memory": "2e9"}, "10000m", "2000000000"),
    "a number": ({"cpu": 0.5, "memory": 17179869184}, "0.5", "17179869184"),
    "exbibytes of a typing error": ({"cpu": "1", "memory": "1Pi"}, "1", str(1 << 50)),
    "cards with a point": ({"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "2.0"}, "1", "1Gi"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_quantities_are_taken_however_they_are_written(case):
    limits, cpu, memory = WRITTEN[case]
    workers = made(rayjob(groups=[group(1, limits=limits)])).job["spec"]["ray"]["workers"]
    assert (workers["cpu"], workers["memory"]) == (cpu, memory)


NAMES = {
    "dots and letters": ("Train_v1.2", "train-v1-2"),
    "too long": ("a" * 100, "a" * 63),
    "a number": (123, "123"),
    "a usual one": ("train", "train"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_no_job_can_have_is_changed_and_told(case):
    given, name = NAMES[case]
    one = made(rayjob() | {"metadata": {"name": given}})
    assert one.job["metadata"]["name"] == name
    assert ("metadata.name" in {note.field for note in one.notes}) is (str(given) != name)


def test_an_autoscaler_without_a_bound_of_its_own_is_not_bound_by_kuberays():
    one = made(rayjob(groups=[group(4) | {"maxReplicas": 2**31 - 1}], cluster=AUTOSCALED))
    assert one.job["spec"]["ray"]["workers"]["count"] == 4
    assert f"{WORKERS}.maxReplicas" in {note.field for note in one.notes}


def test_a_longer_deadline_is_the_longest_there_is():
    one = made(rayjob(activeDeadlineSeconds=10**9))
    assert one.job["spec"]["maxRuntimeSeconds"] == 2_592_000
    assert (
        "2592000 s at most" in {n.field: n.advice for n in one.notes}["spec.activeDeadlineSeconds"]
    )


def test_variables_that_no_job_can_have_are_named_and_others_mean_the_same():
    text = "env_vars: {A: 1, B: null, C: true, a.b: x}"
    box = pod(env=[{"name": "dotted.name", "value": "1"}])
    one = made(rayjob(runtimeEnvYAML=text, groups=[{"groupName": "w", "replicas": 1, **box}]))
    told = {note.field for note in one.notes}
    assert one.job["spec"]["env"] == [{"name": "A", "value": "1"}, {"name": "C", "value": "true"}]
    assert {
        "spec.runtimeEnvYAML.env_vars.B",
        "spec.runtimeEnvYAML.env_vars.a.b",
        f"{BOX}.env[0]",
    } <= told
    AIJobSpec.model_validate(one.job["spec"])


EMPTY = group(1) | {"template": {"spec": {"containers": None}}}
REFUSED = {
    "no version": (rayjob(cluster={"rayVersion": ""}), BARE, "--ray-version"),
    "a version of every night": (rayjob(cluster={"rayVersion": "nightly"}), BARE, "release number"),
    "an old version": (rayjob(cluster={"rayVersion": "2.9.0"}), BARE, "--ray-version"),
    "no place": (rayjob(), Choice("p", ("UK",), ("EE",), image=IMAGE), "write GB; give --location"),
    "another accelerator": (asking(**{"google.com/tpu": 4}), CHOICE, "out of the manifest"),
    "an accelerator beside a GPU": (
        asking(**{"nvidia.com/gpu": 1, "habana.ai/gaudi": 1}),
        CHOICE,
        "habana.ai/gaudi",
    ),
    "cards of two makers": (
        asking(**{"nvidia.com/gpu": 1, "amd.com/gpu": 1}),
        CHOICE,
        "amd.com/gpu, nvidia.com/gpu: an AIJob asks for GPUs of one class",
    ),
    "too many workers": (rayjob(groups=[group(5000)]), CHOICE, f"{WORKERS}.replicas: 5000 workers"),
    "too many by autoscaling": (
        rayjob(groups=[group(1) | {"maxReplicas": 4000}], cluster=AUTOSCALED),
        CHOICE,
        f"{WORKERS}.maxReplicas: 4000 workers",
    ),
    "a group without a container": (rayjob(groups=[EMPTY]), CHOICE, f"{WORKERS} has no container"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_where_and_what_to_do(case):
    manifest, choice, words = REFUSED[case]
    with pytest.raises(Terminal) as caught:
        made(manifest, choice=choice)
    assert words in str(caught.value)
    assert "String should" not in str(caught.value)
