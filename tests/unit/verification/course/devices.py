"""A device of a vendor that does not exist: it signs reports as an H100 does, with what a real one said around its nonce."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hansa.api.sovereignnode import HardwareEvidence

DATA = Path(__file__).parents[1] / "data"
REPORT = bytes.fromhex((DATA / "hopper-report.hex").read_text().strip())
CHAIN, VENDOR = (DATA / "hopper-chain.pem").read_bytes(), (DATA / "device-root.pem").read_bytes()
RECORDED = HardwareEvidence(report=base64.b64encode(REPORT).decode(), chain=CHAIN.decode())
"""What a real H100 said to somebody else, years ago."""
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    of: x509.Certificate | None = None,
    by: ec.EllipticCurvePrivateKey | None = None,
    is_authority: bool = True,
    days: int = 36_500,
) -> x509.Certificate:
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(of.subject if of else called)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(FIRST_DAY)
        .not_valid_after(FIRST_DAY + timedelta(days=days))
    )
    if is_authority:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
    return builder.sign(by or key, hashes.SHA384())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def signed(key: ec.EllipticCurvePrivateKey, said: bytes = REPORT[:-96]) -> bytes:
    r, s = decode_dss_signature(key.sign(said, ec.ECDSA(hashes.SHA384())))
    return said + r.to_bytes(48) + s.to_bytes(48)


class Vendor:
    """Whoever makes devices and signs their certificates."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.certificate = certificate("root", self.key)
        self.root = pem(self.certificate)


class Device:
    """One device; ``days``: how long its certificate is valid from 2020 on."""

    def __init__(self, vendor: Vendor, *, days: int = 36_500) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        own = certificate(
            *("device", self.key),
            of=vendor.certificate,
            by=vendor.key,
            is_authority=False,
            days=days,
        )
        self.chain = pem(own, vendor.certificate)

    def says(self, nonce: bytes) -> HardwareEvidence:
        """Answer a nonce."""
        report = signed(self.key, REPORT[:4] + nonce + REPORT[36:-96])
        return HardwareEvidence(report=base64.b64encode(report).decode(), chain=self.chain.decode())
