"""A clearing as a file that goes round: a DSSE envelope, to which each institution adds its signature.

The payload is the clearing's document in its one spelling, so that all sign the same bytes. Keys come
from whoever checks: the document says which ids it was made for, and proves nothing of whose they are.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal, NoReturn

from pydantic import Field, StringConstraints, ValidationError
from securesystemslib import dsse

from hansa.accounting import amounts
from hansa.accounting.settlement.clearing import ALGORITHM, Clearing, Period
from hansa.accounting.settlement.set_off import Obligations
from hansa.api.meta import Digest, Model, Timestamp
from hansa.api.node.receipts import ReceiptSignature
from hansa.api.texts import first_fault
from hansa.errors import Terminal
from hansa.model.times import from_rfc3339
from hansa.ports import Signer
from hansa.receipts.envelope import signature_holds

TYPE = "application/vnd.hansa.clearing.v1+json"
MOST_BYTES = 64 << 20
Text = Annotated[str, StringConstraints(max_length=253)]
Row = tuple[Text, Text, Text]


class SignedClearing(Model):
    """The envelope."""

    payload_type: Literal["application/vnd.hansa.clearing.v1+json"] = Field(
        default="application/vnd.hansa.clearing.v1+json", description="What this is."
    )
    payload: Annotated[str, StringConstraints(max_length=MOST_BYTES)] = Field(
        description="The clearing's document, base64."
    )
    signatures: tuple[ReceiptSignature, ...] = Field(
        default=(), max_length=1024, description="One an institution."
    )

    @property
    def document(self) -> bytes:
        """The bytes that are signed; raises ``Terminal``."""
        try:
            return base64.b64decode(self.payload, validate=True)
        except ValueError as error:
            _refuse(f"payload: no base64: {error}")

    @property
    def pae(self) -> bytes:
        """What a signature covers."""
        message: bytes = dsse.Envelope(self.document, TYPE, {}).pae()
        return message

    def wire(self) -> bytes:
        """Return it as JSON."""
        return self.model_dump_json(by_alias=True).encode() + b"\n"


class _Document(Model):
    """The payload."""

    algorithm: Literal["hansa.dev/set-off/v1"]
    period: Text
    currency: Text
    until: Timestamp
    log_size: Annotated[int, Field(ge=0)]
    log_root: Text
    obligations: tuple[Row, ...]
    set_off: tuple[Row, ...]
    paid: tuple[Row, ...]
    carried: tuple[Row, ...]
    limits: dict[Text, Text]
    signers: dict[Text, Digest]


def unsigned(clearing: Clearing) -> SignedClearing:
    """Return a clearing that nobody has signed yet."""
    return SignedClearing(payload=base64.b64encode(clearing.canonical()).decode())


def countersign(signed: SignedClearing, signer: Signer) -> SignedClearing:
    """Return it with one more signature; a key that signed already signs no second time."""
    if any(one.keyid == signer.key_id for one in signed.signatures):
        return signed
    text = base64.b64encode(signer.sign(signed.pae)).decode()
    more = ReceiptSignature(keyid=signer.key_id, sig=text)
    return signed.model_copy(update={"signatures": (*signed.signatures, more)})


def merged(copies: Iterable[SignedClearing]) -> SignedClearing:
    """Return one file with the signatures of all; raises ``Terminal`` where they sign different things."""
    first, *others = copies
    for other in others:
        if other.payload != first.payload:
            _refuse("the files are not of one clearing: their documents differ")
        known = {one.keyid for one in first.signatures}
        more = tuple(one for one in other.signatures if one.keyid not in known)
        first = first.model_copy(update={"signatures": (*first.signatures, *more)})
    return first


def read_signed(text: bytes) -> SignedClearing:
    """Return the file in ``text``; raises ``Terminal`` naming the field that is wrong."""
    if len(text) > MOST_BYTES:
        _refuse(f"the file has more than {MOST_BYTES >> 20} MiB")
    try:
        return SignedClearing.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        _refuse(first_fault(error))


def clearing_of(signed: SignedClearing) -> Clearing:
    """Return the clearing in a file; raises ``Terminal`` for a document that is not in its one spelling."""
    try:
        said = _Document.model_validate_json(
            signed.document, strict=True, by_alias=True, by_name=False
        )
        until_s = from_rfc3339(said.until)
        if until_s is None:
            _refuse("until: write it as 2026-12-01T00:00:00Z")
        period = Period(
            said.period,
            said.currency,
            int(until_s) * 1000,
            said.log_size,
            said.log_root,
        )
        found = Clearing(
            period,
            obligations=_obligations(said.obligations),
            set_off=_obligations(said.set_off),
            paid=_obligations(said.paid),
            carried=_obligations(said.carried),
            limits={name: amounts.read(text) for name, text in said.limits.items()},
            signers=said.signers,
        )
    except ValidationError as error:
        _refuse(first_fault(error))
    except ValueError as error:
        _refuse(str(error))
    if found.canonical() != signed.document:
        _refuse("its document is not in the one spelling that is signed (RFC 8785, rows in order)")
    return found


def unwarranted(signed: SignedClearing, keys: Mapping[str, str]) -> Iterator[str]:
    """Yield why it is not countersigned by all, a sentence each; nothing: it is.

    ``keys``: institution → public key, base64, as whoever checks was told them.
    """
    clearing = clearing_of(signed)
    made = {one.keyid: one for one in signed.signatures}
    for institution, key_id in clearing.signers.items():
        public, signature = keys.get(institution), made.pop(key_id, None)
        if public is None:
            yield f"no key is known of {institution}"
        elif signature is None:
            yield f"{institution} has not signed"
        elif not signature_holds(signature, public, signed.pae):
            yield f"the signature of {institution} does not hold, or is not by the key known of it"
    yield from (f"key {key_id} signed, which is none of the signers'" for key_id in made)


def _obligations(rows: tuple[Row, ...]) -> Obligations:
    return {(debtor, creditor): amounts.read(text) for debtor, creditor, text in rows}


def _refuse(why: str) -> NoReturn:
    raise Terminal(f"this is no clearing ({ALGORITHM}): {why}", reason="NoClearing")
