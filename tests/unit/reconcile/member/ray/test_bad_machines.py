"""Which machines a run died on, told from what its pods and their events left behind."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.workload import Traces
from tests.unit.reconcile.member.ray.left_behind import NOW, event, killed, target
from tests.unit.reconcile.member.ray.left_behind import pod as bare_pod

HEAD, WORKER, OTHER = "aij-1-abc-head-x", "aij-1-abc-small-worker-y", "aij-1-abc-small-worker-z"


def pod(name: str, machine: str = "", **status: Any) -> dict[str, Any]:
    role = "head" if name == HEAD else "worker"
    made = bare_pod(role, **status)
    return made | {
        "metadata": made["metadata"] | {"name": name},
        "spec": {"nodeName": machine} if machine else {},
    }


def about(name: str, reason: str, message: str = "", host: str = "", at_s: float = NOW - 20):
    who = {"component": "kubelet", "host": host} if host else {"component": "node-controller"}
    return event(reason, message, at_s) | {
        "involvedObject": {"kind": "Pod", "name": name},
        "source": who,
    }


LOST = target("DeletionByTaintManager")
CASES: dict[str, tuple[EndReason, list[Any], list[Any], set[str]]] = {
    "the machine of a pod that was cut off, and no other": (
        EndReason.APP_FAILED,
        [pod(HEAD, "m1"), pod(WORKER, "m2", conditions=LOST), pod(OTHER, "m3")],
        [],
        {"m2"},
    ),
    "of two pods": (
        EndReason.APP_FAILED,
        [pod(HEAD, "m1", conditions=LOST), pod(WORKER, "m2", conditions=LOST)],
        [],
        {"m1", "m2"},
    ),
    "of a pod that is no more, by its kubelet's events": (
        EndReason.STATUS_UNKNOWN,
        [pod(HEAD, "m1")],
        [
            about(WORKER, "TaintManagerEviction", "Marking"),
            about(WORKER, "Pulled", host="m2", at_s=0),
        ],
        {"m2"},
    ),
    "of a machine that came back none": (
        EndReason.APP_FAILED,
        [pod(WORKER, "m2")],
        [about(WORKER, "TaintManagerEviction", "Cancelling deletion")],
        set(),
    ),
    "a drained one": (
        EndReason.APP_FAILED,
        [pod(WORKER, "m2", conditions=target("EvictionByEvictionAPI"))],
        [],
        {"m2"},
    ),
    "short of memory": (
        EndReason.APP_FAILED,
        [pod(WORKER, "m2", phase="Failed", reason="Evicted", message="low on resource")],
        [],
        {"m2"},
    ),
    "a head that began anew": (
        EndReason.SUBMITTER_LOST,
        [pod(HEAD, "m1", containerStatuses=killed("lastState", reason="Error")), pod(WORKER, "m2")],
        [],
        {"m1"},
    ),
    "a head that is no more, and a new one elsewhere": (
        EndReason.HEAD_LOST,
        [pod(HEAD.replace("-x", "-new"), "m3")],
        [about(HEAD, "Started", host="m1"), about(WORKER, "Started", host="m2")],
        {"m1"},
    ),
    "a card that its kubelet would not give": (
        EndReason.NEVER_STARTED,
        [pod(HEAD, "m1"), pod(WORKER, "m2", phase="Failed", reason="UnexpectedAdmissionError")],
        [],
        {"m2"},
    ),
    "scratch is the job's own": (
        EndReason.APP_FAILED,
        [
            pod(
                WORKER,
                "m2",
                phase="Failed",
                reason="Evicted",
                message='Usage of EmptyDir volume "s"',
            )
        ],
        [],
        set(),
    ),
    "memory is the job's own": (
        EndReason.APP_FAILED,
        [pod(WORKER, "m2", containerStatuses=killed())],
        [],
        set(),
    ),
    "a command that failed": (EndReason.APP_FAILED, [pod(WORKER, "m2")], [], set()),
    "a pod that had no machine yet": (EndReason.HEAD_LOST, [pod(HEAD)], [], set()),
}


AWAY: dict[str, tuple[list[Any], set[str], str, set[str]]] = {
    "a worker's machine, whatever the driver said of it": (
        [pod(HEAD, "m1", phase="Running"), pod(WORKER, "m2", phase="Running")],
        {"m2", "m9"},
        "MachineLost: It held a worker pod.",
        {"m2"},
    ),
    "the head's": (
        [pod(HEAD, "m1", phase="Running"), pod(WORKER, "m2", phase="Running")],
        {"m1"},
        "MachineLost: It held a head pod.",
        {"m1"},
    ),
    "that of the pod that follows the job": (
        [pod(HEAD, "m1"), bare_pod("", phase="Running") | {"spec": {"nodeName": "m2"}}],
        {"m2"},
        "MachineLost: It held the pod that follows the job.",
        {"m2"},
    ),
    "one that the run had no pod on": ([pod(WORKER, "m2")], {"m1"}, "AppFailed: ", set()),
    "one whose pod had ended": (
        [bare_pod("", phase="Succeeded") | {"spec": {"nodeName": "m2"}}],
        {"m2"},
        "AppFailed: ",
        set(),
    ),
}


@pytest.mark.parametrize("case", AWAY)
def test_a_machine_that_is_away_goes_before_what_the_command_said(case):
    pods, away, said, machines = AWAY[case]
    traces = Traces(pods, (), ended_s=NOW, away=frozenset(away))
    found = RayJob().diagnose(EndReason.APP_FAILED, traces)
    assert (f"{found.reason}: {found.words}", found.machines) == (said, machines)


@pytest.mark.parametrize("case", CASES)
def test_the_machines_that_the_next_run_keeps_off(case):
    end, pods, events, machines = CASES[case]
    assert RayJob().diagnose(end, Traces(pods, events, ended_s=NOW)).machines == machines
