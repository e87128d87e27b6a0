"""The second lock on a real API server: KubeRay's own pods pass, every escape is refused by its rule.

Pod Security is taken off the run's namespace first, and every request has an admin's rights: what
refuses here is the lock alone. Then each rule is taken out in turn: its escapes must get through and
its canary must tell.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.host.clock import wait_until
from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.memberpolicy import MemberPolicySpec
from hansa.grants.checks import _under
from hansa.member.cluster.cluster_state import Canary
from hansa.member.cluster.second_lock import try_lock
from hansa.reconcile.member import canaries
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from tests.apiserver.charts.charted import Charted, installed, locks, policies
from tests.apiserver.crds.bases import DIGEST
from tests.apiserver.lock import escapes
from tests.apiserver.lock.escapes import PODS, REQUESTS, filled, spoilt
from tests.apiserver.lock.escaping.by_rayjob import RAYJOBS
from tests.apiserver.lock.kit import (
    ADMIN,
    AGENT,
    BINDINGS,
    GOOD,
    KUBERAY,
    POLICIES,
    REFUSED,
    RULE,
    WEAK,
    Answer,
    LiveRun,
    Server,
    live_run,
    rule_of,
)
from tests.apiserver.lock.lawful import REQUEST, law_of

pytestmark = pytest.mark.apiserver
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
ENFORCE = "pod-security.kubernetes.io/enforce"
LAW = MemberPolicySpec.model_validate(law_of()["spec"])


@pytest.fixture(scope="module")
def member(binaries: Binaries) -> Iterator[Charted]:
    """A member's chart with the law in force."""
    lock = {"dataPaths": ["/srv/data"]}
    with installed(binaries, "hansa-member", node="tartu", admission=lock) as charted:
        charted.apply(law_of())
        install_kinds(charted, binaries)
        yield charted


def install_kinds(charted: Charted, binaries: Binaries) -> None:
    """Install all of KubeRay's kinds: what an escape is refused for must not be that it is unknown."""
    folder = binaries.source_of("kuberay") / "config" / "crd" / "bases"
    charted.plane.kubectl("apply", "--server-side", "-f", folder)
    wait_until(lambda: try_all(charted).outcome == "Denied", what="the lock to be in force")


@pytest.fixture(scope="module")
def run(member: Charted, binaries: Binaries) -> Iterator[LiveRun]:
    """A run that KubeRay really made, without Pod Security in front of the lock."""
    server = Server(member.plane)
    with live_run(server, binaries, REQUEST) as live:
        binding = server.get(f"{BINDINGS}/hansa-run-namespaces")
        server.send("DELETE", f"{BINDINGS}/hansa-run-namespaces")
        level = {"metadata": {"labels": {ENFORCE: "privileged"}}}
        wait_until(
            lambda: server.send("PATCH", live.core, level, kind=escapes.MERGE).status in GOOD,
            what="Pod Security to be taken off",
        )
        # A full quota would refuse what the lock admits.
        server.send("DELETE", f"{live.core}/resourcequotas/size", user=NAMESPACE_CONTROLLER)
        roomy = {"metadata": {"name": "size"}, "spec": {"hard": {"pods": "99"}}}
        server.send("POST", f"{live.core}/resourcequotas", roomy, user=AGENT)
        host = {"metadata": {"name": "host"}, "handler": "host"}
        server.send("POST", "/apis/node.k8s.io/v1/runtimeclasses", host)
        del binding["metadata"]["resourceVersion"], binding["metadata"]["uid"]
        server.send("POST", BINDINGS, binding)
        wait_until(lambda: try_all(member).outcome == "Denied", what="the lock to be whole again")
        yield live


def try_all(member: Charted, law: MemberPolicySpec = LAW) -> Canary:
    """Run the agent's own trial of the lock, as the agent: with its rights and no others."""
    return asyncio.run(_try_all(member, law))


async def _try_all(member: Charted, law: MemberPolicySpec) -> Canary:
    place = from_kubeconfig(member.plane.kubeconfig_for(AGENT, ["system:authenticated"]))
    async with KubeCluster(place, clock=SystemClock()) as agent:
        return await try_lock(agent, law)


def names(run: LiveRun) -> dict[str, str]:
    """Return what the requests' places stand for."""
    head = run.pod("head")["metadata"]
    return {"ns": run.name, "head": head["name"], "cluster": head["labels"]["ray.io/cluster"]}


