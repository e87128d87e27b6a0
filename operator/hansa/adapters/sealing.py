"""What only one node may read: sealed by HPKE (RFC 9180) to the P-256 key its institution holds.

A public key is its compressed point (SEC 1), base64: as short as a release key, to be read out on the
telephone. The node's name is part of what is sealed, so that nothing sealed for one serves another.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from hansa.adapters.keys import pkcs8
from hansa.errors import Terminal

SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
PURPOSE = b"hansa.dev/node-token\0"


class IdentityKey:
    """A node's private key; it opens what was sealed to its public half."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Keep ``key``."""
        self._key = key

    @classmethod
    def generate(cls) -> IdentityKey:
        """Make a new key from the operating system's randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: str) -> IdentityKey:
        """Read a key; raises ``Terminal`` for any text that is no P-256 key."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise Terminal(f"not a private key: {error}", reason="NoKey") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise Terminal("the node's identity key must be a P-256 key", reason="NoKey")
        return cls(key)

    @property
    def public_key(self) -> str:
        """The compressed point, base64: what ``SovereignNode.spec.identityKey`` names."""
        point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        return base64.b64encode(point).decode()

    def private_pem(self) -> str:
        """Return the key as unencrypted PKCS 8 PEM, for a Secret or a file of mode 0600."""
        return pkcs8(self._key).decode()

    def open(self, sealed: str, *, node: str) -> str:
        """Return the text; raises ``Terminal`` unless it was sealed to this key for ``node``."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return SUITE.decrypt(data, self._key, info=PURPOSE + node.encode()).decode()
        except (binascii.Error, InvalidTag, ValueError) as error:
            text = f"it was not sealed to this node's key ({type(error).__name__})"
            raise Terminal(text, reason="NotSealedToUs") from error


def seal(text: str, public_key: str, *, node: str) -> str:
    """Return ``text``, base64, for the holder of ``public_key`` alone; raises ``Terminal``."""
    try:
        point = base64.b64decode(public_key, validate=True)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (binascii.Error, ValueError) as error:
        raise Terminal(f"identityKey is no P-256 point: {error}", reason="NoKey") from error
    sealed = SUITE.encrypt(text.encode(), key, info=PURPOSE + node.encode())
    return base64.b64encode(sealed).decode()
