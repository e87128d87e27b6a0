"""Every event a person may read with ``kubectl describe``: one constructor a reason.

The constructors fix the words, the action, and what counts as the same event; ``recorder.py``
writes them. Nothing depends on an event having been written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hansa.model.reasons import Reason

MAX_NOTE = 1024
"""Longest note the API server takes (events.k8s.io/v1)."""
REPEAT_S = 300.0
"""A state that lasts is said again after this long, not at every look."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object an event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""

    @staticmethod
    def of(manifest: Mapping[str, Any]) -> Subject:
        """Return the subject of an object as the API server sent it."""
        metadata = manifest["metadata"]
        return Subject(
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            name=metadata["name"],
            namespace=metadata.get("namespace", ""),
            uid=metadata.get("uid", ""),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Equal ``key`` within ``window_s`` means it was said already."""

    subject: Subject
    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    same: tuple[str, ...] = ()
    """What tells this event from another of the same subject and reason."""
    window_s: float = REPEAT_S

    @property
    def key(self) -> tuple[str, ...]:
        """Identity for deduplication."""
        subject = self.subject
        return (subject.kind, subject.namespace, subject.name, subject.uid, self.reason, *self.same)


# --- AIJob: written by the hub ---------------------------------------------------------------


def job_granted(job: Subject, node: str, epoch: int) -> Event:
    """Say that a grant was written."""
    note = f"Granted to node {node} (epoch {epoch}); the node decides."
    return Event(job, "Normal", "Granted", "Grant", note, (node, str(epoch)))


def job_waiting(job: Subject, reason: Reason, message: str) -> Event:
    """Say why a job does not start."""
    return Event(job, "Normal", reason.value, "Plan", message, (message,))


def job_misconfigured(job: Subject, reason: Reason, message: str) -> Event:
    """Say what the owner has to change."""
    return Event(job, "Warning", reason.value, "Validate", message, (message,))


def job_refused(job: Subject, node: str, reason: str, message: str) -> Event:
    """Say that a member said no."""
    note = f"Node {node} refused: {message}"
    return Event(job, "Warning", Reason.NODE_REFUSED.value, "Grant", note, (node, reason))


def job_retried(job: Subject, node: str, reason: str, message: str) -> Event:
    """Say that a run came to an end, and that another one follows."""
    note = f"Its run at node {node} ended, and it is tried again: {message}"
    return Event(job, "Warning", reason, "Run", note, (node, reason))


def job_out_of_sight(job: Subject, node: str, message: str) -> Event:
    """Say that a job's node does not answer, and when the job may move."""
    return Event(job, "Warning", Reason.NODE_UNREACHABLE.value, "Run", message, (node, message))


def job_succeeded(job: Subject, node: str, epoch: int) -> Event:
    """Say that the run ended well."""
    note = f"Succeeded at node {node}."
    return Event(job, "Normal", "Succeeded", "Run", note, (node, str(epoch)))


def job_failed(job: Subject, node: str, reason: str, message: str) -> Event:
    """Say that the run ended badly."""
    note = f"Failed at node {node}: {message}"
    return Event(job, "Warning", reason, "Run", note, (node, message))


def job_stopping(job: Subject, node: str, reason: str, message: str) -> Event:
    """Say that the hub asked the member to end the run."""
    note = f"Stopping at node {node}: {message}"
    return Event(job, "Normal", reason, "Stop", note, (node,))


# --- SovereignNode, ComputePool: written by the hub --------------------------------------------


def object_unsound(subject: Subject, reason: Reason, message: str) -> Event:
    """Say what the planner cannot make sense of, and what mends it."""
    return Event(subject, "Warning", reason.value, "Plan", message, (message,))


# --- AIJob, SovereignNode: written by the ledger ------------------------------------------------


def job_audited(job: Subject, epoch: int, found: str, why: str) -> Event:
    """Say what an audit found of a run, or that its node was found to have cheated in another one."""
    kind: Literal["Normal", "Warning"] = "Normal" if found == "Passed" else "Warning"
    note = f"Run {epoch}: {why}"
    return Event(job, kind, f"Audit{found}", "Audit", note, (str(epoch),))


def node_audited(node: Subject, run: str, found: str, why: str) -> Event:
    """Say what an audit found of one of a node's runs."""
    kind: Literal["Normal", "Warning"] = "Normal" if found == "Passed" else "Warning"
    return Event(node, kind, f"Audit{found}", "Audit", f"Run {run}: {why}", (run,))


def node_level_fell(node: Subject, before: str, after: str, why: str) -> Event:
    """Say that a node counts for less than before; jobs that ask for more go elsewhere."""
    note = f"It was at {before} and is at {after}: {why}"
    return Event(node, "Warning", "AssuranceFell", "Assess", note, (before, after))


# --- MemberPolicy: written by the member, on its own cluster ----------------------------------


def policy_enforced(policy: Subject, generation: int) -> Event:
    """Say that a new law holds."""
    note = f"Policy generation {generation} is enforced."
    return Event(policy, "Normal", "Enforcing", "Enforce", note, (str(generation),))


def grant_refused(policy: Subject, job: str, reason: str, message: str) -> Event:
    """Say which job the member refused, and by which rule."""
    note = f"Refused job {job}: {message}"
    return Event(policy, "Warning", reason, "Judge", note, (job,))


def run_stopped(policy: Subject, job: str, reason: str, message: str) -> Event:
    """Say why the member ended a run itself."""
    note = f"Stopped job {job}: {message}"
    return Event(policy, "Warning", reason, "Stop", note, (job,))


def hub_unreachable(policy: Subject, message: str) -> Event:
    """Say that running work goes on without the hub."""
    note = f"The hub does not answer; running jobs go on under their contracts. {message}"
    return Event(policy, "Warning", "HubUnreachable", "Observe", note)


def hub_reachable(policy: Subject) -> Event:
    """Say that the hub is back."""
    return Event(policy, "Normal", "HubReachable", "Observe", "The hub answers.", window_s=60.0)


def kuberay_unfit(policy: Subject, message: str) -> Event:
    """Say that KubeRay is missing or too old."""
    return Event(policy, "Warning", "KubeRayUnfit", "Observe", message, (message,))


def clock_skewed(policy: Subject, message: str) -> Event:
    """Say that the member's clock and the hub's differ too much to judge expiry."""
    return Event(policy, "Warning", "ClockSkewed", "Observe", message)


def canary_admitted(policy: Subject, message: str) -> Event:
    """Say that a known-bad object passed admission: the second lock is open."""
    return Event(policy, "Warning", "CanaryAdmitted", "Probe", message)
