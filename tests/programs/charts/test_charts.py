"""The charts as Helm renders them: least rights, restricted pods, strict values. Helm needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from hansa.grants.exports import held_secret
from hansa.reconcile.member.logs import kept_log
from hansa.reconcile.workloads import WORKLOADS
from tests.programs.charts.pod_specs import pod_specs
from tests.programs.conftest import ROOT, HelmRefusedError, Render

CHARTS = ("hansa-hub", "hansa-member")
CASES = {
    f"{chart} {path.stem}": (chart, path)
    for chart in CHARTS
    for path in sorted((ROOT / "helm" / chart / "ci").glob("*.yaml"))
}
EACH = pytest.mark.parametrize(("chart", "path"), CASES.values(), ids=CASES)


@EACH
def test_lint(helm: Callable[..., str], chart: str, path: Path):
    assert "0 chart(s) failed" in helm("lint", "--strict", ROOT / "helm" / chart, "-f", path)


@EACH
def test_every_object_is_labelled_and_once(render: Render, chart: str, path: Path):
    documents = render(chart, path)
    keys = [
        (d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]) for d in documents
    ]

    assert len(keys) == len(set(keys))
    for document in documents:
        assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "hansa", document


MORE_CAPABILITIES = {"hansa-resolver": {"add": ["NET_BIND_SERVICE"]}}
"""The file capability of CoreDNS's image asks for it, and Pod Security ``restricted`` allows it."""


@EACH
def test_pods_are_restricted(render: Render, chart: str, path: Path):
    specs = dict(pod_specs(render(chart, path)))

    assert specs
    for name, spec in specs.items():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all("hostPath" not in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]} | MORE_CAPABILITIES.get(name, {}),
            }
            assert set(container["resources"]["limits"]) == {"memory"}
            assert container["resources"]["requests"]


@EACH
def test_no_service_beside_them_sets_variables_of_their_pods(
    render: Render, chart: str, path: Path
):
    """A Service of the name hansa-exporter would set HANSA_EXPORTER_PORT, to an address."""
    for name, spec in pod_specs(render(chart, path)):
        assert spec.get("enableServiceLinks") is False, name


@EACH
def test_every_pod_has_a_network_policy_that_denies_both_ways(
    render: Render, chart: str, path: Path
):
    documents = render(chart, path)
    policies = [d["spec"] for d in documents if d["kind"] == "NetworkPolicy"]

    for document in documents:
        if document["kind"] in {"Deployment", "DaemonSet", "Job"}:
            labels = document["spec"]["template"]["metadata"]["labels"]
            covering = [
                policy
                for policy in policies
                if policy["podSelector"]["matchLabels"].items() <= labels.items()
            ]
            assert covering, document["metadata"]["name"]
            assert all(set(p["policyTypes"]) == {"Ingress", "Egress"} for p in covering)


FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate"}
DOORS = {"pods/exec", "pods/attach", "nodes/proxy", "serviceaccounts/token"}
NODES_TOKENS = {
    "apiGroups": [""],
    "resources": ["serviceaccounts/token"],
    "resourceNames": ["hansa-agent"],
    "verbs": ["create"],
}
"""The hub's, kept to nodes by its admission policies: tests/apiserver/charts/test_hub_confined.py."""
RUN_BY_RUN = {
    "apiGroups": ["rbac.authorization.k8s.io"],
    "resources": ["clusterroles"],
    "resourceNames": ["hansa-member-run"],
    "verbs": ["bind"],
}
"""The agent gives itself, in each run, what it may read there; tests/apiserver tells what that is."""
MOST_RULES = {"hansa-hub": 16, "hansa-member": 26}


def _rules(documents: list[dict]) -> Iterator[tuple[dict, dict]]:
    for document in documents:
        if document["kind"] in {"ClusterRole", "Role"}:
            yield from ((document, rule) for rule in document["rules"])


@EACH
def test_rights_are_few_and_named(render: Render, chart: str, path: Path):
    rules = list(_rules(render(chart, path)))
    own = [rule for role, rule in rules if role["metadata"]["name"] == chart]

    assert len(own) <= MOST_RULES[chart]
    for _, rule in rules:
        assert rule == RUN_BY_RUN or not FORBIDDEN_VERBS & set(rule["verbs"]), rule
        assert "*" not in rule["resources"] + rule["apiGroups"], rule
        assert rule == NODES_TOKENS or not DOORS & set(rule["resources"])


