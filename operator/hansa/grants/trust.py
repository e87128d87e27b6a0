"""Whether a grant is what it claims to be: readable, for us, signed by a hub we trust.

These checks come first and alone: who cannot prove to be a trusted hub learns nothing of the policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785
from pydantic import ValidationError

from hansa.api.memberpolicy import MemberPolicySpec, TrustedKey
from hansa.api.meta import first_fault
from hansa.api.workgrant import Signature, WorkGrantSpec
from hansa.grants import envelope
from hansa.grants.judgement import Proposal
from hansa.grants.reasons import MemberReason, Objection


def read(wire: Mapping[str, Any]) -> Proposal | Objection:
    """Return the grant in a wire ``spec``, or why it cannot be read. Never raises."""
    try:
        spec = WorkGrantSpec.model_validate(wire)
        message = envelope.grant_message(wire)
        digest = envelope.digest(wire["jobSpec"])
    except ValidationError as error:
        return Objection(MemberReason.MALFORMED, first_fault(error))
    except (rfc8785.CanonicalizationError, RecursionError, ValueError, TypeError) as error:
        return Objection(MemberReason.MALFORMED, f"the grant is no canonical JSON: {error}")
    if digest != spec.spec_digest:
        said = "specDigest does not cover this jobSpec; the hub must write the grant again"
        return Objection(MemberReason.DIGEST_MISMATCH, said)
    return Proposal(spec, message, hashlib.sha256(message).hexdigest()[:16])


def hub_signature(proposal: Proposal, policy: MemberPolicySpec) -> Objection | None:
    """Object unless every hub signature is a trusted hub's and holds, and there is one."""
    trusted = _by_id(policy.trusted_hubs)
    signatures = [s for s in proposal.spec.signatures if s.role == "Hub"]
    foreign = [s.key_id for s in signatures if s.key_id not in trusted]
    if foreign or not signatures:
        whose = f"key {foreign[0]}" if foreign else "no hub"
        return Objection(
            MemberReason.UNKNOWN_HUB,
            f"signed by {whose}; add the hub's public key to MemberPolicy spec.trustedHubs if you"
            " trust it",
        )
    if all(_holds(s, trusted, proposal.message) for s in signatures):
        return None
    return Objection(
        MemberReason.BAD_SIGNATURE, "the hub's signature does not cover this grant; it was changed"
    )


def owner_signature(proposal: Proposal, policy: MemberPolicySpec) -> Objection | None:
    """Object when the policy wants a trusted data owner's signature and none holds.

    A known owner's signature that does not hold is an objection even where none is needed.
    """
    trusted = _by_id(policy.trusted_owners)
    known = [s for s in proposal.spec.signatures if s.role != "Hub" and s.key_id in trusted]
    if not all(_holds(s, trusted, proposal.message) for s in known):
        said = "a data owner's signature does not cover this grant; it was changed"
        return Objection(MemberReason.BAD_SIGNATURE, said)
    if known or not _owner_needed(proposal, policy):
        return None
    return Objection(
        MemberReason.OWNER_SIGNATURE_MISSING,
        "this institution runs such work only with the signature of a data owner it knows"
        " (MemberPolicy spec.trustedOwners)",
    )


def _owner_needed(proposal: Proposal, policy: MemberPolicySpec) -> bool:
    if policy.owner_signature == "RequiredForData":
        return bool(proposal.spec.job_spec.data)
    return policy.owner_signature == "Required"


def _by_id(keys: Iterable[TrustedKey]) -> dict[str, str]:
    return {envelope.key_id(base64.b64decode(key.public_key)): key.public_key for key in keys}


def _holds(signature: Signature, trusted: Mapping[str, str], message: bytes) -> bool:
    return envelope.signature_holds(trusted[signature.key_id], message, signature.signature)
