"""A verdict as an in-toto Statement with the Simple Verification Result predicate, v0.2.

SVR lists properties that hold and has no form for failure: a refuted run is stated by a property of its own, so that
whoever asks for ``HANSA_RESULT_REPRODUCED`` does not find it. Signing and the DSSE envelope are the caller's.
https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from hansa.model.times import rfc3339
from hansa.verification.auditors import Independence
from hansa.verification.verdict import Verdict

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/svr/v0.2"
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Uri = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:\S+$", max_length=512)]
Property = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]

PROPERTIES: dict[Verdict, tuple[str, ...]] = {
    Verdict.PASSED: ("HANSA_AUDITED", "HANSA_RESULT_REPRODUCED"),
    Verdict.FAILED: ("HANSA_AUDITED", "HANSA_RESULT_REFUTED"),
    Verdict.LOST: ("HANSA_WORK_LOST",),
    Verdict.INCONCLUSIVE: ("HANSA_AUDIT_INCONCLUSIVE",),
}


class _Wire(BaseModel):
    """Unknown fields are let through and dropped, as in-toto's parsing rules demand."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class DigestSet(_Wire):
    """The digest of a receipt or policy."""

    sha256: Hex


class Descriptor(_Wire):
    """What a statement is about: a receipt, named by its run."""

    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    uri: Uri | None = None
    digest: DigestSet


class Verifier(_Wire):
    """Who audited, and by which parameters."""

    id: Uri
    policies: tuple[Descriptor, ...] = Field(default=(), max_length=16)


class Result(_Wire):
    """The predicate."""

    verifier: Verifier
    time_created: Annotated[str, StringConstraints(max_length=40)]
    properties: tuple[Property, ...] = Field(min_length=1, max_length=64)


class Statement(_Wire):
    """An in-toto Statement v1 with the SVR predicate."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Descriptor, ...] = Field(min_length=1, max_length=1024)
    predicate_type: Literal["https://in-toto.io/attestation/svr/v0.2"]
    predicate: Result

    def wire(self) -> dict[str, object]:
        """Return it as JSON values, for RFC 8785."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def statement(
    subject: Descriptor, verdict: Verdict, by: Verifier, at_s: int, independence: Independence
) -> Statement:
    """Return the statement of a closed audit.

    Raises:
        ValueError: the verdict is still open.
    """
    if verdict not in PROPERTIES:
        raise ValueError("verdict: it is still open; there is nothing to state")
    properties = PROPERTIES[verdict]
    if independence is Independence.SELF:
        properties = (*properties, "HANSA_AUDITED_BY_PROVIDER_ONLY")
    result = Result(verifier=by, time_created=rfc3339(at_s), properties=properties)
    return Statement(
        _type=STATEMENT_TYPE, subject=(subject,), predicate_type=PREDICATE_TYPE, predicate=result
    )
