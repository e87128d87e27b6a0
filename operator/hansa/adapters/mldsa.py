"""ML-DSA-44 private keys (FIPS 204) in files, behind the ``Signer`` port.

A witness signs with one beside its Ed25519 key: what is witnessed today is still believed when
Ed25519 is not.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hansa.adapters.keys import pkcs8
from hansa.errors import Terminal
from hansa.grants.envelope import key_id


class MlDsaSigner:
    """Signs with one private key and never shows it."""

    def __init__(self, key: MLDSA44PrivateKey) -> None:
        """Keep ``key``."""
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def from_file(cls, path: Path) -> MlDsaSigner:
        """Read a PEM file (PKCS 8); raises ``Terminal`` when it is missing or holds another key."""
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Terminal(f"cannot read signing key {path}: {error}", reason="NoKey") from error
        if not isinstance(key, MLDSA44PrivateKey):
            raise Terminal(f"{path} holds no ML-DSA-44 key", reason="NoKey")
        return cls(key)

    @classmethod
    def generate(cls) -> MlDsaSigner:
        """Make a new key from the operating system's randomness."""
        return cls(MLDSA44PrivateKey.generate())

    @property
    def key_id(self) -> str:
        """``sha256:…`` of the raw public key."""
        return key_id(self._public)

    @property
    def public_key(self) -> str:
        """The raw public key, base64, 1,312 bytes."""
        return base64.b64encode(self._public).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the 2,420-byte signature; another one each time."""
        return self._key.sign(message)

    def private_pem(self) -> bytes:
        """Return the key as unencrypted PKCS 8 PEM, for a Secret or a file of mode 0600."""
        return pkcs8(self._key)
