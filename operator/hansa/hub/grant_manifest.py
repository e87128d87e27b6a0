"""A signed WorkGrant, as JSON: every field written out, so that no default can change the digest."""

from __future__ import annotations

from hansa.api.meta import (
    API_VERSION,
    EPOCH_LABEL,
    JOB_NAME_LABEL,
    JOB_NAMESPACE_LABEL,
    JOB_UID_LABEL,
    NODE_LABEL,
)
from hansa.grants.envelope import grant_message, grant_name, sign
from hansa.model.times import rfc3339
from hansa.ports import Manifest, Signer
from hansa.reconcile.hub.actions import WriteGrant
from hansa.reconcile.hub.node_access import namespace_of


def grant_manifest(
    action: WriteGrant, signer: Signer, *, now_s: float, validity_s: float, skew_s: float
) -> Manifest:
    """Return the grant, valid from now (less the skew) for ``validity_s`` seconds."""
    spec: Manifest = {
        "issuer": signer.key_id,
        "audience": action.audience,
        "node": action.node,
        "job": {
            "namespace": action.job_namespace,
            "name": action.job_name,
            "uid": action.job_uid,
        },
        "institution": action.institution,
        **({"project": action.project} if action.project else {}),
        "epoch": action.epoch,
        "notBefore": rfc3339(now_s - skew_s),
        "notAfter": rfc3339(now_s + validity_s),
        "specDigest": action.spec_digest,
        "jobSpec": dict(action.job_spec),
        "workers": action.workers,
        "overlays": [dict(overlay) for overlay in action.overlays],
    }
    key_id, signature = sign(signer, grant_message(spec))
    spec["signatures"] = [{"keyId": key_id, "signature": signature}]
    spec["cancel"] = action.cancel
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkGrant",
        "metadata": {
            "name": grant_name(action.job_uid, action.epoch),
            "namespace": namespace_of(action.node),
            "labels": {
                JOB_UID_LABEL: action.job_uid,
                JOB_NAME_LABEL: action.job_name,
                JOB_NAMESPACE_LABEL: action.job_namespace,
                EPOCH_LABEL: str(action.epoch),
                NODE_LABEL: action.node,
            },
        },
        "spec": spec,
    }
