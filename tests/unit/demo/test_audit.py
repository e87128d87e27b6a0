"""The audit check must be able to fail: it is what the residency promise rests on."""

import json

import pytest

from e2e.demo.audit import PodCreation, examine, read_pod_creations
from e2e.demo.report import JobOutcome, Report
from e2e.demo.territory import allowed_nodes

UID = "0123abcd-0000-4000-8000-00000000abcd"
NAMESPACE = "aij-0123abcd00004000-e1"


@pytest.mark.parametrize(
    ("creations", "of_jobs", "outside"),
    {
        "a job's pod at home": ([("tartu", NAMESPACE)], 1, 0),
        "a job's pod abroad": ([("lisbon", NAMESPACE)], 1, 1),
        "a pod of no known job": ([("tartu", "aij-ffffffffffffffff-e1")], 1, 1),
        "a system pod": ([("lisbon", "kube-system")], 0, 0),
        "a later epoch counts too": ([("lisbon", NAMESPACE.replace("e1", "e12"))], 1, 1),
    }.values(),
)
def test_examine(creations, of_jobs, outside):
    found = examine(
        [PodCreation(node, namespace, "p", "") for node, namespace in creations],
        {UID: frozenset({"tartu"})},
    )
    assert (found.examined, found.of_jobs, len(found.outside)) == (len(creations), of_jobs, outside)


def test_only_successful_pod_creations_are_read(tmp_path):
    def event(**changes):
        return {
            "verb": "create",
            "objectRef": {"resource": "pods", "namespace": NAMESPACE},
            "responseStatus": {"code": 201},
            "responseObject": {"metadata": {"name": "head"}},
            "requestURI": "/api/v1/namespaces/x/pods",
        } | changes

    log = tmp_path / "audit.log"
    lines = [
        event(),
        event(responseStatus={"code": 403}),
        event(verb="update"),
        event(objectRef={"resource": "pods", "namespace": NAMESPACE, "subresource": "binding"}),
        event(requestURI="/api/v1/namespaces/x/pods?dryRun=All"),
    ]
    log.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert [c.pod for c in read_pod_creations("tartu", log)] == ["head"]


def _node(name, jurisdiction, *laws):
    return {
        "metadata": {"name": name},
        "spec": {"jurisdiction": jurisdiction, "legalControl": list(laws)},
    }


NODES = [_node("tartu", "EE", "EE"), _node("riga", "LV", "LV"), _node("lisbon", "PT", "PT", "US")]
POLICIES = {
    "tartu": {"spec": {"datasets": [{"name": "ee", "residency": {"location": {"allow": ["EE"]}}}]}},
    "riga": {"spec": {}},
    "lisbon": {"spec": {}},
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    {
        "anywhere": ({}, ("lisbon", "riga", "tartu")),
        "only without foreign law": (
            {"residency": {"legalControl": {"allow": ["EU"]}}},
            ("riga", "tartu"),
        ),
        "deny wins": (
            {"residency": {"location": {"allow": ["EU"], "deny": ["Baltic"]}}},
            ("lisbon",),
        ),
        "data pins": ({"data": [{"name": "ee"}]}, ("tartu",)),
        "data nobody holds": ({"data": [{"name": "unknown"}]}, ()),
    }.values(),
)
def test_allowed_nodes(spec, expected):
    assert allowed_nodes({"spec": spec}, NODES, POLICIES) == expected


def test_the_report_speaks_camel_case_but_leaves_results_alone():
    job = JobOutcome("a", ("tartu",), "tartu", "Succeeded", result={"best_model": 1})
    told = json.loads(Report("local", 1.0, 3, 0, (job,)).to_json())
    assert told["podsOutsideResidency"] == 0
    assert told["jobs"][0]["allowedNodes"] == ["tartu"]
    assert told["jobs"][0]["result"] == {"best_model": 1}
