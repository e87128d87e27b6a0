"""An auditor's part in the draw: which key it commits to, and when it reveals one.

The key of an epoch follows from the node's own key, so each process of an agent finds the same. It reveals a key once
the epoch is over, for one root of the log: a hub that named another root later would have chosen it knowing the keys,
and gets nothing more. So an agent has to keep for which roots it revealed keys, also through a restart.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import rfc8785
from securesystemslib import dsse

from hansa.api.sovereignnode import AuditCall, KeyCommitment, KeyReveal
from hansa.ports import Signer
from hansa.verification.tickets import commit

KEY_TYPE = "application/vnd.hansa.audit-key.v1+json"
MOST_KEPT = 64
"""Epochs whose roots are remembered; what is older is answered no more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an auditor says to a call."""

    commitment: KeyCommitment | None = None
    reveal: KeyReveal | None = None
    roots: Mapping[int, str] = field(default_factory=dict)
    """Epoch → root that its key was revealed for."""
    refused: str = ""
    """Why a part of the call is not answered; empty: all of it is."""


def audit_key(signer: Signer, league: str, epoch: int) -> bytes:
    """Return the 32-byte key of an epoch; ``league``: id of the key that calls."""
    said = rfc8785.dumps({"league": league, "epoch": epoch})
    return hashlib.sha256(signer.sign(dsse.Envelope(said, KEY_TYPE, {}).pae())).digest()


def answer(call: AuditCall, signer: Signer, before: Answer) -> Answer:
    """Return what to say to a call whose signature holds. ``before``: what was said last."""
    coming, roots = call.epoch + 1, dict(before.roots)
    oldest = max(roots, default=0) - MOST_KEPT
    if any(epoch >= coming for epoch in roots):
        return Answer(
            None, before.reveal, roots, f"the key of epoch {coming} or later is out already"
        )
    commitment = KeyCommitment(epoch=coming, digest=_commitment(signer, call, coming))
    closed = call.closed
    if closed is None:
        return Answer(commitment, None, roots)
    refused = ""
    if not oldest <= closed.epoch < call.epoch:
        refused = f"epoch {closed.epoch} is not over while epoch {call.epoch} is open, or long past"
    elif roots.get(closed.epoch, closed.root) != closed.root:
        refused = f"epoch {closed.epoch} was closed with root {roots[closed.epoch]} before"
    if refused:
        return Answer(commitment, None, roots, refused)
    roots = {epoch: root for epoch, root in roots.items() if epoch >= oldest} | {
        closed.epoch: closed.root
    }
    key = base64.b64encode(audit_key(signer, call.signature.keyid, closed.epoch)).decode()
    return Answer(commitment, KeyReveal(epoch=closed.epoch, root=closed.root, key=key), roots)


def _commitment(signer: Signer, call: AuditCall, epoch: int) -> str:
    key = audit_key(signer, call.signature.keyid, epoch)
    return "sha256:" + commit(epoch, signer.key_id, key).hex()
