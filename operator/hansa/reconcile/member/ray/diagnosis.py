"""Why a run really ended: the states of its pods against what KubeRay says of it.

A driver whose worker has lost its machine ends with an exit code, too; so what happened to the pods goes
first. What is told here is ours or the cluster's, about manifests that the member made: of what a
program in a pod can write (termination messages, probe output, exit codes, how much it used) no word is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hansa.model.times import from_rfc3339
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.inventory.lost_machines import machines_of
from hansa.reconcile.member.workload import Finding, Traces

ROLE = "ray.io/node-type"
BEGINNING = frozenset({"", "PodInitializing", "ContainerCreating"})
"""What a container waits for that has nothing against it."""
MACHINE_GONE = frozenset(
    {"DeletionByTaintManager", "DeletionByPodGC", "NodeLost", "NodeShutdown", "Terminated"}
)
"""Reasons of a pod, or of its condition DisruptionTarget: the machine is gone, cut off or shut down."""
CUT_SHORT = frozenset({"Unknown", "ContainerStatusUnknown"})
"""Reasons of a container whose end its runtime did not see, or its kubelet: the machine began anew. No program brings
them about: an exit code of its own, 255 too, is ``Error``."""
MACHINE_EVENTS = frozenset({"NodeNotReady", "TaintManagerEviction"})
DISPLACED = {
    "PreemptionByScheduler": "Other work of the member's own was preferred.",
    "EvictionByEvictionAPI": "Its machine was drained.",
    "TerminationByKubelet": "Its machine ran short of something, or was shut down.",
    "Preempted": "Other work of the member's own was preferred.",
    "Evicted": "Its machine ran short of something.",
}
SCRATCH_WORDS = ("emptydir", "ephemeral local storage", "ephemeral storage usage exceeds")
"""The kubelet's words where the pod itself took too much disk."""
LOOK_BACK_S = 900
"""What happened longer before the end was outlived."""
UNSETTLED = frozenset(
    {
        EndReason.RAY_FAILED,
        EndReason.SUBMITTER_LOST,
        EndReason.SUBMISSION_FAILED,
        EndReason.STATUS_UNKNOWN,
    }
)
"""Ends that a head which began anew explains."""
SETTLED = frozenset({EndReason.SUCCEEDED, EndReason.DEADLINE_EXCEEDED, EndReason.VALIDATION_FAILED})


def diagnose(end: EndReason, traces: Traces) -> Finding:
    """Return why a run ended, by what is left of it. ``end``: what KubeRay makes of it."""
    if end in SETTLED:
        return Finding(end)
    pods = [pod for pod in traces.pods if role_of(pod)]
    found = [
        *(
            Finding(EndReason.MACHINE_LOST, held(pod))
            for pod in traces.pods
            if is_away(pod, traces)
        ),
        *_of_pods(pods, traces.ended_s),
        *_of_events(traces.events, traces.ended_s),
    ]
    if found:
        return min(found, key=lambda finding: _WEIGHT[finding.reason])
    if end in UNSETTLED and any(began_anew(pod) for pod in pods if role_of(pod) == "head"):
        return Finding(EndReason.HEAD_LOST, "Its container ended and was started anew.")
    return Finding(end)


_WEIGHT = {
    EndReason.MACHINE_LOST: 0,
    EndReason.SCRATCH_FULL: 1,
    EndReason.EVICTED: 2,
    EndReason.OUT_OF_MEMORY: 3,
}
"""Of several things that happened, the one that brings the others about."""


def _of_pods(pods: Iterable[Mapping[str, Any]], ended_s: float) -> Iterator[Finding]:
    for pod in pods:
        status, role = pod.get("status") or {}, role_of(pod)
        said = {str(status.get("reason") or ""), disruption(status)}
        if said & MACHINE_GONE:
            yield Finding(EndReason.MACHINE_LOST, held(pod))
        elif said & DISPLACED.keys():
            yield _displaced(said, str(status.get("message") or ""), f"a {role} pod")
        if was_cut_short(pod, ended_s):
            yield Finding(EndReason.MACHINE_LOST, f"It held a {role} pod and was started anew.")
        if any(_out_of_memory(one, ended_s) for one in containers_of(status)):
            yield Finding(EndReason.OUT_OF_MEMORY, f"It was a {role} pod (OOMKilled).")


def missing_pods(traces: Traces) -> int:
    """Return how many pods of a run that has begun are not up: KubeRay replaces what it loses.

    Where there is none at all, its head is no more, and KubeRay ends the job for that.
    """
    if not any(map(role_of, traces.pods)):
        return 0
    up = [role_of(pod) for pod in traces.pods if _is_there(pod)]
    return sum(max(0, n - up.count(role)) for role, n in (("head", 1), ("worker", traces.workers)))


