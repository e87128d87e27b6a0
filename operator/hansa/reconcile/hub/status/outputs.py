"""What a run let out of its member, as its job shows it: its result, its log, and how its pods died."""

from __future__ import annotations

from typing import Any

from hansa.reconcile.hub.grant_view import GrantView
from hansa.reconcile.hub.job_view import JobView

Status = dict[str, Any]


def at_end(job: JobView, grant: GrantView) -> Status:
    """Return the fields of a job that ends with this run."""
    status = _result(job, grant) | log(grant) | _kept(grant) | post_mortem(grant)
    tail = grant.status.log_tail
    return status | ({} if tail is None else {"logTail": tail})


def log(grant: GrantView) -> Status:
    """Return the piece of the log that the member shows; None: the one shown before is taken back."""
    window = grant.status.log
    return {"log": None if window is None else {"epoch": grant.epoch} | window.wire()}


def post_mortem(grant: GrantView) -> Status:
    """Return what the member tells of pods that died; what an earlier run left stays until then."""
    pods = grant.status.post_mortem
    if not pods:
        return {}
    rows = [pod.model_dump(by_alias=True, exclude_defaults=True, mode="json") for pod in pods]
    return {"postMortem": {"node": grant.node, "epoch": grant.epoch, "pods": rows}}


def late(job: JobView, grant: GrantView) -> Status:
    """Return the status of an ended job with what came after its end: its result, a piece of its log."""
    status = {**job.status, **_result(job, grant), **log(grant), **_kept(grant)}
    return {name: value for name, value in status.items() if value is not None}


def _kept(grant: GrantView) -> Status:
    kept = grant.status.kept_log
    return {"keptLog": kept.model_dump(by_alias=True) if kept else None}


def _result(job: JobView, grant: GrantView) -> Status:
    declared = job.parsed.wire.get("result") is not None and grant.ended
    said = grant.status.result if declared else None
    return {} if said is None else {"result": said}
