"""Whom runs may ask for names, on clusters as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hansa.adapters.nameservers import nameservers
from hansa.reconcile.member.platform.resolvers import INSIDE, KNOWN, Resolver, find_resolvers
from hansa.reconcile.member.run_request import RenderOptions
from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request

ROOT = Path(__file__).parents[5]
PODS = {("kube-system", 53), ("kube-system", 8053), ("openshift-dns", 5353)}
"""Whose pods answer, and where: kube-dns and CoreDNS, Gardener's, OpenShift's."""
CLUSTERS = {
    "kubeadm, k3s, EKS; or EKS Auto Mode, where the machine answers": (
        ["10.96.0.10"],
        {"10.96.0.10/32"},
    ),
    "NodeLocal DNSCache": (["169.254.20.10"], {"169.254.20.10/32"}),
    "NodeLocal DNSCache on the Service's address": (["172.20.0.10"], {"172.20.0.10/32"}),
    "kubespray's": (["169.254.25.10"], {"169.254.25.10/32"}),
    "Cloud DNS of GKE": (["169.254.169.254"], {"169.254.169.254/32"}),
    "NodeLocal DNSCache of GKE": (["34.118.224.10"], {"34.118.224.10/32"}),
    "Services among the addresses of carriers": (["100.64.0.10"], {"100.64.0.10/32"}),
    "addresses of six": (["fd00:10:96::a"], {"fd00:10:96::a/128"}),
    "an address of six, and by which interface": (["fd00::1%eth0"], {"fd00::1/128"}),
    "both": (["10.96.0.10", "fd00:10:96::a"], {"10.96.0.10/32", "fd00:10:96::a/128"}),
    "OpenShift": (["172.30.0.10"], {"172.30.0.10/32"}),
    "a resolver outside": (["192.0.2.53"], set()),
    "this machine": (["127.0.0.53", "::1"], set()),
    "rubbish": (["x", "fe80::1%eth0", "169.254.1.1;", "10.0.0.0/8"], set()),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_resolvers_of_a_cluster_are_found(name):
    servers, addresses = CLUSTERS[name]
    found = find_resolvers(servers)
    assert {(one.namespace, one.port) for one in found if one.namespace} == PODS
    assert {one.cidr for one in found if one.cidr} == addresses
    assert {one.port for one in found if one.cidr} <= {53}


@pytest.mark.parametrize(
    ("text", "found"),
    {
        "search a.b\nnameserver 10.0.0.10\nnameserver 169.254.20.10\noptions x": (
            "10.0.0.10",
            "169.254.20.10",
        ),
        "nameserver": (),
        "# nameserver 1.1.1.1": (),
    }.items(),
)
def test_resolv_conf_is_read(tmp_path: Path, text, found):
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert nameservers(path) == found
    assert nameservers(tmp_path / "none") == ()


def test_the_fence_lets_runs_ask_them_and_nobody_else():
    law = {"egress": [{"cidr": "192.0.2.0/24", "ports": [443]}], "datasets": []}
    options = RenderOptions(
        resolvers=(Resolver("openshift-dns", port=5353), Resolver(cidr="169.254.20.10/32"))
    )
    spec = rendered(request(law, options=options, data=[]))["NetworkPolicy"]["spec"]
    asked = {
        (str(rule["to"]), port["port"])
        for rule in spec["egress"]
        for port in rule.get("ports", ())
        if port["port"] != 443
    }
    space = {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}
    assert asked == {
        (str([{"namespaceSelector": space}]), 5353),
        (str([{"ipBlock": {"cidr": "169.254.20.10/32"}}]), 53),
    }


@pytest.mark.parametrize("chart", ["hansa-hub", "hansa-member"])
def test_the_charts_own_pods_may_ask_them_too(chart):
    values = yaml.safe_load((ROOT / "helm" / chart / "values.yaml").read_text())
    rows = {Resolver(**row) for row in values["networkPolicy"]["dns"]}
    assert rows == {*KNOWN, *(Resolver(cidr=str(network)) for network in INSIDE)}


def test_the_second_lock_knows_them():
    text = (ROOT / "helm/hansa-member/templates/lock/_parts.tpl").read_text()
    (listed,) = re.findall(r"\$inside := list (.*?) -}}", text)
    assert listed.split() == [f'"{network}"' for network in INSIDE]
    for one in KNOWN:
        assert f"'kubernetes.io/metadata.name': '{one.namespace}'" in text
