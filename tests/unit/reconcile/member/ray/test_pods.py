"""Which machines and cards pods of a run ask for, and which they see."""

from __future__ import annotations

import json
import subprocess

import pytest

from hansa.api.workgrant import WorkGrantSpec
from hansa.reconcile.member.inventory.machine import MachineRules, read_machine
from hansa.reconcile.member.inventory.stock import CardChoice
from hansa.reconcile.member.inventory.taints import Toleration
from hansa.reconcile.member.run_request import RenderOptions
from tests.unit.grants.grant_kit import grant, job
from tests.unit.reconcile.member.ray.rendered_run import bodies, pods, rendered
from tests.unit.reconcile.member.run_request_kit import request


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_every_pod_tolerates_what_the_inventory_counts_on(role):
    rules = MachineRules(more_tolerations=(Toleration("sku", "gpu", "NoSchedule"),))
    made = request(options=RenderOptions(machines=rules))
    tolerations = pods(made)[role]["spec"]["tolerations"]
    assert tolerations == [one.manifest() for one in rules.tolerations]
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in tolerations
    sku = {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    assert sku in tolerations


def test_pods_without_gpus_see_none():
    hidden = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
    seen = {role: pod["spec"]["containers"][0]["env"] for role, pod in pods().items()}
    assert {role: hidden in env for role, env in seen.items()} == {
        "head": True,
        "worker": False,
        "submitter": True,
    }
    plain = request(ray={"version": "2.60.0", "workers": {"cpu": "1", "memory": "1Gi"}})
    assert hidden in pods(plain)["worker"]["spec"]["containers"][0]["env"]


def test_another_accelerator_is_asked_for_by_its_own_name():
    cards = CardChoice("amd.com/gpu", (("amd.com/gpu.product-name", ("X",)),), {"A": "b"})
    made = request(cards=cards)
    [container] = pods(made)["worker"]["spec"]["containers"]
    assert container["resources"]["limits"]["amd.com/gpu"] == "1"
    assert {"name": "A", "value": "b"} in container["env"]
    assert rendered(made)["ResourceQuota"]["spec"]["hard"]["requests.amd.com/gpu"] == "2"


def _record(made):
    """Return the data of the immutable ConfigMap that a run's pods read."""
    return next(b["data"] for b in bodies(made) if b["kind"] == "ConfigMap" and b.get("immutable"))


FILES = [{"name": "train.py", "content": "print(1)"}, {"name": "b.json", "content": "{}"}]


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_job_brings_small_files(role):
    made = request(files=FILES)
    spec, record = pods(made)[role]["spec"], _record(made)
    [container] = spec["containers"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "code"]

    assert {"name": "code", "mountPath": "/code", "readOnly": True} in container["volumeMounts"]
    held = {item["path"]: record[item["key"]] for item in volume["configMap"]["items"]}
    assert held == {file["name"]: file["content"] for file in FILES}
    assert "code" not in {volume["name"] for volume in pods()[role]["spec"]["volumes"]}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_lent_secret_is_environment_or_files(role):
    uses = [{"name": "token"}, {"name": "keys", "mode": "Files"}]
    asking = WorkGrantSpec.model_validate(grant(job(secrets=uses)))
    lent = {"token": {"a": "eA=="}, "keys": {"b": "eA=="}}
    spec = pods(request(grant=asking, secrets=lent))[role]["spec"]
    [container] = spec["containers"]

    assert container["envFrom"] == [{"secretRef": {"name": "lent-token"}}]
    assert {"name": "lent-keys", "secret": {"secretName": "lent-keys"}} in spec["volumes"]
    mount = {"name": "lent-keys", "mountPath": "/secrets/keys", "readOnly": True}
    assert mount in container["volumeMounts"]


def test_custom_resources_pass_a_shell_unharmed():
    """KubeRay puts the value into a shell's line; Ray reads JSON."""
    held = [{"name": "ssd", "amount": 2}, {"name": "Nv.link-4", "amount": 1}]
    workers = {"count": 2, "customResources": held}
    made = request(ray={"version": "2.60.0", "workers": workers})
    [group] = rendered(made)["RayJob"]["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    line = f"echo {group['rayStartParams']['resources']}"
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout

    assert json.loads(said) == {"ssd": 2, "Nv.link-4": 1}


HOME = {"hansa.dev/jurisdiction": "EE", "kubernetes.io/arch": "amd64"}
ELSEWHERE = {
    "a virtual kubelet": {"type": "virtual-kubelet"},
    "a simulated machine": {"type": "kwok"},
    "another cluster, by Liqo": {"liqo.io/type": "virtual-node"},
    "Fargate": {"eks.amazonaws.com/compute-type": "fargate"},
    "Windows": {"kubernetes.io/os": "windows"},
}
THERE = {
    "a machine": {"kubernetes.io/os": "linux"},
    "a machine of another type": {"type": "worker", "eks.amazonaws.com/compute-type": "ec2"},
}


def chooses(expression, labels):
    """Tell whether a machine meets a requirement, as the scheduler does."""
    is_one = labels.get(expression["key"]) in expression["values"]
    return is_one == {"In": True, "NotIn": False}[expression["operator"]]


@pytest.mark.parametrize("role", ["head", "submitter"])
@pytest.mark.parametrize(
    ("labels", "is_right"),
    [*((one, False) for one in ELSEWHERE.values()), *((one, True) for one in THERE.values())],
    ids=[*ELSEWHERE, *THERE],
)
def test_no_pod_goes_where_the_inventory_sees_no_machine_of_ours(role, labels, is_right):
    required = pods()[role]["spec"]["affinity"]["nodeAffinity"]
    [term] = required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = {"metadata": {"name": "m1", "labels": HOME | labels}, "status": ready}
    assert read_machine(node).usable is is_right
    assert all(chooses(e, HOME | labels) for e in term["matchExpressions"]) is is_right


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_every_pod_prefers_machines_that_no_run_of_the_job_died_on(role):
    wish = "preferredDuringSchedulingIgnoredDuringExecution"
    assert wish not in pods()[role]["spec"]["affinity"]["nodeAffinity"]
    [only] = pods(request(left=("m1", "m2")))[role]["spec"]["affinity"]["nodeAffinity"][wish]
    assert only["preference"] == {
        "matchFields": [
            {"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in ("m1", "m2")
        ]
    }


def test_the_audit_of_a_segment_tells_its_program_which():
    segment = {"first": 8, "last": 12, "state": "a" * 64, "say": [9, 10, 11]}
    order = {"of": "study", "epoch": 1, "node": "tartu"}
    for audit, told in ((order | {"segment": segment}, segment), (order, None), (None, None)):
        made = pods(request(audit=audit) if audit else request())
        for box in (made["head"], made["worker"]):
            env = {e["name"]: e["value"] for e in box["spec"]["containers"][0]["env"]}
            assert json.loads(env.get("HANSA_SEGMENT", "null")) == told
