"""The testbed's clusters are what they claim: fenced, with GPUs, data, DNS, metrics and Ray."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.testbed import helm, state
from e2e.testbed.builds import RAY
from e2e.testbed.clock import wait_until
from e2e.testbed.local import LocalTestbed
from e2e.testbed.processes import ProcessDiedError
from e2e.testbed.prometheus import Prometheus
from e2e.testbed.spec import LEAGUE
from e2e.testbed.teardown import remains
from e2e.testbed.volumes import provide_data

pytestmark = pytest.mark.e2e

NAME = "site-test"
REPOSITORY = Path(__file__).resolve().parents[2]
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
UNPRIVILEGED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.fixture(scope="module")
def league(root_on_linux):  # noqa: ARG001  # only asks whether it can run here
    with LocalTestbed([s for s in LEAGUE if s.name in ("hub", "tartu")], name=NAME) as running:
        record = state.load(NAME)
        yield running
    assert remains(record) == []


@pytest.fixture(scope="module")
def member(league):
    site = league.sites["tartu"]
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": "work", "labels": labels}
    site.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    return site


def test_a_member_dials_the_hub(league):
    assert _dials(league.sites["tartu"], league.sites["hub"])


def test_the_hub_cannot_dial_a_member(league):
    assert not _dials(league.sites["hub"], league.sites["tartu"])


def test_every_kubelet_has_a_device_plugin_socket_of_its_own(league):
    identity = ["stat", "-c", "%d:%i", "/var/lib/kubelet/device-plugins/kubelet.sock"]
    machines = [machine for site in league.sites.values() for machine in site.machines]

    sockets = {subprocess.check_output([*machine.enter, *identity]) for machine in machines}

    assert len(sockets) == len(machines) > 1


def test_a_daemon_that_ends_is_named_with_its_log(league):
    machine = league.sites["hub"].machines[0]
    machine.check_daemons()
    dying = machine.run("dying", ["sh", "-c", "echo no disk; exit 1"])
    wait_until(lambda: not dying.alive(), what="it to end", timeout_s=60)

    with pytest.raises(ProcessDiedError, match=r"dying ended early(?s:.*)no disk"):
        machine.check_daemons()


def test_declared_gpus_can_be_scheduled(member):
    def offered() -> bool:
        (node,) = member.get("nodes")["items"]
        return node["status"]["allocatable"].get("nvidia.com/gpu") == "4"

    wait_until(offered, what="GPUs to be allocatable", timeout_s=60)


def test_a_cut_cable_is_a_partition_and_heals(league):
    member, hub = league.sites["tartu"], league.sites["hub"]
    member.set_cable(up=False)
    try:
        assert not _dials(member, hub)
    finally:
        member.set_cable(up=True)

    wait_until(lambda: _dials(member, hub), what="the cable to carry again", timeout_s=60)


def test_an_unprivileged_pod_reads_data_from_a_volume(league, member, tmp_path):
    provide_data(member, tmp_path, namespace="work", claim="digits", files={"x.csv": b"1,2,3\n"})
    container = {
        "name": "reader",
        "image": league.images[RAY].reference,
        "command": ["cat", "/data/x.csv"],
        "securityContext": UNPRIVILEGED,
        "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    }
    claim = {"claimName": "digits", "readOnly": True}
    spec = {
        "restartPolicy": "Never",
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": claim}],
    }
    meta = {"name": "reader", "namespace": "work"}
    member.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    member.kubectl(
        "-n",
        "work",
        "wait",
        "pod/reader",
        "--for=jsonpath={.status.phase}=Succeeded",
        "--timeout=90s",
    )

    assert member.kubectl("-n", "work", "logs", "reader") == "1,2,3\n"


def test_the_audit_log_shows_whole_pods(member):
    created = {pod["metadata"]["namespace"] for pod in member.pods_created()}

    assert {"kube-system", "kuberay-system"} <= created


def test_prometheus_scrapes_pods_of_every_site(league, tmp_path):
    sites = list(league.sites.values())
    with Prometheus(tmp_path, sites, marker=NAME) as prometheus:
        wait_until(
            lambda: (
                {r["metric"]["cluster"] for r in prometheus.query("up == 1")} == set(league.sites)
            ),
            what="every site to be scraped",
            timeout_s=120,
        )


def test_helm_installs_a_chart(league, member, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    (tmp_path / "templates" / "config.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tiny}\n"
        "data: {said: {{ .Values.say | quote }}}\n"
    )

    helm.upgrade_install(
        league.binaries,
        member.kubeconfig,
        release="tiny",
        chart=tmp_path,
        namespace="tiny",
        values={"say": "hello"},
    )

    assert member.get("-n", "tiny", "configmap", "tiny")["data"] == {"said": "hello"}


def test_a_ray_job_with_token_authentication_runs_where_security_is_restricted(league, member):
    member.apply(_rayjob(league.images[RAY].reference))

    def status() -> dict:
        return member.get("-n", "work", "rayjob", "digits").get("status", {})

    wait_until(
        lambda: status().get("jobStatus") in ("SUCCEEDED", "FAILED"),
        what="the Ray job to end",
        timeout_s=400,
        poll_s=1,
    )

    assert status()["jobStatus"] == "SUCCEEDED", json.dumps(status(), indent=1)
    log = member.kubectl("-n", "work", "logs", "job/digits")
    result = next(json.loads(line) for line in log.splitlines() if line.startswith("{"))
    assert result["accuracy"] > 0.95


def _dials(one, other) -> bool:
    address = other.addresses[0]
    test = f"exec 3<>/dev/tcp/{address}/6443"
    argv = [*one.machines[0].enter, "timeout", "3", "bash", "-c", test]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def _rayjob(image: str) -> dict:
    text = (REPOSITORY / "tests" / "e2e" / "rayjob.yaml").read_text()
    job = yaml.safe_load(text.replace("IMAGE", image))
    cluster = job["spec"]["rayClusterSpec"]
    pods = [
        job["spec"]["submitterPodTemplate"],
        cluster["headGroupSpec"]["template"],
        *(group["template"] for group in cluster["workerGroupSpecs"]),
    ]
    for pod in pods:
        pod["spec"]["securityContext"] = RESTRICTED
        for container in pod["spec"]["containers"]:
            container["securityContext"] = UNPRIVILEGED
    return job
