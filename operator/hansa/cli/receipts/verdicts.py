"""Verdicts in a bundle: what the hub signed about its receipts, checked without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import ValidationError
from securesystemslib import dsse

from hansa.api.sovereignnode import ReceiptEnvelope
from hansa.receipts.bundle import Bundle
from hansa.receipts.envelope import PAYLOAD_TYPE, Keys, decoded, digest, peek, signature_holds
from hansa.verification.svr import Statement


class Told(NamedTuple):
    """One verdict."""

    said: str
    """What it says, or what is wrong with it."""
    holds: bool


def told(bundle: Bundle, keys: Keys) -> Iterator[Told]:
    """Yield each verdict in words; one that the hub did not sign, or that is about nothing here, does not hold."""
    leagues = {}
    for one in bundle.receipts:
        receipt = peek(one.envelope)
        if receipt is not None:
            leagues[digest(one.envelope)] = receipt.work.league
    for number, envelope in enumerate(bundle.verdicts, 1):
        try:
            yield _told(envelope, leagues, keys)
        except (ValidationError, ValueError) as error:
            yield Told(f"verdict {number} of the bundle: {str(error)[:200]}", holds=False)


def _told(envelope: ReceiptEnvelope, leagues: dict[str, str], keys: Keys) -> Told:
    payload = decoded(envelope.payload)
    statement = Statement.model_validate_json(payload)
    names = [f"sha256:{about.digest.sha256}" for about in statement.subject]
    if not all(name in leagues for name in names):
        raise ValueError("it is about a receipt that is not in the bundle")
    pae = dsse.Envelope(payload, PAYLOAD_TYPE, {}).pae()
    wanted = {leagues[name] for name in names}
    for signature in envelope.signatures:
        public = keys.get(signature.keyid)
        if public is not None and signature_holds(signature, public, pae):
            wanted.discard(signature.keyid)
    if wanted:
        raise ValueError("the hub that granted the work did not sign it")
    runs = ", ".join(about.name or "without a name" for about in statement.subject)
    found = statement.predicate
    return Told(f"run {runs}: {', '.join(found.properties)} at {found.time_created}", holds=True)
