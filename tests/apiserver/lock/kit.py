"""The second lock on a real API server, with one run made by the agent's name and KubeRay's own operator.

Requests go out under any account's name with an admin's rights: what RBAC would stop passes, so that
only admission is left to stop it.
"""

from __future__ import annotations

import copy
import http.client
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from e2e.testbed.addons import kuberay
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.host import processes
from e2e.testbed.host.clock import wait_until
from e2e.testbed.host.ports import free_ports
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import Creation, RunRequest
from tests.apiserver.charts.charted import SYSTEM

AGENT = f"system:serviceaccount:{SYSTEM}:hansa-member"
KUBERAY = "system:serviceaccount:kuberay-system:kuberay-operator"
SCHEDULER = "system:kube-scheduler"
MACHINE = "system:node:m1"
ADMIN = ""
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
REFUSED = 403
GOOD = range(200, 300)
ALL = slice(None)
NO_LAW = "no params found for policy binding"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said."""

    status: int
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The object in it."""
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True)
class Server:
    """Sends raw requests, each under a name."""

    plane: ControlPlane

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        trust = ssl.create_default_context(cafile=str(self.plane.ca_path))
        trust.load_cert_chain(self.plane.admin.cert, self.plane.admin.key)
        return trust

    def send(  # a request has that many parts
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = ADMIN,
        almighty: bool = True,
        kind: str = JSON,
    ) -> Answer:
        """Send one request as ``user``; ``almighty``: whatever RBAC says."""
        place = urlsplit(self.plane.url)
        headers = {"Content-Type": kind}
        if user:
            headers |= {"Impersonate-User": user}
        if user and almighty:
            headers |= {"Impersonate-Group": "system:masters"}
        line = http.client.HTTPSConnection(
            place.hostname or "", place.port, context=self._trust, timeout=60
        )
        try:
            line.request(method, path, None if body is None else json.dumps(body), headers)
            got = line.getresponse()
            return Answer(got.status, got.read().decode(errors="replace"))
        finally:
            line.close()

    def get(self, path: str) -> dict[str, Any]:
        """Return what there must be."""
        answer = self.send("GET", path)
        assert answer.status in GOOD, answer.text
        return answer.body

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return a collection."""
        found: list[dict[str, Any]] = self.get(path)["items"]
        return found


def make_by_law(server: Server, request: RunRequest, waves_made: slice = ALL, **who: Any) -> None:
    """Make the objects of a run as the agent. A law applied a moment ago may not be known yet."""
    for wave in waves(request, RayJob())[waves_made]:
        for creation in wave:
            answer = Answer(0, "")

            def is_judged(creation: Creation = creation) -> bool:
                nonlocal answer
                answer = server.send("POST", creation.path, creation.body, user=AGENT, **who)
                return NO_LAW not in answer.text

            wait_until(is_judged, what="the law to be known to the lock")
            assert answer.status in GOOD, answer.text


@dataclass(frozen=True)
class LiveRun:
    """One run as KubeRay's operator made it: pods, services, Job."""

    server: Server
    name: str

    @property
    def core(self) -> str:
        """Path of its namespace."""
        return f"/api/v1/namespaces/{self.name}"

    def pod(self, kind: str) -> dict[str, Any]:
        """Return the live pod: ``head``, ``worker`` or ``submitter``."""
        (found, *_) = [pod for pod in self.server.items(f"{self.core}/pods") if _kind(pod) == kind]
        return found

    def again(self, kind: str) -> dict[str, Any]:
        """Return the pod as it was asked for, under another name."""
        made = copy.deepcopy(self.pod(kind))
        given = {"nodeName", "priority", "preemptionPolicy"}
        spec = {key: value for key, value in made["spec"].items() if key not in given}
        labels = {
            key: value
            for key, value in made["metadata"]["labels"].items()
            if not key.startswith("topology.kubernetes.io/")
        }
        metadata = {"name": "again", "labels": labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _kind(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["labels"].get("ray.io/node-type", "submitter"))


@contextmanager
def live_run(server: Server, binaries: Binaries, request: RunRequest) -> Iterator[LiveRun]:
    """Make a run as the agent, and let KubeRay's operator and a played machine carry it on."""
    with kuberay_operator(server.plane, binaries):
        make_by_law(server, request)
        run = LiveRun(server, request.name)
        _play_machine(run)
        yield run


@contextmanager
def kuberay_operator(plane: ControlPlane, binaries: Binaries) -> Iterator[None]:
    """Run KubeRay's operator with the rights its own manifests give it."""
    binaries.ensure("manager")
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kuberay.NAMESPACE}})
    rights = kuberay.manifests(binaries.source_of("kuberay"), "none")
    plane.apply(*(item for item in rights if item["kind"] not in {"Deployment", "Service"}))
    metrics, health = free_ports(2)
    argv = [
        *(binaries["manager"], "--enable-leader-election=false"),
        *("--metrics-addr", f"127.0.0.1:{metrics}", "--health-probe-bind-address"),
        f"127.0.0.1:{health}",
    ]
    env = {"KUBECONFIG": str(plane.kubeconfig_for(KUBERAY))}
    log = plane.folder / "kuberay.log"
    operator = processes.start("kuberay", argv, log=log, env=env, die_with_parent=True)
    try:
        yield
    finally:
        operator.stop()


