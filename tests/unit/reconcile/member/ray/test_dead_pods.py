"""Which pods of a run died, told from recorded states and warnings: how, in which order, and of which container."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.model.times import from_rfc3339
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import PodEvent, Traces

AT = "2027-01-15T08:00:{:02}Z"


def pod(name: str = "run-head-x", role: str = "head", **status: Any) -> dict[str, Any]:
    labels = {"ray.io/node-type": role} if role else {}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": "gpu-17"},
        "status": status,
    }


def ended(reason: str = "Error", code: int = 1, second: int = 5, *, since: bool = False):
    """A container that ended; ``since``: another has taken its place."""
    end = {"terminated": {"reason": reason, "exitCode": code, "finishedAt": AT.format(second)}}
    state = {"state": {"running": {}}, "lastState": end} if since else {"state": end}
    return {"name": "ray-worker", "restartCount": int(since)} | state


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "ray-head", "state": {"waiting": {"reason": reason}}}


def warning(name: str, reason: str = "BackOff", *, kind: str = "Warning", **more: Any):
    about = {"kind": "Pod", "name": name}
    return {"type": kind, "reason": reason, "message": "why", "involvedObject": about} | more


# One pod; role, reason, exit code, restarts, container, whether it is an earlier one's; None: it lives.
PODS: dict[str, Any] = {
    "memory ran out, another container runs": (
        pod(role="worker", containerStatuses=[ended("OOMKilled", 137, since=True)]),
        ("Worker", "OOMKilled", 137, 1, "ray-worker", True),
    ),
    "it failed": (
        pod(phase="Failed", containerStatuses=[ended()]),
        ("Head", "Error", 1, 0, "ray-worker", False),
    ),
    "evicted, its container killed": (
        pod(reason="Evicted", containerStatuses=[ended("Error", 137)]),
        ("Head", "Evicted", 137, 0, "ray-worker", False),
    ),
    "disrupted": (
        pod(
            conditions=[
                {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
            ]
        ),
        ("Head", "DeletionByTaintManager", None, 0, "", False),
    ),
    "its image": (
        pod(containerStatuses=[waiting("ImagePullBackOff")]),
        ("Head", "ImagePullBackOff", None, 0, "", False),
    ),
    "its init container": (
        pod(role="worker", initContainerStatuses=[ended()]),
        ("Worker", "Error", 1, 0, "ray-worker", False),
    ),
    "the command failed": (pod(role="", containerStatuses=[ended()]), None),
    "the submitter ran out of memory": (
        pod(role="", containerStatuses=[ended("OOMKilled", 137)]),
        ("Submitter", "OOMKilled", 137, 0, "ray-worker", False),
    ),
    "it ended well": (pod(role="", containerStatuses=[ended("Completed", 0)]), None),
    "it begins": (pod(containerStatuses=[waiting("ContainerCreating")]), None),
    "it runs": (pod(containerStatuses=[{"name": "a", "state": {"running": {}}}]), None),
    "nothing is known": (pod(), None),
}


@pytest.mark.parametrize("case", PODS)
def test_a_pod(case):
    one, expected = PODS[case]

    dead = RayJob().autopsy(Traces([one])).dead

    assert [(d.role, d.reason, d.exit_code, d.restarts, d.container, d.previous) for d in dead] == (
        [expected] if expected else []
    )


def test_the_first_to_die_come_first_and_no_more_than_are_told():
    pods = [
        pod(f"run-w-worker-{n}", "worker", containerStatuses=[ended(second=9 - n)])
        for n in range(6)
    ]

    dead = RayJob().autopsy(Traces(pods)).dead

    assert [one.pod for one in dead] == [f"run-w-worker-{n}" for n in (5, 4, 3, 2)]


# Name of a pod that is no more → what it was.
GONE = {
    "run-x-head-abc": "Head",
    "run-x-gpu-worker-abc": "Worker",
    "run-x-head-worker-abc": "Worker",
    "run-x-worker-head-worker-abc": "Worker",
    "run-x-abc": "Submitter",
}


@pytest.mark.parametrize("name", GONE)
def test_of_a_pod_that_is_no_more_warnings_are_left(name):
    events = [warning(name, lastTimestamp=AT.format(7)), warning("", kind="Normal")]

    [dead] = RayJob().autopsy(Traces([], events)).dead

    assert (dead.role, dead.reason) == (GONE[name], "Gone")
    assert dead.at_s == from_rfc3339(AT.format(7))
    assert dead.events == (PodEvent("BackOff", "why"),)


def test_the_latest_warnings_about_a_pod_are_told_in_their_order():
    name = "run-head-x"
    events = [
        warning(name, f"R{n}", lastTimestamp=AT.format(n), count=n + 1) for n in (5, 3, 1, 2, 4)
    ]
    events += [warning(name, "Fine", kind="Normal"), warning("other", "R9", involvedObject={})]

    [dead] = RayJob().autopsy(Traces([pod(reason="Evicted")], events)).dead

    assert [(one.reason, one.count) for one in dead.events] == [
        ("R2", 3),
        ("R3", 4),
        ("R4", 5),
        ("R5", 6),
    ]


def test_names_of_machines_are_found_wherever_they_stand():
    events = [
        warning("a", source={"host": "gpu-3"}),
        warning("a", reportingInstance="gpu-4"),
    ]

    assert RayJob().autopsy(Traces([pod()], events)).machines == {"gpu-17", "gpu-3", "gpu-4"}


def test_a_pod_that_never_began_is_kept_with_what_was_said_of_it():
    """It waits for a volume or an address: only warnings say so, and they would go with the run."""
    stuck = pod(phase="Pending", containerStatuses=[waiting("ContainerCreating")])
    quiet = pod("run-worker-y", "worker", phase="Pending")
    warned = [warning("run-head-x", "FailedAttachVolume", lastTimestamp=AT.format(7))]
    dead = RayJob().autopsy(Traces([stuck, quiet], warned)).dead
    assert [(one.pod, one.role, one.reason) for one in dead] == [("run-head-x", "Head", "Pending")]
    assert dead[0].events == (PodEvent("FailedAttachVolume", "why"),)
    up = pod(phase="Running")
    assert not RayJob().autopsy(Traces([up], warned)).dead
