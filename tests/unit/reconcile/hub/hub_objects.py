"""Objects as the API server would send them, for the tests of the hub's pure parts."""

from __future__ import annotations

from typing import Any

from hansa.api.sovereignnode import AssuranceWord
from hansa.model.times import rfc3339
from hansa.reconcile.hub.grant_view import parse_grant
from hansa.reconcile.hub.job_case import JobCase
from hansa.reconcile.hub.job_view import JobView, parse_spec, view_job
from hansa.reconcile.hub.nodes import NodeLimits
from hansa.reconcile.hub.snapshot import epoch_of
from hansa.verification.course.signed_words import say
from tests.residency_kit import EVERYWHERE

NOW_S = 1_800_000_000.0
SKEW_S = 60.0
RELEASE_KEY = "A" * 43 + "="
"""What the league's admin pinned for every node here."""
UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"
LIMITS = NodeLimits(lease_grace_s=40, currency="EUR")
SPEC = {
    "pool": "league",
    "residency": EVERYWHERE,
    "image": "hansa.local/ray@sha256:" + "a" * 64,
    "entrypoint": ["python", "train.py"],
    "ray": {"version": "2.60.0", "workers": {"count": 2, "cpu": "1", "memory": "1Gi"}},
    "result": {"maxBytes": 100},
}


def shown(signer: Any, level: str, until_s: float, *, by: Any = None) -> dict[str, Any]:
    """Return the ledger's word in a status that a node has shown a level; ``signer``: the node's key."""
    word = say(
        by or signer,
        AssuranceWord,
        node_key=signer.key_id,
        level=level,
        since=rfc3339(NOW_S - 10),
        until=rfc3339(until_s),
        why="all is shown",
    )
    return word.model_dump(by_alias=True, mode="json")


def job_manifest(status: Any = None, *, version: int = 1, meta: Any = None, **spec: Any):
    metadata = {
        "name": "study",
        "namespace": "clinic",
        "uid": UID,
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": rfc3339(NOW_S - 10),
    }
    return {"metadata": metadata | (meta or {}), "spec": SPEC | spec, "status": status or {}}


def job_view(status: Any = None, **changes: Any) -> JobView:
    project_manifest = job_manifest(status, **changes)
    return view_job(project_manifest, parse_spec(project_manifest["spec"]))


def grant_manifest(
    node: str = "tartu", epoch: int = 1, status: Any = None, *, cancel: str = "None", uid: str = UID
):
    return {
        "metadata": {
            "name": f"{uid}-e{epoch}",
            "namespace": f"hansa-node-{node}",
            "uid": f"grant-{epoch}",
            "resourceVersion": "1",
            "creationTimestamp": rfc3339(NOW_S),
        },
        "spec": {
            "node": node,
            "job": {"namespace": "clinic", "name": "study", "uid": uid},
            "epoch": epoch,
            "notAfter": rfc3339(NOW_S + 600),
            "specDigest": "sha256:" + "b" * 64,
            "jobSpec": SPEC,
            "workers": 2,
            "cancel": cancel,
        },
        "status": status or {},
    }


def condition(kind: str, status: str = "True", reason: str = "Because", message: str = ""):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(NOW_S),
        "observedGeneration": 1,
    }


def node_manifest(name: str = "tartu", status: Any = None, **spec: Any):
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1},
        "spec": {
            "institution": name,
            "jurisdiction": "EE",
            "legalControl": ["EE"],
            "accepted": "Accepted",
            "releaseKey": RELEASE_KEY,
        }
        | spec,
        "status": {
            "declaredJurisdiction": "EE",
            "declaredLegalControl": ["EE"],
            "shapes": [{"machines": 2, "cpu": "8", "memory": "32Gi"}],
        }
        | (status or {}),
    }


ACCEPTED = {"acceptedAt": "2026-01-01T00:00:00Z", "conditions": [condition("Accepted")]}
REFUSED = {"conditions": [condition("Accepted", "False", "Paused", "we are closed")]}


def epoch(wire, *, released=False, lease_s=NOW_S, now_s=NOW_S):
    grant = parse_grant(wire)
    assert grant is not None
    return epoch_of(grant, released=released, lease_s=lease_s, now_s=now_s, skew_s=SKEW_S)


def case(job, *epochs, decision=None, now_s=NOW_S, **more):
    return JobCase(job, epochs, decision, now_s=now_s, skew_s=SKEW_S, institution="clinic", **more)


PLACED = {"node": "tartu", "epoch": 1}
TERMINAL = PLACED | {"conditions": [condition("Succeeded")], "observedGeneration": 1}
DONE = {"acceptedAt": "2026-01-01T00:00:00Z", "conditions": [condition("Succeeded")]}


def export(state, **fields):
    row = {"name": "result", "digest": "sha256:" + "0" * 64, "bytes": 2, "state": state}
    return {"exports": [row], **fields}


def project_manifest(spent="1.5", limit="10", currency="EUR", **spec):
    status = {"spent": {"amount": spent, "currency": currency}} if spent else {}
    return {
        "metadata": {"namespace": "clinic", "name": "screening"},
        "spec": {
            "purpose": "screening",
            "budget": {"limit": limit, "currency": currency},
            "begin": rfc3339(NOW_S - 10),
            "end": rfc3339(NOW_S + 10),
            **spec,
        },
        "status": status,
    }
