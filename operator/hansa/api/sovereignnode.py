"""``SovereignNode``: one institution's whole cluster, as the league's admin accepted it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hansa.api.memberpolicy import PublicKey
from hansa.api.meta import (
    BASE64,
    DAY,
    P256_POINT,
    Assurance,
    Condition,
    Currency,
    Decimal,
    Digest,
    GpuInventory,
    GpuPrice,
    Jurisdiction,
    MachineShape,
    Model,
    Name,
    Timestamp,
    checked,
    rule,
)
from hansa.api.residency import Residency

LARGEST = 2**53 - 1
"""No larger integer has one spelling in JSON (RFC 8785, from I-JSON)."""
Sequence = Annotated[int, Field(ge=0, le=LARGEST)]
IdentityKey = Annotated[str, StringConstraints(pattern=P256_POINT, max_length=44)]


class DatasetNotice(Model):
    """A data set the member holds and announces; where its copies may be processed is its law."""

    name: Name = Field(description="Data set name.")
    jurisdiction: Jurisdiction = Field(description="Whose law the data set is under.")
    residency: Residency = Field(description="Where its holder lets it be processed.")


class SealedIdentity(Model):
    """A node's first token, which only the holder of its private key can read."""

    key: IdentityKey = Field(description="The spec.identityKey it was sealed to.")
    sealed: Annotated[str, StringConstraints(pattern=BASE64, max_length=16_384)] = Field(
        description="HPKE (RFC 9180: DHKEM P-256, HKDF-SHA256, AES-128-GCM), base64."
    )
    not_after: Timestamp = Field(description="When the token in it ends.")


class CarbonDeclaration(Model):
    """What a member declares of its power."""

    grams_per_kwh: int = Field(ge=0, le=5000, description="Grams of CO2e for one kWh.")
    as_of: Annotated[str, StringConstraints(pattern=DAY, max_length=10)] = Field(
        description="Day of the figure, YYYY-MM-DD."
    )
    source: Annotated[str, StringConstraints(max_length=256)] = Field(
        default="", description="Who says so."
    )


class SovereignNodeSpec(Model):
    """The league's side of the double opt-in."""

    institution: Name = Field(
        description="Institution that operates the node.",
        json_schema_extra=checked(
            rule(
                "self == oldSelf",
                "institution cannot be changed; delete the node and accept the new one",
            )
        ),
    )
    jurisdiction: Jurisdiction = Field(description="Where the league's admin verified it stands.")
    legal_control: tuple[Jurisdiction, ...] = Field(
        min_length=1,
        max_length=16,
        description="Every jurisdiction whose law reaches the operator or its owners.",
    )
    accepted: Literal["Pending", "Accepted", "Rejected"] = Field(
        default="Pending", description="The league's decision; only Accepted nodes take work."
    )
    identity_key: IdentityKey | None = Field(
        default=None,
        description="The node's P-256 public key, a compressed point in base64, as `hansa join`"
        " printed it: its first token is sealed to it. Another key ends all tokens of the node.",
    )
    release_key: PublicKey | None = Field(
        default=None,
        description="The node's raw Ed25519 public key, base64, as `hansa join` printed it: grants"
        " are addressed to it, and only it releases them.",
    )
    datasets: tuple[Name, ...] = Field(
        default=(),
        max_length=256,
        description="Data sets that the league's admin pins to this node: of no node that does not"
        " name one of them here is it believed that it holds it.",
    )
    prices: tuple[GpuPrice, ...] = Field(default=(), max_length=64, description="Prices per class.")
    carbon: CarbonDeclaration | None = Field(
        default=None,
        description="What the member declares of its power; without it no CO2 is told of its work.",
    )
    price_mode: Literal["Price", "CostRecovery"] = Field(
        default="Price",
        description="CostRecovery: each price is the sum of its parts and takes no margin; the node"
        " takes no work while one is not.",
    )
    cpu_hour_price: Decimal = Field(
        default="0", description="Price of one CPU for one hour, for work without GPUs."
    )
    currency: Currency = Field(default="EUR", description="ISO 4217 currency of the prices.")
    operator: Name | None = Field(
        default=None, description="Operating company when it is not the institution."
    )
    assurance: Assurance = Field(
        default="L4",
        description="The most that the node counts for, whatever it has shown (status.assurance).",
    )
    scheduling: Literal["Open", "Cordoned", "Draining"] = Field(
        default="Open", description="Cordoned takes no new work; Draining also moves work away."
    )


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
    proof: Annotated[str, StringConstraints(max_length=16_384)] = Field(description="tlog-proof.")


