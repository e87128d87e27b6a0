"""A grant is read whole or not at all; the member's part of it is believed or ignored whole."""

import pytest

from hansa.api.workgrant import WorkGrantStatus
from hansa.reconcile.hub.grant_view import EMPTY, GrantView, parse_grant
from tests.unit.reconcile.hub.hub_objects import NOW_S, SPEC, UID, condition, grant_manifest

TIME = "2026-01-01T00:00:00Z"


def view(status=None, *, spec=None, meta=None, without=()):
    wire = grant_manifest(status=status)
    wire["metadata"] |= meta or {}
    wire["spec"] = {
        name: value for name, value in (wire["spec"] | (spec or {})).items() if name not in without
    }
    return parse_grant(wire)


def test_every_field():
    assert view() == GrantView(
        name=f"{UID}-e1",
        namespace="hansa-node-tartu",
        uid="grant-1",
        resource_version="1",
        node="tartu",
        job_uid=UID,
        job_path="/apis/hansa.dev/v1alpha1/namespaces/clinic/aijobs/study",
        epoch=1,
        institution=grant_manifest()["spec"].get("institution", ""),
        audience="",
        job_spec=SPEC,
        digest="sha256:" + "b" * 64,
        workers=2,
        granted_s=NOW_S,
        not_after_s=NOW_S + 600,
        max_unattended_s=3600,
        stopping=False,
        deleting=False,
        status=EMPTY,
    )


READ = {
    "asked to stop": ({"spec": {"cancel": "Stop"}}, "stopping", True),
    "an unknown word is no stop": ({"spec": {"cancel": "Maybe"}}, "stopping", False),
    "followed": ({"meta": {"annotations": {"hansa.dev/follow-log": "x"}}}, "log_request", "x"),
    "being deleted": ({"meta": {"deletionTimestamp": TIME}}, "deleting", True),
    "never made": ({"meta": {"creationTimestamp": None}}, "granted_s", 0.0),
    "without an end": ({"spec": {"notAfter": "later"}}, "not_after_s", float("inf")),
    "a contract": (
        {"spec": {"jobSpec": SPEC | {"disconnection": {"maxUnattendedSeconds": 60}}}},
        "max_unattended_s",
        60,
    ),
    "an empty contract": (
        {"spec": {"jobSpec": SPEC | {"disconnection": None}}},
        "max_unattended_s",
        3600,
    ),
}


@pytest.mark.parametrize("case", READ)
def test_reading(case):
    changes, name, value = READ[case]

    assert getattr(view(**changes), name) == value


# Condition, its status and reason; then: the cause it names, and whether the node is avoided for it.
CAUSES = {
    "it succeeded": ("Succeeded", "True", "Succeeded", None, False),
    "its command failed": ("Failed", "True", "AppFailed", "AppFailed", False),
    "it failed by the node's fault": ("Failed", "True", "RenderFailed", "RenderFailed", True),
    "a machine was lost": ("Running", "False", "MachineLost", "MachineLost", False),
    "no room": ("Running", "False", "NoRoom", "NoRoom", True),
    "somebody stopped it": ("Running", "False", "Cancelled", None, False),
    "a reason of another version": ("Failed", "True", "Failed", None, False),
    "it succeeded, whatever reason the node writes beside it": (
        *("Succeeded", "True", "RenderFailed"),
        *(None, False),
    ),
}


@pytest.mark.parametrize("case", CAUSES)
def test_what_ended_a_run_and_whether_it_is_the_nodes_fault(case):
    kind, status, reason, cause, is_nodes = CAUSES[case]
    seen = view({"conditions": [condition(kind, status, reason)]})
    assert (seen.broken.reason if seen.broken else None) == cause
    assert (seen.node_fault is not None) is is_nodes


NO_GRANT = {
    "no node": {"without": ["node"]},
    "no epoch": {"without": ["epoch"]},
    "no end": {"without": ["notAfter"]},
    "no job": {"without": ["job"]},
    "an epoch in words": {"spec": {"epoch": "first"}},
    "no epoch number": {"spec": {"epoch": None}},
    "a job by name": {"spec": {"job": "study"}},
    "a spec that is text": {"spec": {"jobSpec": "study"}},
    "a contract that is a list": {"spec": {"jobSpec": {"disconnection": [60]}}},
    "a contract in words": {
        "spec": {"jobSpec": {"disconnection": {"maxUnattendedSeconds": "long"}}}
    },
}


@pytest.mark.parametrize("case", NO_GRANT)
def test_what_no_hub_wrote_is_no_grant(case):
    assert view(**NO_GRANT[case]) is None


@pytest.mark.parametrize("spec", [None, "text", []])
def test_a_manifest_without_a_spec_is_no_grant(spec):
    assert parse_grant(grant_manifest() | {"spec": spec}) is None


MALFORMED = {
    "unknown field": {"accepted": True},
    "wrong type": {"gpuSeconds": "many"},
    "negative": {"gpuSeconds": -1},
    "too long": {"logTail": "x" * 8193},
    "too long a piece of a log": {"log": {"start": 0, "text": "x" * 16385}},
    "too many conditions": {"conditions": [condition("Running")] * 17},
    "bad condition": {"conditions": [condition("Running", "Perhaps")]},
    "no object": "Running",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_status_counts_as_none(case):
    told = MALFORMED[case]
    good = {"acceptedAt": TIME}

    assert view(told).status == EMPTY
    if isinstance(told, dict):
        assert view(good | told).status == EMPTY


def test_a_good_status_is_kept():
    told = view({"acceptedAt": TIME, "gpuSeconds": 7}).status

    assert told == WorkGrantStatus(accepted_at=TIME, gpu_seconds=7)


YES, NO = condition("Accepted"), condition("Accepted", "False", "Paused")
STALE = condition("Accepted", "False", "StaleEpoch")
# Conditions, acceptedAt; then: accepted, the refusal's reason, outdated, how it ended.
SAID = {
    "nothing": ((), None, (False, None, False, None)),
    "yes": ((YES,), TIME, (True, None, False, None)),
    "no": ((NO,), None, (False, "Paused", False, None)),
    "no, after a yes": ((NO,), TIME, (False, None, False, None)),
    "perhaps": ((condition("Accepted", "Unknown"),), None, (False, None, False, None)),
    "a later epoch": ((STALE,), None, (False, "StaleEpoch", True, None)),
    "a later epoch, after a yes": ((STALE,), TIME, (False, None, False, None)),
    "well": ((YES, condition("Succeeded")), TIME, (True, None, False, "Succeeded")),
    "badly": ((YES, condition("Failed")), TIME, (True, None, False, "Failed")),
    "both ways": (
        (YES, condition("Failed"), condition("Succeeded")),
        TIME,
        (True, None, False, "Succeeded"),
    ),
    "not failed": ((YES, condition("Failed", "False")), TIME, (True, None, False, None)),
}


@pytest.mark.parametrize("case", SAID)
def test_what_the_member_said(case):
    conditions, accepted_at, expected = SAID[case]
    told = view(
        {"conditions": list(conditions)} | ({"acceptedAt": accepted_at} if accepted_at else {})
    )

    refused = told.refused
    how = "Succeeded" if told.holds("Succeeded") else "Failed"
    assert (
        told.accepted,
        refused.reason if refused else None,
        told.outdated,
        how if told.ended else None,
    ) == expected
