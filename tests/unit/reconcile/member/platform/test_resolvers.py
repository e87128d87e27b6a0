"""Whom runs may ask for names, on clusters as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.adapters.nameservers import nameservers
from hansa.member.cluster import probes
from hansa.reconcile.member.platform.resolvers import Resolver, find_resolvers
from hansa.reconcile.member.run_request import RenderOptions
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.reconcile.member.ray.rendered_run import rendered
from tests.unit.reconcile.member.run_request_kit import request

KUBE, OPENSHIFT = Resolver("kube-system"), Resolver("openshift-dns", port=5353)
CLUSTERS = {
    "kubeadm, k3s, EKS": (["10.96.0.10"], ["apps"], (KUBE,)),
    "NodeLocal DNSCache": (["169.254.20.10"], [], (KUBE, Resolver(cidr="169.254.20.10/32"))),
    "kubespray's": (["169.254.25.10"], [], (KUBE, Resolver(cidr="169.254.25.10/32"))),
    "Cloud DNS of GKE": (["169.254.169.254"], [], (KUBE, Resolver(cidr="169.254.169.254/32"))),
    "OpenShift": (["172.30.0.10"], ["apps", "security.openshift.io"], (OPENSHIFT,)),
    "a resolver outside": (["192.0.2.53"], [], (KUBE,)),
    "rubbish": (["x", "fe80::1%eth0", "169.254.1.1;"], [], (KUBE,)),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_resolvers_of_a_cluster_are_found(name):
    servers, groups, wanted = CLUSTERS[name]
    assert find_resolvers(servers, groups) == wanted


async def test_the_clusters_api_tells_what_it_is():
    cluster = SmallCluster(0.0)
    assert await probes.find_names(cluster, ["10.0.0.10"]) is None
    cluster.objects["/apis"] = {"groups": [{"name": "security.openshift.io"}]}
    assert await probes.find_names(cluster, ["10.0.0.10"]) == (OPENSHIFT,)


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
    options = RenderOptions(resolvers=(OPENSHIFT, Resolver(cidr="169.254.20.10/32")))
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
