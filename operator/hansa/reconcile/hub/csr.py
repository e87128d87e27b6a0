"""Who may have a node's certificate: one pure decision over one CertificateSigningRequest.

The first certificate is pinned by the key fingerprint that the admin got by another way. Later ones
are asked for with the identity they renew. What is not a node's request is not our business.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from hansa.api.meta import NODE_GROUP, NODE_USER_PREFIX

SIGNER = "kubernetes.io/kube-apiserver-client"
USAGES = frozenset({"client auth", "digital signature", "key encipherment"})
PARSE_ERRORS = (
    ValueError,
    TypeError,
    binascii.Error,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do with a request. ``Wait`` may change when the node does; ``Ignore`` never."""

    verdict: Literal["Approve", "Deny", "Wait", "Ignore"]
    reason: str = ""
    message: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """What a request's PEM says."""

    common_name: str
    organizations: tuple[str, ...]
    others: int
    """CertificateSubject attributes that are neither CN nor O."""
    has_extensions: bool
    fingerprint: str


def rule_on(
    csr: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], *, join_user: str
) -> Ruling:
    """Decide on a request as the API server sent it; ``nodes``: SovereignNode name → spec."""
    spec, status = _table(csr, "spec"), _table(csr, "status")
    requester = str(spec.get("username", ""))
    if spec.get("signerName") != SIGNER or status.get("conditions"):
        return Ruling("Ignore")
    subject = read_subject(spec.get("request"))
    if not _ours(requester, subject, join_user):
        return Ruling("Ignore")
    if subject is None:
        return Ruling("Deny", "Malformed", "the request is not a valid, self-signed PKCS 10 PEM")
    fault = _fault(spec, subject)
    if fault is not None:
        return fault
    name = subject.common_name.removeprefix(NODE_USER_PREFIX)
    return _rule_on_node(requester, name, subject, nodes.get(name), join_user=join_user)


def read_subject(request: object) -> CertificateSubject | None:
    """Return what the base64 PEM in ``spec.request`` says; None when it is not a request."""
    if not isinstance(request, str):
        return None
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request, validate=True))
        if not parsed.is_signature_valid:
            return None
        key = parsed.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        attributes = [(item.oid, str(item.value)) for item in parsed.subject]
        extensions = len(parsed.extensions)
    except PARSE_ERRORS:
        return None
    names = [value for oid, value in attributes if oid == NameOID.COMMON_NAME]
    groups = tuple(value for oid, value in attributes if oid == NameOID.ORGANIZATION_NAME)
    return CertificateSubject(
        common_name=names[0] if len(names) == 1 else "",
        organizations=groups,
        others=len(attributes) - len(names) - len(groups),
        has_extensions=extensions > 0,
        fingerprint="sha256:" + hashlib.sha256(key).hexdigest(),
    )


def _table(thing: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = thing.get(name)
    return value if isinstance(value, dict) else {}


def _ours(requester: str, subject: CertificateSubject | None, join_user: str) -> bool:
    if requester == join_user or requester.startswith(NODE_USER_PREFIX):
        return True
    return subject is not None and (
        subject.common_name.startswith(NODE_USER_PREFIX) or NODE_GROUP in subject.organizations
    )


def _fault(spec: Mapping[str, Any], subject: CertificateSubject) -> Ruling | None:
    usages = spec.get("usages")
    asked = frozenset(map(str, usages)) if isinstance(usages, list) else frozenset()
    if not subject.common_name.startswith(NODE_USER_PREFIX) or subject.others:
        return Ruling("Deny", "WrongSubject", f"CN must be {NODE_USER_PREFIX}NODE and nothing else")
    if subject.organizations != (NODE_GROUP,):
        return Ruling("Deny", "WrongSubject", f"O must be {NODE_GROUP} and nothing else")
    if subject.has_extensions:
        return Ruling(
            "Deny", "WrongExtensions", "no extensions are allowed, alternative names least"
        )
    if "client auth" not in asked or not asked <= USAGES:
        return Ruling("Deny", "WrongUsages", "usages must be client auth, and no server or CA use")
    return None


def _rule_on_node(
    requester: str,
    name: str,
    subject: CertificateSubject,
    node: Mapping[str, Any] | None,
    *,
    join_user: str,
) -> Ruling:
    first = requester == join_user
    if not first and requester != subject.common_name:
        text = f"{requester} may not ask for {subject.common_name}"
        return Ruling("Deny", "WrongRequester", text, name)
    if node is None:
        text = f"there is no SovereignNode {name}; the admin has to make one"
        return Ruling("Wait" if first else "Deny", "UnknownNode", text, name)
    decision = node.get("accepted", "Pending")
    if decision == "Rejected":
        return Ruling("Deny", "NodeRejected", f"SovereignNode {name} is rejected", name)
    if decision != "Accepted":
        text = f"SovereignNode {name} is not accepted yet"
        return Ruling("Wait" if first else "Deny", "NodeNotAccepted", text, name)
    if first:
        return _rule_on_fingerprint(name, subject, node.get("keyFingerprint"))
    return Ruling("Approve", "Renewal", "renewal by the node itself", name)


def _rule_on_fingerprint(name: str, subject: CertificateSubject, pinned: object) -> Ruling:
    if not isinstance(pinned, str) or not pinned:
        text = f"SovereignNode {name} has no keyFingerprint; set the one `hansa join` printed"
        return Ruling("Wait", "NoFingerprint", text, name)
    if pinned != subject.fingerprint:
        text = f"the key is {subject.fingerprint}, the admin accepted {pinned}"
        return Ruling("Deny", "WrongKey", text, name)
    return Ruling("Approve", "FingerprintMatches", "the key is the one the admin accepted", name)
