"""What a conversion could drop or change without a word: other objects beside the job, and values by their form."""

from __future__ import annotations

import json

import pytest
import yaml

from hansa.cli.documents import read_documents
from hansa.errors import Terminal
from tests.unit.cli.convert.rayjobs import CHOICE, SCRIPT, group, made, pod, rayjob

HEAD = "spec.rayClusterSpec.headGroupSpec.template.spec"
BOX = f"{HEAD}.containers[0]"


def thing(kind, name="x", **more):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more}


def told(*documents, **container):
    return {n.field: n.advice for n in made(*documents, rayjob(head=pod(**container))).notes}


# What stands beside a RayJob; what is said of it.
BESIDE = {
    "a Secret": (thing("Secret"), "Secret x", "spec.secrets"),
    "a claim": (thing("PersistentVolumeClaim"), "PersistentVolumeClaim x", "spec.data"),
    "a Service": (thing("Service"), "Service x", "takes nothing along"),
    "a RayService": (thing("RayService"), "RayService x", "batch inference"),
    "a ConfigMap that nothing reads": (thing("ConfigMap", data={"a": "b"}), "ConfigMap x", "files"),
    "what has no kind": ({"metadata": {"name": "x"}}, "(no kind) x", "takes nothing along"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_stands_beside_a_job_is_named(case):
    document, field, words = BESIDE[case]
    assert words in told(document)[field]


def test_scripts_that_the_job_reads_are_not():
    volume = {"name": "code", "configMap": {"name": "scripts"}}
    mount = {"name": "code", "mountPath": "/code"}
    assert "ConfigMap scripts" not in told(SCRIPT, volumes=[volume], volumeMounts=[mount])


def test_a_service_alone_is_refused_with_what_to_do():
    with pytest.raises(Terminal, match=r"RayService x.*batch inference"):
        made(thing("RayService"))


# How a container is; the field that is named; what is said.
UNSAID = {
    "a secret that need not be there": (
        {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "K", "optional": True}}}]},
        *(f"{BOX}.env[0]", "only members that lend"),
    ),
    "secrets that need not be there": (
        {"envFrom": [{"secretRef": {"name": "s", "optional": True}}]},
        *(f"{BOX}.envFrom[0]", "only members that lend"),
    ),
    "files of a secret that need not be there": (
        {"volumes": [{"name": "v", "secret": {"secretName": "s", "optional": True}}],
         "volumeMounts": [{"name": "v", "mountPath": "/s"}]},
        *(f"{HEAD}.volumes[0]", "only members that lend"),
    ),
    "how large scratch is": (
        {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "500Gi"}}],
         "volumeMounts": [{"name": "v", "mountPath": "/tmp/v"}]},
        *(f"{HEAD}.volumes[0].emptyDir", "/tmp"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSAID)
def test_what_means_less_in_a_job_is_named(case):
    container, field, words = UNSAID[case]
    assert words in told(**container)[field]


def test_a_variable_without_a_value_is_told_as_a_variable():
    notes = made(rayjob(runtimeEnvYAML="env_vars: {A: }")).notes
    [advice] = [n.advice for n in notes if n.field == "spec.runtimeEnvYAML.env_vars.A"]
    assert "plain values" in advice


def test_one_volume_that_is_mounted_file_by_file_brings_each():
    volume = {"name": "code", "configMap": {"name": "scripts"}}
    mounts = [
        {"name": "code", "mountPath": f"/app/{name}", "subPath": name} for name in SCRIPT["data"]
    ]
    one = made(SCRIPT, rayjob(head=pod(volumes=[volume], volumeMounts=mounts)))
    assert {f["name"] for f in one.job["spec"]["files"]} == {*SCRIPT["data"]}
    assert not [
        note for note in one.notes if "volumeMounts" in note.field and "lent" in note.advice
    ]


# As written; as every reader of Kubernetes' YAML takes it.
WRITTEN = {
    "a time of day": ("12:30:00", "12:30:00"),
    "minutes": ("12:30", "12:30"),
    "a share of minutes": ("12:30.5", "12:30.5"),
    "a day": ("2026-12-01", "2026-12-01"),
    "a moment": ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z"),
    "a number": ("16", 16),
    "a hexadecimal one": ("0x10", 16),
    "a fraction": ("0.5", 0.5),
    "a version": ("2.54.0", "2.54.0"),
    "an exponent": ("1e3", "1e3"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_a_value_is_read_as_kubernetes_reads_it(case):
    written, value = WRITTEN[case]
    assert read_documents(f"a: {written}\n") == [{"a": value}]


def test_json_may_be_indented_by_tabs():
    text = json.dumps(rayjob(), indent="\t")
    assert made(*read_documents(text), choice=CHOICE).job == made(rayjob()).job
    with pytest.raises((ValueError, yaml.YAMLError), match="stands here twice"):
        read_documents('{\n\t"a": 1,\n\t"a": 2}')


def workers(**fields):
    return rayjob(groups=[group(2) | fields])


# What is not as KubeRay takes it; where the refusal says so.
ODD = {
    "a command that is a list": (rayjob(entrypoint=["python", "a.py"]), "spec.entrypoint is no text"),
    "a deadline with its unit": (rayjob(activeDeadlineSeconds="10m"), "spec.activeDeadlineSeconds is 10m"),
    "tries in words": (rayjob(backoffLimit="some"), "spec.backoffLimit is some"),
    "workers in words": (workers(replicas="two"), r"workerGroupSpecs\[0\].replicas is two"),
    "at least half a worker": (workers(minReplicas=0.5), r"workerGroupSpecs\[0\].minReplicas is 0.5"),
    "hosts in words": (workers(numOfHosts="x"), r"workerGroupSpecs\[0\].numOfHosts is x"),
    "a processor in words": (
        rayjob(groups=[group(2, limits={"cpu": "four"})]),
        r"containers\[0\].resources: cpu is four",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_what_is_not_as_kuberay_takes_it_is_refused_by_its_field(case):
    manifest, words = ODD[case]
    with pytest.raises(Terminal, match=words):
        made(manifest)


# A deadline, and a number of workers.
SPELT = {"in quotes": ("600", "3"), "with a point": (600.0, 3.0), "plainly": (600, 3)}


@pytest.mark.parametrize("case", SPELT)
def test_numbers_are_numbers_of_the_job_however_they_are_written(case):
    deadline, workers = SPELT[case]
    spec = made(rayjob(activeDeadlineSeconds=deadline, groups=[group(workers)])).job["spec"]
    assert (spec["maxRuntimeSeconds"], spec["ray"]["workers"]["count"]) == (600, 3)


def test_what_stands_beside_a_job_is_named_however_odd_it_is():
    odd = [{"kind": "Odd", "metadata": ["a"]}, {"kind": "Odder", "metadata": "a"}, {1: 2}]
    notes = made(rayjob(), *odd).notes
    assert {n.field for n in notes} >= {"Odd ", "Odder ", "(no kind) "}
