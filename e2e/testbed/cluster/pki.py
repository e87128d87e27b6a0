"""A throw-away certificate authority: servers and clients of the testbed prove who they are.

Keys are P-256: making dozens of RSA keys would cost seconds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.testbed.host.clock import utc_now

_LIFETIME = timedelta(days=7)
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Paths of a PEM certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates into one folder."""

    def __init__(self, folder: Path, *, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.identity = self._write(name, self._self_signed(), self._key)

    def issue_client(self, user: str, groups: Sequence[str] = ()) -> Identity:
        """Return an identity whose common name is ``user`` and organisations are ``groups``."""
        return self._issue(user, groups, [], ExtendedKeyUsageOID.CLIENT_AUTH)

    def issue_server(self, name: str, hosts: Iterable[str]) -> Identity:
        """Return a server identity valid for the given names and addresses."""
        return self._issue(
            name, [], [_general_name(h) for h in hosts], ExtendedKeyUsageOID.SERVER_AUTH
        )

    def _issue(
        self,
        name: str,
        groups: Sequence[str],
        hosts: list[x509.GeneralName],
        usage: x509.ObjectIdentifier,
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        builder = self._builder(x509.Name(subject), key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return self._write(name, builder.sign(self._key, hashes.SHA256()), key)

    def _self_signed(self) -> x509.Certificate:
        builder = self._builder(self._subject, self._key.public_key())
        authority = x509.BasicConstraints(ca=True, path_length=0)
        return builder.add_extension(authority, critical=True).sign(self._key, hashes.SHA256())

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        begins = utc_now() - _BACKDATED
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + _LIFETIME)
        )

    def _write(
        self, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> Identity:
        stem = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
        identity = Identity(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        identity.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        write_key(identity.key, key)
        return identity


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key as PEM that only its owner can read.

    The classic EC form: kube-apiserver finds no public key in a PKCS #8 file.
    """
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
