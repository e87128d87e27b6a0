"""Whether a grant is what it claims to be: readable, for us, signed by a hub we trust.

These checks come first and alone: who cannot prove to be a trusted hub learns nothing of the policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import rfc8785
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from hansa.api.memberpolicy import MemberPolicySpec, TrustedKey
from hansa.api.meta import LIST_KEYS, Model
from hansa.api.texts import first_fault
from hansa.api.workgrant import Signature, WorkGrantSpec
from hansa.grants import envelope
from hansa.grants.facts import Proposal
from hansa.grants.reasons import MemberReason, Objection


def read(wire: Mapping[str, Any]) -> Proposal | Objection:
    """Return the grant in a wire ``spec``, or why it cannot be read. Never raises.

    As JSON and by the names of the wire alone: a text that looks like a number is none, so that nobody
    else can read another epoch in it.
    """
    try:
        spec = WorkGrantSpec.model_validate_json(
            orjson.dumps(wire), strict=True, by_alias=True, by_name=False
        )
        message = envelope.grant_message(wire)
        digest = envelope.digest(wire["jobSpec"])
    except ValidationError as error:
        return Objection(MemberReason.MALFORMED, first_fault(error))
    except (rfc8785.CanonicalizationError, RecursionError, ValueError, TypeError) as error:
        return Objection(MemberReason.MALFORMED, f"the grant is no canonical JSON: {error}")
    twice = repeated(spec)
    if twice:
        return Objection(MemberReason.MALFORMED, f"{twice}; a hub's own API server refuses that")
    if digest != spec.spec_digest:
        said = "specDigest does not cover this jobSpec; the hub must write the grant again"
        return Objection(MemberReason.DIGEST_MISMATCH, said)
    return Proposal(spec, message, hashlib.sha256(message).hexdigest()[:16])


def repeated(thing: Model, at: str = "") -> str:
    """Return where two items of a list have one key; empty: nowhere.

    An API server keeps such lists as maps. Of two items of one name somebody would read the first, and
    somebody else the last.
    """
    for field in type(thing).model_fields:
        value, place = getattr(thing, field), f"{at}{to_camel(field)}"
        items = value if isinstance(value, tuple) else (value,)
        models = [item for item in items if isinstance(item, Model)]
        keys = [key for item in models if (key := _key(item))]
        if isinstance(value, tuple) and len(set(keys)) < len(keys):
            return f"two of {place} have one key"
        found = next(filter(None, (repeated(item, f"{place}.") for item in models)), "")
        if found:
            return found
    return ""


def _key(item: Model) -> tuple[Any, ...]:
    extra = type(item).model_config.get("json_schema_extra")
    names = extra.get(LIST_KEYS) if isinstance(extra, dict) else None
    if not isinstance(names, list):
        return ()
    wire = {to_camel(field): getattr(item, field) for field in type(item).model_fields}
    return tuple(wire[str(name)] for name in names)


def hub_signature(proposal: Proposal, policy: MemberPolicySpec) -> Objection | None:
    """Object unless every signature is a trusted hub's and holds, one of them the issuer's."""
    trusted = by_id(policy.trusted_hubs)
    signatures = proposal.spec.signatures
    foreign = [s.key_id for s in signatures if s.key_id not in trusted]
    if foreign:
        return Objection(
            MemberReason.UNKNOWN_HUB,
            f"signed by key {foreign[0]}; add the hub's public key to MemberPolicy spec.trustedHubs"
            " if you trust it",
        )
    if proposal.spec.issuer not in {s.key_id for s in signatures}:
        said = f"the grant names key {proposal.spec.issuer} as its issuer, which did not sign it"
        return Objection(MemberReason.BAD_SIGNATURE, said)
    if all(_holds(s, trusted, proposal.message) for s in signatures):
        return None
    return Objection(
        MemberReason.BAD_SIGNATURE, "the hub's signature does not cover this grant; it was changed"
    )


def by_id(keys: Iterable[TrustedKey]) -> dict[str, str]:
    """Return public keys by their identifiers."""
    return {envelope.key_id(base64.b64decode(key.public_key)): key.public_key for key in keys}


def _holds(signature: Signature, trusted: Mapping[str, str], message: bytes) -> bool:
    return envelope.signature_holds(trusted[signature.key_id], message, signature.signature)