def attempt(run: LiveRun, request: escapes.Request) -> Answer:
    """Send a request as a dry run, where one can be."""
    path, body = filled(request, **names(run))
    if not re.search(r"/(exec|attach|portforward|proxy)\b", path):
        path += ("&" if "?" in path else "?") + "dryRun=All"
    return run.server.send(request.method, path, body, user=request.user, kind=request.kind)


def test_the_policies_type_check(member: Charted):
    for policy in policies(member.plane):
        assert policy["status"]["typeChecking"] == {}, policy["metadata"]["name"]


def test_what_kuberay_makes_of_a_run_passes(run: LiveRun):
    """It did pass, or there would be no run; nothing was refused to it or to the controllers on the way."""
    assert {"head", "worker", "submitter"} <= {
        pod["metadata"]["labels"].get("ray.io/node-type", "submitter")
        for pod in run.server.items(f"{run.core}/pods")
    }
    for log in ("kuberay.log", "kube-controller-manager.log"):
        text = (run.server.plane.folder / log).read_text(errors="replace")
        assert [line for line in text.splitlines() if "hansa-run-" in line][:1] == []


@pytest.mark.parametrize("kind", ["head", "worker", "submitter"])
def test_the_pods_of_a_run_are_admitted_again(run: LiveRun, kind: str):
    answer = make(run, run.again(kind))

    assert answer.status in GOOD, answer.text


def make(run: LiveRun, pod: dict[str, Any], user: str = KUBERAY) -> Answer:
    """Create a pod as a dry run."""
    return run.server.send("POST", f"{run.core}/pods?dryRun=All", pod, user=user)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_with_a_way_out_is_refused(run: LiveRun, name: str):
    answer = make(run, spoilt(run.again("worker"), PODS[name]))

    assert answer.status == REFUSED, answer.text
    assert rule_of(answer) in PODS[name][2].split("|"), answer.text


@pytest.mark.parametrize("name", RAYJOBS)
def test_a_rayjob_with_a_way_out_is_refused(run: LiveRun, name: str):
    answer = render_again(run, RAYJOBS[name])

    assert (answer.status, rule_of(answer)) == (REFUSED, RAYJOBS[name][2]), answer.text


def test_the_rayjob_of_a_run_is_admitted_again(run: LiveRun):
    lawful = (("metadata", "name"), "again", "")

    answer = render_again(run, lawful)

    assert answer.status in GOOD, answer.text


def render_again(run: LiveRun, escape: escapes.PodEscape) -> Answer:
    """Create the agent's RayJob with an escape in it, under another name, as a dry run."""
    ((creation,),) = waves(REQUEST, RayJob())[-1:]
    body = spoilt(creation.body, escape)
    body["metadata"]["name"] = "again"
    return run.server.send("POST", f"{creation.path}?dryRun=All", body, user=AGENT)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_with_a_way_out_is_refused(run: LiveRun, name: str):
    answer = attempt(run, REQUESTS[name])

    assert answer.status == REFUSED, answer.text
    assert rule_of(answer) in REQUESTS[name].rule.split("|") or (
        "PodSecurity" in REQUESTS[name].rule and "PodSecurity" in answer.text
    ), answer.text


@pytest.mark.parametrize("user", [ADMIN, AGENT, "system:node:m1"])
def test_a_lawful_pod_comes_from_kuberay_only(run: LiveRun, user: str):
    answer = make(run, run.again("worker"), user)

    assert (answer.status, rule_of(answer)) == (REFUSED, "accounts"), answer.text


def test_a_run_can_always_be_ended(run: LiveRun):
    """By anybody with the right to: a lock that keeps work going would be the wrong way round."""
    for path in (f"{run.core}/pods/{names(run)['head']}", run.core):
        answer = run.server.send("DELETE", f"{path}?dryRun=All")
        assert answer.status in GOOD, answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/hansa-canary",
        "/api/v1/namespaces/hansa-canary/serviceaccounts/job",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/hansa-canary/roles/hansa-canary",
    ],
)
def test_helm_can_upgrade_what_it_installed(member: Charted, path: str):
    newer = {"metadata": {"labels": {"app.kubernetes.io/version": "9.9.9"}}}

    answer = Server(member.plane).send("PATCH", f"{path}?dryRun=All", newer, kind=escapes.MERGE)

    assert answer.status in GOOD, answer.text


