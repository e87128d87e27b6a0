"""How logs sign and witnesses cosign a checkpoint: Ed25519 and ML-DSA-44.

A cosignature says: at this time this was the largest tree of that log that I have seen, and it
continues all I saw before. https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from hansa.ports import Signer
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.faults import Fault, refused
from hansa.translog.note import KeyType, Note, Signature, VerifierKey

_TIME_BYTES = 8
_MOST_SECONDS = 2**63 - 1
_LABEL = b"subtree/v1\n\0"
_MOST_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds."""

    key: VerifierKey
    time_s: int
    """Seconds since the Unix epoch; 0 where the signature has no time."""


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """A private key with the name and the manner in which it signs."""

    key: VerifierKey
    signer: Signer

    @classmethod
    def of(cls, name: str, kind: KeyType, signer: Signer) -> NoteSigner:
        """Name a private key; raises ``Terminal`` where name or key do not fit."""
        public = base64.b64decode(signer.public_key)
        return cls(VerifierKey.parse(str(VerifierKey(name, kind, public))), signer)

    def sign(self, text: str, time_s: int) -> Signature:
        """Return the signature line for a checkpoint's text."""
        message = _message(self.key, text, time_s)
        stamp = b"" if self.key.type is KeyType.ED25519 else time_s.to_bytes(_TIME_BYTES, "big")
        return Signature(self.key.name, self.key.id, stamp + self.signer.sign(message))


def verified(note: Note, keys: Iterable[VerifierKey]) -> Iterator[Signed]:
    """Yield what the known ``keys`` signed; unknown ones are passed over.

    Raises ``Terminal`` where a line names a known key that did not sign: such a note is rejected whole.
    """
    known = {(key.name, key.id): key for key in keys}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:
            yield Signed(key, _checked_time(key, note.text, line))


def _checked_time(key: VerifierKey, text: str, line: Signature) -> int:
    """Return the time in a signature that holds; raises ``Terminal`` where it does not."""
    is_timed = key.type is not KeyType.ED25519
    cut = _TIME_BYTES if is_timed else 0
    time_s = int.from_bytes(line.body[:cut], "big")
    try:
        _verify(key, line.body[cut:], _message(key, text, time_s))
    except (InvalidSignature, ValueError) as error:
        message = f"the signature of {key.name}+{key.id.hex()} does not hold"
        raise refused(Fault.BAD_SIGNATURE, message) from error
    return time_s


def _verify(key: VerifierKey, signature: bytes, message: bytes) -> None:
    if key.type is KeyType.COSIGNATURE_ML_DSA_44:
        MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
    else:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)


def _message(key: VerifierKey, text: str, time_s: int) -> bytes:
    """Return the bytes that are signed; raises ``Terminal`` for what no key of this type signs."""
    if key.type is KeyType.ED25519:
        return text.encode()
    checkpoint = Checkpoint.parse(text)
    if not 0 <= time_s <= _MOST_SECONDS:
        raise refused(Fault.BAD_SIGNATURE, f"the time of {key.name} is out of range")
    if key.type is KeyType.COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    parts = [_LABEL, _opaque(key.name), time_s.to_bytes(8, "big"), _opaque(checkpoint.origin)]
    return b"".join([*parts, bytes(8), checkpoint.size.to_bytes(8, "big"), checkpoint.root])


def _opaque(text: str) -> bytes:
    """Return ``opaque<1..2^8-1>`` of TLS; raises ``Terminal`` where it is too long."""
    body = text.encode()
    if len(body) > _MOST_NAME_BYTES:
        raise refused(Fault.MALFORMED, f"{text[:30]!r}… is longer than {_MOST_NAME_BYTES} bytes")
    return bytes([len(body)]) + body
