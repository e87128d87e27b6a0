"""What a data owner signs: the work itself, not the hub's grant of it.

The owner knows the work before any hub does: image, arguments, data sets, residency, purpose. He
knows no epoch and no dates of a grant. So the signature stands in the job (``spec.authorizations``),
made before or after it is applied, and covers the job's spec in normal form: every field that
differs from its default, without what says only when, where in the queue and at what price.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from hansa.api.aijob import AIJobSpec, Authorization
from hansa.grants.envelope import canonical, pre_auth, signature_holds

WORK_TYPE = "application/vnd.hansa.work.v1alpha1+json"
UNSIGNED = frozenset(
    {
        *("authorizations", "pool", "priority", "budget", "project", "suspend", "retry"),
        *("ttl_seconds_after_finished", "audit"),
    }
)
"""Fields that change nothing about what is done with the data; how often is bounded by ``maxRuns``."""


def work(spec: AIJobSpec) -> dict[str, Any]:
    """Return what is to be done, in normal form: a default written out and one left out are equal."""
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=set(UNSIGNED))


def message(spec: AIJobSpec, institution: str, said: Authorization) -> bytes:
    """Return the bytes that a data owner's signature covers.

    ``institution``: for whom the work may run; the hub reads it from the job's namespace.
    """
    terms = said.model_dump(mode="json", by_alias=True, exclude={"key_id", "signature"})
    return pre_auth(WORK_TYPE, canonical({"work": work(spec), "institution": institution, **terms}))


def identity(said: Authorization) -> str:
    """Return what its uses are counted by: 16 hex digits that no other signature has."""
    return hashlib.sha256(f"{said.key_id} {said.signature}".encode()).hexdigest()[:16]


def holds(said: Authorization, spec: AIJobSpec, institution: str, public_key: str) -> bool:
    """Tell whether the signature is that key's and covers this very work."""
    return signature_holds(public_key, message(spec, institution, said), said.signature)


def identities(authorizations: Iterable[Authorization]) -> tuple[str, ...]:
    """Return the identities of several, in order."""
    return tuple(identity(said) for said in authorizations)
