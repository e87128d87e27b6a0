"""Three institutions, what they owe each other, and the keys that they sign clearings with."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.accounting.books import Books, books_of
from hansa.accounting.postings import Claim, Event, postings
from hansa.accounting.settlement.clearing import Clearing, Period, clear_books
from hansa.adapters.keys import Ed25519Signer
from tests.unit.accounting.usages import digest

EUR = 1_000_000
UNTIL_MS = 1_796_083_200_000
"""2026-12-01T00:00:00Z."""
NAMES = ("clinic", "lab", "ut")
SIGNERS = {
    name: Ed25519Signer(Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")))
    for name in NAMES
}
KEYS = {name: signer.public_key for name, signer in SIGNERS.items()}
KEY_IDS = {name: signer.key_id for name, signer in SIGNERS.items()}
LIMITS = {"clinic": 2 * EUR}
OWED = {
    ("clinic", "lab"): 9 * EUR,
    ("clinic", "ut"): EUR,
    ("lab", "ut"): 5 * EUR,
    ("ut", "clinic"): 4 * EUR,
    ("abroad", "ut"): 7 * EUR,
}
PERIOD = Period("2026-11", "EUR", UNTIL_MS, 40, f"sha256:{'a' * 64}")


def rows_of(owed=OWED):
    """Return the postings that make these debts due."""
    claims = [
        Claim(digest((debtor, creditor)), debtor, creditor, micros, "EUR")
        for (debtor, creditor), micros in owed.items()
    ]
    return [
        row
        for claim in claims
        for event in (Event.CHARGE, Event.POST)
        for row in postings(event, claim, recorded_ms=UNTIL_MS - 1)
    ]


def books(owed=OWED) -> Books:
    return books_of(rows_of(owed))


def clearing(owed=OWED) -> Clearing:
    return clear_books(PERIOD, books(owed), LIMITS, KEY_IDS)
