"""Why a run did not begin: what keeps its pods from coming up, or from being made at all.

As in a diagnosis, no word of a program in a pod is told: what is said is the cluster's, about manifests that the member
made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.diagnosis import (
    BEGINNING,
    about_of,
    containers_of,
    ends_of,
    event_s,
    is_recent_event,
    role_of,
)
from hansa.reconcile.member.workload import Finding, Traces

IMAGE_TROUBLE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
NOT_TAKEN = re.compile(
    r"OutOf\w.*|UnexpectedAdmissionError|TopologyAffinityError|NodeAffinity|NodePorts"
)
"""Reasons of a pod that its kubelet would not take: a card that is not healthy, a machine that filled up meanwhile."""
VOLUME_EVENTS = frozenset({"FailedAttachVolume", "FailedMount", "FailedMapVolume"})
START_EVENTS = frozenset({"FailedCreatePodSandBox", "NetworkNotReady"})
NOT_EXECUTED = frozenset({126, 127})
"""Exit codes of shells for a program that they may not execute, or do not find."""
DENIED, UNNUMBERED = "permission denied", "non-numeric user"
"""The runtime's words about an image that is closed to its user, and the kubelet's about a user without a number."""
GATED, ERRED = "SchedulingGated", "SchedulerError"
"""How the scheduler says that a queue holds a pod, and that it failed itself; by other reasons no machine takes it."""
OF_VOLUMES, OF_ROOM = ("volume", "pvc"), ("insufficient", "too many pods", "max volume count")
"""The scheduler's words about volumes that are missing or lie elsewhere, and about machines that are full."""
NOT_MADE = {
    ("Job", "FailedCreate"): "",
    ("RayJob", "FailedToCreateRayJobSubmitter"): "",
    ("RayJob", "FailedToCreateRayCluster"): "head",
    ("RayCluster", "FailedToCreateHeadPod"): "head",
    ("RayCluster", "FailedToCreateWorkerPod"): "worker",
}
"""Kinds and reasons of events that tell, in the API server's words, what could not be made → the pods that are then
missing: KubeRay's condition tells of head and workers alone."""


def obstacle(traces: Traces) -> Finding:
    """Return what keeps pods from coming up; the gravest of all that they say."""
    if refused := traces.refused or _refused(traces):
        return Finding(EndReason.PODS_REFUSED, refused)
    waits = [*_waiting(traces.pods)]
    for said, words in waits:
        if said in IMAGE_TROUBLE:
            return Finding(EndReason.IMAGE_NOT_PULLED, words)
    unplaced = [*_unplaced(traces.pods)]
    for said, words in unplaced:
        if said not in {GATED, ERRED} and not _is_of_volumes(words):
            return Finding(EndReason.NO_ROOM, words)
    up = sum(_is_up(pod) for pod in traces.pods if role_of(pod) == "worker")
    if traces.has_begun:
        told = ["A pod of it was replaced, and no other came up."]
    elif up >= traces.workers > 0:
        told = ["All workers came up, and the job's command did not begin."]
    elif traces.workers:
        told = [f"{up} of {traces.workers} workers came up in time."]
    else:
        told = ["Its head, which works alone, was not up in time."]
    told += [f"A pod waits: {said}." for said, _ in waits[:1]] or [*_hindered(traces, unplaced)][:1]
    told += [*_closed(traces.pods)][:1]
    return Finding(EndReason.NEVER_STARTED, " ".join(told))


def _refused(traces: Traces) -> str:
    """Return the API server's last words about pods that it would not make and that are missing; empty: there are none."""
    there = Counter(map(role_of, traces.pods))
    whole = {"": 1, "head": 1, "worker": traces.workers}
    unmade = {said for said, role in NOT_MADE.items() if there[role] < whole[role]}
    told = [
        (event_s(event) or 0.0, str(event.get("message") or event.get("note") or ""))
        for event in traces.events
        if (about_of(event).get("kind"), event.get("reason")) in unmade
        and is_recent_event(event, traces.ended_s)
    ]
    return max(told)[1] if told else ""


def _is_of_volumes(words: str) -> bool:
    """Tell whether a pod has no machine for want of a volume, and not for want of room."""
    said = words.lower()
    return any(map(said.__contains__, OF_VOLUMES)) and not any(map(said.__contains__, OF_ROOM))


def _unplaced(pods: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the scheduler's reason and words of pods that have no machine."""
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                yield str(condition.get("reason") or ""), str(condition.get("message") or "")


def _hindered(traces: Traces, unplaced: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what keeps pods from coming up that do not say so themselves, the surest first.

    Of events only the reason is told: their words name other objects of the cluster.
    """
    if traces.is_held:
        yield "It is suspended at the member: a queue has not let it in, or somebody there stopped it."
    for said, words in unplaced:
        if said == GATED:
            yield f"A queue of the cluster has not let a pod in ({GATED})."
        elif _is_of_volumes(words):
            yield f"A pod waits for a volume: {words}"
        else:
            yield f"The scheduler could not place a pod: {words}"
    reasons = [str((pod.get("status") or {}).get("reason") or "") for pod in traces.pods]
    reasons += [
        str(event.get("reason") or "")
        for event in traces.events
        if is_recent_event(event, traces.ended_s)
    ]
    for said in reasons:
        if NOT_TAKEN.fullmatch(said):
            yield f"Its machine would not take a pod: {said}."
        elif said in VOLUME_EVENTS:
            yield f"A pod waits for a volume: {said}."
        elif said in START_EVENTS:
            yield f"A pod waits: {said}."


def _waiting(pods: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for pod in pods:
        for container in containers_of(pod.get("status") or {}):
            waiting = (container.get("state") or {}).get("waiting") or {}
            said = str(waiting.get("reason") or "")
            if said not in BEGINNING:
                yield said, str(waiting.get("message") or said)


def _closed(pods: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield that an image cannot be started as the user that its pods have; the runtime's own words name paths."""
    for pod in pods:
        security = (pod.get("spec") or {}).get("securityContext") or {}
        user = security.get("runAsUser") or "of the cluster's choice"
        for container in containers_of(pod.get("status") or {}):
            waiting = (container.get("state") or {}).get("waiting") or {}
            ends = [*ends_of(container), *([waiting] if waiting else [])]
            words = " ".join(str(end.get("message") or "") for end in ends).lower()
            if any(end.get("exitCode") in NOT_EXECUTED for end in ends) or DENIED in words:
                yield (
                    f"What its image would start is not in it, or is not open to user {user}, as whom its pods run"
                    " (runs.imageUsers)."
                )
            elif UNNUMBERED in words:
                yield "The cluster gave its pods no user, and its image names none by number (runs.userFrom)."


def _is_up(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
