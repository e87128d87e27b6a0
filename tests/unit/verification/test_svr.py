"""A verdict on the wire: an in-toto Statement v1 with SVR v0.2."""

from __future__ import annotations

import pytest
import rfc8785
from pydantic import ValidationError

from hansa.verification.auditors import Independence
from hansa.verification.svr import Descriptor, DigestSet, Statement, Verifier, statement
from hansa.verification.verdict import Verdict

RECEIPT = Descriptor(name="job-b/1", digest=DigestSet(sha256="ab" * 32))
BY = Verifier(
    id="https://league.example/verifier/v1",
    policies=(Descriptor(uri="https://league.example/pool", digest=DigestSet(sha256="cd" * 32)),),
)


def said(verdict, independence=Independence.INDEPENDENT):
    return statement(RECEIPT, verdict, BY, 0, independence)


def test_the_whole_statement():
    assert said(Verdict.PASSED).wire() == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "job-b/1", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://in-toto.io/attestation/svr/v0.2",
        "predicate": {
            "verifier": {
                "id": "https://league.example/verifier/v1",
                "policies": [
                    {"uri": "https://league.example/pool", "digest": {"sha256": "cd" * 32}}
                ],
            },
            "timeCreated": "1970-01-01T00:00:00Z",
            "properties": ["HANSA_AUDITED", "HANSA_RESULT_REPRODUCED"],
        },
    }


def test_a_refuted_run_lacks_what_a_reader_asks_for():
    assert said(Verdict.FAILED).predicate.properties == ("HANSA_AUDITED", "HANSA_RESULT_REFUTED")


def test_an_own_audit_says_so():
    assert (
        "HANSA_AUDITED_BY_PROVIDER_ONLY"
        in said(Verdict.PASSED, Independence.SELF).predicate.properties
    )


def test_read_back_with_fields_of_others():
    wire = said(Verdict.FAILED).wire()
    wire["predicate"]["extension"] = {"by": "somebody"}
    assert Statement.model_validate_json(rfc8785.dumps(wire)) == said(Verdict.FAILED)


def test_nothing_is_stated_before_it_is_decided():
    with pytest.raises(ValueError, match="verdict: it is still open"):
        said(Verdict.OPEN)


@pytest.mark.parametrize(
    ("path", "value"),
    {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://in-toto.io/attestation/svr/v0.1",
        "subject": [],
        "predicate": {},
    }.items(),
)
def test_another_statement_is_refused(path, value):
    with pytest.raises(ValidationError, match=path):
        Statement.model_validate({**said(Verdict.PASSED).wire(), path: value})
