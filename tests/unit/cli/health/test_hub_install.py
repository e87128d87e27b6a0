"""What is said of a hub's parts, from objects as the API server returns them."""

from __future__ import annotations

import base64
import copy
from pathlib import Path

import pytest
import yaml

from hansa.adapters.keys import Ed25519Signer
from hansa.cli.health import hub_install

CHART = Path(__file__).parents[4] / "helm" / "hansa-hub"
ENV = [{"name": "HANSA_HUB_LEADERSHIP__LEASE", "value": "second"}]


def deployment(ready=2, env=()):
    hub = {"name": "hub", "image": "r/hansa:1", "env": list(env)}
    spec = {"replicas": 2, "template": {"spec": {"containers": [hub]}}}
    return {"metadata": {"namespace": "x"}, "spec": spec, "status": {"readyReplicas": ready}}


def pod(**status):
    return {"status": status}


PULL = {"reason": "ImagePullBackOff", "message": "no such image"}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "m"}
DEPLOYMENTS = {
    "up": ([deployment()], [pod()], True, "2 of 2 ready, image r/hansa:1"),
    "not there": ([], [], False, "not installed"),
    "image": (
        [deployment(0)],
        [pod(containerStatuses=[{"state": {"waiting": PULL}}])],
        False,
        "ImagePullBackOff: no such image",
    ),
    "no room": ([deployment(1)], [pod(conditions=[UNSCHEDULED])], False, "Unschedulable: m"),
}


@pytest.mark.parametrize(("found", "pods", "good", "words"), DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_pods(found, pods, good, words):
    finding = hub_install.deployment_finding(found, pods)
    assert finding.good is good
    assert words in finding.detail


def test_the_lease_may_have_another_name():
    assert hub_install.lease_name(deployment(env=ENV)) == "second"
    assert hub_install.lease_name(deployment()) == "hansa-hub"
    assert hub_install.lease_name({}) == "hansa-hub"


def test_a_key_that_signs():
    signer = Ed25519Signer.generate()
    pem = base64.b64encode(signer.private_pem()).decode()
    assert signer.key_id in hub_install.key_finding("secret/a/b", {"ed25519.pem": pem}).detail
    for data in ({}, {"other": pem}, {"ed25519.pem": "!"}, {"ed25519.pem": "QUJD"}):
        assert hub_install.key_finding("secret/a/b", data).good is False


def objects():
    policies = [
        {"metadata": {"name": name}, "spec": {"failurePolicy": "Fail"}, "status": {}}
        for name in hub_install.HUB_POLICIES
    ]
    bindings = [
        {"spec": {"policyName": name, "validationActions": ["Deny"]}}
        for name in hub_install.HUB_POLICIES
    ]
    return copy.deepcopy(policies), copy.deepcopy(bindings)


def test_policies_in_force():
    assert hub_install.policies_finding(*objects()).good is True


FAULTS = {
    "is missing": lambda policy, _: policy["metadata"].update(name="another"),
    "does not fail closed": lambda policy, _: policy["spec"].update(failurePolicy="Ignore"),
    "is not bound to deny": lambda _, binding: binding["spec"].update(validationActions=["Audit"]),
    "is not bound to deny ": lambda _, binding: binding["spec"].update(policyName="another"),
    "does not type-check": lambda policy, _: policy.update(
        status={"typeChecking": {"expressionWarnings": [{"warning": "x"}]}}
    ),
}


@pytest.mark.parametrize(("words", "spoil"), FAULTS.items(), ids=FAULTS)
def test_what_is_wrong_with_a_policy(words, spoil):
    policies, bindings = objects()
    spoil(policies[0], bindings[0])
    finding = hub_install.policies_finding(policies, bindings)
    assert finding.good is False
    assert f"{hub_install.HUB_POLICIES[0]} {words.strip()}" in finding.detail
    assert "helm upgrade" in finding.detail


def test_a_cluster_without_any():
    finding = hub_install.policies_finding([], [])
    assert finding.detail.startswith("none of the hub's is installed")


def test_the_names_are_those_of_the_chart():
    """Read from the chart's text; the chart's own tests render it."""
    files = (CHART / "files" / "admission").glob("*.yaml")
    names = {yaml.safe_load(file.read_text())["metadata"]["name"] for file in files}
    for template in ("admission.yaml", "confinement.yaml"):
        lines = (CHART / "templates" / template).read_text().splitlines()
        at = [i for i, line in enumerate(lines) if line == "kind: ValidatingAdmissionPolicy"]
        names |= {lines[i + 2].removeprefix("  name: ") for i in at}
    names = {name for name in names if "{{" not in name and "metadata" not in name}
    assert names == set(hub_install.HUB_POLICIES)
