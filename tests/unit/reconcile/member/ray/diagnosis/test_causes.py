"""What KubeRay, Ray and the pods left behind, and the cause that is read from it: one case each.

The statuses are those that KubeRay 1.6 writes (its rayjob_types.go and rayjob_controller.go, with its issues
#1489, #2125, #2314, #3553, #3860 and #3903); the pods' are the kubelet's, the scheduler's and the controllers'.
"""

from __future__ import annotations

import pytest

from hansa.grants.reasons import COURSES, Course
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import Traces
from tests.unit.reconcile.member.ray.diagnosis.causes_of_machines import OF_MACHINES
from tests.unit.reconcile.member.ray.diagnosis.causes_of_memory import EXIT, OF_MEMORY, READY
from tests.unit.reconcile.member.ray.left_behind import (
    NOW,
    event,
    killed,
    pod,
    rayjob,
    target,
    unschedulable,
    waiting,
)

GRACE = {
    "reason": "JobDeploymentStatusTransitionGracePeriodExceeded",
    "message": "JobDeploymentStatus does not transition to Complete or Failed within the grace period"
    " after JobStatus reaches a terminal state.",
}
BACKOFF = "Job submission has failed. Reason: BackoffLimitExceeded. Message: Job has reached the specified"


FAILED = rayjob("Failed", "FAILED", "AppFailed", EXIT.format(1))
NOT_UP = rayjob(
    "Failed", "", "DeadlineExceeded", "The RayJob has passed", rayClusterStatus={"state": ""}
)
PULL = 'Back-off pulling image "registry.example/a@sha256:1": 401 Unauthorized'
LOW = "The node was low on resource: memory. Threshold quantity: 1Gi, available: 991045Ki. "
SCRATCH = 'Usage of EmptyDir volume "scratch" exceeds the limit "16Gi". '
SUBMITTER = rayjob("Failed", "RUNNING", "SubmissionFailed", BACKOFF)
# The RayJob; the pods; events; then the cause, and what is said beside it.
CASES = {
    "well": (rayjob("Complete", "SUCCEEDED"), [], [], "Succeeded", ""),
    "well, and its submitter hung": (
        rayjob("Failed", "SUCCEEDED", **GRACE),
        [],
        [],
        "Succeeded",
        "",
    ),
    "well, and its submitter was lost": (
        rayjob("Failed", "SUCCEEDED", "SubmissionFailed", BACKOFF),
        [],
        [],
        *("Succeeded", ""),
    ),
    "well, though a worker was out of memory before": (
        rayjob("Complete", "SUCCEEDED"),
        [pod("worker", containerStatuses=killed())],
        [],
        *("Succeeded", ""),
    ),
    "its command failed": (FAILED, [pod("head", **READY)], [], "AppFailed", ""),
    "its command failed, told as complete": (
        rayjob("Complete", "FAILED", "", EXIT.format(3)),
        [],
        [],
        *("AppFailed", ""),
    ),
    "killed": (
        rayjob("Failed", "FAILED", "AppFailed", EXIT.format(137)),
        [],
        [],
        "OutOfMemory",
        "",
    ),
    "a worker out of memory": (
        FAILED,
        [pod("head", **READY), pod("worker", containerStatuses=killed("lastState"))],
        [],
        *("OutOfMemory", "It was a worker pod (OOMKilled)."),
    ),
    "a worker out of memory, long ago": (
        FAILED,
        [pod("worker", containerStatuses=killed("lastState", at_s=NOW - 901))],
        [],
        *("AppFailed", ""),
    ),
    **OF_MEMORY,
    "the submitter out of memory is not the job": (
        SUBMITTER,
        [pod("head", **READY), pod("", containerStatuses=killed())],
        [],
        *("SubmitterLost", ""),
    ),
    "scratch full": (
        FAILED,
        [pod("worker", phase="Failed", reason="Evicted", message=SCRATCH)],
        [],
        *("ScratchFull", "It was a worker pod."),
    ),
    "evicted": (
        SUBMITTER,
        [
            pod(
                "head",
                phase="Failed",
                reason="Evicted",
                message=LOW,
                conditions=target("TerminationByKubelet"),
            )
        ],
        [],
        *("Evicted", "It was a head pod. Its machine ran short of something."),
    ),
    "evicted, and its pod replaced": (
        rayjob("Failed", "RUNNING", "AppFailed", "Ray head pod not found."),
        [pod("head", **READY)],
        [event("Evicted", LOW)],
        *("Evicted", "It was a pod of the job. Its machine ran short of something."),
    ),
    "drained": (
        FAILED,
        [pod("worker", conditions=target("EvictionByEvictionAPI"))],
        [],
        *("Evicted", "It was a worker pod. Its machine was drained."),
    ),
    "preempted by the member's own work": (
        FAILED,
        [pod("worker", conditions=target("PreemptionByScheduler"))],
        [],
        *("Evicted", "It was a worker pod. Other work of the member's own was preferred."),
    ),
    **OF_MACHINES,
    "head lost": (
        rayjob("Failed", "RUNNING", "AppFailed", "Ray head pod not found."),
        [],
        [],
        *("HeadLost", ""),
    ),
    "head made anew, and the job unknown to it": (
        rayjob(
            "Failed", "", "AppFailed", "Submitter completed but Ray job not found in RayCluster."
        ),
        [],
        [],
        *("HeadLost", ""),
    ),
    "head began anew under the submitter": (
        SUBMITTER,
        [pod("head", containerStatuses=killed("lastState", reason="Error"))],
        [],
        *("HeadLost", "Its container ended and was started anew."),
    ),
    "submitter lost": (SUBMITTER, [pod("head", **READY)], [], "SubmitterLost", ""),
    "log stream lost, the job running": (
        rayjob("Failed", "RUNNING", GRACE["reason"], "The RayJob submitter finished at x but"),
        [],
        [],
        *("SubmitterLost", ""),
    ),
    "not taken": (
        rayjob("Failed", "", "SubmissionFailed", BACKOFF),
        [],
        [],
        "SubmissionFailed",
        "",
    ),
    "KubeRay cannot reach it": (
        rayjob(
            "Failed",
            "RUNNING",
            "JobStatusCheckTimeoutExceeded",
            "Job status checks have been failing",
        ),
        [pod("head", **READY)],
        [],
        *("StatusUnknown", ""),
    ),
    "Ray failed": (
        rayjob("Failed", "FAILED", "AppFailed", "Job supervisor actor could not be scheduled: x"),
        [],
        [],
        *("RayFailed", ""),
    ),
    "failed, and the submitter hung": (
        rayjob("Failed", "FAILED", **GRACE),
        [],
        [],
        "RayFailed",
        "",
    ),
    "stopped inside": (rayjob("Complete", "STOPPED"), [], [], "JobStopped", ""),
    "too long": (
        rayjob("Failed", "RUNNING", "DeadlineExceeded", "The RayJob has passed"),
        [],
        [],
        *("DeadlineExceeded", ""),
    ),
    "image not pulled": (
        NOT_UP,
        [
            pod("worker", **READY),
            pod("worker", containerStatuses=waiting("ImagePullBackOff", PULL)),
        ],
        [],
        *("ImageNotPulled", PULL),
    ),
    "an init container's image not pulled": (
        NOT_UP,
        [pod("worker", initContainerStatuses=waiting("ErrImagePull", PULL))],
        [],
        *("ImageNotPulled", PULL),
    ),
    "no room": (
        NOT_UP,
        [pod("worker", **unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."))],
        [],
        *("NoRoom", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
    ),
    "pods refused": (
        rayjob(
            *("Failed", "", "PreRunningDeadlineExceeded", ""),
            rayClusterStatus={
                "conditions": [
                    {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: size"}
                ]
            },
        ),
        [],
        [],
        *("PodsRefused", "exceeded quota: size"),
    ),
    "never all started": (
        NOT_UP,
        [
            *[pod("worker", **READY)] * 3,
            pod("worker", containerStatuses=waiting("CrashLoopBackOff")),
        ],
        [],
        *("NeverStarted", "3 of 8 workers came up in time. A pod waits: CrashLoopBackOff."),
    ),
    "packages that cannot be installed": (
        rayjob("Failed", "FAILED", "AppFailed", "runtime_env setup failed: pip said SECRET"),
        [],
        [],
        *("PackagesNotInstalled", ""),
    ),
    "refused by KubeRay": (
        rayjob("ValidationFailed", "", "ValidationFailed"),
        [],
        [],
        "ValidationFailed",
        "",
    ),
}


def diagnosed(case):
    thing, pods, events, *_ = CASES[case]
    view = RayJob().observe(thing)
    traces = Traces(pods, events, workers=8, ended_s=view.ended_s, refused=view.refused)
    return RayJob().diagnose(view.end, traces)


@pytest.mark.parametrize("case", CASES)
def test_the_cause_of_an_end(case):
    *_, reason, words = CASES[case]
    found = diagnosed(case)
    assert (found.reason.value, found.words) == (reason, words)


@pytest.mark.parametrize("case", CASES)
def test_the_command_is_blamed_for_its_own_exit_code_only(case):
    says = diagnosed(case).reason
    message = CASES[case][0]["status"]["message"]
    assert (says is EndReason.APP_FAILED) <= message.startswith("Job entrypoint command failed")
    assert ("own command failed" in explain(says)) is (says is EndReason.APP_FAILED)


@pytest.mark.parametrize("case", CASES)
def test_no_word_of_a_program_is_told(case):
    assert "SECRET" not in diagnosed(case).words


def test_every_cause_that_is_read_here_has_a_course():
    read = {diagnosed(case).reason.value for case in CASES} - {"Succeeded"}
    assert read <= {cause.value for cause in COURSES}
    assert len(read) >= 16


@pytest.mark.parametrize("cause", COURSES)
def test_a_cause_fails_the_job_where_another_run_would_end_alike(cause):
    gives_up = COURSES[cause] is Course.GIVE_UP
    assert (EndReason(cause.value).verdict == "Failed") is gives_up


def test_retrying_is_no_end():
    assert RayJob().observe(rayjob("Retrying", "FAILED", "AppFailed")).end is None
