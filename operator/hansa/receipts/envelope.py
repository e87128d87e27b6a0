"""The DSSE envelope around a receipt: sealing, opening, and the digest that chains and logs name.

The digest covers the statement and no signature: the hub's countersignature leaves it as it is, and
two statements for one place in a chain are two digests under one key, which anybody can show.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from securesystemslib import dsse

from hansa.api.sovereignnode import ReceiptEnvelope as Envelope
from hansa.api.sovereignnode import ReceiptSignature
from hansa.api.texts import first_fault
from hansa.ports import Signer
from hansa.receipts.problems import Objection, Problem
from hansa.receipts.work_receipt import Statement, WorkReceipt, subject_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SIGNATURE_BYTES = 64
MOST_READ = 2048
"""Payloads that are remembered as they were read: those of some passes of a ledger; up to 10 KB each."""

Keys = Mapping[str, str]
"""Key id → raw Ed25519 public key, base64."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A receipt whose every signature holds."""

    receipt: WorkReceipt
    digest: str
    signers: frozenset[str]
    """Key ids."""
    envelope: Envelope
    """As it was shown."""


def seal(receipt: WorkReceipt, signer: Signer) -> Envelope:
    """Return the receipt as its node signs it."""
    statement = Statement(subject=(subject_of(receipt),), predicate=receipt)
    unsigned = dsse.Envelope(_canonical(statement), PAYLOAD_TYPE, {})
    return Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=_b64(unsigned.payload),
        signatures=(_signature(signer, unsigned.pae()),),
    )


def cosign(envelope: Envelope, signer: Signer) -> Envelope:
    """Return the envelope with one more signature over the same statement."""
    signatures = (envelope.signatures[0], _signature(signer, _said(envelope.payload).pae))
    # Its parts were checked when they were made.
    return Envelope.model_construct(
        payload_type=envelope.payload_type, payload=envelope.payload, signatures=signatures
    )


def unseal(wire: object, keys: Keys) -> Opened | Objection:
    """Return the receipt in an envelope from anywhere, or why there is none. Never raises.

    One spelling of everything is taken: base64, JSON and names of fields alike; the node's key signs
    first, and a signature by a key not in ``keys`` makes the whole envelope one of nobody's.
    """
    try:
        envelope = _read(wire)
        said = _said(envelope.payload)
    except ValidationError as error:
        return _fault(error)
    except (ValueError, TypeError, RecursionError) as error:
        return Objection(Problem.MALFORMED, str(error)[:200])
    signers = frozenset(signature.keyid for signature in envelope.signatures)
    return _signatures(envelope, said, keys) or Opened(said.receipt, said.digest, signers, envelope)


def read_envelope(wire: object) -> Envelope | None:
    """Return the envelope in what somebody shows, whoever signed it; None where it is none."""
    try:
        return _read(wire)
    except (ValueError, TypeError, RecursionError):
        return None


def peek(envelope: Envelope) -> WorkReceipt | None:
    """Return what an envelope says, whoever says it; None where it says nothing. For lists alone."""
    return read_payload(envelope.payload)


def read_payload(payload: str) -> WorkReceipt | None:
    """Return what the payload of an envelope says, as ``peek`` does of the whole."""
    try:
        return _said(payload).receipt
    except ValueError:
        return None


def digest(envelope: Envelope) -> str:
    """Return ``sha256:…`` of the statement in an envelope."""
    return _digest(_bytes(envelope.payload))


def decoded(payload: str) -> bytes:
    """Return the bytes of a payload; raises ``ValueError`` for any spelling but their own."""
    return _bytes(payload)


def wire(envelope: Envelope) -> dict[str, Any]:
    """Return an envelope as JSON."""
    return envelope.model_dump(by_alias=True, mode="json")


def _read(wire: object) -> Envelope:
    if isinstance(wire, Envelope):
        found = wire
    else:
        text = wire if isinstance(wire, str | bytes) else orjson.dumps(wire)
        found = Envelope.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    if found.payload_type != PAYLOAD_TYPE:
        raise ValueError(f"payloadType is not {PAYLOAD_TYPE}")
    return found


class _Said(NamedTuple):
    pae: bytes
    """What is signed."""
    receipt: WorkReceipt
    digest: str


@lru_cache(MOST_READ)
def _said(payload: str) -> _Said:
    """Read a payload; a text says the same however often it is read, and the books read each more than once."""
    data = _bytes(payload)
    pae = dsse.Envelope(data, PAYLOAD_TYPE, {}).pae()
    return _Said(pae, _statement(data).predicate, _digest(data))


def _statement(payload: bytes) -> Statement:
    found = Statement.model_validate_json(payload, strict=True, by_alias=True, by_name=False)
    body = _body(found)
    # What is sorted is canonical where it has no exotic text; rfc8785 takes ten times as long to say so.
    if orjson.dumps(body, option=orjson.OPT_SORT_KEYS) != payload != rfc8785.dumps(body):
        raise ValueError("the statement is not in canonical JSON (RFC 8785)")
    return found


def _canonical(statement: Statement) -> bytes:
    return rfc8785.dumps(_body(statement))


def _body(statement: Statement) -> dict[str, Any]:
    return statement.model_dump(by_alias=True, mode="json", exclude_none=True)


def _signatures(envelope: Envelope, said: _Said, keys: Keys) -> Objection | None:
    ids = [signature.keyid for signature in envelope.signatures]
    node_key = said.receipt.work.node_key
    if ids[0] != node_key or len(set(ids)) != len(ids):
        return Objection(Problem.OTHER_KEY, f"It names {node_key}, {ids[0]} signed.")
    for signature in envelope.signatures:
        public = keys.get(signature.keyid)
        if public is None:
            return Objection(Problem.UNKNOWN_KEY, f"It is {signature.keyid}.")
        if not signature_holds(signature, public, said.pae):
            return Objection(
                Problem.BAD_SIGNATURE, f"The signature is said to be {signature.keyid}'s."
            )
    return None


def signature_holds(signature: ReceiptSignature, public_key: str, pae: bytes) -> bool:
    """Tell whether a signature is the key's, under the key's own id and in its one spelling."""
    try:
        raw = _bytes(signature.sig)
        key = _key(public_key)
        if len(raw) != SIGNATURE_BYTES or key.id != signature.keyid:
            return False
        key.public.verify(raw, pae)
    except (InvalidSignature, ValueError):
        return False
    return True


def _fault(error: ValidationError) -> Objection:
    """Return the first fault; one of an amount by its own name."""
    place = [str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"]]
    problem = Problem.BAD_AMOUNT if "usage" in place else Problem.MALFORMED
    return Objection(problem, first_fault(error))


def _signature(signer: Signer, pae: bytes) -> ReceiptSignature:
    return ReceiptSignature(keyid=signer.key_id, sig=_b64(signer.sign(pae)))


class _Key(NamedTuple):
    id: str
    public: Ed25519PublicKey


@lru_cache(4096)
def _key(public_key: str) -> _Key:
    # Made once: securesystemslib's own key makes it again from hexadecimal for each signature.
    raw = _bytes(public_key)
    return _Key(_digest(raw), Ed25519PublicKey.from_public_bytes(raw))


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _b64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _bytes(text: str) -> bytes:
    """Decode base64; raises ``ValueError`` for any spelling but the one there is of these bytes."""
    try:
        found = binascii.a2b_base64(text)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from error
    # What it passed over is missing here: no need to look through the text beforehand.
    if _b64(found) != text:
        raise ValueError("base64 in another spelling than its own")
    return found
