"""The second lock follows a site's settings: it admits what the agent makes by them, and nothing of another site's.

Pods are rendered by the agent's own code from the settings that the chart is installed with, and offered as
dry runs by KubeRay's account; no operator is needed for that.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import wait_until
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.memberpolicy import MemberPolicySpec
from hansa.member.cluster.cluster_state import Canary
from hansa.member.cluster.second_lock import try_lock
from hansa.member.run_settings import Runs
from hansa.reconcile.member.inventory.machine import MachineRules
from hansa.reconcile.member.platform.checkpoints import Lending
from hansa.reconcile.member.platform.resolvers import Resolver, find_resolvers
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import RenderOptions, RunRequest
from tests.apiserver.charts.charted import Charted, installed, policies
from tests.apiserver.crds.bases import DIGEST
from tests.apiserver.lock.kit import AGENT, GOOD, KUBERAY, REFUSED, Answer, Server, rule_of
from tests.apiserver.lock.lawful import REQUEST, law_of
from tests.apiserver.member.kit import install_kuberay

pytestmark = pytest.mark.apiserver
LAW = law_of(
    egress=[
        {"cidr": "192.0.2.0/24", "ports": [443]},
        {"cidr": "0.0.0.0/0", "ports": [443]},
        {"cidr": "::/0", "ports": [443]},
        {"cidr": "169.254.10.0/24", "ports": [80]},
    ],
    imageRegistries=["hansa.local/", "registry.example/team/"],
)
NOTE = 'say "a" \\ <b>'
SITES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything": {
        "imagePullSecrets": ["harbor", "ghcr.io"],
        "runtimeClassName": "kata",
        "gpuRuntimeClassName": "nvidia",
        "priorityClassName": "league",
        "nodeSelector": {"example.org/pool": "gpu"},
        "tolerations": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
        "labels": {"kueue.x-k8s.io/queue-name": "league"},
        "annotations": {"example.org/note": NOTE},
        "user": {"uid": 2000, "gid": 2001, "fsGroup": 2002},
        "imageUsers": [{"imagePrefix": "registry.example/team/", "uid": 1000, "gid": 100}],
        "checkpoints": {"storageClass": "kept"},
        "dns": [{"namespace": "dns", "port": 1053}, {"cidr": "10.96.0.10/32", "port": 53}],
    },
    "OpenShift": {"userFrom": "Cluster"},
}
FOUND = {
    "OpenShift": find_resolvers(["169.254.20.10", "172.30.0.10", "34.118.224.10", "fd00:10:96::a"])
}
"""What the agent finds of resolvers where the settings name none."""


def runs_of(site: str) -> Runs:
    """Return the settings as the agent reads them from the chart's variables."""
    given = SITES[site]
    snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in k): v for k, v in given.items()}
    if "checkpoints" in snake:
        snake["checkpoints"] = {"storage_class": snake["checkpoints"]["storageClass"]}
    user = snake.get("user", {})
    if user:
        snake["user"] = {"uid": user["uid"], "gid": user["gid"], "fs_group": user["fsGroup"]}
    return Runs.model_validate(snake)


def request_of(site: str, *, shut_in: bool = True) -> RunRequest:
    runs = runs_of(site)
    options = RenderOptions(
        checkpoints=runs.checkpoint_rules(),
        pods=runs.pods(),
        resolvers=runs.resolvers() or FOUND.get(site, RenderOptions().resolvers),
        machines=MachineRules(
            more_tolerations=runs.more_tolerations(), node_selector=runs.node_selector
        ),
    )
    egress = MemberPolicySpec.model_validate(LAW["spec"]).egress
    policy = REQUEST.policy.model_copy(update={"egress": egress})
    lending = Lending(is_lent=bool(runs.checkpoints.storage_class))
    made = replace(REQUEST, options=options, policy=policy, lending=lending)
    if shut_in:
        return made
    wire = copy.deepcopy(dict(REQUEST.wire))
    wire["jobSpec"]["data"] = []
    return replace(made, wire=wire, grant=type(made.grant).model_validate(wire))


