"""When an epoch is surely over, so that its job may run elsewhere. The one rule against two runs.

An epoch ends by the member's signed release, by its refusal, or by time. A refusal because a later
epoch was seen (``StaleEpoch``) is no end: the hub's memory is older than the member's, as after a
restored backup, and a run that the hub has forgotten may be alive there. By time: once the job's unattended
limit has run out since the node last renewed its Lease, and the grant can no longer be accepted, the
member has stopped the run itself. Every wait is lengthened by the clock skew allowed, and none is
shorter than it takes a run to end by itself where its member's agent and guard are dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hansa.grants.envelope import release_message, sign, signature_holds
from hansa.model.times import rfc3339
from hansa.ports import Manifest, Signer

LEAST_UNATTENDED_S = 300
"""A run learns only every few minutes that it may live: the kubelet brings a ConfigMap into its pods
within 90 s, and it is renewed at intervals. A shorter contract is kept by the agent and the guard; the
hub waits for so long, because both may be dead."""


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """All that is known of one epoch at one node. Times in seconds since the Unix epoch."""

    refused: bool
    """For a reason of this grant's own; not because a later epoch was seen."""
    released: bool
    """A release whose signature was verified."""
    granted_s: float
    not_after_s: float
    last_contact_s: float
    """The node's last Lease renewal; ``granted_s`` counts when that is later."""
    max_unattended_s: int


@dataclass(frozen=True, slots=True)
class Fence:
    """Whether the epoch is over, since or until when, and why."""

    over: bool
    at_s: float
    why: str


def fence(epoch: EpochFacts, now_s: float, *, skew_s: float) -> Fence:
    """Tell whether an epoch is over at ``now_s``."""
    if epoch.released:
        return Fence(over=True, at_s=now_s, why="the node signed its release")
    if epoch.refused:
        return Fence(over=True, at_s=now_s, why="the node refused the grant")
    contact = max(epoch.last_contact_s, epoch.granted_s)
    unattended_s = max(epoch.max_unattended_s, LEAST_UNATTENDED_S)
    at_s = max(contact + unattended_s, epoch.not_after_s) + skew_s
    if now_s > at_s:
        return Fence(over=True, at_s=at_s, why="the unattended limit has run out on both clocks")
    return Fence(over=False, at_s=at_s, why="the node has not released the job")


def sign_release(signer: Signer, *, node: str, job_uid: str, epoch: int, now_s: float) -> Manifest:
    """Return a node's word that nothing of this epoch runs any more, for ``status.release``."""
    released_at = rfc3339(now_s)
    message = release_message(node=node, job_uid=job_uid, epoch=epoch, released_at=released_at)
    key_id, signature = sign(signer, message)
    return {
        "epoch": epoch,
        "releasedAt": released_at,
        "keyId": key_id,
        "publicKey": signer.public_key,
        "signature": signature,
    }


def release_holds(
    release: Mapping[str, Any] | None, *, node: str, job_uid: str, epoch: int, public_key: str
) -> bool:
    """Tell whether a grant's ``status.release`` is that node's word on that very epoch."""
    if not release or not public_key or release.get("epoch") != epoch:
        return False
    message = release_message(
        node=node,
        job_uid=job_uid,
        epoch=epoch,
        released_at=str(release.get("releasedAt", "")),
    )
    return signature_holds(public_key, message, str(release.get("signature", "")))
