"""What the testbed writes for others to read: networks, kubelets, kind, KWOK, Prometheus."""

import ipaddress
import json
from pathlib import Path

import pytest

from e2e.testbed.addons import kwok
from e2e.testbed.addons.coredns import coredns_manifests
from e2e.testbed.addons.helm import upgrade_args
from e2e.testbed.addons.prometheus import targets_of
from e2e.testbed.addons.volumes import volume_manifests
from e2e.testbed.cluster.spec import HUB, LEAGUE, Gpus, SiteSpec
from e2e.testbed.machines.network import Plan
from e2e.testbed.machines.node import cni_config, kubelet_config
from e2e.testbed.providers.kind import kind_config, kind_site

TARTU = next(spec for spec in LEAGUE if spec.name == "tartu")


def test_two_testbeds_share_no_address_and_no_name():
    one, two = Plan(1), Plan(2)

    assert one.bridge != two.bridge
    assert one.address(0) != two.address(0)
    pods = [ipaddress.ip_network(plan.pods) for plan in (one, two)]
    assert not pods[0].overlaps(pods[1])


@pytest.mark.parametrize("number", [1, 99])
def test_interface_names_fit_the_kernel(number):
    plan = Plan(number)

    assert len(plan.veth(99)) <= 15
    assert ipaddress.ip_network(plan.pod_subnet(99)).subnet_of(ipaddress.ip_network(plan.pods))


def test_nodes_carry_what_feature_discovery_and_the_law_need():
    assert TARTU.node_labels() == {
        "hansa.dev/jurisdiction": "EE",
        "topology.kubernetes.io/region": "EE",
        "nvidia.com/gpu.product": "NVIDIA-GeForce-RTX-4090",
        "nvidia.com/gpu.memory": "24564",
        "nvidia.com/gpu.count": "4",
    }


def test_a_hub_carries_no_labels():
    assert SiteSpec(HUB).node_labels() == {}


def test_the_kubelet_asks_the_api_server_who_may_call_it():
    made = kubelet_config("hansa-x", Path("/ca.crt"))

    assert made["authentication"]["anonymous"] == {"enabled": False}
    assert made["authorization"] == {"mode": "Webhook"}
    assert made["cgroupRoot"] == "/hansa-x"


def test_pods_get_addresses_of_their_own_machine():
    plugins = json.loads(cni_config("10.101.3.0/24"))["plugins"]

    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.101.3.0/24"}]]


def test_simulated_nodes_offer_their_gpus():
    node = kwok.machine(TARTU, 0)

    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert node["metadata"]["labels"] == {"kubernetes.io/arch": "amd64"} | TARTU.node_labels()


def test_dns_needs_no_privilege_but_its_port():
    deployment = next(o for o in coredns_manifests("x") if o["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert container["securityContext"]["capabilities"] == {
        "add": ["NET_BIND_SERVICE"],
        "drop": ["ALL"],
    }


def test_a_claim_and_its_volume_are_bound_to_each_other_only():
    volume, claim = volume_manifests(Path("/data"), namespace="hansa-system", claim="digits")

    assert volume["spec"]["claimRef"] == {"namespace": "hansa-system", "name": "digits"}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == ""


PODS = {
    "running, with metrics": ("Running", "http", ["10.1.0.2:8080"]),
    "ended": ("Succeeded", "http", []),
    "running, with a chart's port": ("Running", "http", ["10.1.0.2:8080"]),
    "another port": ("Running", "dns", []),
}


@pytest.mark.parametrize(("phase", "port", "expected"), PODS.values(), ids=PODS)
def test_running_pods_with_a_metrics_port_are_scraped(phase, port, expected):
    pod = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"ports": [{"name": port, "containerPort": 8080}]}]},
        "status": {"phase": phase, "podIP": "10.1.0.2"},
    }

    groups = targets_of("riga", [pod])

    assert [target for group in groups for target in group["targets"]] == expected
    assert all(group["labels"]["cluster"] == "riga" for group in groups)


def test_a_pod_that_is_going_away_is_scraped_no_more():
    pod = {
        "metadata": {"name": "p", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": "10.1.0.2"},
    }

    assert targets_of("riga", [pod]) == []


def test_helm_waits_for_what_it_installs():
    args = upgrade_args(release="hub", chart=Path("helm/hansa-hub"), namespace="hansa-system")

    assert args[:4] == ["upgrade", "--install", "hub", "helm/hansa-hub"]
    assert "--wait" in args


class TestKind:
    def test_every_node_carries_the_sites_labels(self):
        made = kind_config(SiteSpec("riga", "LV", machines=3))

        assert [node["role"] for node in made["nodes"]] == ["control-plane", "worker", "worker"]
        assert all(n["labels"]["hansa.dev/jurisdiction"] == "LV" for n in made["nodes"])

    def test_nodes_are_named_as_kind_names_them(self, tmp_path):
        site = kind_site(SiteSpec("riga", "LV", machines=3), "demo", tmp_path)

        assert site.nodes() == ["demo-riga-control-plane", "demo-riga-worker", "demo-riga-worker2"]

    def test_gpus_are_declared_on_every_node(self, tmp_path):
        spec = SiteSpec("riga", "LV", Gpus("NVIDIA-L4", 23034, 2), machines=2)
        create, *patches = kind_site(spec, "demo", tmp_path).create_commands()

        assert create[:5] == ["kind", "create", "cluster", "--name", "demo-riga"]
        assert len(patches) == 2
        assert json.loads(patches[0][-1])[0]["value"] == "2"

    def test_what_is_created_is_deleted(self, tmp_path):
        site = kind_site(TARTU, "demo", tmp_path)

        assert site.delete_command()[-1] in site.create_commands()[0]
