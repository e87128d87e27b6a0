"""The audit check must be able to fail: it is what the residency promise rests on."""

import json

import pytest

from e2e.demo.audit import Allowed, Binding, PodCreation, examine, read_audit_log
from e2e.demo.jobs import JobOutcome
from e2e.demo.report import Report
from e2e.demo.territory import allowed_machines, allowed_nodes
from tests.residency_kit import stands_in, under_law_of

UID = "0123abcd-0000-4000-8000-00000000abcd"
NAMESPACE = "aij-0123abcd00004000800000000000abcd-e1"
OTHER = "ffffffff-0000-4000-8000-00000000abcd"
RAY = ("hansa.local/ray-sklearn@sha256:00",)
ALLOWED = {
    UID: Allowed(frozenset({"tartu"}), frozenset({("tartu", "tartu-0")})),
    OTHER: Allowed(frozenset({"lisbon"}), frozenset({("lisbon", "lisbon-0")})),
}


def pod(node="tartu", namespace=NAMESPACE, **changes):
    return PodCreation(node, namespace, "p", **({"job": UID} | changes))


CREATIONS = {
    "a job's pod at home": (pod(), 1, ""),
    "a job's pod abroad": (pod("lisbon"), 1, "lisbon is outside the job's places"),
    "a later epoch counts too": (
        pod("lisbon", NAMESPACE.replace("e1", "e12")),
        1,
        "lisbon is outside",
    ),
    "of no known job": (
        pod(namespace="aij-99999999999999999999999999999999-e1", job="9"),
        1,
        "no known job",
    ),
    "a job's namespace without its label": (pod(job=""), 1, "no known job"),
    "a label in a foreign job's namespace": (pod("lisbon", job=OTHER), 1, "is not the job's"),
    "a label hidden among system pods": (
        pod("lisbon", "kube-system"),
        1,
        "namespace kube-system is not the job's",
    ),
    "Ray hidden among system pods": (
        pod("lisbon", "kube-system", job="", images=RAY),
        1,
        "no known job",
    ),
    "Ray in an init container's place too": (
        pod("lisbon", "hansa-system", job="", images=("busybox", "rayproject/ray:2.60.0")),
        1,
        "no known job",
    ),
    "labelled by KubeRay": (pod("lisbon", "kube-system", job="", ray=True), 1, "no known job"),
    "a stray pod in a namespace of its own": (
        pod("lisbon", "innocent", job="", images=("busybox",)),
        0,
        "namespace innocent is neither a job's nor the system's",
    ),
    "a namespace that only looks like a job's": (
        pod(namespace=f"{NAMESPACE}-x"),
        1,
        "is not the job's",
    ),
    "a system pod": (pod("lisbon", "kube-system", job="", images=("coredns:1",)), 0, ""),
    "KubeRay itself is not Ray": (
        pod("lisbon", "kuberay-system", job="", images=("hansa.local/kuberay-operator:v1",)),
        0,
        "",
    ),
}


@pytest.mark.parametrize(("creation", "of_jobs", "why"), CREATIONS.values(), ids=CREATIONS)
def test_a_creation_is_judged_by_the_log_alone(creation, of_jobs, why):
    found = examine([creation], ALLOWED)

    assert (found.examined, found.of_jobs) == (1, of_jobs)
    assert [stray.placed for stray in found.outside] == ([creation] if why else [])
    assert all(why in stray.why for stray in found.outside)


BINDINGS = {
    "at home": (Binding("tartu", NAMESPACE, "p", "tartu-0"), 1, 0),
    "on a machine abroad": (Binding("tartu", NAMESPACE, "p", "tartu-narva-9"), 1, 1),
    "on a machine of another node's name": (Binding("tartu", NAMESPACE, "p", "lisbon-0"), 1, 1),
    "a pod that is no work": (Binding("tartu", "kube-system", "dns", "anywhere"), 0, 0),
}


@pytest.mark.parametrize(("binding", "bound", "outside"), BINDINGS.values(), ids=BINDINGS)
def test_a_lawful_pod_may_not_be_bound_outside(binding, bound, outside):
    dns = pod(namespace="kube-system", job="")

    for log in ([pod(), dns, binding], [binding, dns, pod()]):
        found = examine(log, ALLOWED)
        assert (found.examined, found.bound, len(found.outside)) == (2, bound, outside)


def test_a_pod_that_is_outside_twice_is_counted_once():
    found = examine([pod("lisbon"), Binding("lisbon", NAMESPACE, "p", "lisbon-0")], ALLOWED)
    assert (found.bound, len(found.outside)) == (1, 1)