class DisputedReceipt(Model):
    """What speaks against a receipt that was taken: it is paid by nobody until that is cleared up."""

    digest: Digest = Field(description="Of its statement.")
    fault: Annotated[str, StringConstraints(max_length=64)] = Field(description="Of what kind.")
    field: Annotated[str, StringConstraints(max_length=64)] = Field(description="In what.")
    message: Annotated[str, StringConstraints(max_length=300)] = Field(description="Who says what.")


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
        default=(), max_length=16, description="The newest of which something is disputed."
    )


class AssuranceWord(Model):
    """The ledger's signed word on what a node has shown."""

    node_key: Digest = Field(description="Key of the node it is about.")
    level: Assurance = Field(description="The level that its evidence bears.")
    since: Timestamp = Field(description="Since when it is at that level.")
    until: Timestamp = Field(description="Until when this counts; it is renewed before.")
    why: Annotated[str, StringConstraints(max_length=300)] = Field(
        description="What it lacks for the next level."
    )
    signature: ReceiptSignature = Field(description="The hub's, over everything else in here.")


class ClosedEpoch(Model):
    """An audit epoch that is over: which runs were in it can no longer be changed."""

    epoch: int = Field(ge=0, le=LARGEST, description="Its number.")
    size: int = Field(ge=0, le=LARGEST, description="Leaves of the log when it was closed.")
    root: Digest = Field(description="Root of the log's tree of that size.")


class AuditCall(Model):
    """The ledger's signed call to auditors: commit to the next epoch's key, reveal the closed one's."""

    node_key: Digest = Field(description="Key of the node that is called.")
    epoch: int = Field(ge=0, le=LARGEST, description="The epoch that is open.")
    closed: ClosedEpoch | None = Field(default=None, description="The one before it.")
    signature: ReceiptSignature = Field(description="The hub's, over everything else in here.")


class KeyCommitment(Model):
    """An auditor's word on the key it will reveal."""

    epoch: int = Field(ge=0, le=LARGEST, description="For which epoch.")
    digest: Digest = Field(description="SHA-256 over epoch, node key and key.")


class KeyReveal(Model):
    """An auditor's key of a closed epoch."""

    epoch: int = Field(ge=0, le=LARGEST, description="Of which epoch.")
    root: Digest = Field(description="The root for which it was revealed, and for no other.")
    key: Annotated[str, StringConstraints(pattern=BASE64, max_length=88)] = Field(
        description="The key, 32 bytes in base64."
    )


class AuditKeys(Model):
    """How runs to be audited are drawn: the ledger calls, the member's agent answers."""

    call: AuditCall | None = Field(default=None, description="The ledger's.")
    commitment: KeyCommitment | None = Field(default=None, description="The member's.")
    reveal: KeyReveal | None = Field(default=None, description="The member's.")


NoteText = Annotated[str, StringConstraints(max_length=16_384)]
"""A C2SP signed note, or what asks for one: some hashes and signatures, the longest of 3.3 KB."""


