"""Simulated clusters have a real control plane; KWOK plays nodes, pods and RayJobs."""

import pytest

from e2e.testbed.cluster.readiness import wait_service_account
from e2e.testbed.cluster.spec import Gpus, SiteSpec
from e2e.testbed.host.clock import TIMEOUT, wait_until
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import remains
from e2e.testbed.providers.simulated import SimulatedTestbed

pytestmark = pytest.mark.apiserver

NAME = "simulated-test"
TARTU = SiteSpec("tartu", "EE", Gpus("NVIDIA-L4", 23034, 2), kuberay=True)


@pytest.fixture(scope="module")
def site(binaries):  # noqa: ARG001  # only asks whether it can run here
    with SimulatedTestbed([TARTU], name=NAME) as running:
        record = state.load(NAME)
        yield running.sites["tartu"]
    assert remains(record) == []


def test_its_nodes_offer_gpus(site):
    (node,) = site.get("nodes")["items"]

    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "2"


def test_a_pod_is_bound_and_played(site):
    wait_service_account(site, "default")
    site.kubectl("run", "played", "--image=hansa.local/nothing")
    site.kubectl("wait", "pod/played", "--for=condition=Ready", TIMEOUT)

    assert [pod["metadata"]["name"] for pod in site.pods_created()] == ["played"]


def test_a_ray_job_is_reported_as_the_operator_would(site):
    meta = {"name": "played", "namespace": "default"}
    spec = {"entrypoint": "python3 -c pass"}
    site.apply({"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": meta, "spec": spec})

    def status() -> dict:
        return site.get("rayjob", "played").get("status", {})

    wait_until(lambda: status().get("jobStatus") == "SUCCEEDED", what="the job")
    assert status()["message"] == "simulated"