def test_no_law_no_pods(run: LiveRun, member: Charted):
    member.kubectl("delete", "memberpolicy", "local")
    try:
        wait_until(lambda: _refused(run, "hansa-run-pods"), what="a refusal without law")
    finally:
        member.apply(law_of())
        wait_until(lambda: make(run, run.again("worker")).status in GOOD, what="admission")


LAWS = {
    "another country's": ({"jurisdiction": "LV"}, "[jurisdiction]"),
    "no registries": ({"imageRegistries": []}, "[image-registry]"),
    "stopped": ({"switch": "Stopped"}, "[stopped]"),
}


@pytest.mark.parametrize(("changes", "rule"), LAWS.values(), ids=LAWS)
def test_the_lock_follows_the_law(run: LiveRun, member: Charted, changes: dict, rule: str):
    member.apply(law_of(**changes))
    try:
        wait_until(lambda: _refused(run, rule), what=f"a refusal by {rule}")
    finally:
        member.apply(law_of())
        wait_until(lambda: make(run, run.again("worker")).status in GOOD, what="admission")


def _refused(run: LiveRun, why: str) -> bool:
    answer = make(run, run.again("worker"))
    return answer.status not in GOOD and why in answer.text


# ---- the judge and the lock read prefixes alike ---------------------------------------------

PREFIXES = [
    "r.example",
    "r.example/",
    "r.example:5000",
    "r.example/team",
    "r.example/team/",
    "r.example/team:",
]
ENDS = [
    "",
    "/x",
    ":5000/x",
    ":666/x",
    ".evil.com/x",
    "/team/x",
    "/teamwork/x",
    "/team",
    "/team:1",
    ":1",
    "00/x",
]


def _images() -> list[str]:
    heads = ["r.example", "r.example:5000", "r.example/team", "evil.example/r.example"]
    return [f"{head}{end}@{DIGEST}" for head, end in itertools.product(heads, ENDS)]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_judge_and_lock_agree_on_registries(run: LiveRun, member: Charted, prefix: str):
    member.apply(law_of(imageRegistries=[prefix]))
    known = prefix if prefix.endswith("/") else f"{prefix.rstrip(':')}"
    good = f"{known.rstrip('/')}/x@{DIGEST}" if not prefix.endswith(":") else f"{prefix}1@{DIGEST}"
    try:
        wait_until(lambda: _admits(run, good), what="the prefix to be in force")
        for image in _images():
            assert _admits(run, image) == _under(image, prefix), image
    finally:
        member.apply(law_of())
        wait_until(lambda: make(run, run.again("worker")).status in GOOD, what="admission")


def _admits(run: LiveRun, image: str) -> bool:
    pod = run.again("submitter")
    pod["spec"]["containers"][0]["image"] = image
    answer = make(run, pod)
    assert answer.status in GOOD or rule_of(answer) == "image-registry", answer.text
    return answer.status in GOOD


# ---- every rule is needed, and its canary tells ----------------------------------------------


def rules_of(policy: dict[str, Any]) -> list[str]:
    """Return the names of a policy's rules, in order."""
    return [
        RULE.search(row.get("messageExpression") or row.get("message", ""))[1]  # type: ignore[index]  # each has one
        for row in policy["spec"]["validations"]
    ]


def test_every_rule_has_its_canary(member: Charted):
    rules = [rule for policy in locks(member.plane) for rule in rules_of(policy)]
    law = MemberPolicySpec.model_validate(law_of(switch="Stopped")["spec"])

    assert sorted(rules) == sorted(set(rules))
    assert {canary.rule for canary in canaries.known_bad(law)} == {*rules, "PodSecurity"}
    assert {p["metadata"]["name"] for p in locks(member.plane)} == set(canaries.POLICIES)


RULES = sorted({c.rule for c in canaries.known_bad(LAW)} - {"PodSecurity"})


@pytest.mark.parametrize("rule", RULES)
def test_without_a_rule_its_escapes_pass_and_its_canary_tells(
    run: LiveRun, member: Charted, rule: str
):
    policy = next(p for p in locks(member.plane) if rule in rules_of(p))
    path = f"{POLICIES}/{policy['metadata']['name']}"
    place = f"/spec/validations/{rules_of(policy).index(rule)}/expression"
    kept = policy["spec"]["validations"][rules_of(policy).index(rule)]["expression"]
    _replace(run.server, path, place, "true")
    try:
        # That the policy is another is told at once; that it admits, when the API server goes by it.
        said = f"rules refuse: {rule}"
        wait_until(lambda: said in try_all(member).message, what="the canary to tell")
        assert _let_through(run, rule), "no escape stands for this rule alone"
    finally:
        _replace(run.server, path, place, kept)
        wait_until(lambda: try_all(member).outcome == "Denied", what="the rule to be back")


