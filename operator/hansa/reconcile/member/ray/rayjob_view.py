"""Reading a RayJob's status: what KubeRay 1.5 and 1.6 write, and nothing more trusted than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.launcher import STALE_CODE
from hansa.reconcile.member.workload import WorkloadView

GAVE_UP = f"Job entrypoint command failed with exit code {STALE_CODE},"
"""Ray's words about the launcher's end."""


def read_rayjob(rayjob: Mapping[str, Any]) -> WorkloadView:
    """Return the view of a RayJob object."""
    status = rayjob.get("status") or {}
    cluster = status.get("rayClusterStatus") or {}
    running_s = _running_since(status, cluster)
    running = running_s is not None or _int(cluster.get("availableWorkerReplicas")) > 0
    return WorkloadView(
        created_s=from_rfc3339(rayjob["metadata"].get("creationTimestamp")) or 0.0,
        started=running or status.get("jobDeploymentStatus") == "Running",
        running=running,
        running_s=running_s,
        end=_end(status),
        ended_s=from_rfc3339(status.get("endTime")),
        message=str(status.get("message", "")),
        gave_up=str(status.get("message", "")).startswith(GAVE_UP),
    )


def _end(status: Mapping[str, Any]) -> EndReason | None:
    """Return why it ended; None while it has not."""
    match status.get("jobDeploymentStatus"):
        case "Complete":
            good = status.get("jobStatus") == "SUCCEEDED"
            return EndReason.SUCCEEDED if good else EndReason.APP_FAILED
        case "ValidationFailed":
            return EndReason.VALIDATION_FAILED
        case "Failed":
            known = {EndReason.DEADLINE_EXCEEDED, EndReason.SUBMISSION_FAILED}
            return next((r for r in known if r == status.get("reason")), EndReason.APP_FAILED)
        case _:
            return None


def _running_since(status: Mapping[str, Any], cluster: Mapping[str, Any]) -> float | None:
    """Return when all workers were up; None: not yet.

    Where KubeRay's gate RayClusterStatusConditions is off, a job that runs counts from when KubeRay
    took it up. ``rayJobInfo`` is not read: it is what Ray says in the job's own pod.
    """
    moments = (
        from_rfc3339(condition.get("lastTransitionTime"))
        for condition in cluster.get("conditions") or ()
        if condition.get("type") == "RayClusterProvisioned" and condition.get("status") == "True"
    )
    up_s = next((moment for moment in moments if moment is not None), None)
    if up_s is None and status.get("jobDeploymentStatus") in {"Running", "Complete"}:
        return from_rfc3339(status.get("startTime"))
    return up_s


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
