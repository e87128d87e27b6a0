"""Reading a RayJob's status: what KubeRay 1.5 to 1.7 write, and nothing more trusted than that.

KubeRay says AppFailed of much that no command did (kuberay #1489, #2314, #3860, #3903), and Failed of a
job that succeeded (#3553); so its reason, Ray's status of the job and the message are read together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.launcher import ANEW, ANEW_CODE, STALE_CODE
from hansa.reconcile.member.workload import WorkloadView

COMMAND_FAILED = "Job entrypoint command failed with exit code "
GAVE_UP = f"{COMMAND_FAILED}{STALE_CODE},"
"""Ray's words about the launcher's end."""
BEGAN_ANEW = f"{COMMAND_FAILED}{ANEW_CODE},"
NOT_INSTALLED = "runtime_env setup failed: "
"""Ray's words where pip failed; a job without a lock has nothing to set up."""
_KILLED = re.compile(re.escape(COMMAND_FAILED) + r"(137|-9)\b")
LOW_ON_MEMORY = " killed due to the node running low on memory."
"""Ray's words where its own monitor killed what took too much, "Task was" before 2.56, "1 worker(s) were" since."""
_TOLD_LOW = re.compile(r"^ray\.exceptions\.OutOfMemoryError: ", re.MULTILINE)
"""How a driver ends that was told so of a task."""
HEAD_GONE = (
    "Ray head pod not found.",
    "Submitter completed but Ray job not found in RayCluster.",
)
"""KubeRay's words where the head, and what it knew of the job, is gone or was made anew."""
_OF_KUBERAY = {
    "DeadlineExceeded": EndReason.DEADLINE_EXCEEDED,
    "PreRunningDeadlineExceeded": EndReason.NEVER_STARTED,
    "JobStatusCheckTimeoutExceeded": EndReason.STATUS_UNKNOWN,
    "ValidationFailed": EndReason.VALIDATION_FAILED,
}
"""Reasons of KubeRay's that say it all."""
_OF_RAY = {
    "SUCCEEDED": EndReason.SUCCEEDED,
    "STOPPED": EndReason.JOB_STOPPED,
}
"""Ends that Ray itself saw: whatever broke after them changes nothing."""
_HELD = frozenset({"Suspended", "Suspending"})
"""Stages of a RayJob whose ``spec.suspend`` is set, which Kueue does."""
_TAKEN = frozenset({"RUNNING", *_OF_RAY, "FAILED"})
"""What Ray says of a job once its command was started."""


def read_rayjob(rayjob: Mapping[str, Any]) -> WorkloadView:
    """Return the view of a RayJob object."""
    status = rayjob.get("status") or {}
    cluster = status.get("rayClusterStatus") or {}
    running_s = _running_since(status, cluster)
    message = str(status.get("message", ""))
    return WorkloadView(
        created_s=from_rfc3339(rayjob["metadata"].get("creationTimestamp")) or 0.0,
        started=running_s is not None and status.get("jobStatus") in _TAKEN,
        running=running_s is not None,
        running_s=running_s,
        end=_end(status, message, was_up=running_s is not None),
        ended_s=from_rfc3339(status.get("endTime")),
        message=message,
        gave_up=message.startswith(GAVE_UP),
        refused=_refused(cluster),
        is_held=status.get("jobDeploymentStatus") in _HELD,
    )


def _end(status: Mapping[str, Any], message: str, *, was_up: bool) -> EndReason | None:
    """Return why it ended, as far as KubeRay knows; None while it has not."""
    stage, reason, job = (status.get(n) for n in ("jobDeploymentStatus", "reason", "jobStatus"))
    if stage not in {"Complete", "Failed"}:
        return EndReason.VALIDATION_FAILED if stage == "ValidationFailed" else None
    if job in _OF_RAY:
        return _OF_RAY[str(job)]
    if reason in _OF_KUBERAY:
        found = _OF_KUBERAY[str(reason)]
        late = found is EndReason.DEADLINE_EXCEEDED and not was_up
        return EndReason.NEVER_STARTED if late else found
    if message in HEAD_GONE:
        return EndReason.HEAD_LOST
    if job == "FAILED":
        return _failed(message)
    # Ray saw no end: the pod that waits for it is gone, before the command was started or after.
    return EndReason.SUBMITTER_LOST if job in _TAKEN else EndReason.SUBMISSION_FAILED


def _failed(message: str) -> EndReason:
    """Return why Ray says that a job has failed: by its command, or by something else."""
    if message.startswith(BEGAN_ANEW) and ANEW in message:
        return EndReason.HEAD_LOST
    if message.startswith(COMMAND_FAILED):
        killed = _KILLED.match(message) or _TOLD_LOW.search(message)
        return EndReason.OUT_OF_MEMORY if killed else EndReason.APP_FAILED
    if message.startswith(NOT_INSTALLED):
        return EndReason.PACKAGES_NOT_INSTALLED
    return EndReason.OUT_OF_MEMORY if LOW_ON_MEMORY in message else EndReason.RAY_FAILED


def _refused(cluster: Mapping[str, Any]) -> str:
    """Return the API server's words where KubeRay could not make the pods; empty: it could."""
    for condition in cluster.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


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
