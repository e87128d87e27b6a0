"""Ends of runs by a machine that was lost, or was started anew, and what only looks like it. Rows of the table of causes."""

from __future__ import annotations

from tests.unit.reconcile.member.ray.diagnosis.causes_of_memory import EXIT
from tests.unit.reconcile.member.ray.left_behind import (
    NOW,
    event,
    killed,
    pod,
    rayjob,
    target,
    unseen_end,
)

FAILED = rayjob("Failed", "FAILED", "AppFailed", EXIT.format(1))
OF_MACHINES = {
    "its machine lost, and the driver saw it": (
        FAILED,
        [pod("worker", conditions=target("DeletionByTaintManager"))],
        [],
        *("MachineLost", "It held a worker pod."),
    ),
    "its machine shut down in order, as preempted ones are": (
        FAILED,
        [pod("worker", phase="Failed", reason="Terminated")],
        [],
        *("MachineLost", "It held a worker pod."),
    ),
    "its machine lost, and no pod left": (
        rayjob(
            "Failed",
            "RUNNING",
            "JobStatusCheckTimeoutExceeded",
            "Job status checks have been failing",
        ),
        [],
        [event("TaintManagerEviction", "Marking for deletion Pod aij/x")],
        *("MachineLost", "It held a pod of the job."),
    ),
    "its machine came back in time": (
        FAILED,
        [],
        [event("TaintManagerEviction", "Cancelling deletion of Pod aij/x")],
        *("AppFailed", ""),
    ),
    "its machine was away, long ago": (
        FAILED,
        [],
        [event("NodeNotReady", at_s=0)],
        "AppFailed",
        "",
    ),
    "its machine began anew, and the driver saw it": (
        FAILED,
        [pod("worker", containerStatuses=killed("lastState", reason="Unknown"))],
        [],
        *("MachineLost", "It held a worker pod and was started anew."),
    ),
    "its machine began anew, and nobody saw when": (
        FAILED,
        [pod("worker", containerStatuses=unseen_end(NOW - 30))],
        [],
        *("MachineLost", "It held a worker pod and was started anew."),
    ),
    "its machine began anew, which was outlived": (
        FAILED,
        [pod("worker", containerStatuses=unseen_end(NOW - 5000))],
        [],
        *("AppFailed", ""),
    ),
    "a worker that ended by a code of its own": (
        FAILED,
        [pod("worker", containerStatuses=killed("lastState", reason="Error"))],
        [],
        *("AppFailed", ""),
    ),
}