class Cosigning(Model):
    """A node's part as a witness of the transparency log: the ledger asks, the member's agent cosigns."""

    request: NoteText | None = Field(
        default=None,
        description="What the ledger asks it to cosign: the body of C2SP tlog-witness add-checkpoint.",
    )
    cosigned: NoteText | None = Field(
        default=None,
        description="The checkpoint that it cosigned last, with its signatures, as a C2SP signed note;"
        " that of the empty tree before the first.",
    )
    refused: Annotated[str, StringConstraints(max_length=300)] | None = Field(
        default=None, description="Why it does not cosign what it is asked, the fault first."
    )


class HardwareEvidence(Model):
    """What a device says of itself, as the member has recorded it."""

    report: Annotated[str, StringConstraints(pattern=BASE64, max_length=16_384)] = Field(
        description="Its SPDM 1.1 report (GET_MEASUREMENTS), request and response as one, base64; it answers the"
        " nonce in ConfigMap hansa-hardware at the member."
    )
    chain: Annotated[str, StringConstraints(max_length=16_384)] = Field(
        description="Certificates of its key as PEM, the device's first."
    )


class SovereignNodeStatus(Model):
    """What the member declares (untrusted input) and what the hub concludes."""

    observed_generation: int = Field(default=0, ge=0, description="Spec generation acted upon.")
    declared_jurisdiction: Jurisdiction | None = Field(
        default=None, description="What the member's own policy says."
    )
    declared_legal_control: tuple[Jurisdiction, ...] = Field(
        default=(), max_length=16, description="What the member's own policy says."
    )
    policy_generation: int = Field(default=0, ge=0, description="Generation of the MemberPolicy.")
    switch: Literal["Open", "Paused", "Stopped"] | None = Field(
        default=None, description="The member's own switch."
    )
    inventory: tuple[GpuInventory, ...] = Field(
        default=(), max_length=64, description="GPUs by class."
    )
    shapes: tuple[MachineShape, ...] = Field(
        default=(), max_length=128, description="Machines by shape."
    )
    datasets: tuple[DatasetNotice, ...] = Field(
        default=(), max_length=256, description="Data sets announced."
    )
    agent_version: str | None = Field(default=None, max_length=40, description="Agent version.")
    grant_format: int = Field(
        default=1, ge=1, le=1_000_000, description="Latest format of grants that the agent reads."
    )
    kuberay_version: str | None = Field(default=None, max_length=40, description="KubeRay version.")
    release_key: PublicKey | None = Field(
        default=None,
        description="Raw Ed25519 public key, base64, that this node signs its releases with; works"
        " only where it is the one pinned in spec.releaseKey.",
    )
    identity: SealedIdentity | None = Field(
        default=None,
        description="A token for a node that does not renew its Lease: `hansa join` fetches it.",
    )
    identity_not_after: Timestamp | None = Field(
        default=None, description="When the token that the node holds ends unless renewed."
    )
    last_heartbeat_time: Timestamp | None = Field(
        default=None, description="Lease renewal the hub last acted upon."
    )
    receipts: Receipts | None = Field(
        default=None, description="Receipts of what runs used here, on their way to the ledger."
    )
    assurance: AssuranceWord | None = Field(
        default=None, description="What the node has shown, in the ledger's signed words."
    )
    audits: AuditKeys | None = Field(
        default=None, description="The node's part in drawing which runs are audited."
    )
    hardware: HardwareEvidence | None = Field(
        default=None,
        description="A device's report that the member has recorded; the ledger reads it, and says what it counts for.",
    )
    witness: Cosigning | None = Field(
        default=None, description="The node's part as a witness of the transparency log."
    )
    member_conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Conditions the member reports (KubeRayReady, ClockInSync …).",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Conditions the hub concludes (Ready, JurisdictionAgreed, Sound).",
    )


class SovereignNode(Model):
    """A member's whole cluster."""

    spec: SovereignNodeSpec = Field(description="What the league accepted.")
    status: SovereignNodeStatus = Field(
        default=SovereignNodeStatus(), description="What is observed."
    )
