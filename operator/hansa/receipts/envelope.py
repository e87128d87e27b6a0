"""The DSSE envelope around a receipt: sealing, opening, and the digest that chains and logs name.

The digest covers the statement and no signature: the hub's countersignature leaves it as it is, and
two statements for one place in a chain are two digests under one key, which anybody can show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import orjson
import rfc8785
from pydantic import Field, StringConstraints, ValidationError
from securesystemslib import dsse
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature as DsseSignature
from securesystemslib.signer import SSlibKey

from hansa.api.meta import BASE64, Digest, Model, first_fault
from hansa.ports import Signer
from hansa.receipts.problems import Objection, Problem
from hansa.receipts.work_receipt import Statement, WorkReceipt, subject_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MOST_PAYLOAD = 24_576
"""Of base64: sixty-four GPUs named, with room to spare."""
MOST_SIGNATURES = 2
SIGNATURE_BYTES = 64
MOST_WATTS = 5000
"""No accelerator draws more: four times the largest card of 2026."""

Keys = Mapping[str, str]
"""Key id → raw Ed25519 public key, base64."""


class SealSignature(Model):
    """One signature over the pre-authentication encoding."""

    keyid: Digest = Field(description="SHA-256 of the signer's raw public key.")
    sig: Annotated[str, StringConstraints(pattern=BASE64, max_length=88)] = Field(
        description="Ed25519, base64."
    )


class Envelope(Model):
    """A DSSE envelope: the member's signature, and the hub's where it agrees."""

    payload_type: Literal["application/vnd.in-toto+json"] = Field(
        default="application/vnd.in-toto+json", description="An in-toto statement."
    )
    payload: Annotated[str, StringConstraints(pattern=BASE64, max_length=MOST_PAYLOAD)] = Field(
        description="The canonical statement (RFC 8785), base64."
    )
    signatures: tuple[SealSignature, ...] = Field(
        min_length=1, max_length=MOST_SIGNATURES, description="Who says so."
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A receipt whose every signature holds."""

    receipt: WorkReceipt
    digest: str
    signers: frozenset[str]
    """Key ids."""


def seal(receipt: WorkReceipt, signer: Signer) -> Envelope:
    """Return the receipt as its node signs it."""
    statement = Statement(subject=(subject_of(receipt),), predicate=receipt)
    unsigned = dsse.Envelope(_canonical(statement), PAYLOAD_TYPE, {})
    return Envelope(
        payload=_b64(unsigned.payload), signatures=(_signature(signer, unsigned.pae()),)
    )


def cosign(envelope: Envelope, signer: Signer) -> Envelope:
    """Return the envelope with one more signature over the same statement."""
    pae = dsse.Envelope(_bytes(envelope.payload), PAYLOAD_TYPE, {}).pae()
    return envelope.model_copy(
        update={"signatures": (envelope.signatures[0], _signature(signer, pae))}
    )


def unseal(wire: object, keys: Keys) -> Opened | Objection:
    """Return the receipt in an envelope from anywhere, or why there is none. Never raises.

    One spelling of everything is taken: base64, JSON and names of fields alike; the node's key signs
    first, and a signature by a key not in ``keys`` makes the whole envelope one of nobody's.
    """
    try:
        envelope = _read(wire)
        payload = _bytes(envelope.payload)
        receipt = _statement(payload).predicate
    except ValidationError as error:
        return _fault(error)
    except (ValueError, TypeError, RecursionError) as error:
        return Objection(Problem.MALFORMED, str(error)[:200])
    return (
        _amounts(receipt)
        or _signatures(envelope, payload, receipt, keys)
        or Opened(receipt, _digest(payload), frozenset(s.keyid for s in envelope.signatures))
    )


def digest(envelope: Envelope) -> str:
    """Return ``sha256:…`` of the statement in an envelope."""
    return _digest(_bytes(envelope.payload))


def wire(envelope: Envelope) -> dict[str, Any]:
    """Return an envelope as JSON."""
    return envelope.model_dump(by_alias=True, mode="json")


def _read(wire: object) -> Envelope:
    if isinstance(wire, Envelope):
        return wire
    return Envelope.model_validate_json(
        wire if isinstance(wire, str | bytes) else orjson.dumps(wire),
        strict=True,
        by_alias=True,
        by_name=False,
    )


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


def _signatures(
    envelope: Envelope, payload: bytes, receipt: WorkReceipt, keys: Keys
) -> Objection | None:
    ids = [signature.keyid for signature in envelope.signatures]
    if ids[0] != receipt.work.node_key or len(set(ids)) != len(ids):
        return Objection(Problem.OTHER_KEY, f"It names {receipt.work.node_key}, {ids[0]} signed.")
    pae = dsse.Envelope(payload, PAYLOAD_TYPE, {}).pae()
    for signature in envelope.signatures:
        public = keys.get(signature.keyid)
        if public is None:
            return Objection(Problem.UNKNOWN_KEY, f"It is {signature.keyid}.")
        if not signature_holds(signature, public, pae):
            return Objection(
                Problem.BAD_SIGNATURE, f"The signature is said to be {signature.keyid}'s."
            )
    return None


def signature_holds(signature: SealSignature, public_key: str, pae: bytes) -> bool:
    """Tell whether a signature is the key's, under the key's own id and in its one spelling."""
    try:
        raw = _bytes(signature.sig)
        key = _key(public_key)
        if len(raw) != SIGNATURE_BYTES or key.keyid != signature.keyid:
            return False
        key.verify_signature(DsseSignature(signature.keyid, raw.hex()), pae)
    except (UnverifiedSignatureError, ValueError):
        return False
    return True


def _amounts(receipt: WorkReceipt) -> Objection | None:
    """Object to more than the receipt's own time and gang could have used."""
    usage, work, span_s = receipt.usage, receipt.work, receipt.end_s - receipt.start_s
    for name, told, most in (
        ("gpuSeconds", usage.gpu_seconds, work.gpus * span_s),
        ("cpuMilliseconds", usage.cpu_milliseconds, work.cpu_millis * span_s),
        ("energyJoules", usage.energy_joules or 0, work.gpus * span_s * MOST_WATTS),
    ):
        if told > most:
            return Objection(Problem.BAD_AMOUNT, f"{name} is {told}, at most {most} can be.")
    return None


def _fault(error: ValidationError) -> Objection:
    """Return the first fault; one of an amount by its own name."""
    place = [str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"]]
    problem = Problem.BAD_AMOUNT if "usage" in place else Problem.MALFORMED
    return Objection(problem, first_fault(error))


def _signature(signer: Signer, pae: bytes) -> SealSignature:
    return SealSignature(keyid=signer.key_id, sig=_b64(signer.sign(pae)))


@lru_cache(4096)
def _key(public_key: str) -> SSlibKey:
    raw = _bytes(public_key)
    return SSlibKey(_digest(raw), "ed25519", "ed25519", {"public": raw.hex()})


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """Decode base64; raises ``ValueError`` for any spelling but the one there is of these bytes."""
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from error
    if _b64(found) != text:
        raise ValueError("base64 in another spelling than its own")
    return found
