"""The second lock as the chart installs it: closed, whole, bound to runs, and each rule with a canary.

What each rule refuses is tried on a real API server (tests/apiserver/lock); here is what needs none:
that nothing of it can be switched off, passed by or left untried without a test that fails.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from hansa.api.meta import JOB_UID_LABEL
from hansa.member.cluster.second_lock import _weakness
from hansa.reconcile.member import canaries
from tests.programs.conftest import Render
from tests.unit.grants.grant_kit import policy

RULE = re.compile(r"\[([a-z-]+)\] ")
EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
SIDES = {
    "hansa-agent": [EVERYTHING],
    "hansa-run-objects": [EVERYTHING | {"scope": "Namespaced"}],
    "hansa-run-namespaces": [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["namespaces", "namespaces/*"],
        }
    ],
}
"""Policies that must see every kind and every subresource of what they are about."""


@pytest.fixture(scope="module")
def lock(render: Render) -> dict[str, dict[str, dict[str, Any]]]:
    """Policies and bindings of the lock, by kind and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, some in whole(render("hansa-member", node="tartu")).items():
        found[kind] = {name: one.get("spec") or one for name, one in some.items()}
    return found


def whole(rendered: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return objects by kind and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for one in rendered:
        found.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    return found


def test_the_agent_looks_at_every_policy_of_the_lock_and_the_guard_is_confined(lock):
    policies = set(lock["ValidatingAdmissionPolicy"])
    others = {"hansa-guard-confined", "known-fields.memberpolicies.hansa.dev"}
    assert policies == {*canaries.POLICIES, *others}
    assert set(lock["ValidatingAdmissionPolicyBinding"]) == policies


def test_the_agent_may_read_every_policy_of_the_lock_and_no_other(render: Render):
    reads = [
        rule["resourceNames"]
        for one in render("hansa-member", node="tartu")
        if one["kind"] == "ClusterRole"
        for rule in one["rules"]
        if "validatingadmissionpolicies" in rule["resources"]
    ]
    assert reads == [list(canaries.POLICIES)]


SITES = {
    "as it comes": {},
    "OpenShift": {"settings": {"runs": {"userFrom": "Cluster"}}},
    "checkpoints": {"settings": {"runs": {"checkpoints": {"storageClass": "kept"}}}},
}


@pytest.mark.parametrize("site", SITES)
def test_it_is_as_the_agent_wants_it(render: Render, site: str):
    found = whole(render("hansa-member", node="tartu", **SITES[site]))
    for name in canaries.POLICIES:
        bound = found["ValidatingAdmissionPolicyBinding"][name]
        assert _weakness(name, found["ValidatingAdmissionPolicy"][name], bound) == ""


def test_every_policy_fails_closed_and_denies(lock):
    for name, one in lock["ValidatingAdmissionPolicy"].items():
        assert one["failurePolicy"] == "Fail", name
    for name, one in lock["ValidatingAdmissionPolicyBinding"].items():
        assert one["validationActions"] == ["Deny"], name


@pytest.mark.parametrize("name", SIDES)
def test_nothing_comes_in_by_the_side(lock, name):
    assert (
        lock["ValidatingAdmissionPolicy"][name]["matchConstraints"]["resourceRules"] == SIDES[name]
    )


@pytest.mark.parametrize("name", ["hansa-run-fences", "hansa-run-rayjobs"])
def test_another_version_of_a_kind_is_no_way_round(lock, name):
    [rule] = lock["ValidatingAdmissionPolicy"][name]["matchConstraints"]["resourceRules"]
    assert rule["apiVersions"] == ["*"]


def test_every_rule_has_its_canary(lock):
    rules = {
        found.group(1)
        for name, one in lock["ValidatingAdmissionPolicy"].items()
        if name in canaries.POLICIES
        for check in one["validations"]
        if (found := RULE.search(check.get("message") or check["messageExpression"]))
    }
    laws = (policy(), policy(switch="Stopped"))
    tried = {canary.rule for law in laws for canary in canaries.known_bad(law)} - {"PodSecurity"}
    assert tried == rules


def test_canaries_are_offered_where_the_lock_holds(lock):
    labels = lock["Namespace"][canaries.NAMESPACE]["metadata"]["labels"]
    assert labels[JOB_UID_LABEL] == canaries.UID
    assert labels[canaries.ENFORCE] == "restricted"