def event(**changes):
    labels = {"hansa.dev/job-uid": UID, "ray.io/node-type": "head"}
    containers = {"containers": [{"image": "a"}], "initContainers": [{"image": "b"}]}
    return {
        "verb": "create",
        "objectRef": {"resource": "pods", "namespace": NAMESPACE},
        "responseStatus": {"code": 201},
        "responseObject": {"metadata": {"name": "head", "labels": labels}, "spec": containers},
        "requestURI": "/api/v1/namespaces/x/pods",
    } | changes


def reference(subresource):
    return {
        "resource": "pods",
        "namespace": NAMESPACE,
        "name": "head",
        "subresource": subresource,
    }


CREATED = PodCreation("tartu", NAMESPACE, "head", job=UID, images=("b", "a"), ray=True)
EVENTS = {
    "a creation": (event(), [CREATED]),
    "a server-side apply that creates": (event(verb="patch"), [CREATED]),
    "a patch of what is there": (event(verb="patch", responseStatus={"code": 200}), []),
    "refused": (event(responseStatus={"code": 403}), []),
    "an update": (event(verb="update"), []),
    "a dry run": (event(requestURI="/api/v1/namespaces/x/pods?dryRun=All"), []),
    "an eviction": (event(objectRef=reference("eviction")), []),
    "a binding": (
        event(objectRef=reference("binding"), requestObject={"target": {"name": "m"}}),
        [Binding("tartu", NAMESPACE, "head", "m")],
    ),
    "a pod that names its machine itself": (
        event(responseObject={"metadata": {"name": "head"}, "spec": {"nodeName": "m"}}),
        [PodCreation("tartu", NAMESPACE, "head"), Binding("tartu", NAMESPACE, "head", "m")],
    ),
}


@pytest.mark.parametrize(("written", "read"), EVENTS.values(), ids=EVENTS)
def test_what_is_read_from_the_log(tmp_path, written, read):
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(written) + "\n")

    assert list(read_audit_log("tartu", log)) == read


def _node(name, jurisdiction, *laws):
    return {
        "metadata": {"name": name},
        "spec": {"jurisdiction": jurisdiction, "legalControl": list(laws)},
    }


NODES = [_node("tartu", "EE", "EE"), _node("riga", "LV", "LV"), _node("lisbon", "PT", "PT", "US")]
POLICIES = {
    "tartu": {"spec": {"datasets": [{"name": "ee", "residency": stands_in("EE")}]}},
    "riga": {"spec": {}},
    "lisbon": {"spec": {}},
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    {
        "anywhere": ({}, ("lisbon", "riga", "tartu")),
        "only without foreign law": (
            {"residency": under_law_of("EU")},
            ("riga", "tartu"),
        ),
        "deny wins": (
            {"residency": stands_in("EU", deny=["Baltic"])},
            ("lisbon",),
        ),
        "data pins": ({"data": [{"name": "ee"}]}, ("tartu",)),
        "data nobody holds": ({"data": [{"name": "unknown"}]}, ()),
    }.values(),
)
def test_allowed_nodes(spec, expected):
    assert allowed_nodes({"spec": spec}, NODES, POLICIES) == expected


def _machine(name, place):
    return {"metadata": {"name": name, "labels": {"hansa.dev/jurisdiction": place}}}


MACHINES = [
    _machine("home", "EE"),
    _machine("region", "EE-79"),
    _machine("abroad", "LV"),
    {"metadata": {"name": "unlabelled"}},
]


@pytest.mark.parametrize(
    ("spec", "expected"),
    {
        "anywhere, if it says where it stands": ({}, {"home", "region", "abroad"}),
        "the data's law counts": ({"data": [{"name": "ee"}]}, {"home", "region"}),
        "a region may be denied": (
            {"residency": stands_in("EE", deny=["EE-79"])},
            {"home"},
        ),
        "no data, no machine": ({"data": [{"name": "unknown"}]}, set()),
    }.values(),
)
def test_allowed_machines(spec, expected):
    assert allowed_machines({"spec": spec}, POLICIES["tartu"], MACHINES) == expected


def test_a_place_nobody_knows_is_an_error():
    with pytest.raises(ValueError, match="QX is no place"):
        allowed_nodes({"spec": {}}, [_node("oslo", "QX", "NO")], {"oslo": {"spec": {}}})
    with pytest.raises(KeyError, match="x"):
        allowed_nodes(
            {"spec": {"residency": stands_in("World", deny=["overlay/x"])}}, NODES, POLICIES
        )


def test_the_report_speaks_camel_case_but_leaves_results_alone():
    job = JobOutcome("a", ("tartu",), "tartu", "Succeeded", result={"best_model": 1})
    told = json.loads(Report("local", 1.0, 3, 0, (job,)).to_json())
    assert told["podsOutsideResidency"] == 0
    assert told["jobs"][0]["allowedNodes"] == ["tartu"]
    assert told["jobs"][0]["result"] == {"best_model": 1}
