"""RayJobs, pods and events as a cluster leaves them behind."""

from __future__ import annotations

from hansa.model.times import rfc3339

NOW = 1_000_000.0
UP = {
    "conditions": [
        {
            "type": "RayClusterProvisioned",
            "status": "True",
            "reason": "AllPodRunningAndReadyFirstTime",
            "lastTransitionTime": rfc3339(NOW - 500),
        }
    ]
}


def rayjob(stage, job="", reason="", message="", **more):
    status = {
        "jobDeploymentStatus": stage,
        "jobStatus": job,
        "reason": reason,
        "message": message,
        "rayClusterStatus": UP,
        "endTime": rfc3339(NOW),
    }
    return {"metadata": {"creationTimestamp": rfc3339(NOW - 600)}, "status": status | more}


def pod(role, **status):
    labels = {"ray.io/node-type": role} if role else {"batch.kubernetes.io/job-name": "aij-1"}
    return {"metadata": {"name": f"aij-1-{role}", "labels": labels}, "status": status}


def target(reason):
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason}]


def waiting(reason, message=""):
    return [{"name": "ray-worker", "state": {"waiting": {"reason": reason, "message": message}}}]


def killed(where="state", at_s=NOW - 5, reason="OOMKilled"):
    ended = {"exitCode": 137, "reason": reason, "finishedAt": rfc3339(at_s), "message": "SECRET"}
    return [{"name": "ray-worker", "restartCount": 1, where: {"terminated": ended}}]


def unseen_end(began_s):
    """A container that a machine began anew under: its runtime says 1970, and when the next one began."""
    ended = {"exitCode": 255, "reason": "Unknown", "finishedAt": rfc3339(0)}
    state = {"running": {"startedAt": rfc3339(began_s)}}
    return [{"name": "ray-worker", "state": state, "lastState": {"terminated": ended}}]


def event(reason, message="", at_s=NOW - 20):
    about = {"kind": "Pod", "name": "aij-1-worker-x"}
    return {
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "lastTimestamp": rfc3339(at_s),
    }


def unschedulable(message):
    row = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [row]}
