"""The member's chart on a real API server: the agent's rights, and the second lock.

What the agent renders is made here as the agent, whole: it must pass Pod Security ``restricted``, the
lock and RBAC. Then each thing the lock is there for is tried and must be refused.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import KubectlError
from e2e.testbed.host.clock import wait_until
from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.workgrant import WorkGrantSpec
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import RunRequest
from tests.apiserver.charts.charted import SYSTEM, Charted, installed, pods_of, policies
from tests.apiserver.crds.bases import BASES, DIGEST
from tests.apiserver.member.kit import install_kuberay

pytestmark = [pytest.mark.apiserver, pytest.mark.xdist_group("member chart")]

AGENT = f"system:serviceaccount:{SYSTEM}:hansa-member"
EXPORTER = f"system:serviceaccount:{SYSTEM}:hansa-exporter"


def _order() -> RunRequest:
    wire = copy.deepcopy(BASES["WorkGrant"]["spec"])
    wire["jobSpec"]["ray"]["workers"]["count"] = wire["workers"] = 2
    policy = BASES["MemberPolicy"]["spec"]
    volume = {
        "capacity": {"storage": "1Gi"},
        "nfs": {"server": "192.0.2.1", "path": "/data"},
        "volumeMode": "Filesystem",
    }
    held = {**policy["datasets"][0], "name": "breast-cancer"}
    return RunRequest(
        grant=WorkGrantSpec.model_validate(wire),
        wire=wire,
        policy=MemberPolicySpec.model_validate({**policy, "datasets": [held]}),
        gpu_class="nvidia-l40s",
        gpu_products=("NVIDIA-L40S",),
        places=("EE", "EE-79"),
        volumes={"breast-cancer": volume},
        secrets={"token": {"token": "c2VjcmV0"}},
        resolver="10.96.0.53",
    )


ORDER = _order()


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    join = {"enabled": True, "server": "https://hub.example:6443", "caBundle": "x"}
    with installed(
        binaries, "hansa-member", node="tartu", lentSecrets=["lent"], join=join
    ) as charted:
        install_kuberay(charted.plane, binaries)
        yield charted


def _law(**changes: Any) -> dict:
    policy = BASES["MemberPolicy"]
    return {k: v for k, v in policy.items() if k != "status"} | {
        "spec": {**policy["spec"], **changes}
    }


@pytest.fixture(scope="module")
def running(member: Charted) -> Charted:
    """Everything of one run made, by the agent."""
    member.apply(_law())
    for wave in waves(ORDER, RayJob()):
        for creation in wave:
            member.create(_placed(creation.path, creation.body), user=AGENT, dry=False)
    return member


def _placed(path: str, body: dict) -> dict:
    namespace = path.partition("/namespaces/")[2].partition("/")[0]
    placed = copy.deepcopy(body)
    if namespace:
        placed["metadata"]["namespace"] = namespace
    return placed


def _pods() -> dict[str, dict]:
    """The pods KubeRay makes of the rendered RayJob."""
    rayjob = waves(ORDER, RayJob())[-1][0].body
    cluster = rayjob["spec"]["rayClusterSpec"]
    templates = {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": rayjob["spec"]["submitterPodTemplate"],
    }
    return {
        name: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": name, "namespace": ORDER.name},
            "spec": template["spec"],
        }
        for name, template in templates.items()
    }


def test_the_policies_type_check(member: Charted):
    for policy in policies(member.plane):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


def test_pods_of_the_chart_are_restricted(member: Charted):
    pods = pods_of(member)

    assert {name.rpartition("-")[0] for name in pods} == {"hansa", "hansa-join"}
    for pod in pods.values():
        assert "created" in member.create(pod)


@pytest.mark.parametrize("pod", _pods().values(), ids=_pods())
def test_what_the_agent_renders_is_admitted(running: Charted, pod: dict):
    assert "created" in running.create(pod)


def _terms(pod: dict) -> list[dict]:
    affinity = pod["spec"]["affinity"]["nodeAffinity"]
    terms: list[dict] = affinity["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return terms


def _elsewhere(pod: dict) -> None:
    _terms(pod)[0]["matchExpressions"][0]["values"] = ["EE", "PT"]


def _lookalike(pod: dict) -> None:
    _terms(pod)[0]["matchExpressions"][0]["values"] = ["EEX"]


def _other_operator(pod: dict) -> None:
    _terms(pod)[0]["matchExpressions"][0] |= {"operator": "NotIn"}


def _way_out(pod: dict) -> None:
    _terms(pod).append({"matchExpressions": [{"key": "anywhere", "operator": "DoesNotExist"}]})


def _preference_only(pod: dict) -> None:
    term = _terms(pod)[0]
    preferred = [{"weight": 1, "preference": term}]
    pod["spec"]["affinity"] = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    }


def _no_affinity(pod: dict) -> None:
    del pod["spec"]["affinity"]


def _chosen_machine(pod: dict) -> None:
    pod["spec"]["nodeName"] = "machine-1"


def _tag(pod: dict) -> None:
    pod["spec"]["containers"][0]["image"] = "hansa.local/ray:latest"


def _foreign_registry(pod: dict) -> None:
    pod["spec"]["containers"][0]["image"] = f"evil.example/ray@{DIGEST}"


def _foreign_init(pod: dict) -> None:
    first = copy.deepcopy(pod["spec"]["containers"][0])
    pod["spec"]["initContainers"] = [first | {"name": "init", "image": f"evil.example/x@{DIGEST}"}]


def _root(pod: dict) -> None:
    pod["spec"]["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}


def _host_path(pod: dict) -> None:
    pod["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


JURISDICTION = r"require machines labelled hansa.dev/jurisdiction=EE"
UNLAWFUL: dict[str, tuple[Callable[[dict], None], str]] = {
    "no affinity": (_no_affinity, JURISDICTION),
    "one place too many": (_elsewhere, JURISDICTION),
    "a place that only begins alike": (_lookalike, JURISDICTION),
    "the wrong way round": (_other_operator, JURISDICTION),
    "a second term as a way out": (_way_out, JURISDICTION),
    "a mere preference": (_preference_only, JURISDICTION),
    "a machine chosen by name": (_chosen_machine, "may not choose a machine"),
    "an image by tag": (_tag, "named by digest"),
    "a foreign registry": (_foreign_registry, "imageRegistries"),
    "a foreign init container": (_foreign_init, "imageRegistries"),
    "root": (_root, "PodSecurity"),
    "the machine's disk": (_host_path, "PodSecurity"),
}


@pytest.mark.parametrize(("spoil", "why"), UNLAWFUL.values(), ids=UNLAWFUL)
def test_an_unlawful_pod_is_refused_whoever_makes_it(
    running: Charted, spoil: Callable[[dict], None], why: str
):
    pod = copy.deepcopy(_pods()["worker"])
    spoil(pod)

    with pytest.raises(KubectlError, match=why):
        running.create(pod)


LAWS: dict[str, tuple[dict | None, str]] = {
    "another country's": (_law(jurisdiction="LV"), "hansa.dev/jurisdiction=LV"),
    "stopped": (_law(switch="Stopped"), "stopped all league work"),
    "no registries": (_law(imageRegistries=[]), "imageRegistries"),
    "none": (None, "hansa-league-pods"),
}


@pytest.mark.parametrize(("law", "why"), LAWS.values(), ids=LAWS)
def test_the_lock_follows_the_law(running: Charted, law: dict | None, why: str):
    if law is None:
        running.kubectl("delete", "memberpolicy", "local")
    else:
        running.apply(law)
    try:
        _wait_refused(running, why)
    finally:
        running.apply(_law())
        _wait_admitted(running)


def _wait_refused(charted: Charted, why: str) -> None:
    # The policy's parameters reach the admission plugin by a watch: a moment after the write.
    wait_until(lambda: why in _answer(charted), what=f"a refusal for {why}")


def _wait_admitted(charted: Charted) -> None:
    wait_until(lambda: _answer(charted) == "", what="admission")


def _answer(charted: Charted) -> str:
    try:
        charted.create(_pods()["worker"])
    except KubectlError as refused:
        return str(refused)
    return ""


def _object(kind: str, name: str, namespace: str = "", api: str = "v1", **fields: Any) -> dict:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


STRAYS = {
    "a namespace that is no run's": _object("Namespace", "elsewhere"),
    "a namespace with a run's name but no mark": _object("Namespace", "aij-x"),
    "a secret elsewhere": _object("Secret", "x", "kube-system"),
    "an account elsewhere": _object("ServiceAccount", "x", "default"),
    "settings elsewhere": _object("ConfigMap", "x", "default", data={}),
    "a volume of its own": _object(
        "PersistentVolume",
        "x",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadOnlyMany"],
            "hostPath": {"path": "/"},
        },
    ),
}


@pytest.mark.parametrize("manifest", STRAYS.values(), ids=STRAYS)
def test_the_agent_stays_with_its_runs(running: Charted, manifest: dict):
    with pytest.raises(KubectlError, match="only runs of the league"):
        running.create(manifest, user=AGENT)


def test_the_agent_deletes_its_runs_and_no_other_namespace(running: Charted):
    running.kubectl("create", "namespace", "bystander")

    with pytest.raises(KubectlError, match="only runs of the league"):
        running.kubectl("delete", "ns", "bystander", user=AGENT)
    assert running.kubectl("delete", "ns", ORDER.name, "--dry-run=server", user=AGENT)


def test_nobody_else_marks_a_namespace_as_a_run(running: Charted):
    with pytest.raises(KubectlError, match="only the member agent sets it"):
        running.kubectl("label", "ns", "default", "hansa.dev/job-uid=x")
    with pytest.raises(KubectlError, match="only the member agent sets it"):
        running.kubectl("label", "ns", ORDER.name, "hansa.dev/job-uid-")
    with pytest.raises(KubectlError, match="must enforce Pod Security restricted"):
        running.kubectl(
            "label",
            "ns",
            ORDER.name,
            "--overwrite",
            "pod-security.kubernetes.io/enforce=privileged",
        )


AGENT_MAY = {
    "read the law": ("watch", "memberpolicies.hansa.dev", "", "local"),
    "report on it": ("patch", "memberpolicies.hansa.dev/status", "", "local"),
    "see machines": ("watch", "nodes", "", ""),
    "see KubeRay": ("list", "deployments.apps", "", ""),
    "see runs": ("watch", "rayjobs.ray.io", "", ""),
    "read logs": ("get", "pods/log", "aij-x", ""),
    "recall a run": ("get", "configmaps", "aij-x", "grant"),
    "find data": ("get", "persistentvolumeclaims", SYSTEM, ""),
    "read its identity": ("get", "secrets", SYSTEM, "hansa-identity"),
    "renew its identity": ("patch", "secrets", SYSTEM, "hansa-identity"),
    "read what waits for its release": ("get", "secrets", SYSTEM, "hansa-results"),
    "keep a result": ("patch", "secrets", SYSTEM, "hansa-results"),
    "find the runs' resolver": ("get", "services", SYSTEM, "hansa-resolver"),
    "read a lent secret": ("get", "secrets", SYSTEM, "lent"),
    "remember": ("patch", "configmaps", SYSTEM, "memory"),
    "run the canary": ("create", "pods", "hansa-canary", ""),
}
AGENT_MAY_NOT = {
    "change the law": ("patch", "memberpolicies.hansa.dev", "", "local"),
    "make pods": ("create", "pods", "aij-x", ""),
    "make pods at home": ("create", "pods", SYSTEM, ""),
    "enter pods": ("create", "pods/exec", "aij-x", ""),
    "read other secrets at home": ("get", "secrets", SYSTEM, "hansa-join-token"),
    "list secrets": ("list", "secrets", SYSTEM, ""),
    "read other services": ("get", "services", SYSTEM, "kubernetes"),
    "delete what waits with the rest": ("delete", "secrets", SYSTEM, "hansa-results"),
    "read secrets elsewhere": ("get", "secrets", "kube-system", ""),
    "read other settings": ("get", "configmaps", "kube-system", "extension"),
    "change machines": ("patch", "nodes", "", ""),
    "hand out rights": ("create", "rolebindings.rbac.authorization.k8s.io", "aij-x", ""),
    "change admission": (
        "delete",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "",
        "",
    ),
}


@pytest.mark.parametrize("asked", AGENT_MAY.values(), ids=AGENT_MAY)
def test_the_agent_may(member: Charted, asked: tuple[str, str, str, str]):
    assert member.may(AGENT, *asked)


@pytest.mark.parametrize("asked", AGENT_MAY_NOT.values(), ids=AGENT_MAY_NOT)
def test_the_agent_may_not(member: Charted, asked: tuple[str, str, str, str]):
    assert not member.may(AGENT, *asked)


def test_the_exporter_lists_pods_and_no_more(member: Charted):
    assert member.may(EXPORTER, "list", "pods")
    for verb, resource in (("get", "pods"), ("list", "secrets"), ("list", "nodes")):
        assert not member.may(EXPORTER, verb, resource)


RESOLVER = f"system:serviceaccount:{SYSTEM}:hansa-resolver"


def test_the_resolver_sees_names_and_no_more(member: Charted):
    for resource in ("services", "namespaces", "endpointslices.discovery.k8s.io"):
        assert member.may(RESOLVER, "watch", resource)
    for verb, resource in (("list", "pods"), ("list", "secrets"), ("create", "services")):
        assert not member.may(RESOLVER, verb, resource)


def test_the_canary_is_denied_by_pod_security(member: Charted):
    bad = _object("Pod", "canary", "hansa-canary")
    container = {"name": "c", "image": "x.invalid/x", "securityContext": {"privileged": True}}
    bad["spec"] = {"containers": [container]}

    with pytest.raises(KubectlError, match="PodSecurity"):
        member.create(bad, user=AGENT)


def test_an_upgrade_keeps_the_law(running: Charted):
    running.upgrade(replicas=0)

    law = json.loads(running.kubectl("get", "memberpolicy", "local", "-o", "json"))
    assert law["metadata"]["generation"] >= 1
    assert yaml.safe_dump(law["spec"]["jurisdiction"]).startswith("EE")
