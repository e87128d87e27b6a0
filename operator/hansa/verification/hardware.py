"""Hardware evidence: a GPU's own signed word on its firmware, read from a recorded or a fresh report, offline.

The report is what DMTF's SPDM 1.1 (DSP0274) calls GET_MEASUREMENTS, request and response as one text, signed by a key
in the device whose certificates end in a vendor's root. The root is an argument: trusting one is the league's decision,
and shows in its sovereignty score. A report is fresh only if it answers a nonce of ours; a recorded one is read and
marked as recorded, and is no evidence for a level.

Not checked here: revocation (the vendor's OCSP), whether the measurements are those of a known firmware (the vendor's
reference manifests), and the machine around the GPU. Whoever holds the machine may have read the key out of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_REPORT_BYTES, MAX_CHAIN_BYTES, MAX_CERTIFICATES = 1 << 16, 1 << 16, 8
REQUEST_BYTES, NONCE_BYTES, NUMBER_BYTES = 37, 32, 48
VERSION, REQUEST_CODE, RESPONSE_CODE, DMTF = 0x11, 0xE0, 0x60, 1
DRIVER_VERSION, VBIOS_VERSION = 3, 6
"""Types in the vendor's part of the report."""


@dataclass(frozen=True, slots=True)
class HardwareReport:
    """What a device said, its signature and certificates being in order."""

    nonce: bytes
    is_fresh: bool
    """It answers the nonce that was asked. False: a recorded report, which shows nothing about now."""
    measurements: tuple[tuple[int, str], ...]
    """Index and value in hexadecimal."""
    driver_version: str
    vbios_version: str
    device: str
    """Serial number of the device's certificate."""
    key: str
    """SHA-256 of the device's public key, in hexadecimal."""


def read(
    report: bytes, chain: bytes, *, root: bytes, at_s: int, asked: bytes | None
) -> HardwareReport:
    """Return what a device said.

    ``report``: request and response; ``chain``: certificates as PEM, the device's first; ``root``: the vendor's, as
    PEM; ``at_s``: when the certificates have to be valid; ``asked``: the nonce, None for a recorded report.

    Raises:
        ValueError: what is wrong with it, whatever the bytes are.
    """
    if len(report) > MAX_REPORT_BYTES or len(chain) > MAX_CHAIN_BYTES:
        raise ValueError("report, chain: too long to be read")
    try:
        device = _device(chain, root, at_s)
    except (UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise ValueError(f"chain: {error}") from None
    parts = _Response.of(report)
    _check_signature(device, report)
    opaque = dict(_fields(parts.opaque))
    return HardwareReport(
        nonce=report[4 : 4 + NONCE_BYTES],
        is_fresh=asked is not None and report[4 : 4 + NONCE_BYTES] == asked,
        measurements=tuple(_measurements(parts.record, parts.blocks)),
        driver_version=_text(opaque.get(DRIVER_VERSION, b"")),
        vbios_version=opaque.get(VBIOS_VERSION, b"").hex(),
        device=f"{device.serial_number:x}",
        key=hashlib.sha256(
            device.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class _Response:
    blocks: int
    record: bytes
    opaque: bytes

    @classmethod
    def of(cls, report: bytes) -> _Response:
        """Take the response apart; every length is checked against what is there."""
        if report[:2] != bytes([VERSION, REQUEST_CODE]):
            raise ValueError("report: it does not begin with a request of SPDM 1.1")
        rest = _Reader(report[REQUEST_BYTES:])
        if rest.take(2) != bytes([VERSION, RESPONSE_CODE]):
            raise ValueError("report: no response of SPDM 1.1 follows the request")
        rest.take(2)
        blocks = rest.number(1)
        record = rest.take(rest.number(3))
        rest.take(NONCE_BYTES)
        opaque = rest.take(rest.number(2))
        rest.take(2 * NUMBER_BYTES)
        rest.end()
        return cls(blocks, record, opaque)


class _Reader:
    """Takes bytes from the front, and says so when there are too few."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if len(self.data) < count:
            raise ValueError(f"report: ends {count - len(self.data)} bytes too early")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def end(self) -> None:
        if self.data:
            raise ValueError(f"report: {len(self.data)} bytes too many")


def _device(chain: bytes, root: bytes, at_s: int) -> x509.Certificate:
    """Return the device's certificate, each one signed by the next and the last by the root."""
    certificates = x509.load_pem_x509_certificates(chain)
    trusted = x509.load_pem_x509_certificate(root)
    if certificates[-1] == trusted:
        certificates.pop()
    if not 0 < len(certificates) <= MAX_CERTIFICATES:
        raise ValueError(f"chain: {len(certificates)} certificates below the root")
    at = datetime.fromtimestamp(at_s, tz=UTC)
    for one, issuer in zip(certificates, (*certificates[1:], trusted), strict=True):
        if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            raise ValueError(f"chain: {one.subject.rfc4514_string()} is not valid at that time")
        if not _is_authority(issuer):
            raise ValueError(f"chain: {issuer.subject.rfc4514_string()} may sign no certificates")
        try:
            one.verify_directly_issued_by(issuer)
        except (InvalidSignature, TypeError, ValueError):
            raise ValueError(
                f"chain: {one.subject.rfc4514_string()} is not signed by the next"
            ) from None
    return certificates[0]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_signature(device: x509.Certificate, report: bytes) -> None:
    key = device.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("chain: the device's key is not P-384")  # noqa: TRY004 - the bytes are wrong, no caller is
    signed, numbers = report[: -2 * NUMBER_BYTES], report[-2 * NUMBER_BYTES :]
    r, s = (
        int.from_bytes(numbers[:NUMBER_BYTES], "big"),
        int.from_bytes(numbers[NUMBER_BYTES:], "big"),
    )
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise ValueError("report: the device did not sign it") from None


def _measurements(record: bytes, blocks: int) -> Iterator[tuple[int, str]]:
    rest = _Reader(record)
    for _ in range(blocks):
        index, specification = rest.number(1), rest.number(1)
        if specification != DMTF:
            raise ValueError(f"report: measurement {index} follows no DMTF specification")
        block = _Reader(rest.take(rest.number(2)))
        block.take(1)
        value = block.take(block.number(2))
        block.end()
        yield index, value.hex()
    rest.end()


def _fields(opaque: bytes) -> Iterator[tuple[int, bytes]]:
    rest = _Reader(opaque)
    while rest.data:
        kind = rest.number(2)
        yield kind, rest.take(rest.number(2))


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("ascii", "replace")[:40]
