"""A RayJob's status as KubeRay writes it, and what the agent makes of it."""

import pytest

from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import WorkloadView

MADE = {"creationTimestamp": "1970-01-01T00:00:10Z"}


def seen(**status):
    return RayJob().observe({"metadata": MADE, "status": status})


def condition(kind, at):
    return {"type": kind, "status": "True", "lastTransitionTime": f"1970-01-01T00:00:{at}Z"}


UP = {
    "availableWorkerReplicas": 2,
    "conditions": [condition("HeadPodReady", 11), condition("RayClusterProvisioned", 20)],
}
REFUSED = condition("ReplicaFailure", 15) | {
    "reason": "FailedCreateHeadPod",
    "message": 'pods "x" is forbidden: exceeded quota',
}
STALE = "Job entrypoint command failed with exit code 75, last available logs"
VIEWS = {
    "new": ({}, WorkloadView(10)),
    "pods are coming": ({"jobDeploymentStatus": "Initializing"}, WorkloadView(10)),
    "up": (
        {
            "jobDeploymentStatus": "Running",
            "jobStatus": "RUNNING",
            "rayJobInfo": {"startTime": "1970-01-01T00:00:30Z"},
            "rayClusterStatus": UP,
        },
        WorkloadView(10, started=True, running=True, running_s=20),
    ),
    "what Ray says in the job's own pod is no time of ours": (
        {"rayJobInfo": {"startTime": "1970-01-01T00:00:15Z"}},
        WorkloadView(10),
    ),
    "without conditions, a job that runs counts from when it was taken up": (
        {"jobDeploymentStatus": "Running", "startTime": "1970-01-01T00:00:12Z"},
        WorkloadView(10, running=True, running_s=12),
    ),
    "with them, from when all workers were up": (
        {
            "jobDeploymentStatus": "Running",
            "startTime": "1970-01-01T00:00:12Z",
            "rayClusterStatus": UP,
        },
        WorkloadView(10, running=True, running_s=20),
    ),
    "all up, and its command not begun": (
        {"jobDeploymentStatus": "Running", "jobStatus": "PENDING", "rayClusterStatus": UP},
        WorkloadView(10, running=True, running_s=20),
    ),
    "three of eight workers are up": (
        {"rayClusterStatus": {"availableWorkerReplicas": 3, "desiredWorkerReplicas": 8}},
        WorkloadView(10),
    ),
    "its pods were refused": (
        {"rayClusterStatus": {"conditions": [REFUSED]}},
        WorkloadView(10, refused='pods "x" is forbidden: exceeded quota'),
    ),
    "and not before it runs": ({"startTime": "1970-01-01T00:00:12Z"}, WorkloadView(10)),
    "submitted, no worker yet": ({"jobDeploymentStatus": "Running"}, WorkloadView(10)),
    "a count that is none": (
        {"rayClusterStatus": {"availableWorkerReplicas": "x"}},
        WorkloadView(10),
    ),
    "it gave up": ({"message": STALE}, WorkloadView(10, message=STALE, gave_up=True)),
    "a job that only says so": (
        {"message": f"it said: {STALE}"},
        WorkloadView(10, message=f"it said: {STALE}"),
    ),
    "a message": ({"message": "words"}, WorkloadView(10, message="words")),
}


@pytest.mark.parametrize("case", VIEWS)
def test_a_status_as_kuberay_writes_it(case):
    status, expected = VIEWS[case]

    assert seen(**status) == expected


def test_an_object_nobody_has_written_to_yet():
    assert RayJob().observe({"metadata": {}}) == WorkloadView(0)
