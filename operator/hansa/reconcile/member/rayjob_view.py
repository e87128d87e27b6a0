"""Reading a RayJob's status: what KubeRay 1.5 and 1.6 write, and nothing more trusted than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.reconcile.member.lifecycle import RayView

MAX_MESSAGE = 900


def read_rayjob(rayjob: Mapping[str, Any]) -> RayView:
    """Return the view of a RayJob object."""
    status = rayjob.get("status") or {}
    cluster = status.get("rayClusterStatus") or {}
    workers = _int(cluster.get("availableWorkerReplicas"))
    deployment = str(status.get("jobDeploymentStatus", ""))
    return RayView(
        created_s=from_rfc3339(rayjob["metadata"].get("creationTimestamp")) or 0.0,
        deployment=deployment,
        outcome=str(status.get("jobStatus", "")),
        reason=str(status.get("reason", "")),
        message=str(status.get("message", ""))[:MAX_MESSAGE],
        workers_up=workers,
        running_s=_running_since(status, cluster),
        ended_s=from_rfc3339(status.get("endTime")),
    )


def _running_since(status: Mapping[str, Any], cluster: Mapping[str, Any]) -> float | None:
    """Return when all workers were up or the driver began, whichever was first; None: not yet."""
    moments = [
        from_rfc3339(condition.get("lastTransitionTime"))
        for condition in cluster.get("conditions") or ()
        if condition.get("type") == "RayClusterProvisioned" and condition.get("status") == "True"
    ]
    moments.append(from_rfc3339((status.get("rayJobInfo") or {}).get("startTime")))
    known = [moment for moment in moments if moment is not None]
    return min(known, default=None)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