def pods_of(site: str) -> dict[str, dict[str, Any]]:
    """Return the pods of a site's run, as KubeRay makes them of the templates."""
    [[work]] = waves(request_of(site), RayJob())[-1:]
    spec = work.body["spec"]
    cluster = spec["rayClusterSpec"]
    templates = {
        "head": cluster["headGroupSpec"]["template"],
        "worker": cluster["workerGroupSpecs"][0]["template"],
        "submitter": spec["submitterPodTemplate"],
    }
    found = {}
    for role, template in templates.items():
        pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
        pod["metadata"]["name"] = role
        if site == "OpenShift":
            _constrained(pod)
        found[role] = pod
    return found


def _constrained(pod: dict[str, Any]) -> None:
    """Write what OpenShift's restricted-v2 writes into a pod when it admits it (its documentation, 4.17)."""
    pod["spec"]["securityContext"] |= {
        "fsGroup": 1000720000,
        "seLinuxOptions": {"level": "s0:c27,c4"},
    }
    for container in pod["spec"]["containers"]:
        container["securityContext"]["runAsUser"] = 1000720000
    pod["metadata"]["annotations"] = {
        "openshift.io/scc": "restricted-v2",
        "security.openshift.io/validated-scc-subject-type": "user",
    }


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    with installed(binaries, "hansa-member", node="tartu") as charted:
        install_kuberay(charted.plane, binaries)
        charted.apply(LAW)
        server = Server(charted.plane)
        cluster = "/apis/node.k8s.io/v1/runtimeclasses"
        for name, more in {"kata": {"overhead": {"podFixed": {"cpu": "1m"}}}, "nvidia": {}}.items():
            body = {"metadata": {"name": name}, "handler": name, **more}
            assert server.send("POST", cluster, body).status in GOOD
        league = {"metadata": {"name": "league"}, "value": 7}
        made = server.send("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", league)
        assert made.status in GOOD, made.text
        for wave in waves(REQUEST, RayJob())[:2]:
            for creation in wave:
                if creation.body["kind"] not in {"NetworkPolicy", "ResourceQuota"}:
                    sent = server.send("POST", creation.path, creation.body, user=AGENT)
                    assert sent.status in GOOD, sent.text
        yield charted


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, member: Charted) -> str:
    """Return a site whose settings are installed and in force."""
    name: str = request.param
    member.upgrade(settings={"runs": SITES[name]})
    wait_until(lambda: tried(member, name).outcome == "Denied", what="the lock to be in force")
    return name


def tried(member: Charted, site: str) -> Canary:
    """Return the agent's own trial of the lock, with its rights."""

    async def run() -> Canary:
        place = from_kubeconfig(member.plane.kubeconfig_for(AGENT, ["system:authenticated"]))
        async with KubeCluster(place, clock=SystemClock()) as agent:
            law = MemberPolicySpec.model_validate(LAW["spec"])
            return await try_lock(agent, law, runs_of(site).pods())

    return asyncio.run(run())


def offer(member: Charted, pod: dict[str, Any]) -> Answer:
    path = f"/api/v1/namespaces/{REQUEST.name}/pods?dryRun=All"
    return Server(member.plane).send("POST", path, pod, user=KUBERAY)


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_its_own_pods_are_admitted(member: Charted, site: str, role: str):
    answer = offer(member, pods_of(site)[role])

    assert answer.status in GOOD, answer.text


@pytest.mark.parametrize("other", SITES)
@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_pods_of_another_site_are_refused(member: Charted, site: str, other: str, role: str):
    answer = offer(member, pods_of(other)[role])

    assert (answer.status in GOOD) == (site == other), answer.text


def fence(member: Charted, site: str, *, shut_in: bool) -> Answer:
    wave = waves(request_of(site, shut_in=shut_in), RayJob())[1]
    [made] = [creation for creation in wave if creation.body["kind"] == "NetworkPolicy"]
    path = made.path.replace(made.path.split("/")[5], REQUEST.name)
    return Server(member.plane).send("POST", f"{path}?dryRun=All", made.body, user=AGENT)


def test_its_own_fence_is_admitted(member: Charted, site: str):
    for shut_in in (True, False):
        answer = fence(member, site, shut_in=shut_in)
        assert answer.status in GOOD, answer.text


