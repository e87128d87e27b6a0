"""Who may reach what, by the rights and network policies that the charts render: compared as a whole, by meaning."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.reconcile.member.platform.resolvers import INSIDE, KNOWN, Resolver
from tests.programs.conftest import Render

SERVER, HUB = "192.0.2.7/32", "198.51.100.1/32"
PLACES = {
    "apiServer": {"cidrs": [SERVER], "ports": [6443]},
    "hub": {"cidrs": [HUB], "ports": [443]},
}
DNS = {
    (one.namespace or one.cidr, f"UDP/{one.port} TCP/{one.port}")
    for one in (*KNOWN, *(Resolver(cidr=str(network)) for network in INSIDE))
}
SCRAPES = ("monitoring", "TCP/8080")
TO_SERVER, TO_HUB = (SERVER, "TCP/6443"), (HUB, "TCP/443")
OPENINGS = {
    "hansa-member": ({SCRAPES}, {*DNS, TO_SERVER, TO_HUB, ("hansa-exporter", "TCP/9400")}),
    "hansa-exporter": (
        {("hansa-member", "TCP/9400"), ("monitoring", "TCP/9400")},
        {*DNS, TO_SERVER},
    ),
    "hansa-guard": ({SCRAPES}, {TO_SERVER}),
}
"""Pods → who may come in, and where they may go: whom, and by which ports."""
WRITES = {"create", "update", "patch", "delete", "deletecollection", "approve", "sign", "*"}


@pytest.fixture(scope="module")
def member(render: Render) -> list[dict[str, Any]]:
    return render("hansa-member", node="tartu", networkPolicy=PLACES)


def peer(one: dict[str, Any]) -> str:
    """Return whom one peer of a network policy stands for; ``anybody`` where it names nobody."""
    if "ipBlock" in one:
        return str(one["ipBlock"]["cidr"])
    spaces = (one.get("namespaceSelector") or {}).get("matchLabels") or {}
    pods = (one.get("podSelector") or {}).get("matchLabels") or {}
    named = pods.get("app.kubernetes.io/name") or spaces.get("kubernetes.io/metadata.name")
    return str(named or "anybody")


def ports(rule: dict[str, Any]) -> str:
    named = (f"{port.get('protocol')}/{port.get('port')}" for port in rule.get("ports") or ())
    return " ".join(named) or "every port"


def openings(spec: dict[str, Any], way: str, side: str) -> set[tuple[str, str]]:
    rules = spec.get(way) or ()
    return {
        (peer(one), ports(rule))
        for rule in rules
        for one in rule.get(side) or ({"podSelector": {}},)
    }


@pytest.mark.parametrize("name", OPENINGS)
def test_whom_pods_may_reach_and_who_may_reach_them(member, name):
    [spec] = [
        one["spec"]
        for one in member
        if (one["kind"], one["metadata"]["name"]) == ("NetworkPolicy", name)
    ]
    comes_in, goes_out = OPENINGS[name]
    assert openings(spec, "ingress", "from") == comes_in
    assert openings(spec, "egress", "to") == goes_out


def rights(
    documents: list[dict[str, Any]], name: str
) -> dict[str, tuple[set[str], tuple[str, ...]]]:
    """Return what a cluster role allows: group/resource → verbs, and the names it is kept to."""
    found: dict[str, tuple[set[str], tuple[str, ...]]] = {}
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) != ("ClusterRole", name):
            continue
        for rule in one["rules"]:
            names = tuple(sorted(rule.get("resourceNames") or ()))
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    verbs, before = found.get(f"{group}/{resource}", (set(), names))
                    found[f"{group}/{resource}"] = verbs | set(rule["verbs"]), before
    return found


AGENT_WRITES = {
    "hansa.dev/memberpolicies/status": {"patch", "update"},
    "/namespaces": {"create", "delete"},
    "/serviceaccounts": {"create"},
    "/resourcequotas": {"create"},
    "/configmaps": {"create"},
    "/secrets": {"create"},
    "/persistentvolumeclaims": {"create"},
    "/persistentvolumes": {"create", "delete"},
    "/events": {"create"},
    "events.k8s.io/events": {"create"},
    "networking.k8s.io/networkpolicies": {"create"},
    "ray.io/rayjobs": {"create", "delete"},
    "rbac.authorization.k8s.io/rolebindings": {"create"},
}
"""What the agent's account may write anywhere: no pods, no services, no policies, nobody's rights but its own."""
AGENT_READS = {
    "hansa.dev/memberpolicies",
    "hansa.dev/memberpolicies/status",
    "/nodes",
    "apps/deployments",
    "apiextensions.k8s.io/customresourcedefinitions",
    "/namespaces",
    "ray.io/rayjobs",
    "/persistentvolumes",
    "resource.k8s.io/resourceslices",
}
"""What it may read of every name, anywhere: of pods, logs, secrets and ConfigMaps nothing."""


def test_what_the_agent_may_write_anywhere(member):
    held = rights(member, "hansa-member")
    assert {what: verbs & WRITES for what, (verbs, _) in held.items() if verbs & WRITES} == (
        AGENT_WRITES
    )


def test_what_the_agent_may_read_anywhere(member):
    everywhere = {
        f"{group}/{resource}"
        for one in member
        if (one["kind"], one["metadata"]["name"]) == ("ClusterRole", "hansa-member")
        for rule in one["rules"]
        if {"get", "list", "watch"} & set(rule["verbs"]) and not rule.get("resourceNames")
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert everywhere == AGENT_READS


HUB_WRITES = {
    "hansa.dev/aijobs": {"patch", "delete"},
    "hansa.dev/aijobs/status": {"patch", "update"},
    "hansa.dev/computepools/status": {"patch", "update"},
    "hansa.dev/sovereignnodes/status": {"patch", "update"},
    "hansa.dev/workgrants": {"create", "patch", "delete"},
    "hansa.dev/workgrants/status": {"patch", "update"},
    "coordination.k8s.io/leases": {"create", "patch", "update"},
    "/events": {"create"},
    "events.k8s.io/events": {"create"},
    "/serviceaccounts": {"create", "patch", "delete"},
    "/serviceaccounts/token": {"create"},
    "/resourcequotas": {"create", "patch"},
    "/namespaces": {"create", "patch"},
    "rbac.authorization.k8s.io/roles": {"create", "patch", "delete"},
    "rbac.authorization.k8s.io/rolebindings": {"create", "patch", "delete"},
    "rbac.authorization.k8s.io/clusterroles": {"create", "patch", "delete"},
    "rbac.authorization.k8s.io/clusterrolebindings": {"create", "patch", "delete"},
}
"""An admission policy keeps its use of some of them in bounds (tests/apiserver/charts)."""


def test_what_the_hub_may_write(render: Render):
    held = rights(render("hansa-hub"), "hansa-hub")
    assert {what: verbs & WRITES for what, (verbs, _) in held.items() if verbs & WRITES} == (
        HUB_WRITES
    )
    for what in ("/serviceaccounts", "/serviceaccounts/token"):
        assert held[what][1] == ("hansa-agent",)


def test_the_resolver_asks_nobody(member):
    [corefile] = [
        one["data"]["Corefile"]
        for one in member
        if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "hansa-resolver")
    ]
    words = {line.split()[0] for line in corefile.splitlines() if line.strip(" }")}
    assert words == {"cluster.local:53", "errors", "ready", "kubernetes", "namespace_labels", "ttl"}