def head_uid(traces: Traces) -> str:
    """Return the UID of the head's pod; empty: it is not up."""
    heads = (pod for pod in traces.pods if role_of(pod) == "head" and _is_there(pod))
    return next((str(pod["metadata"].get("uid") or "") for pod in heads), "")


def _is_there(pod: Mapping[str, Any]) -> bool:
    going = "deletionTimestamp" in pod["metadata"]
    return not going and (pod.get("status") or {}).get("phase") == "Running"


def is_away(pod: Mapping[str, Any], traces: Traces) -> bool:
    """Tell whether a pod stands on a machine that is not Ready, or is no more."""
    return bool(machines_of([pod]) & traces.away)


def held(pod: Mapping[str, Any]) -> str:
    """Return what a machine had of the run."""
    role = role_of(pod)
    return f"It held a {role} pod." if role else "It held the pod that follows the job."


def _of_events(events: Iterable[Mapping[str, Any]], ended_s: float) -> Iterator[Finding]:
    """Read what happened to pods that are no more: KubeRay replaces a pod that died."""
    for event in events:
        reason, message = str(event.get("reason") or ""), str(event.get("message") or "")
        if about_of(event).get("kind") != "Pod" or not is_recent_event(event, ended_s):
            continue
        if reason in MACHINE_EVENTS and not message.startswith("Cancelling"):
            yield Finding(EndReason.MACHINE_LOST, "It held a pod of the job.")
        elif reason in {"Evicted", "Preempted"}:
            yield _displaced({reason}, message, "a pod of the job")


def _displaced(said: set[str], message: str, what: str) -> Finding:
    if "Evicted" in said and any(words in message.lower() for words in SCRATCH_WORDS):
        return Finding(EndReason.SCRATCH_FULL, f"It was {what}.")
    # Evicted is what the pod says; the condition beside it says why the kubelet did it.
    key = next(name for name in ("Evicted", *DISPLACED) if name in said)
    return Finding(EndReason.EVICTED, f"It was {what}. {DISPLACED[key]}")


def role_of(pod: Mapping[str, Any]) -> str:
    """Return head or worker; empty: it is the submitter."""
    return str((pod["metadata"].get("labels") or {}).get(ROLE, ""))


def containers_of(status: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the states of a pod's containers, those that prepare it first."""
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def disruption(status: Mapping[str, Any]) -> str:
    """Return why the cluster disturbed a pod; empty: it did not."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason") or "")
    return ""


def ends_of(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield how a container ended: now, and the time before."""
    for state in ("state", "lastState"):
        ended = (container.get(state) or {}).get("terminated")
        if ended:
            yield ended


def was_cut_short(pod: Mapping[str, Any], ended_s: float) -> bool:
    """Tell whether a machine began anew under a pod, so shortly before a run's end that it may have brought it about."""
    found = [
        _finished_s(one, end)
        for one in containers_of(pod.get("status") or {})
        for end in ends_of(one)
        if end.get("reason") in CUT_SHORT
    ]
    return any(_is_recent(at_s, ended_s) for at_s in found)


def _finished_s(container: Mapping[str, Any], end: Mapping[str, Any]) -> float | None:
    """Return when a container ended; where nobody saw that (1970), when the next one began."""
    running = (container.get("state") or {}).get("running") or {}
    return from_rfc3339(end.get("finishedAt")) or from_rfc3339(running.get("startedAt"))


def _out_of_memory(container: Mapping[str, Any], ended_s: float) -> bool:
    return any(
        end.get("reason") == "OOMKilled"
        and _is_recent(from_rfc3339(end.get("finishedAt")), ended_s)
        for end in ends_of(container)
    )


def began_anew(pod: Mapping[str, Any]) -> bool:
    """Tell whether a container of a pod ended and was started anew."""
    status = pod.get("status") or {}
    return any(
        int(one.get("restartCount") or 0) > 0 for one in status.get("containerStatuses") or ()
    )


def about_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an event is about."""
    return event.get("involvedObject") or event.get("regarding") or {}


def event_s(event: Mapping[str, Any]) -> float | None:
    """Return when an event was seen last, in seconds since the Unix epoch; None: it does not say."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((s for s in map(from_rfc3339, times) if s is not None), None)


def is_recent_event(event: Mapping[str, Any], ended_s: float) -> bool:
    """Tell whether something happened so shortly before a run's end that it may have brought it about."""
    return _is_recent(event_s(event), ended_s)


def _is_recent(at_s: float | None, ended_s: float) -> bool:
    return at_s is None or at_s >= ended_s - LOOK_BACK_S
