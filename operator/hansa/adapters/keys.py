"""Ed25519 private keys in files, behind the ``Signer`` port.

A key is PEM (PKCS 8, as OpenSSL and ``hansa`` write it) or the 32 raw bytes, plain or base64.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from hansa.errors import Terminal
from hansa.grants.envelope import key_id

RAW_BYTES = 32


def pkcs8(key: PrivateKeyTypes) -> bytes:
    """Return a private key of any kind as unencrypted PKCS 8 PEM (RFC 5958)."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Ed25519Signer:
    """Signs with one private key and never shows it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Keep ``key``."""
        self._key = key
        self._public = key.public_key().public_bytes_raw()
        self._key_id = key_id(self._public)

    @classmethod
    def from_file(cls, path: Path) -> Ed25519Signer:
        """Read a key; raises ``Terminal`` when the file is missing or holds no Ed25519 key."""
        try:
            return cls(parse_private_key(path.read_bytes()))
        except OSError as error:
            raise Terminal(f"cannot read signing key {path}: {error}", reason="NoKey") from error

    @classmethod
    def generate(cls) -> Ed25519Signer:
        """Make a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def key_id(self) -> str:
        """``sha256:…`` of the raw public key."""
        return self._key_id

    @property
    def public_key(self) -> str:
        """The raw public key, base64: what a MemberPolicy's ``trustedHubs`` names."""
        return base64.b64encode(self._public).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature (RFC 8032)."""
        return self._key.sign(message)

    def private_pem(self) -> bytes:
        """Return the key as unencrypted PKCS 8 PEM, for a Secret or a file of mode 0600."""
        return pkcs8(self._key)


def parse_private_key(data: bytes) -> Ed25519PrivateKey:
    """Return the key in ``data``; raises ``Terminal`` when there is none."""
    try:
        if b"-----BEGIN" in data:
            key = serialization.load_pem_private_key(data, password=None)
        else:
            raw = data if len(data) == RAW_BYTES else base64.b64decode(data.strip(), validate=True)
            key = Ed25519PrivateKey.from_private_bytes(raw)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm) as error:
        raise Terminal(f"not a private key: {error}", reason="NoKey") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Terminal("the signing key must be Ed25519", reason="NoKey")
    return key
