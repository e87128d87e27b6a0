"""What keeps a run's pods from coming up, where the pods themselves say only that they are being created.

The reasons are the kubelet's, the scheduler's and the volume controllers'; Kueue suspends a RayJob, and gates pods.
"""

from __future__ import annotations

import pytest

from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import Traces
from tests.unit.reconcile.member.ray.left_behind import (
    NOW,
    event,
    pod,
    rayjob,
    unschedulable,
    waiting,
)

CREATING = pod("worker", containerStatuses=waiting("ContainerCreating"))
READY = pod("worker", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
ATTACH = 'Multi-Attach error for volume "pvc-SECRET" Volume is already used by pod(s) other-SECRET'
PVC = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."


ELSEWHERE = "0/3 nodes are available: 3 node(s) had volume node affinity conflict"
MANY = "0/3 nodes are available: 3 node(s) exceed max volume count."
BINDING = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'


def _unplaced(reason, message):
    waits = unschedulable(message)
    waits["conditions"][0]["reason"] = reason
    return pod("worker", **waits)


def _gated():
    return _unplaced("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")


# Pods; events; the cause, and what follows how many workers came up.
CASES = {
    "a disk that another machine holds": (
        [READY, CREATING],
        [event("FailedAttachVolume", ATTACH)],
        *("NeverStarted", "A pod waits for a volume: FailedAttachVolume."),
    ),
    "a share that cannot be mounted": (
        [CREATING],
        [event("FailedMount", "mount.nfs: access denied SECRET")],
        *("NeverStarted", "A pod waits for a volume: FailedMount."),
    ),
    "a claim without a volume": (
        [pod("worker", **unschedulable(PVC))],
        [],
        *("NeverStarted", f"A pod waits for a volume: {PVC}"),
    ),
    "no room, and a claim without a volume": (
        [
            pod("worker", **unschedulable(PVC)),
            pod("worker", **unschedulable("0/3: 3 Insufficient")),
        ],
        [],
        *("NoRoom", "0/3: 3 Insufficient"),
    ),
    "a volume that lies elsewhere": (
        [pod("worker", **unschedulable(ELSEWHERE))],
        [],
        *("NeverStarted", f"A pod waits for a volume: {ELSEWHERE}"),
    ),
    "a volume that lies elsewhere, and no room beside it": (
        [pod("worker", **unschedulable(f"{ELSEWHERE}, 2 Insufficient nvidia.com/gpu."))],
        [],
        *("NoRoom", f"{ELSEWHERE}, 2 Insufficient nvidia.com/gpu."),
    ),
    "machines that hold no more volumes": (
        [pod("worker", **unschedulable(MANY))],
        [],
        *("NoRoom", MANY),
    ),
    "another scheduler's word for no room": (
        [_unplaced("Undetermined", "2/3 tasks in gang unschedulable")],
        [],
        *("NoRoom", "2/3 tasks in gang unschedulable"),
    ),
    "a volume that nobody makes": (
        [_unplaced("SchedulerError", BINDING)],
        [],
        *("NeverStarted", f"A pod waits for a volume: {BINDING}"),
    ),
    "a scheduler's plugin that fails": (
        [_unplaced("SchedulerError", "running Reserve plugin: timed out")],
        [],
        *("NeverStarted", "The scheduler could not place a pod: running Reserve plugin: timed out"),
    ),
    "no addresses left": (
        [CREATING],
        [event("FailedCreatePodSandBox", "no IP addresses available in network")],
        *("NeverStarted", "A pod waits: FailedCreatePodSandBox."),
    ),
    "a card that is not healthy": (
        [pod("worker", phase="Failed", reason="UnexpectedAdmissionError")],
        [],
        *("NeverStarted", "Its machine would not take a pod: UnexpectedAdmissionError."),
    ),
    "a machine that filled up meanwhile, the pod replaced": (
        [],
        [event("OutOfnvidia.com/gpu", "Node didn't have enough resource")],
        *("NeverStarted", "Its machine would not take a pod: OutOfnvidia.com/gpu."),
    ),
    "a queue that gates pods": (
        [_gated()],
        [],
        *("NeverStarted", "A queue of the cluster has not let a pod in (SchedulingGated)."),
    ),
    "what a pod says itself goes first": (
        [pod("worker", containerStatuses=waiting("CreateContainerConfigError"))],
        [event("FailedMount")],
        *("NeverStarted", "A pod waits: CreateContainerConfigError."),
    ),
    "what was long ago is over": (
        [CREATING],
        [event("FailedMount", at_s=NOW - 5000)],
        *("NeverStarted", ""),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_owner_reads_what_the_pods_wait_for(case):
    pods, events, reason, words = CASES[case]
    found = RayJob().diagnose(EndReason.NEVER_STARTED, Traces(pods, events, 8, NOW))
    assert found.reason.value == reason
    up = f"{pods.count(READY)} of 8 workers came up in time."
    assert found.words == (words if reason == "NoRoom" else f"{up} {words}".strip())
    assert "SECRET" not in found.words


KYVERNO = 'admission webhook "validate.kyverno.svc-fail" denied the request: no limits of CPU'
QUOTA = 'Error creating: pods "aij-1" is forbidden: exceeded quota: team'
HEAD = pod("head", phase="Running")
ALL = [HEAD, READY]
FULL = pod("worker", **unschedulable("0/3: 3 Insufficient"))
PULLING = pod("worker", containerStatuses=waiting("ErrImagePull", "manifest unknown"))
STOOD = "All workers came up, and the job's command did not begin."
# Pods; what an event is about, its reason and words; then the cause and its words.
REFUSED = {
    "the pod that follows the job, by a webhook": (
        ALL,
        ("Job", "FailedCreate", f"Error creating: {KYVERNO}"),
        ("PodsRefused", f"Error creating: {KYVERNO}"),
    ),
    "the pod that follows the job, by a quota": (
        ALL,
        ("Job", "FailedCreate", QUOTA),
        ("PodsRefused", QUOTA),
    ),
    "the Job of that pod": (
        ALL,
        ("RayJob", "FailedToCreateRayJobSubmitter", KYVERNO),
        ("PodsRefused", KYVERNO),
    ),
    "the Ray cluster": (
        [],
        ("RayJob", "FailedToCreateRayCluster", KYVERNO),
        ("PodsRefused", KYVERNO),
    ),
    "a worker, where KubeRay has no condition for it": (
        [HEAD],
        ("RayCluster", "FailedToCreateWorkerPod", KYVERNO),
        ("PodsRefused", KYVERNO),
    ),
    "nothing: all pods came in the end": (
        [*ALL, pod("", phase="Running")],
        ("Job", "FailedCreate", QUOTA),
        ("NeverStarted", STOOD),
    ),
    "nothing: the workers came in the end, and their image does not": (
        [HEAD, PULLING],
        ("RayCluster", "FailedToCreateWorkerPod", QUOTA),
        ("ImageNotPulled", "manifest unknown"),
    ),
    "nothing: the workers came in the end, and have no room": (
        [HEAD, FULL],
        ("RayCluster", "FailedToCreateHeadPod", QUOTA),
        ("NoRoom", "0/3: 3 Insufficient"),
    ),
    "nothing: the Ray cluster came in the end, and one of its workers has no room": (
        [HEAD, FULL],
        ("RayJob", "FailedToCreateRayCluster", KYVERNO),
        ("NoRoom", "0/3: 3 Insufficient"),
    ),
    "nothing: a Service is no pod": (
        ALL,
        ("RayCluster", "FailedToCreateService", KYVERNO),
        ("NeverStarted", STOOD),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_cluster_refused_to_make_is_told_in_its_words(case):
    pods, (kind, reason, message), expected = REFUSED[case]
    happened = event(reason, message) | {"involvedObject": {"kind": kind, "name": "aij-1"}}

    found = RayJob().diagnose(EndReason.NEVER_STARTED, Traces(pods, [happened], 1, NOW))

    assert (found.reason.value, found.words) == expected


CWD = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
    ' unable to start container process: chdir to cwd ("/home/SECRET") set in config.json failed: permission denied'
)
NO_NUMBER = "container has runAsNonRoot and image has non-numeric user (SECRET), cannot verify user is non-root"
CLOSED = "What its image would start is not in it, or is not open to user {}, as whom its pods run (runs.imageUsers)."
NOT_SAID = "The cluster gave its pods no user, and its image names none by number (runs.userFrom)."
# What a container's end, or its waiting, says; the user; and what the owner reads of it.
CLOSED_IMAGES = {
    "Ray is in a home that is closed": (
        {"lastState": {"terminated": {"exitCode": 127, "reason": "Error"}}},
        *(65532, CLOSED.format(65532)),
    ),
    "a program that may not be executed": (
        {"state": {"terminated": {"exitCode": 126, "reason": "Error"}}},
        *(65532, CLOSED.format(65532)),
    ),
    "the folder it starts in is closed": (
        {"lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": CWD}}},
        *(1001, CLOSED.format(1001)),
    ),
    "so, as Docker's shim says it": (
        {"lastState": {"terminated": {"exitCode": 126, "reason": "ContainerCannotRun"}}},
        *(65532, CLOSED.format(65532)),
    ),
    "so, at its first try": (
        {"state": {"waiting": {"reason": "RunContainerError", "message": CWD}}},
        *(65532, CLOSED.format(65532)),
    ),
    "the cluster's user is told by the cluster": (
        {"lastState": {"terminated": {"exitCode": 127, "reason": "Error"}}},
        *(None, CLOSED.format("of the cluster's choice")),
    ),
    "nobody said which user": (
        {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": NO_NUMBER}}},
        *(None, NOT_SAID),
    ),
    "a secret that is not there": (
        {
            "state": {
                "waiting": {"reason": "CreateContainerConfigError", "message": "secret SECRET"}
            }
        },
        *(65532, ""),
    ),
    "a program that ended by itself": (
        {"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}},
        *(65532, ""),
    ),
}


@pytest.mark.parametrize("case", CLOSED_IMAGES)
def test_an_image_that_is_closed_to_the_runs_user_is_told(case):
    container, user, words = CLOSED_IMAGES[case]
    waits = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, **container}
    held = pod("head", containerStatuses=[waits])
    held["spec"] = {"securityContext": {"runAsUser": user} if user else {}}
    found = RayJob().diagnose(EndReason.NEVER_STARTED, Traces([held], (), 8, NOW))
    assert found.words.endswith(words)
    assert ("runs." in found.words) is bool(words)
    assert "SECRET" not in found.words


@pytest.mark.parametrize("stage", ["Suspended", "Suspending"])
def test_a_queue_that_suspends_the_run_is_told(stage):
    view = RayJob().observe(rayjob(stage))
    traces = Traces((), (), 8, NOW, view.refused, is_held=view.is_held)
    said = RayJob().diagnose(EndReason.NEVER_STARTED, traces).words
    assert said.endswith("a queue has not let it in, or somebody there stopped it.")
    assert not RayJob().observe(rayjob("Initializing")).is_held
