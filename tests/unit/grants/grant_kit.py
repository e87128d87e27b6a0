"""Signed grants and policies for the tests of the member's law."""

from __future__ import annotations

import copy
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.api.aijob import SERVED_WORKLOADS, AIJobSpec, Authorization
from hansa.api.memberpolicy import MemberPolicySpec
from hansa.grants import authorization, envelope
from hansa.grants.facts import Facts, GpuStock
from tests.residency_kit import EVERYWHERE

NOW_S = 1_800_000_000.0
BEGIN, END = "2027-01-15T07:59:00Z", "2027-01-15T09:00:00Z"
"""``NOW_S`` is 2027-01-15T08:00:00Z."""
HUB = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"h" * 32))
OWNER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"o" * 32))
NODE = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"n" * 32))
FOREIGN = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"f" * 32))
UID = "0f8c2f4e-7c1c-4f7b-9d9a-5d2f1e8a7b60"


def job(**changes: Any) -> dict[str, Any]:
    """Return a wire jobSpec."""
    return {
        "pool": "league",
        "residency": EVERYWHERE,
        "image": "hansa.local/ray@sha256:" + "0" * 64,
        "entrypoint": ["python3", "train.py"],
        "ray": {
            "version": "2.60.0",
            "workers": {"count": 2, "gpus": 1, "gpuClass": "nvidia-rtx-4090"},
        },
        "data": [{"name": "cohort"}],
    } | copy.deepcopy(changes)


def authorized(
    body: dict[str, Any],
    signer: Ed25519Signer = OWNER,
    *,
    institution: str = "hospital",
    **terms: Any,
) -> dict[str, Any]:
    """Return a wire jobSpec with a data owner's signature over its work added."""
    said = {"keyId": signer.key_id, "signature": "AA==", "notAfter": END} | terms
    unsigned = Authorization.model_validate(said)
    covered = authorization.message(AIJobSpec.model_validate(body), institution, unsigned)
    said["signature"] = envelope.sign(signer, covered)[1]
    return body | {"authorizations": [*body.get("authorizations", ()), said]}


def sign(spec: dict[str, Any], *signers: Ed25519Signer) -> dict[str, Any]:
    """Return ``spec`` with signatures over everything else in it."""
    message = envelope.grant_message(spec)
    spec["signatures"] = [
        {"keyId": key_id, "signature": signature}
        for signer in signers
        for key_id, signature in [envelope.sign(signer, message)]
    ]
    return spec


def grant(
    spec: dict[str, Any] | None = None,
    *,
    by: tuple[Ed25519Signer, ...] = (HUB,),
    **changes: Any,
) -> dict[str, Any]:
    """Return a signed wire spec; ``changes`` are made before signing."""
    body = job() if spec is None else spec
    return sign(
        {
            "issuer": by[0].key_id,
            "audience": NODE.key_id,
            "node": "tartu",
            "job": {"namespace": "hospital", "name": "study", "uid": UID},
            "institution": "hospital",
            "epoch": 3,
            "notBefore": BEGIN,
            "notAfter": END,
            "specDigest": envelope.digest(body),
            "jobSpec": body,
            "workers": body["ray"].get("workers", {}).get("count", 1),
            "overlays": [],
        }
        | changes,
        *by,
    )


def policy(**changes: Any) -> MemberPolicySpec:
    """Return a law that accepts ``grant()``."""
    return MemberPolicySpec.model_validate(
        {
            "jurisdiction": "EE",
            "legalControl": ["EE"],
            "trustedHubs": [{"name": "league", "publicKey": HUB.public_key}],
            "trustedOwners": [{"name": "clinic", "publicKey": OWNER.public_key}],
            "imageRegistries": ["hansa.local"],
            "datasets": [
                {"name": "cohort", "jurisdiction": "EE", "claim": "cohort", "residency": EVERYWHERE}
            ],
            "secrets": [{"name": "token", "tenants": ["hospital"]}],
        }
        | changes
    )


def facts(**changes: Any) -> Facts:
    """Return a healthy member."""
    stock = {"nvidia-rtx-4090": GpuStock(8, 24 << 30), "nvidia-l40s": GpuStock(4, 48 << 30)}
    healthy = {
        "node": "tartu",
        "key_id": NODE.key_id,
        "now_s": NOW_S,
        "stock": stock,
        "served": SERVED_WORKLOADS,
    }
    return Facts(**healthy | changes)


def small(**workers):
    """Return the shape of a small gang."""
    return {"version": "2.60.0", "workers": {"count": 2, "gpus": 1} | workers}
