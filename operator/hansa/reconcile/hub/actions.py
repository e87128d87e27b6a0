"""What the hub does, as values. ``hub/executor.py`` turns them into requests; nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hansa.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class SetJobStatus:
    """Turn the status read at ``resource_version`` into another one.

    Recording a new epoch is this action too: the precondition makes it a compare-and-swap.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WriteGrant:
    """Create the grant of an epoch that is recorded. That it exists already is success."""

    job_uid: str
    job_namespace: str
    job_name: str
    node: str
    audience: str
    """SHA-256 of the node's raw public key."""
    epoch: int
    institution: str
    spec_digest: str
    job_spec: Mapping[str, Any]
    workers: int
    overlays: tuple[Mapping[str, Any], ...]
    project: str = ""
    """Of the job's namespace; empty: none."""
    cancel: Literal["None", "Stop"] = "None"


@dataclass(frozen=True, slots=True)
class CancelGrant:
    """Ask the member to stop and to release the epoch."""

    namespace: str
    name: str
    uid: str
    why: str
    is_given_up: bool = False
    """Whether its node had been silent by then for longer than its job allows."""


@dataclass(frozen=True, slots=True)
class AskForLog:
    """Pass on to the member that somebody follows the log of a job, or that nobody does any more."""

    namespace: str
    name: str
    uid: str
    request: str
    """The annotation; empty: it is taken off."""


@dataclass(frozen=True, slots=True)
class CancelOrphan:
    """Cancel a grant whose AIJob is gone; dropped when a fresh look finds the AIJob.

    Two watches are not in step: a grant may be seen before the job it is for.
    """

    namespace: str
    name: str
    uid: str
    job_path: str
    job_uid: str


@dataclass(frozen=True, slots=True)
class DeleteGrant:
    """Remove a grant whose outcome is recorded and whose epoch is over."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteOrphan:
    """Remove a grant that is over and whose AIJob is gone; dropped when a fresh look finds the AIJob.

    A job that has moved to a pool of another leader is as good as gone here, and its end is still to be
    recorded there.
    """

    namespace: str
    name: str
    uid: str
    job_path: str
    job_uid: str


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Remove a finished AIJob whose owner said for how long it is kept."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SetFinalizers:
    """Take our finalizer off an AIJob, under its resourceVersion: hubs of before put one on (ADR 33)."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    finalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Something will be due after a while that may wait until then, and may be spared."""

    after_s: float


@dataclass(frozen=True, slots=True)
class SetNodeStatus:
    """Apply the fields of a SovereignNode's status that are the hub's."""

    name: str
    uid: str
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetPoolStatus:
    """Apply a ComputePool's status."""

    name: str
    uid: str
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EnsureNodeAccess:
    """Make namespace, account, roles and bindings of an accepted node."""

    node: str
    key: str
    """The key that its tokens are sealed to: an account of another key is made anew."""


@dataclass(frozen=True, slots=True)
class RevokeNodeAccess:
    """Take a node's roles and bindings away."""

    node: str
    account: bool
    """Whether its account goes as well, and with it its tokens."""


@dataclass(frozen=True, slots=True)
class SealToken:
    """Make a token for a node that has none and seal it to its key."""

    node: str
    uid: str
    key: str
    seconds: int


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Say something once in an event; ``kind`` names the constructor in ``observability.events``."""

    kind: Literal[
        "granted",
        "waiting",
        "misconfigured",
        "refused",
        "retried",
        "silent",
        "succeeded",
        "failed",
        "stopping",
        "unsound",
    ]
    namespace: str
    name: str
    uid: str
    reason: str = Reason.PENDING.value
    message: str = ""
    node: str = ""
    epoch: int = 0
    about: Literal["AIJob", "SovereignNode", "ComputePool"] = "AIJob"


Action: TypeAlias = (
    SetJobStatus
    | WriteGrant
    | CancelGrant
    | AskForLog
    | CancelOrphan
    | DeleteOrphan
    | DeleteGrant
    | DeleteJob
    | SetFinalizers
    | RequeueAfter
    | SetNodeStatus
    | SetPoolStatus
    | EnsureNodeAccess
    | RevokeNodeAccess
    | SealToken
    | EmitEvent
)
