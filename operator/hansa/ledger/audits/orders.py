"""An audit as the AIJob that it is: the audited job's spec, word for word, at another node.

It stands in the audited job's namespace and is charged like it, so that the signatures of data owners, which name the
institution, hold for it as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from hansa.api.aijob import AIJobSpec
from hansa.api.meta import API_VERSION
from hansa.grants.authorization import work
from hansa.model.reasons import Reason
from hansa.ports import Manifest
from hansa.verification.segments import Stretch

KEPT_S = 7 * 86_400
"""How long an audit that has ended can be looked at."""
LAW = frozenset({Reason.RESIDENCY_DENIED, Reason.LEGAL_CONTROL_DENIED, Reason.DATA_ELSEWHERE})
"""Verdicts by which the data may not be at a node."""
LASTING = LAW | frozenset(
    {
        Reason.NODE_NOT_ACCEPTED,
        Reason.JURISDICTION_DISPUTED,
        Reason.ASSURANCE_TOO_LOW,
        Reason.NO_ACCELERATOR,
        Reason.NO_SUCH_ACCELERATOR,
        Reason.EXCEEDS_NODE_SHAPE,
        Reason.NODE_REFUSED,
    }
)
"""Verdicts of the planner on the node that was asked that time does not change: the next one is asked."""


def name_of(receipt: str, number: int) -> str:
    """Return the name of an audit's job; ``number``: of the auditor, from 1."""
    return f"audit-{hashlib.sha256(receipt.encode()).hexdigest()[:16]}-{number}"


def order(
    spec: Mapping[str, Any],
    *,
    of: str,
    epoch: int,
    node: str,
    name: str,
    stretch: Stretch | None = None,
) -> Manifest:
    """Return the AIJob; ``spec``: of the audited job, ``of``: ``namespace/name`` of it, ``stretch``: None for all of it."""
    namespace, _, job = of.partition("/")
    audit: dict[str, Any] = {"of": job, "epoch": epoch, "node": node}
    if stretch is not None:
        audit["segment"] = {
            "first": stretch.first,
            "last": stretch.last,
            "state": stretch.state,
            "say": list(stretch.say),
        }
    changed = {
        "audit": audit,
        "suspend": False,
        "ttlSecondsAfterFinished": KEPT_S,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "AIJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**spec, **changed},
    }


def is_same_work(spec: Mapping[str, Any], audited: Mapping[str, Any]) -> bool:
    """Tell whether an audit did what the audited run had to do, by the form that data owners sign."""
    try:
        return work(AIJobSpec.model_validate(spec)) == work(AIJobSpec.model_validate(audited))
    except ValidationError:
        return False


def is_over(job: Manifest) -> bool:
    """Tell whether a job has ended, and its hub says so."""
    rows = (job.get("status") or {}).get("conditions") or ()
    return any(
        row.get("type") in {"Succeeded", "Failed"} and row.get("status") == "True" for row in rows
    )


def cannot_run(job: Manifest, node: str) -> str:
    """Return why an audit will not run at the node that was asked; empty: nothing says so."""
    status = job.get("status") or {}
    for row in status.get("conditions") or ():
        if row.get("type") in {"Failed", "Stalled"} and row.get("status") == "True":
            return f"{row.get('reason')}: {row.get('message')}"[:500]
    return verdict_on(job, node, LASTING)


def is_law(why: str) -> bool:
    """Tell whether it is the law of the data that keeps an audit from a node. ``why``: as ``cannot_run`` says it."""
    return why.partition(":")[0] in LAW


def verdict_on(job: Manifest, node: str, among: Collection[str] | None = None) -> str:
    """Return what the hub says of a job and a node; empty: nothing. ``among``: reasons that count, not given: all."""
    for row in (job.get("status") or {}).get("verdicts") or ():
        if row.get("node") == node and (among is None or row.get("reason") in among):
            return f"{row.get('reason')}: {row.get('message')}"[:500]
    return ""


def waits_for(job: Manifest, node: str) -> str:
    """Return why a job is not at a node yet, by what the hub says of both, or of the whole job; empty: nothing."""
    rows = (job.get("status") or {}).get("conditions") or ()
    whole = (row for row in rows if row.get("type") == "Placed" and row.get("status") == "False")
    said = next((f"{row.get('reason')}: {row.get('message')}"[:500] for row in whole), "")
    return verdict_on(job, node) or said
