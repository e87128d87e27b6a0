"""Asking a hub for a client certificate: key, request, fingerprint, and waiting for the answer.

The name says which key it is for, so asking twice with one key meets the first request again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hansa.api.meta import NODE_GROUP, NODE_USER_PREFIX
from hansa.errors import Conflict, Retryable, Terminal
from hansa.ports import Cluster, Manifest

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client"
POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A P-256 key for TLS, as PEM; ``fingerprint`` is what people compare."""

    private_pem: str
    fingerprint: str


def new_key() -> KeyPair:
    """Make a key from the operating system's randomness."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return KeyPair(pem, _fingerprint(key))


def load_key(private_pem: str) -> KeyPair:
    """Return the pair of a stored key; raises ``Terminal`` for any other text."""
    return KeyPair(private_pem, _fingerprint(_load(private_pem)))


def request_manifest(node: str, pair: KeyPair, *, seconds: int) -> Manifest:
    """Return the CertificateSigningRequest of a node's key."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODE_GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, NODE_USER_PREFIX + node),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = builder.sign(_load(pair.private_pem), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": request_name(node, pair)},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": SIGNER,
            "expirationSeconds": seconds,
            "usages": ["digital signature", "client auth"],
        },
    }


def request_name(node: str, pair: KeyPair) -> str:
    """Return the request's name."""
    return f"hansa-node-{node}-{pair.fingerprint.removeprefix('sha256:')[:12]}"


async def submit(cluster: Cluster, manifest: Manifest) -> None:
    """Ask; having asked already is fine."""
    try:
        await cluster.create(REQUESTS, manifest)
    except Conflict:
        return


async def wait_for(cluster: Cluster, name: str, *, poll_s: float = POLL_S) -> str:
    """Return the certificate once it is signed; raises ``Terminal`` when it was denied."""
    while True:
        try:
            certificate = answer(await cluster.get(f"{REQUESTS}/{name}"))
        except Retryable:
            certificate = ""
        if certificate:
            return certificate
        await asyncio.sleep(poll_s)


def answer(request: dict[str, Any]) -> str:
    """Return the certificate in a request's status, or nothing yet; raises ``Terminal``."""
    status = request.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in {"Denied", "Failed"}:
            raise Terminal(
                f"the hub refused the certificate: {condition.get('message') or 'no reason given'}",
                reason="CertificateDenied",
            )
    return base64.b64decode(status.get("certificate") or "").decode()


def _load(private_pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Terminal(f"not a private key: {error}", reason="NoKey") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Terminal("the node's TLS key must be an EC key", reason="NoKey")
    return key


def _fingerprint(key: ec.EllipticCurvePrivateKey) -> str:
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "sha256:" + hashlib.sha256(spki).hexdigest()