def _play_machine(run: LiveRun) -> None:
    """Bind and start the pods that come, until the submitter's is there too."""
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "m1"}}
    room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    node |= {"status": {"capacity": room, "allocatable": room}}
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": "z1"}
    run.server.send("POST", "/api/v1/nodes", node)
    seen: set[str] = set()

    def complete() -> bool:
        for number, pod in enumerate(run.server.items(f"{run.core}/pods")):
            if pod["metadata"]["name"] not in seen:
                _start(run, pod, number)
                seen.add(pod["metadata"]["name"])
        kinds = {_kind(pod) for pod in run.server.items(f"{run.core}/pods")}
        return kinds == {"head", "worker", "submitter"}

    try:
        wait_until(complete, what="KubeRay to make the run's pods", poll_s=0.3)
    except TimeoutError as error:
        log = (run.server.plane.folder / "kuberay.log").read_text(errors="replace")
        refused = [line for line in log.splitlines() if "denied" in line]
        raise AssertionError(f"{error}: {refused[-1:] or log[-2000:]}") from error


def _start(run: LiveRun, pod: Mapping[str, Any], number: int) -> None:
    name = pod["metadata"]["name"]
    target = {"kind": "Node", "name": "m1"}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    bound = run.server.send("POST", f"{run.core}/pods/{name}/binding", binding, user=SCHEDULER)
    assert bound.status in GOOD, bound.text
    containers = [
        {
            "name": c["name"],
            "ready": True,
            "image": "x",
            "imageID": "",
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            "resources": {},
        }
        for c in pod["spec"]["containers"]
    ]
    ready = [{"type": t, "status": "True"} for t in ("Ready", "ContainersReady", "PodScheduled")]
    status = {"phase": "Running", "podIP": f"10.1.2.{number + 3}", "conditions": ready}
    started = run.server.send(
        *("PATCH", f"{run.core}/pods/{name}/status"),
        {"status": status | {"containerStatuses": containers}},
        user=MACHINE,
        kind=MERGE,
    )
    assert started.status in GOOD, started.text


RULE = re.compile(r"\[([a-z-]+)\]")


def rule_of(answer: Answer) -> str:
    """Return the rule that refused."""
    found = RULE.search(answer.text)
    return found[1] if found else ""


ALL_KINDS = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
"""What a policy is about that sees every kind."""
WEAK: dict[str, tuple[str, dict[str, Any], str]] = {
    "it only audits": (
        f"{BINDINGS}/hansa-run-pods",
        {"spec": {"validationActions": ["Audit"]}},
        "the binding does not deny",
    ),
    "it ignores failures": (
        f"{POLICIES}/hansa-run-pods",
        {"spec": {"failurePolicy": "Ignore"}},
        "hansa-run-pods: failurePolicy is not Fail",
    ),
    "it exempts somebody": (
        f"{POLICIES}/hansa-run-services",
        {"spec": {"matchConditions": [{"name": "x", "expression": "request.userInfo.username != 'x'"}]}},
        "hansa-run-services: matchConditions exempt somebody",
    ),
    "it passes over namespaces": (
        f"{BINDINGS}/hansa-run-objects",
        {"spec": {"matchResources": {"namespaceSelector": {"matchLabels": {"x": "y"}}}}},
        "hansa-run-objects: the binding passes over",
    ),
    "it passes over objects": (
        f"{BINDINGS}/hansa-run-labels",
        {"spec": {"matchResources": {"objectSelector": {"matchLabels": {"x": "y"}}}}},
        "hansa-run-labels: the binding passes over",
    ),
    "it excludes a kind": (
        f"{POLICIES}/hansa-run-objects",
        {"spec": {"matchConstraints": {"excludeResourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["secrets"]}]}}},
        "hansa-run-objects: matchConstraints pass over",
    ),
    "it sees canaries only": (
        f"{BINDINGS}/hansa-run-objects",
        {"spec": {"matchResources": {"resourceRules": [{**ALL_KINDS, "resourceNames": ["canary"]}]}}},
        "hansa-run-objects: the binding is not as the chart made it",
    ),
    "it sees no changes": (
        f"{POLICIES}/hansa-run-objects",
        {"spec": {"matchConstraints": {"resourceRules": [{**ALL_KINDS, "operations": ["CREATE"]}]}}},
        "hansa-run-objects: it is not as the chart made it",
    ),
    "it lets somebody through": (
        f"{POLICIES}/hansa-run-services",
        {"spec": {"validations": [{"expression": "request.userInfo.username != 'system:serviceaccount:hansa-system:hansa-member'"}]}},
        "hansa-run-services: it is not as the chart made it",
    ),
    "it needs no law": (
        f"{BINDINGS}/hansa-run-pods",
        {"spec": {"paramRef": {"parameterNotFoundAction": "Allow"}}},
        "hansa-run-pods: the binding does not read the law",
    ),
}  # fmt: skip
"""Where, what, and what the agent must say of it: ways to weaken the lock."""