def test_a_fence_that_opens_the_machines_identity_is_refused(member: Charted, site: str):
    """The law lets runs out anywhere, which is not to the cloud's credentials for the machine."""
    wave = waves(request_of(site), RayJob())[1]
    [made] = [creation for creation in wave if creation.body["kind"] == "NetworkPolicy"]
    path = made.path.replace(made.path.split("/")[5], REQUEST.name)
    wide = [
        rule for rule in made.body["spec"]["egress"] if "except" in rule["to"][0].get("ipBlock", {})
    ]
    assert len(wide) == 2
    for rule in wide:
        rule["to"][0]["ipBlock"].pop("except")
        answer = Server(member.plane).send("POST", f"{path}?dryRun=All", made.body, user=AGENT)
        assert answer.status == REFUSED, answer.text
        assert rule_of(answer) == "fence"
        rule["to"][0]["ipBlock"]["except"] = []


def test_a_fence_with_other_resolvers_is_refused(member: Charted, site: str):
    """Where none are named, those of all known platforms are admitted, and no others."""
    own = "everything" if site == "everything" else "found"
    for other in SITES:
        answer = fence(member, other, shut_in=False)
        theirs = "everything" if other == "everything" else "found"
        assert (answer.status in GOOD) == (own == theirs), answer.text


def test_the_agent_may_read_the_credentials_that_it_copies(member: Charted, site: str):
    for name in ("harbor", "ghcr.io"):
        wanted = name in SITES[site].get("imagePullSecrets", ())
        assert member.may(AGENT, "get", "secrets", "hansa-system", name) == wanted


SPEC = ("spec",)
USER, LABELS, NOTES = (
    (*SPEC, "securityContext"),
    ("metadata", "labels"),
    ("metadata", "annotations"),
)
BOX = (*SPEC, "containers", 0)
SLIPS: dict[str, tuple[str, str, tuple[Any, ...], Any, str]] = {
    "credentials of nobody's": ("as it comes", "head", (*SPEC, "imagePullSecrets"), [{"name": "pull-harbor"}], "pod-platform"),
    "credentials left out": ("everything", "head", (*SPEC, "imagePullSecrets"), [], "pod-platform"),
    "credentials under another name": ("everything", "head", (*SPEC, "imagePullSecrets"), [{"name": "harbor"}, {"name": "pull-ghcr.io"}], "pod-platform"),
    "one more credential": ("everything", "head", (*SPEC, "imagePullSecrets"), [{"name": "pull-harbor"}, {"name": "pull-ghcr.io"}, {"name": "x"}], "pod-platform"),
    "the GPUs' runtime without GPUs": ("everything", "head", (*SPEC, "runtimeClassName"), "nvidia", "pod-platform"),
    "the other runtime with GPUs": ("everything", "worker", (*SPEC, "runtimeClassName"), "kata", "pod-platform"),
    "a runtime class": ("as it comes", "head", (*SPEC, "runtimeClassName"), "nvidia", "pod-platform"),
    "other machines": ("everything", "head", (*SPEC, "nodeSelector"), {"example.org/pool": "cpu"}, "pod-platform"),
    "any machines": ("everything", "head", (*SPEC, "nodeSelector"), {}, "pod-platform"),
    "some machines": ("as it comes", "head", (*SPEC, "nodeSelector"), {"example.org/pool": "cpu"}, "pod-platform"),
    "a priority": ("as it comes", "head", (*SPEC, "priorityClassName"), "league", "pod-priority"),
    "another priority": ("everything", "head", (*SPEC, "priorityClassName"), "system-cluster-critical", "pod-priority"),
    "another user": ("everything", "head", (*USER, "runAsUser"), 65532, "pod-user"),
    "one user's id and another's group": ("everything", "head", (*USER, "runAsGroup"), 100, "pod-user"),
    "another group of volumes": ("everything", "head", (*USER, "fsGroup"), 1, "pod-user"),
    "a group of volumes": ("as it comes", "head", (*USER, "fsGroup"), 65532, "pod-user"),
    "root's volumes on OpenShift": ("OpenShift", "head", (*USER, "fsGroup"), 0, "pod-user"),
    "an SELinux type on OpenShift": ("OpenShift", "head", (*USER, "seLinuxOptions"), {"type": "spc_t"}, "pod-user"),
    "root on OpenShift": ("OpenShift", "head", (*BOX, "securityContext", "runAsUser"), 0, "container-security"),
    "a user by the container": ("as it comes", "head", (*BOX, "securityContext", "runAsUser"), 65532, "container-security"),
    "privileged on OpenShift": ("OpenShift", "head", (*NOTES, "openshift.io/scc"), "privileged", "labels"),
    "another queue": ("everything", "head", (*LABELS, "kueue.x-k8s.io/queue-name"), "other", "labels"),
    "one more label": ("everything", "head", (*LABELS, "x"), "league", "labels"),
    "another note": ("everything", "head", (*NOTES, "example.org/note"), "other", "labels"),
    "a note": ("as it comes", "head", NOTES, {"example.org/note": NOTE}, "labels"),
    "another taint's value": ("everything", "head", (*SPEC, "tolerations"), [{"key": "sku", "operator": "Exists"}], "pod-tolerations"),
    "the credentials as variables": ("everything", "head", (*BOX, "envFrom"), [{"secretRef": {"name": "pull-harbor"}}], "container-env"),
    "another claim to write": ("everything", "head", (*SPEC, "volumes", "@checkpoints"), {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "breast-cancer"}}, "pod-volumes"),
    "data to write beside checkpoints": ("everything", "head", (*BOX, "volumeMounts", "@data-breast-cancer", "readOnly"), False, "container-mounts"),
    "checkpoints where none are lent": ("as it comes", "head", (*SPEC, "volumes", "@data-breast-cancer"), {"name": "data-breast-cancer", "persistentVolumeClaim": {"claimName": "hansa.checkpoints"}}, "pod-volumes"),
    "the credentials as a file": ("everything", "head", (*SPEC, "volumes", "@scratch"), {"name": "scratch", "secret": {"secretName": "pull-harbor"}}, "pod-volumes"),
}  # fmt: skip


