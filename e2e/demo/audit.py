"""Reads the members' audit logs: where was which job's pod really created?

The audit log is the API server's own record, so neither the hub's status nor the agent's report is
believed here. Every pod creation of every member is examined; those of jobs must be at a node in
the job's allowed set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hansa.grants.envelope import workload_name

_JOB_NAMESPACE = re.compile(r"^aij-([0-9a-f]{16})-e(\d+)$")
_CREATED = 201


@dataclass(frozen=True, slots=True)
class PodCreation:
    """One pod that a member's API server created for a job."""

    node: str
    namespace: str
    pod: str
    at: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What the merged audit logs say."""

    examined: int
    """All pod creations of all members, system pods included."""
    of_jobs: int
    outside: tuple[PodCreation, ...]
    """Pods of a job at a node outside the job's allowed set, or of no known job."""


def read_pod_creations(node: str, log: Path) -> Iterator[PodCreation]:
    """Yield every successful pod creation in one member's audit log."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            reference = event.get("objectRef") or {}
            if (
                event.get("verb") == "create"
                and reference.get("resource") == "pods"
                and not reference.get("subresource")
                and (event.get("responseStatus") or {}).get("code") == _CREATED
                and "dryRun=All" not in event.get("requestURI", "")
            ):
                meta = (event.get("responseObject") or {}).get("metadata") or {}
                yield PodCreation(
                    node,
                    reference.get("namespace", ""),
                    meta.get("name") or reference.get("name", ""),
                    event.get("stageTimestamp", ""),
                )


def examine(creations: Iterable[PodCreation], allowed: Mapping[str, frozenset[str]]) -> Finding:
    """Judge pod creations. ``allowed``: job uid → names of nodes where it may run."""
    by_prefix = {_prefix(uid): nodes for uid, nodes in allowed.items()}
    examined, of_jobs, outside = 0, 0, []
    for creation in creations:
        examined += 1
        match = _JOB_NAMESPACE.match(creation.namespace)
        if match is None:
            continue
        of_jobs += 1
        if creation.node not in by_prefix.get(match.group(1), frozenset()):
            outside.append(creation)
    return Finding(examined, of_jobs, tuple(outside))


def _prefix(uid: str) -> str:
    match = _JOB_NAMESPACE.match(workload_name(uid, 1))
    if match is None:
        raise ValueError(f"{uid} does not make a job namespace")
    return match.group(1)
