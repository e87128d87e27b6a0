"""How far the ledger has taken a node's receipts, signed: what it says it has, it cannot deny later.

The digest of one receipt covers all before it, so one signature answers for the whole chain. A member
takes a watermark only for a receipt it has told, by that receipt's own digest, from a key it trusts.

A ledger that was put back from a backup says so by a later watermark for an earlier receipt, and the member
shows it again what follows.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
import rfc8785
from pydantic import ValidationError
from securesystemslib import dsse

from hansa.api.node.receipts import ReceiptSignature
from hansa.api.node.receipts import ReceiptWatermark as Watermark
from hansa.ports import Signer
from hansa.receipts.envelope import Keys, signature_holds
from hansa.receipts.work_receipt import Moment

TYPE = "application/vnd.hansa.watermark.v1+json"
NOTHING = f"sha256:{hashlib.sha256().hexdigest()}"
"""Digest in a watermark of a ledger that has lost all it had: its sequence is 0."""


def acknowledge(
    signer: Signer, *, node_key: str, sequence: int, digest: str, at: Moment
) -> Watermark:
    """Return the ledger's word that it has taken a node's receipts up to ``sequence``."""
    said = {"nodeKey": node_key, "sequence": sequence, "digest": digest, "at": at}
    signed = base64.b64encode(signer.sign(_message(said))).decode()
    signature = ReceiptSignature(keyid=signer.key_id, sig=signed)
    return Watermark(
        node_key=node_key, sequence=sequence, digest=digest, at=at, signature=signature
    )


def read_watermark(wire: object, *, node_key: str, keys: Keys) -> Watermark | str:
    """Return the watermark in what a hub shows, or why it is none. Never raises."""
    try:
        said = Watermark.model_validate_json(
            orjson.dumps(wire), strict=True, by_alias=True, by_name=False
        )
    except (ValidationError, TypeError, ValueError) as error:
        return f"it cannot be read: {error}"[:300]
    if said.node_key != node_key:
        return f"it is of the chain of {said.node_key}"
    public = keys.get(said.signature.keyid)
    if public is None:
        return f"key {said.signature.keyid} signed it, which is not trusted here"
    body = said.model_dump(by_alias=True, mode="json", exclude={"signature"})
    return (
        said if signature_holds(said.signature, public, _message(body)) else "its signature is none"
    )


def _message(said: dict[str, Any]) -> bytes:
    return dsse.Envelope(rfc8785.dumps(said), TYPE, {}).pae()