@EACH
def test_secrets_are_read_by_name_only(render: Render, chart: str, path: Path):
    for role, rule in _rules(render(chart, path)):
        if "secrets" in rule["resources"] and set(rule["verbs"]) != {"create"}:
            assert role["kind"] == "Role", role["metadata"]["name"]
            assert rule["resourceNames"], role["metadata"]["name"]


def test_what_the_agent_keeps_has_a_place_and_a_right(render: Render):
    documents = render("hansa-member", None, node="a")
    names = {held_secret.NAME, *map(kept_log.NAME.format, range(kept_log.SECRETS))}

    made = {d["metadata"]["name"] for d in documents if d["kind"] == "Secret"}
    [rule] = [r for _, r in _rules(documents) if held_secret.NAME in r.get("resourceNames", ())]

    assert names <= made
    assert set(rule["resourceNames"]) == names


def test_the_hub_touches_neither_pods_nor_secrets(render: Render):
    rules = [rule for role, rule in _rules(render("hansa-hub"))]

    assert not [rule for rule in rules if {"pods", "secrets"} & set(rule["resources"])]


@pytest.mark.parametrize("chart", CHARTS)
def test_two_replicas_spread_and_guarded(render: Render, chart: str):
    changes = {"node": "tartu"} if chart == "hansa-member" else {}
    documents = render(chart, **changes)
    every = [d for d in documents if d["kind"] == "Deployment"]
    deployments = [d for d in every if d["metadata"]["name"] != "hansa-ledger"]
    budgets = {
        d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "PodDisruptionBudget"
    }

    assert {d["metadata"]["name"] for d in deployments} == budgets.keys()
    for deployment in deployments:
        assert deployment["spec"]["replicas"] == 2
        assert deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
        assert budgets[deployment["metadata"]["name"]]["maxUnavailable"] == 1


def test_the_agents_lease_is_at_home_only(render: Render):
    rules = [
        r for r in _rules(render("hansa-member", node="tartu")) if "leases" in r[1]["resources"]
    ]

    assert {(role["metadata"]["name"], role["kind"]): rule["verbs"] for role, rule in rules} == {
        ("hansa-member", "Role"): ["get", "create", "patch"],
        ("hansa-guard", "Role"): ["get"],
    }


def test_the_guard_may_do_what_it_is_for_and_nothing_else(render: Render):
    rights = {
        (role["kind"], resource): (set(rule["verbs"]), rule.get("resourceNames"))
        for role, rule in _rules(render("hansa-member", node="tartu"))
        if role["metadata"]["name"] == "hansa-guard"
        for resource in rule["resources"]
    }

    assert rights == {
        ("ClusterRole", "memberpolicies"): ({"get"}, ["local"]),
        ("ClusterRole", "namespaces"): ({"list", "delete"}, None),
        ("ClusterRole", "pods"): ({"deletecollection"}, None),
        ("ClusterRole", "rayjobs"): ({"get"}, None),
        ("ClusterRole", "configmaps"): ({"get", "patch"}, ["alive"]),
        ("Role", "leases"): ({"get"}, ["hansa-hub-contact-tartu"]),
    }


def test_agent_and_guard_have_rights_on_each_workload(render: Render):
    rendered = render("hansa-member", node="tartu")
    verbs = {
        (role["metadata"]["name"], group, resource): set(rule["verbs"])
        for role, rule in _rules(rendered)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    (objects,) = (
        one["spec"]
        for one in rendered
        if one["kind"] == "ValidatingAdmissionPolicy"
        and one["metadata"]["name"] == "hansa-run-objects"
    )

    for work in (workload.resource for workload in WORKLOADS):
        assert {"create", "watch", "delete"} <= verbs["hansa-member", work.group, work.plural]
        assert verbs["hansa-guard", work.group, work.plural] == {"get"}
        assert f"CREATE {work.definition}" in json.dumps(objects)
    assert "WORKLOAD" not in json.dumps(rendered)


def test_the_guard_talks_to_nobody_but_the_api_server(render: Render):
    servers = {"apiServer": {"cidrs": ["192.0.2.7/32"], "ports": [6443]}}
    hub = {"hub": {"cidrs": ["198.51.100.1/32"], "ports": [443]}}
    documents = render("hansa-member", node="tartu", networkPolicy=servers | hub)
    [policy] = [
        d["spec"]
        for d in documents
        if (d["kind"], d["metadata"]["name"]) == ("NetworkPolicy", "hansa-guard")
    ]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}],
            "ports": [{"protocol": "TCP", "port": 6443}],
        }
    ]
    [guard] = [
        d["spec"]["template"]
        for d in documents
        if (d["kind"], d["metadata"]["name"]) == ("Deployment", "hansa-guard")
    ]
    assert policy["podSelector"]["matchLabels"].items() <= guard["metadata"]["labels"].items()
    assert guard["spec"]["serviceAccountName"] == "hansa-guard"


