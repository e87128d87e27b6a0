"""What the ledger says to nodes, signed with the hub's key: what was shown, and which epoch is open.

They stand in a status that its node may write, so no reader goes by where a word stands: it counts where the signature
holds and names the node's own key.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any, TypeVar

import orjson
import rfc8785
from pydantic import ValidationError
from securesystemslib import dsse

from hansa.api.node.receipts import ReceiptSignature
from hansa.api.sovereignnode import AssuranceWord, AuditCall
from hansa.ports import Signer
from hansa.receipts.envelope import Keys, signature_holds

Word = TypeVar("Word", AssuranceWord, AuditCall)
TYPES: dict[type[Any], str] = {
    AssuranceWord: "application/vnd.hansa.assurance.v1+json",
    AuditCall: "application/vnd.hansa.audit-call.v1+json",
}
WORDS_KEPT, LONGEST_KEPT = 4096, 4096
"""Words whose reading is remembered, two for each node, and the bytes that such a one has at most: at most 16 MiB in all.
They stand unchanged for hours and are looked at every few seconds."""
_UNSIGNED = ReceiptSignature(keyid="sha256:" + "0" * 64, sig="AA==")


def say(signer: Signer, kind: type[Word], **said: Any) -> Word:
    """Return a signed word; ``said``: its fields, all but the signature."""
    word = kind(signature=_UNSIGNED, **said)
    signed = base64.b64encode(signer.sign(_message(word))).decode()
    signature = ReceiptSignature(keyid=signer.key_id, sig=signed)
    return word.model_copy(update={"signature": signature})


def read_word(wire: object, kind: type[Word], *, node_key: str, keys: Keys) -> Word | str:
    """Return the word in what an API server shows, or why it is none. Never raises.

    ``node_key``: of the node that it has to be about; ``keys``: key id → public key of hubs that are trusted.
    """
    try:
        text = orjson.dumps(wire)
    except (TypeError, ValueError) as error:
        return f"it cannot be read: {error}"[:300]
    read = _read if len(text) <= LONGEST_KEPT else _read.__wrapped__
    said: Word | str = read(text, kind, node_key, frozenset(keys.items()))
    return said


@lru_cache(maxsize=WORDS_KEPT)
def _read(text: bytes, kind: type[Any], node_key: str, keys: frozenset[tuple[str, str]]) -> Any:
    """Read and verify: the same answer for the same bytes, node and keys, so it is given again from memory."""
    try:
        said = kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        return f"it cannot be read: {error}"[:300]
    if said.node_key != node_key:
        return f"it is about {said.node_key}"
    public = dict(keys).get(said.signature.keyid)
    if public is None:
        return f"key {said.signature.keyid} signed it, which is not trusted here"
    return (
        said if signature_holds(said.signature, public, _message(said)) else "its signature is none"
    )


def _message(word: AssuranceWord | AuditCall) -> bytes:
    body = word.model_dump(by_alias=True, mode="json", exclude={"signature"})
    return dsse.Envelope(rfc8785.dumps(body), TYPES[type(word)], {}).pae()
