"""Which resolvers a run's pods can reach, read from the rendered policy by what it means."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from hansa.reconcile.member.platform.resolvers import KNOWN, Resolver
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import RESOLVER, RenderOptions, RunRequest
from tests.unit.reconcile.member.run_request_kit import request

CLUSTER_DNS = ("kube-system", {"k8s-app": "kube-dns"}, "10.96.0.10")
ITS_POD = ("kube-system", {"k8s-app": "kube-dns"}, "10.244.0.3")
LISTENS = RenderOptions(resolvers=(*KNOWN, Resolver("dns", port=5300)))
"""A policy is read after the Service's address was translated to that of a pod, and its port to that one's."""
OURS = ("hansa-system", {"app.kubernetes.io/name": RESOLVER}, "10.96.0.53")
AGENT = ("hansa-system", {"app.kubernetes.io/name": "hansa-member"}, "10.244.0.7")
FAR, METADATA = ("", {}, "192.0.2.53"), ("", {}, "169.254.169.254")
"""Namespace, labels and address of what a pod may ask for names; nobody's, where it is far away."""
ANYWHERE = [{"cidr": "0.0.0.0/0"}]
NAMED_PORTS = [{"cidr": "0.0.0.0/0", "ports": [53, 443, 853, 5300, 8053]}]


def rendered(made: RunRequest) -> dict[str, Any]:
    return {one.body["kind"]: one.body for wave in waves(made, RayJob()) for one in wave}


def reaches(policy: dict[str, Any], place: Any, protocol: str, port: int) -> bool:
    return any(
        any(_is_peer(peer, place) for peer in rule["to"]) and _is_open(rule, protocol, port)
        for rule in policy["spec"]["egress"]
    )


def _is_peer(peer: dict[str, Any], place: Any) -> bool:
    namespace, labels, address = place
    if "ipBlock" in peer:
        block, there = peer["ipBlock"], ipaddress.ip_address(address)
        left_out = any(there in ipaddress.ip_network(one) for one in block.get("except", ()))
        return there in ipaddress.ip_network(block["cidr"]) and not left_out
    if "namespaceSelector" not in peer:
        return False
    wanted = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    chosen = peer.get("podSelector", {}).get("matchLabels", {})
    return wanted == namespace and chosen.items() <= labels.items()


def _is_open(rule: dict[str, Any], protocol: str, port: int) -> bool:
    return "ports" not in rule or any(
        one["protocol"] == protocol and one["port"] <= port <= one.get("endPort", one["port"])
        for one in rule["ports"]
    )


DNS = [(way, port) for way in ("UDP", "TCP") for port in (53, 853, 5300, 5353, 8053)]
SHUT_IN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data, no egress": ({}, {}),
    "no data, no egress": ({}, {"data": []}),
    "data, and egress to everywhere": ({"egress": ANYWHERE}, {}),
    "data, and egress that names the ports": ({"egress": NAMED_PORTS}, {}),
    "data, and egress to the pods' network": ({"egress": [{"cidr": "10.244.0.0/16"}]}, {}),
}


@pytest.mark.parametrize("case", SHUT_IN)
def test_a_run_that_is_shut_in_reaches_no_resolver_that_forwards(case):
    law, changes = SHUT_IN[case]
    fence = rendered(request(law, options=LISTENS, **changes))["NetworkPolicy"]

    for place in (CLUSTER_DNS, ITS_POD, FAR, AGENT):
        assert [way for way in DNS if reaches(fence, place, *way)] == []
    assert [way for way in DNS if reaches(fence, OURS, *way)] == [("UDP", 53), ("TCP", 53)]


@pytest.mark.parametrize("case", SHUT_IN)
def test_all_its_pods_ask_that_resolver_and_no_other(case):
    law, changes = SHUT_IN[case]
    for spec in pods(request(law, **changes)):
        assert spec["dnsPolicy"] == "None"
        assert spec["dnsConfig"] == {"nameservers": ["10.96.0.53"]}


def pods(made: RunRequest) -> list[dict[str, Any]]:
    spec = rendered(made)["RayJob"]["spec"]
    cluster = spec["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    templates = [spec["submitterPodTemplate"], *(group["template"] for group in groups)]
    assert len(templates) == 3
    return [template["spec"] for template in templates]


def test_other_ports_of_its_destinations_stay_open():
    fence = rendered(request({"egress": ANYWHERE}))["NetworkPolicy"]
    listed = rendered(request({"egress": NAMED_PORTS}))["NetworkPolicy"]

    assert all(reaches(fence, FAR, "TCP", port) for port in (1, 52, 54, 443, 852, 854, 65535))
    assert [port for port in (53, 443, 853) if reaches(listed, FAR, "TCP", port)] == [443]


def test_where_a_cloud_tells_machines_who_they_are_is_not_anywhere():
    fence = rendered(request({"egress": ANYWHERE}))["NetworkPolicy"]
    meant = rendered(request({"egress": [{"cidr": "169.254.169.254/32"}]}))["NetworkPolicy"]

    assert not reaches(fence, METADATA, "TCP", 80)
    assert reaches(meant, METADATA, "TCP", 80)


def test_a_destination_with_ports_for_names_only_is_no_rule_for_all_ports():
    fence = rendered(request({"egress": [{"cidr": "0.0.0.0/0", "ports": [53]}]}))["NetworkPolicy"]

    assert not any(reaches(fence, FAR, "TCP", port) for port in (1, 53, 443))


def test_a_run_without_data_and_with_egress_resolves_as_the_cluster_does():
    made = request({"egress": ANYWHERE}, data=[], resolver="")

    assert reaches(rendered(made)["NetworkPolicy"], CLUSTER_DNS, "UDP", 53)
    assert all("dnsPolicy" not in spec and "dnsConfig" not in spec for spec in pods(made))


def test_the_resolver_is_the_agents_own():
    fence = rendered(request(options=RenderOptions(agent_namespace="league")))["NetworkPolicy"]

    assert not reaches(fence, OURS, "UDP", 53)
    assert reaches(fence, ("league", OURS[1], OURS[2]), "UDP", 53)