def _replace(server: Server, path: str, place: str, value: Any) -> None:
    patch = [{"op": "replace", "path": place, "value": value}]
    done = server.send("PATCH", path, patch, kind="application/json-patch+json")
    assert done.status in GOOD, done.text


def _let_through(run: LiveRun, rule: str) -> list[str]:
    pod = run.again("worker")
    passed = [
        name
        for name, escape in PODS.items()
        if escape[2] == rule and make(run, spoilt(pod, escape)).status in GOOD
    ]
    passed += [
        name
        for name, escape in RAYJOBS.items()
        if escape[2] == rule and render_again(run, escape).status in GOOD
    ]
    return passed + [
        name
        for name, request in REQUESTS.items()
        if request.rule == rule and attempt(run, request).status != REFUSED
    ]


def test_without_the_rule_stopped_its_canary_tells(run: LiveRun, member: Charted):
    law = MemberPolicySpec.model_validate(law_of(switch="Stopped")["spec"])
    member.apply(law_of(switch="Stopped"))
    policy = run.server.get(f"{POLICIES}/hansa-run-pods")
    number = rules_of(policy).index("stopped")
    place, kept = f"/spec/validations/{number}/expression", policy["spec"]["validations"][number]
    try:
        wait_until(lambda: try_all(member, law).outcome == "Denied", what="the stop")
        _replace(run.server, f"{POLICIES}/hansa-run-pods", place, "true")
        wait_until(lambda: "stopped" in try_all(member, law).message, what="the canary to tell")
    finally:
        _replace(run.server, f"{POLICIES}/hansa-run-pods", place, kept["expression"])
        member.apply(law_of())
        wait_until(lambda: try_all(member).outcome == "Denied", what="the law as before")


@pytest.mark.parametrize(("path", "change", "why"), WEAK.values(), ids=WEAK)
def test_a_weakened_lock_is_noticed(member: Charted, path: str, change: dict, why: str):
    server = Server(member.plane)
    kept = server.get(path)
    assert server.send("PATCH", path, change, kind=escapes.MERGE).status in GOOD
    try:
        told = try_all(member)
        assert told.outcome == "Admitted"
        assert why in told.message
    finally:
        wait_until(lambda: _put_back(server, path, kept), what="a write that meets no other")
        wait_until(lambda: try_all(member).outcome == "Denied", what="the lock as before")


@pytest.mark.parametrize("name", ["it exempts somebody", "it excludes a kind"])
def test_what_the_agent_advises_restores_the_lock(member: Charted, name: str):
    """Helm alone would leave in place what was added: it compares with what it installed before."""
    path, change, _ = WEAK[name]
    kind, policy = path.split("/")[-2:]
    assert Server(member.plane).send("PATCH", path, change, kind=escapes.MERGE).status in GOOD
    member.upgrade("--reset-then-reuse-values")
    assert try_all(member).outcome == "Admitted"
    member.kubectl("delete", kind, policy)
    member.upgrade("--reset-then-reuse-values")
    wait_until(lambda: try_all(member).outcome == "Denied", what="the lock as the chart makes it")


def _put_back(server: Server, path: str, kept: dict) -> bool:
    # A controller writes a policy's status after each change: the version read may be old by now.
    kept["metadata"]["resourceVersion"] = server.get(path)["metadata"]["resourceVersion"]
    return server.send("PUT", path, kept).status in GOOD


@pytest.mark.parametrize("name", canaries.POLICIES)
@pytest.mark.parametrize("collection", [POLICIES, BINDINGS])
def test_a_missing_part_is_noticed(member: Charted, collection: str, name: str):
    server = Server(member.plane)
    kept = server.get(f"{collection}/{name}")
    server.send("DELETE", f"{collection}/{name}")
    try:
        told = try_all(member)
        assert told.outcome == "Admitted"
        assert f"{name} cannot be read" in told.message
    finally:
        for field in ("resourceVersion", "uid"):
            kept["metadata"].pop(field)
        assert server.send("POST", collection, kept).status in GOOD
        wait_until(lambda: try_all(member).outcome == "Denied", what="the lock as before")
