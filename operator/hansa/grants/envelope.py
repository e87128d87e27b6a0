"""What a signature covers: the canonical grant inside a DSSE pre-authentication encoding.

Canonical JSON is RFC 8785; the encoding is DSSE v1 (https://github.com/secure-systems-lab/dsse).
``signatures`` and ``cancel`` are outside: a stop needs no authority, a start does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.ports import Signer

GRANT_TYPE = "application/vnd.hansa.grant.v1alpha1+json"
RELEASE_TYPE = "application/vnd.hansa.release.v1alpha1+json"
UNSIGNED_FIELDS = frozenset({"signatures", "cancel"})
SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_PLAIN = frozenset({str, int, bool, type(None)})


def canonical(value: Any) -> bytes:
    """Return the one JSON spelling of ``value`` (RFC 8785).

    Of ASCII text and whole numbers that is what orjson sorts, in a tenth of the time: a hub reads
    fifty thousand specs before it makes its first grant.
    """
    try:
        quick = orjson.dumps(value, option=SORTED)
    except TypeError:
        return rfc8785.dumps(value)
    return quick if quick.isascii() and _is_plain(value) else rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    """Tell whether there are neither fractions nor types of Python's own in it."""
    kind = type(value)
    if kind is dict:
        return all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if kind is list else kind in _PLAIN


def digest(value: Any) -> str:
    """Return ``sha256:…`` of the canonical JSON of ``value``."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def key_id(public_key: bytes) -> str:
    """Return the identifier of a raw 32-byte public key."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def pre_auth(payload_type: str, body: bytes) -> bytes:
    """Return the DSSE pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def grant_message(spec: Mapping[str, Any]) -> bytes:
    """Return the bytes a grant's signature covers, from the grant's wire ``spec``."""
    body = {name: spec[name] for name in spec if name not in UNSIGNED_FIELDS}
    return pre_auth(GRANT_TYPE, canonical(body))


def release_message(*, node: str, job_uid: str, epoch: int, released_at: str) -> bytes:
    """Return the bytes a node signs when nothing of an epoch runs any more."""
    body = {"node": node, "jobUid": job_uid, "epoch": epoch, "releasedAt": released_at}
    return pre_auth(RELEASE_TYPE, canonical(body))


def sign(signer: Signer, message: bytes) -> tuple[str, str]:
    """Return ``(key_id, base64 signature)``."""
    return signer.key_id, base64.b64encode(signer.sign(message)).decode()


def signature_holds(public_key_b64: str, message: bytes, signature_b64: str) -> bool:
    """Tell whether the signature is the key's; malformed input is simply not a signature.

    Base64 has several spellings of the same bytes; only the canonical one is a signature here.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key_b64, validate=True))
        signature = base64.b64decode(signature_b64, validate=True)
        key.verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return base64.b64encode(signature).decode() == signature_b64


def grant_name(job_uid: str, epoch: int) -> str:
    """Return the grant's name: a second write of the same epoch is a 409, never a double."""
    return f"{job_uid}-e{epoch}"


RUN_PREFIX = "aij-"
"""Of the names of runs, and of nothing else (second lock)."""


def workload_name(job_uid: str, epoch: int) -> str:
    """Return the name of a run's namespace and workload: the whole identity, no part of it.

    At most 47 characters, for Ray derives longer names (KubeRay 1.6 refuses longer ones).
    """
    return f"{RUN_PREFIX}{job_uid.replace('-', '')}-e{epoch}"
