"""Which machines a run died on, by its pods and what happened to them: the job's next run keeps off them.

A pod that is no more names no machine; then its kubelet's events do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.ray.diagnosis import (
    DISPLACED,
    MACHINE_EVENTS,
    MACHINE_GONE,
    ROLE,
    about_of,
    began_anew,
    disruption,
    is_away,
    is_recent_event,
    was_cut_short,
)
from hansa.reconcile.member.ray.obstacles import NOT_TAKEN
from hansa.reconcile.member.workload import Traces

OF_MACHINES = frozenset(
    {
        EndReason.MACHINE_LOST,
        EndReason.EVICTED,
        EndReason.HEAD_LOST,
        EndReason.NEVER_STARTED,
    }
)
"""Ends that another machine may spare the job."""


def bad_machines(end: EndReason, traces: Traces) -> frozenset[str]:
    """Return the machines of the pods that ``end`` came by; none where no machine is to blame."""
    if end not in OF_MACHINES:
        return frozenset()
    struck = {*_disturbed(traces), *(_lost_heads(traces) if end is EndReason.HEAD_LOST else ())}
    return frozenset(machine for pod, machine in _machines(traces) if pod in struck and machine)


def _disturbed(traces: Traces) -> Iterator[str]:
    for pod in traces.pods:
        status = pod.get("status") or {}
        said = {str(status.get("reason") or ""), disruption(status)}
        is_struck = said & (MACHINE_GONE | DISPLACED.keys()) or is_away(pod, traces)
        is_struck = is_struck or was_cut_short(pod, traces.ended_s)
        if is_struck or any(map(NOT_TAKEN.fullmatch, said)):
            yield _name(pod)
    for event in traces.events:
        reason, message = str(event.get("reason") or ""), str(event.get("message") or "")
        struck = reason in MACHINE_EVENTS | {"Evicted", "Preempted"} or NOT_TAKEN.fullmatch(reason)
        came_back = message.startswith("Cancelling")
        if struck and not came_back and is_recent_event(event, traces.ended_s):
            yield _about(event)


def _lost_heads(traces: Traces) -> Iterator[str]:
    """Yield heads whose container began anew, and those that are no more; KubeRay's names say what they were."""
    here = {_name(pod) for pod in traces.pods}
    for pod in traces.pods:
        if (pod["metadata"].get("labels") or {}).get(ROLE) == "head" and began_anew(pod):
            yield _name(pod)
    for name in map(_about, traces.events):
        if name not in here and "head" in name.split("-")[:-3:-1]:
            yield name


def _machines(traces: Traces) -> Iterator[tuple[str, str]]:
    for pod in traces.pods:
        yield _name(pod), str((pod.get("spec") or {}).get("nodeName") or "")
    for event in traces.events:
        source = event.get("source") or {}
        by = event.get("reportingComponent") or source.get("component")
        if by == "kubelet":
            yield _about(event), str(source.get("host") or event.get("reportingInstance") or "")


def _name(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def _about(event: Mapping[str, Any]) -> str:
    about = about_of(event)
    return str(about.get("name") or "") if about.get("kind") == "Pod" else ""
