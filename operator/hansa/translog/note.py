"""C2SP signed-note: a text with signature lines, and the keys that make them.

Each thing has one spelling here, base64 included, so that nothing can be changed and still be accepted.
https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from hansa.translog.faults import Fault, refused

MOST_BYTES = 512 * 1024
MOST_SIGNATURES = 100
_KEY_ID_BYTES = 4
_KEY_ID = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH = "— "


class KeyType(IntEnum):
    """How a key signs: the identifier byte in front of its public half."""

    ED25519 = 0x01
    """A log's signature over the text as it is."""
    COSIGNATURE_ED25519 = 0x04
    COSIGNATURE_ML_DSA_44 = 0x06

    @property
    def public_bytes(self) -> int:
        """Length of a public key."""
        return 1312 if self is KeyType.COSIGNATURE_ML_DSA_44 else 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whom a signature line is believed to be from (*vkey*)."""

    name: str
    type: KeyType
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``name+id+base64``; raises ``Terminal`` and says what is wrong with it."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        material = decoded(encoded)
        if not is_name(name) or not _KEY_ID.fullmatch(key_id) or not material:
            raise refused(Fault.MALFORMED, f"{text[:60]!r} is no key of the form name+id+base64")
        if material[0] not in KeyType.__members__.values():
            raise refused(Fault.MALFORMED, f"key {name}: signature type {material[0]} is unknown")
        key = cls(name, KeyType(material[0]), material[1:])
        if len(key.public) != key.type.public_bytes:
            raise refused(Fault.MALFORMED, f"key {name}: {len(key.public)} bytes are no public key")
        if key.id.hex() != key_id:
            raise refused(Fault.MALFORMED, f"key {name}: its id is {key.id.hex()}, not {key_id}")
        return key

    @property
    def id(self) -> bytes:
        """The four bytes that stand for the key in a signature line."""
        material = f"{self.name}\n".encode() + bytes([self.type]) + self.public
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encoded(bytes([self.type]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note."""

    name: str
    key_id: bytes
    body: bytes

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Read a line without its newline; raises ``Terminal``."""
        name, _, text = line.removeprefix(_DASH).partition(" ")
        body = decoded(text)
        if not line.startswith(_DASH) or not is_name(name) or len(body) <= _KEY_ID_BYTES:
            raise refused(Fault.MALFORMED, f"{line[:60]!r} is no signature line")
        return cls(name, body[:_KEY_ID_BYTES], body[_KEY_ID_BYTES:])

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encoded(self.key_id + self.body)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and who claims to have signed it."""

    text: str
    """With its last newline, as it is signed."""
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> Note:
        """Read a whole note; raises ``Terminal``."""
        text, blank, lines = checked_text(body).rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise refused(Fault.MALFORMED, "no empty line and signature lines end the note")
        return cls(f"{text}\n", parse_signatures(lines))

    def signed(self, more: Iterable[Signature]) -> Note:
        """Return the note with more signatures, each once."""
        return replace(self, signatures=tuple(dict.fromkeys([*self.signatures, *more])))

    def encode(self) -> bytes:
        """Return the bytes of the note."""
        return "".join([self.text, "\n", *(f"{line}\n" for line in self.signatures)]).encode()


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Read signature lines, each ended by a newline; raises ``Terminal``."""
    found = lines.split("\n")
    if found.pop() or not 1 <= len(found) <= MOST_SIGNATURES:
        raise refused(Fault.MALFORMED, f"1 to {MOST_SIGNATURES} signature lines are taken")
    return tuple(Signature.parse(line) for line in found)


def checked_text(body: bytes) -> str:
    """Return text that is short enough, UTF-8 and without control characters, or raise ``Terminal``."""
    if len(body) > MOST_BYTES:
        raise refused(Fault.MALFORMED, f"{len(body)} bytes; {MOST_BYTES} at most are read")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise refused(Fault.MALFORMED, "the text is not UTF-8") from error
    if _CONTROL.search(text):
        raise refused(Fault.MALFORMED, "the text has control characters")
    return text


def is_name(text: str) -> bool:
    """Tell whether ``text`` may name a key."""
    return bool(text) and "+" not in text and not any(c.isspace() or c < " " for c in text)


def encoded(body: bytes) -> str:
    """Return base64."""
    return base64.b64encode(body).decode()


def decoded(text: str) -> bytes:
    """Return what ``text`` is the one base64 spelling of, or nothing."""
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return body if encoded(body) == text else b""
