"""Reads the members' audit logs: where was which job's pod really created, and where bound?

The audit log is the API server's own record, so neither the hub's status nor the agent's report is
believed here, and no rule of theirs is used: names are taken apart by hand, places are plain sets.
Every pod creation of every member is examined. One that looks like work, wherever it stands, must
belong to a known job, be in a namespace of that job, at a node and on a machine of the job's
allowed sets. All others must be in a namespace that the testbed itself makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.testbed.cluster.audit import read_events

SYSTEM_NAMESPACES = frozenset({"kube-system", "kuberay-system", "hansa-system"})
"""Where a member's own pods are: CoreDNS, KubeRay, agent, exporter and join."""
_JOB_NAMESPACE = re.compile(r"aij-([0-9a-f]{32})-e[1-9][0-9]*")
_JOB_LABEL = "hansa.dev/job-uid"
_RAY_LABELS = "ray.io/"
_RAY_IMAGE = re.compile(r"(^|/)ray([-_.:@/]|$)")
_CREATED = 201


@dataclass(frozen=True, slots=True)
class PodCreation:
    """One pod that a member's API server created."""

    node: str
    namespace: str
    pod: str
    at: str = ""
    job: str = ""
    """What the job label says; empty where there is none."""
    images: tuple[str, ...] = ()
    ray: bool = False
    """Whether KubeRay labelled it."""

    @property
    def is_work(self) -> bool:
        """Whether anything about it says that it is part of a job."""
        named = self.namespace.startswith("aij-")
        return bool(self.job) or self.ray or named or any(map(_RAY_IMAGE.search, self.images))


@dataclass(frozen=True, slots=True)
class Binding:
    """One pod that was bound to a machine."""

    node: str
    namespace: str
    pod: str
    machine: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where one job may be, by law and data."""

    nodes: frozenset[str]
    machines: frozenset[tuple[str, str]]
    """(node, machine)."""


@dataclass(frozen=True, slots=True)
class Stray:
    """One pod that is where it must not be."""

    placed: PodCreation | Binding
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the merged audit logs say."""

    examined: int
    """All pod creations of all members, system pods included."""
    of_jobs: int
    bound: int
    """Bindings of those pods to machines."""
    outside: tuple[Stray, ...]
    """Pods outside their job's allowed sets, of no known job, or in no known namespace."""


def read_audit_log(node: str, log: Path) -> Iterator[PodCreation | Binding]:
    """Yield every successful pod creation and binding in one member's audit log."""
    for event in read_events(log):
        if _placed_a_pod(event):
            yield from _read(node, event)


def examine(log: Iterable[PodCreation | Binding], allowed: Mapping[str, Allowed]) -> Finding:
    """Judge all creations and bindings; ``allowed``: job uid → where it may be."""
    placed = list(log)
    creations = [one for one in placed if isinstance(one, PodCreation)]
    work = {(one.node, one.namespace, one.pod): one for one in creations if one.is_work}
    bindings = [
        (one, work[key])
        for one in placed
        if isinstance(one, Binding) and (key := (one.node, one.namespace, one.pod)) in work
    ]
    outside = [Stray(one, why) for one in creations if (why := _fault(one, allowed))]
    outside += [
        Stray(one, f"machine {one.machine} is outside the job's places")
        for one, pod in bindings
        if not _fault(pod, allowed) and (one.node, one.machine) not in allowed[pod.job].machines
    ]
    of_jobs = sum(one.is_work for one in creations)
    return Finding(len(creations), of_jobs, len(bindings), tuple(outside))


def _placed_a_pod(event: Mapping[str, Any]) -> bool:
    reference = event.get("objectRef") or {}
    return (
        event.get("verb") in ("create", "patch")  # a server-side apply creates by a patch
        and reference.get("resource") == "pods"
        and reference.get("subresource", "") in ("", "binding")
        and (event.get("responseStatus") or {}).get("code") == _CREATED
        and "dryRun=All" not in event.get("requestURI", "")
    )


def _read(node: str, event: Mapping[str, Any]) -> Iterator[PodCreation | Binding]:
    reference = event["objectRef"]
    namespace, name = reference.get("namespace", ""), reference.get("name", "")
    if reference.get("subresource"):
        asked = event.get("requestObject") or {}
        yield Binding(node, namespace, name, (asked.get("target") or {}).get("name", ""))
        return
    pod = event.get("responseObject") or {}
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    labels = meta.get("labels") or {}
    name = meta.get("name") or name
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    yield PodCreation(
        node,
        namespace,
        name,
        at=event.get("stageTimestamp", ""),
        job=labels.get(_JOB_LABEL, ""),
        images=tuple(container.get("image", "") for container in containers),
        ray=any(label.startswith(_RAY_LABELS) for label in labels),
    )
    if spec.get("nodeName"):  # it named its machine itself, so nobody will bind it
        yield Binding(node, namespace, name, spec["nodeName"])


def _fault(pod: PodCreation, allowed: Mapping[str, Allowed]) -> str:
    """Return why a pod must not be where it was created, or nothing."""
    if not pod.is_work:
        known = pod.namespace in SYSTEM_NAMESPACES
        return "" if known else f"namespace {pod.namespace} is neither a job's nor the system's"
    if pod.job not in allowed:
        return "it is work of no known job"
    match = _JOB_NAMESPACE.fullmatch(pod.namespace)
    if match is None or match.group(1) != pod.job.replace("-", ""):
        return f"namespace {pod.namespace} is not the job's"
    return "" if pod.node in allowed[pod.job].nodes else f"{pod.node} is outside the job's places"
