"""What all pods of a run carry because the platform team said so: the same in head, workers and submitter."""

from __future__ import annotations

import pytest

from hansa.reconcile.member.inventory.machine import MachineRules, read_machine
from hansa.reconcile.member.platform.pod_settings import PodSettings, RunUser, begins
from hansa.reconcile.member.platform.proxy import AUTHORITY_VARIABLES, Proxy
from hansa.reconcile.member.run_request import RenderOptions
from tests.unit.reconcile.member.inventory.node_objects import CASES
from tests.unit.reconcile.member.ray.rendered_run import bodies, pods, rendered
from tests.unit.reconcile.member.run_request_kit import request

ROLES = ("head", "worker", "submitter")
EGRESS = {"egress": [{"cidr": "192.0.2.0/24", "ports": [3128]}]}


def made(law=None, **settings):
    fields = {n: settings.pop(n) for n in list(settings) if n not in PodSettings.__slots__}
    return request(law, options=RenderOptions(pods=PodSettings(**settings)), **fields)


ALL = {
    "runtime class": ({"runtime_class": "kata"}, "runtimeClassName", "kata"),
    "priority class": ({"priority_class": "low"}, "priorityClassName", "low"),
    "node selector": ({"node_selector": {"pool": "a"}}, "nodeSelector", {"pool": "a"}),
    "pull secrets": (
        {"image_pull_secrets": ("harbor",)},
        "imagePullSecrets",
        [{"name": "pull-harbor"}],
    ),
    "grace": ({"termination_grace_s": 99}, "terminationGracePeriodSeconds", 99),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("role", ROLES)
def test_every_pod_carries_it(name, role):
    settings, field, value = ALL[name]
    assert pods(made(**settings))[role]["spec"][field] == value
    assert pods()[role]["spec"].get(field) != value


def test_only_pods_with_gpus_take_their_runtime_class():
    found = pods(made(runtime_class="kata", gpu_runtime_class="nvidia"))
    assert {role: found[role]["spec"]["runtimeClassName"] for role in ROLES} == {
        "head": "kata",
        "worker": "nvidia",
        "submitter": "kata",
    }
    assert "runtimeClassName" not in pods(made(gpu_runtime_class="nvidia"))["head"]["spec"]


def test_labels_and_notes_are_on_pods_and_on_what_does_the_work():
    told = made(labels={"queue": "league"}, annotations={"evict": "no"})
    objects = [rendered(told)["RayJob"], *pods(told).values()]
    for one in objects:
        assert one["metadata"]["labels"]["queue"] == "league"
        assert one["metadata"]["annotations"] == {"evict": "no"}


def test_a_label_of_the_run_is_not_written_over():
    told = made(labels={"hansa.dev/job-uid": "forged"})
    assert "forged" not in str([pods(told), rendered(told)["RayJob"]["metadata"]])


USERS = (
    ("docker.io/rayproject/", RunUser(1000, 100)),
    ("docker.io/rayproject/ray-ml", RunUser(1001, 101)),
)


@pytest.mark.parametrize(
    ("image", "uid"),
    {
        "docker.io/rayproject/ray@sha256:0": 1000,
        "docker.io/rayproject/ray-ml:2@sha256:0": 1001,
        "docker.io/rayproject/ray-mlx@sha256:0": 1000,
        "hansa.local/docker.io/rayproject/ray@sha256:0": 65532,
    }.items(),
)
def test_an_image_has_the_user_it_is_built_for(image, uid):
    user = PodSettings(users_by_image=USERS).user_of(image)
    assert user is not None
    assert user.uid == uid


@pytest.mark.parametrize("role", ROLES)
def test_who_runs_it_is_stated_or_left_to_the_cluster(role):
    def security(**settings):
        return pods(made(**settings))[role]["spec"]["securityContext"]

    rest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    ids = {"runAsUser": 5, "runAsGroup": 6, "fsGroup": 7}
    assert security(user=RunUser(5, 6, 7)) == rest | ids
    assert security(user=None, users_by_image=USERS) == rest


def test_a_prefix_ends_at_a_boundary():
    assert begins("r.example/ray:1", "r.example/ray")
    assert not begins("r.example/rayx:1", "r.example/ray")


def test_credentials_are_copied_and_no_container_reads_them():
    held = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}}
    told = made(image_pull_secrets=("harbor",), pull_secrets={"harbor": held})
    [copy] = [one for one in bodies(told) if one["metadata"]["name"] == "pull-harbor"]
    assert {name: copy[name] for name in ("type", "data", "immutable")} == held | {
        "immutable": True
    }
    for pod in pods(told).values():
        assert "pull-harbor" not in str(pod["spec"]["containers"])
        assert "pull-harbor" not in str(pod["spec"]["volumes"])


PROXY = Proxy("http://p:80", "http://p:81", ("10.0.0.0/8",), "company-ca")


def env_of(told, role="worker"):
    [container] = pods(told)[role]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_runs_that_may_go_out_are_told_of_the_proxy():
    told = made(EGRESS, proxy=PROXY, authorities="PEM")
    found = env_of(told)
    assert (found["HTTP_PROXY"], found["https_proxy"]) == ("http://p:80", "http://p:81")
    assert {".svc", "127.0.0.1", "10.0.0.0/8"} <= set(found["NO_PROXY"].split(","))
    for name in AUTHORITY_VARIABLES:
        assert found[name] == "/hansa/ca.crt"
    [record] = [one for one in bodies(told) if one["metadata"]["name"] == "grant"]
    [volume] = [v for v in pods(told)["worker"]["spec"]["volumes"] if v["name"] == "launcher"]
    assert record["data"]["ca.crt"] == "PEM"
    assert {"key": "ca.crt", "path": "ca.crt"} in volume["configMap"]["items"]


def test_runs_that_may_not_are_not():
    assert not {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"} & env_of(made(proxy=PROXY)).keys()


def test_the_job_has_the_last_word_on_its_variables():
    told = made(EGRESS, proxy=PROXY, env=[{"name": "HTTPS_PROXY", "value": "http://mine:1"}])
    assert env_of(told)["HTTPS_PROXY"] == "http://mine:1"


def test_machines_that_runs_do_not_choose_are_not_lent():
    node = next(case.node for case in CASES.values() if read_machine(case.node).usable)
    labels = node["metadata"]["labels"]
    key, value = next(iter(labels.items()))
    assert read_machine(node, MachineRules(node_selector={key: value})).usable
    passed = read_machine(node, MachineRules(node_selector={"pool": "league"}))
    assert (passed.barred, passed.is_expected) == (
        "runs choose machines labelled pool=league",
        True,
    )