def test_definitions_upgrade_and_stay(render: Render):
    definitions = [d for d in render("hansa-hub") if d["kind"] == "CustomResourceDefinition"]

    assert len(definitions) == 5
    for definition in definitions:
        committed = yaml.safe_load(
            (ROOT / "crds" / f"{definition['spec']['names']['plural']}.yaml").read_text()
        )
        assert definition["spec"] == committed["spec"]
        assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


SWITCHES = {
    "definitions": ("hansa-hub", {"crds": {"install": False}}, "CustomResourceDefinition"),
    "hub admission": (
        "hansa-hub",
        {"admission": {"enabled": False}},
        "ValidatingAdmissionPolicy",
    ),
    "hub network policy": ("hansa-hub", {"networkPolicy": {"enabled": False}}, "NetworkPolicy"),
    "member network policy": (
        "hansa-member",
        {"node": "a", "networkPolicy": {"enabled": False}},
        "NetworkPolicy",
    ),
    "exporter": ("hansa-member", {"node": "a", "exporter": {"enabled": False}}, "DaemonSet"),
}


@pytest.mark.parametrize(("chart", "changes", "kind"), SWITCHES.values(), ids=SWITCHES)
def test_switches_switch(render: Render, chart: str, changes: dict, kind: str):
    on = {"node": "a"} if chart == "hansa-member" else {}

    assert kind in {d["kind"] for d in render(chart, None, **on)}
    assert kind not in {d["kind"] for d in render(chart, None, **changes)}


WRONG = {
    "misspelt": ("hansa-hub", {"replica": 2}, "replica"),
    "misspelt setting": ("hansa-hub", {"settings": {"grants": {"validity": 9}}}, "validity"),
    "setting out of range": (
        "hansa-hub",
        {"settings": {"grants": {"validitySeconds": 1}}},
        "validitySeconds",
    ),
    "setting of the chart": (
        "hansa-hub",
        {"settings": {"grants": {"keyFile": "/tmp/key"}}},
        "keyFile",
    ),
    "a tag for a digest": ("hansa-hub", {"image": {"digest": "v1"}}, "digest"),
    "too many replicas": ("hansa-hub", {"replicas": 50}, "replicas"),
    "a pool of two leaders": (
        "hansa-hub",
        {"leaders": [{"name": "a", "pools": ["p"]}, {"name": "b", "pools": ["q", "p"]}]},
        "leaders: a pool is named twice",
    ),
    "two leaders of one name": (
        "hansa-hub",
        {"leaders": [{"name": "a", "pools": ["p"]}, {"name": "a", "pools": ["q"]}]},
        "leaders: a name is given twice",
    ),
    "no node": ("hansa-member", {}, "name this institution's SovereignNode"),
    "wrong node": ("hansa-member", {"node": "Tartu"}, "node"),
    "plain http": (
        "hansa-member",
        {"node": "a", "join": {"enabled": True, "server": "http://hub"}},
        "server",
    ),
    "no hub to join": ("hansa-member", {"node": "a", "join": {"enabled": True}}, "join.server"),
    "a hub whose authority nobody names": (
        "hansa-member",
        {"node": "a", "join": {"enabled": True, "server": "https://hub.example"}},
        "join.caBundle",
    ),
    "wrong pull policy": (
        "hansa-member",
        {"node": "a", "settings": {"rendering": {"imagePullPolicy": "Sometimes"}}},
        "imagePullPolicy",
    ),
}


@pytest.mark.parametrize(("chart", "changes", "named"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_by_name(render: Render, chart: str, changes: dict, named: str):
    with pytest.raises(HelmRefusedError, match=named):
        render(chart, None, **changes)
