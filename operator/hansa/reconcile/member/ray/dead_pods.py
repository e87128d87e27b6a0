"""Which pods of a run died or never began, by what is left of them: their states, and warnings about them.

KubeRay replaces pods that died, so of some only events are left. How they ended is read here; whether a word of it
leaves is the law's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hansa.api.job.post_mortem import MOST_EVENTS, MOST_PODS
from hansa.model.times import from_rfc3339
from hansa.reconcile.member.ray.diagnosis import (
    BEGINNING,
    ROLE,
    about_of,
    containers_of,
    disruption,
    event_s,
)
from hansa.reconcile.member.workload import Autopsy, DeadPod, PodEvent, Role, Traces

_ROLES: Mapping[str, Role] = {"head": "Head", "worker": "Worker"}
GONE, NEVER_BEGAN = "Gone", "Pending"


def autopsy(traces: Traces) -> Autopsy:
    """Return the first pods that died, in that order, with the latest warnings about each."""
    return Autopsy(_dead_pods(traces), _machines(traces))


def _dead_pods(traces: Traces) -> tuple[DeadPod, ...]:
    said: defaultdict[str, list[tuple[float, PodEvent]]] = defaultdict(list)
    for name, at_s, event in _warnings(traces.events):
        said[name].append((at_s, event))
    here = {str(pod["metadata"]["name"]) for pod in traces.pods}
    found = [one for one in map(_dead, traces.pods) if one is not None]
    found += [
        _gone(name, max(s for s, _ in rows)) for name, rows in said.items() if name not in here
    ]
    found += [_stuck(pod) for pod in traces.pods if _is_stuck(pod, said)]
    found.sort(key=lambda one: (one.at_s is None, one.at_s or 0.0, one.pod))
    return tuple(
        replace(one, events=tuple(event for _, event in sorted(said[one.pod])[-MOST_EVENTS:]))
        for one in found[:MOST_PODS]
    )


def _machines(traces: Traces) -> frozenset[str]:
    names = {str((pod.get("spec") or {}).get("nodeName") or "") for pod in traces.pods}
    for event in traces.events:
        names.add(str((event.get("source") or {}).get("host") or ""))
        names.add(str(event.get("reportingInstance") or ""))
    return frozenset(names - {""})


def _warnings(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, float, PodEvent]]:
    for event in events:
        about = about_of(event)
        if event.get("type") != "Warning" or about.get("kind") != "Pod":
            continue
        count = (event.get("series") or {}).get("count") or event.get("count") or 1
        told = str(event.get("reason") or ""), str(event.get("message") or event.get("note") or "")
        yield (
            str(about.get("name") or ""),
            event_s(event) or 0.0,
            PodEvent(*told, count if isinstance(count, int) else 1),
        )


def _dead(pod: Mapping[str, Any]) -> DeadPod | None:
    status = pod.get("status") or {}
    containers = containers_of(status)
    role: Role = _ROLES.get(str((pod["metadata"].get("labels") or {}).get(ROLE)), "Submitter")
    blank = DeadPod(
        pod=str(pod["metadata"]["name"]),
        role=role,
        reason="",
        restarts=sum(int(one.get("restartCount") or 0) for one in containers),
    )
    ended = next((one for one in map(_end, containers) if one is not None), None)
    if ended is not None:
        container, end, previous = ended
        blank = replace(
            blank,
            reason=str(end.get("reason") or "Error"),
            exit_code=end.get("exitCode"),
            at_s=from_rfc3339(end.get("finishedAt")),
            container=container,
            previous=previous,
        )
    whole = str(status.get("reason") or "") or disruption(status)
    if whole:
        return replace(blank, reason=whole)
    if ended is not None:
        # A command that failed is the job's own end, and its log is told of as such.
        return None if role == "Submitter" and blank.reason == "Error" else blank
    waits = next((reason for reason in map(_waiting, containers) if reason not in BEGINNING), "")
    return replace(blank, reason=waits) if waits else None


def _is_stuck(pod: Mapping[str, Any], said: Mapping[str, Sequence[object]]) -> bool:
    """Tell whether a pod never began and only warnings say why: a volume that cannot be attached, no address."""
    pending = (pod.get("status") or {}).get("phase") == "Pending"
    return pending and bool(said.get(str(pod["metadata"]["name"]))) and _dead(pod) is None


def _stuck(pod: Mapping[str, Any]) -> DeadPod:
    role: Role = _ROLES.get(str((pod["metadata"].get("labels") or {}).get(ROLE)), "Submitter")
    return DeadPod(pod=str(pod["metadata"]["name"]), role=role, reason=NEVER_BEGAN)


def _end(container: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], bool] | None:
    """Return a container that failed, how, and whether another has taken its place since."""
    for state in ("state", "lastState"):
        end = (container.get(state) or {}).get("terminated") or {}
        if end and (end.get("exitCode") or end.get("reason") not in {None, "Completed"}):
            return str(container.get("name") or ""), end, state == "lastState"
    return None


def _waiting(container: Mapping[str, Any]) -> str:
    return str(((container.get("state") or {}).get("waiting") or {}).get("reason") or "")


def _gone(name: str, at_s: float) -> DeadPod:
    """Return a pod of which only warnings are left; KubeRay's names say at their end what it was.

    Before that stands the name of its group, which is the job's own word.
    """
    role: Role = next((_ROLES[p] for p in name.split("-")[:-3:-1] if p in _ROLES), "Submitter")
    return DeadPod(pod=name, role=role, reason=GONE, at_s=at_s or None)
