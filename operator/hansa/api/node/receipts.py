"""How receipts travel in a node's status, and what the ledger says of them there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from hansa.api.meta import BASE64, Digest, Model, Timestamp

LARGEST = 2**53 - 1
"""No larger integer has one spelling in JSON (RFC 8785, from I-JSON)."""
MOST_PROOF = 65_536
"""Characters of a proof: seventeen members that cosign with ML-DSA, about 3,600 each."""
MOST_DISPUTED, MOST_WORDS = 16, 300
"""Disputes that are shown, and characters of what each says."""
Sequence = Annotated[int, Field(ge=0, le=LARGEST)]


class ReceiptSignature(Model):
    """One signature of a DSSE envelope."""

    keyid: Digest = Field(description="SHA-256 of the signer's raw public key.")
    sig: Annotated[str, StringConstraints(pattern=BASE64, max_length=88)] = Field(
        description="Ed25519, base64."
    )


class ReceiptEnvelope(Model):
    """A receipt in its DSSE envelope: the member's signature, and the hub's where it agrees."""

    payload_type: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="application/vnd.in-toto+json: an in-toto statement."
    )
    payload: Annotated[str, StringConstraints(pattern=BASE64, max_length=10_240)] = Field(
        description="The statement in canonical JSON (RFC 8785), base64."
    )
    signatures: tuple[ReceiptSignature, ...] = Field(
        min_length=1, max_length=2, description="Who says so; the node first."
    )


class ReceiptWatermark(Model):
    """The ledger's signed word that it has taken a node's receipts up to one of them."""

    node_key: Digest = Field(description="Key of the node whose receipts they are.")
    sequence: Sequence = Field(
        description="Sequence of the last receipt taken; 0 where a ledger has lost all it had."
    )
    digest: Digest = Field(description="Digest of its statement, which covers all before it.")
    at: Timestamp = Field(description="When it was taken.")
    signature: ReceiptSignature = Field(description="Over everything else in here.")


class ProvedReceipt(Model):
    """That a receipt is in the transparency log: its digest covers all before it in its node's chain."""

    sequence: Sequence = Field(description="Its place in its node's chain.")
    digest: Digest = Field(description="Of its statement.")
    proof: Annotated[str, StringConstraints(max_length=MOST_PROOF)] = Field(
        description="tlog-proof."
    )


class DisputedReceipt(Model):
    """What speaks against a receipt that was taken: it is paid by nobody until that is cleared up."""

    digest: Digest = Field(description="Of its statement.")
    fault: Annotated[str, StringConstraints(max_length=64)] = Field(description="Of what kind.")
    field: Annotated[str, StringConstraints(max_length=64)] = Field(description="In what.")
    message: Annotated[str, StringConstraints(max_length=MOST_WORDS)] = Field(
        description="Who says what."
    )


class Receipts(Model):
    """How receipts travel: the member shows them, the ledger says how far it has come."""

    outbox: tuple[ReceiptEnvelope, ...] = Field(
        default=(), max_length=32, description="Receipts right behind the watermark, oldest first."
    )
    waiting: int = Field(
        default=0, ge=0, le=LARGEST, description="Receipts at the member that are not taken yet."
    )
    taken: ReceiptWatermark | None = Field(
        default=None, description="How far the ledger has taken them; the hub's side writes it."
    )
    proved: ProvedReceipt | None = Field(default=None, description="The newest that is logged.")
    disputed: tuple[DisputedReceipt, ...] = Field(
        default=(),
        max_length=MOST_DISPUTED,
        description="The newest of which something is disputed.",
    )


def receipts_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``status.receipts`` of a node as it came; empty where there is none or it is none."""
    status = node.get("status")
    found = status.get("receipts") if isinstance(status, Mapping) else None
    return found if isinstance(found, Mapping) else {}
