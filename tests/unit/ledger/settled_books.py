"""Books in which a settlement was made and paid."""

from __future__ import annotations

from sqlalchemy import Engine

from hansa.accounting.books import disorders
from hansa.accounting.postings import Event
from hansa.accounting.settlement.clearing import Period, clear_books
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import usage

SIGNERS = {"clinic": "a", "ut": "b", "lab": "c"}
TRADE = (("clinic", "ut"), ("clinic", "ut"), ("ut", "clinic"), ("lab", "ut"), ("ut", "lab"))


def traded(engine: Engine, first: int, recorded_ms: int) -> None:
    """Post five receipts of 0.40 each: clinic owes ut twice what ut owes it; lab and ut are even."""
    writer = LedgerWriter(engine)
    uses = [
        usage(first + n, institution=payer, provider=provider)
        for n, (payer, provider) in enumerate(TRADE)
    ]
    writer.record(uses, recorded_ms)
    writer.happen(Event.POST, [use.receipt_digest for use in uses], recorded_ms)


def worked_out(engine: Engine, name: str, until_ms: int):
    books = LedgerReader(engine).books(until_ms)
    return clear_books(Period(name, "EUR", until_ms), books, {}, SIGNERS)


def settled_and_paid(engine: Engine) -> None:
    """Settle two months, each once, with its payment; also what PostgreSQL has to do."""
    reader, books = LedgerReader(engine), Settlements(engine)
    traded(engine, 0, 1000)
    traded(engine, 10, 2000)
    first = worked_out(engine, "2026-11", 2000)
    assert books.settle(first, b"signed", 5000)
    assert not books.settle(first, b"signed by more", 6000)
    assert reader.clearing("2026-11", "EUR") == b"signed"
    assert reader.settled_ms("EUR") == 5000
    pair = ("clinic", "ut")
    assert first.paid == {pair: 400_000}
    assert [books.pay(first, pair, reader.books(2000), 7000, note=n) for n in ("a", "b")] == [
        True,
        False,
    ]
    assert list(reader.paid(first.digest).values()) == ["a"]
    second = worked_out(engine, "2026-12", 8000)
    assert second.obligations == worked_out(engine, "2026-11", 2000).obligations
    assert books.settle(second, b"signed", 9000)
    assert reader.books().obligations("EUR") == {pair: 400_000}
    assert not disorders(reader.books())