def _at(place: Any, step: Any) -> Any:
    """Return a step; of a list, ``@NAME`` is where the item of that name stands."""
    if not isinstance(place, list) or not isinstance(step, str):
        return step
    return next(n for n, item in enumerate(place) if item["name"] == step.removeprefix("@"))


def test_what_is_a_little_more_is_refused(member: Charted, site: str):
    tried_here = {name: slip for name, slip in SLIPS.items() if slip[0] == site}
    assert tried_here
    for name, (_, role, (*way, last), value, rule) in tried_here.items():
        pod = pods_of(site)[role]
        place: Any = pod
        for step in way:
            place = place[_at(place, step)]
        place[_at(place, last)] = value
        answer = offer(member, pod)
        refused = answer.status == REFUSED and rule_of(answer) == rule
        # Pod Security stands in front of some of it.
        assert refused or "PodSecurity" in answer.text, f"{name}: {answer.text}"


def test_an_image_of_theirs_runs_as_the_user_it_is_built_for(member: Charted, site: str):
    """By the settings' prefix; with any other user of the settings the lock has no quarrel."""
    image = f"registry.example/team/ray@{DIGEST}"
    user = runs_of(site).pods().user_of(image)
    pod = pods_of(site)["head"]
    pod["spec"]["containers"][0]["image"] = image
    if user:
        pod["spec"]["securityContext"] |= user.security()
    answer = offer(member, pod)

    assert answer.status in GOOD, answer.text


@pytest.mark.usefixtures("site")
def test_the_policies_type_check(member: Charted):

    def checked() -> bool:
        found = [(one["status"], one["metadata"]) for one in policies(member.plane)]
        return all(said.get("observedGeneration") == of["generation"] for said, of in found)

    wait_until(checked, what="the types to be checked")
    for policy in policies(member.plane):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


ELSEWHERE = {
    "a resolver outside": Resolver(cidr="192.0.2.53/32"),
    "a whole network's": Resolver(cidr="10.0.0.0/8"),
    "its address at another port": Resolver(cidr="10.96.0.10/32", port=443),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_fence_that_opens_other_resolvers_is_refused(member: Charted, name: str, site: str):
    fences = waves(request_of(site, shut_in=False), RayJob())[1]
    [made] = [one for one in fences if one.body["kind"] == "NetworkPolicy"]
    made.body["spec"]["egress"].append(ELSEWHERE[name].rule())
    path = f"{made.path.replace(made.path.split('/')[5], REQUEST.name)}?dryRun=All"
    assert Server(member.plane).send("POST", path, made.body, user=AGENT).status == REFUSED
