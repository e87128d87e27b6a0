"""Entries and their postings, in the statement that writes: what all writers of the books share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from hansa.accounting.postings import Claim, Event, postings
from hansa.ledger.store import schema
from hansa.ledger.store.inserts import insert, insert_new
from hansa.ledger.store.rows import entry_row, posting_row


def _nothing(_: Claim) -> str | None:
    return None


def write_entries(
    connection: Connection,
    event: Event,
    claims: Iterable[Claim],
    recorded_ms: int,
    *,
    note: str = "",
    refers_to: Callable[[Claim], str | None] = _nothing,
) -> tuple[str, ...]:
    """Enter claims that are not there yet, and post them; returns the subjects that were new."""
    by_subject = {claim.subject: claim for claim in claims}
    rows = [
        entry_row(event, claim, recorded_ms=recorded_ms, note=note, refers_to=refers_to(claim))
        for _, claim in sorted(by_subject.items())
    ]
    fresh = sorted(insert_new(connection, schema.ENTRY, rows, "subject"))
    post(connection, event, [by_subject[subject] for subject in fresh])
    return tuple(fresh)


def post(connection: Connection, event: Event, claims: Iterable[Claim]) -> None:
    """Write the movements of money that an event of claims makes."""
    rows = [posting_row(one) for claim in claims for one in postings(event, claim)]
    insert(connection, schema.POSTING, rows)


def on(connection: Connection) -> Callable[[Table], Any]:
    """Return the database's own insert, which can leave what is there already."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


DECIDING = "drawing"
"""What is locked by whoever decides what of the books is at stake, and shared by whoever moves that on."""


def lock(connection: Connection, subject: str, *, shared: bool = False) -> None:
    """Let writers about one subject follow one another, but for those that share it; in SQLite all writers do."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)
        taken = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        connection.execute(select(taken(key)))
