"""A period is settled once and each of its payments made once, whoever asks how often."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from hansa.accounting.books import disorders
from hansa.accounting.postings import KITTY, AccountKind, Claim, Event
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import digest, usage
from tests.unit.ledger.settled_books import settled_and_paid, traded, worked_out


def test_a_period_is_settled_once_and_paid_once(engine: Engine) -> None:
    settled_and_paid(engine)


def test_a_period_that_was_cleared_otherwise_is_named(engine: Engine) -> None:
    traded(engine, 0, 1000)
    first = worked_out(engine, "2026-11", 2000)
    Settlements(engine).settle(first, b"signed", 5000)
    with pytest.raises(Terminal, match="was cleared otherwise"):
        Settlements(engine).settle(replace(first, limits={"ut": 5}), b"signed", 5001)


def test_what_was_worked_out_before_another_settlement_is_outdated(engine: Engine) -> None:
    """Its set-off would happen twice."""
    traded(engine, 0, 1000)
    first, late = worked_out(engine, "2026-11", 2000), worked_out(engine, "2026-12", 2001)
    Settlements(engine).settle(first, b"signed", 5000)
    before = LedgerReader(engine).books()
    with pytest.raises(Terminal, match="another period was settled since"):
        Settlements(engine).settle(late, b"signed", 5001)
    assert LedgerReader(engine).books() == before


def test_books_before_a_moment_know_nothing_later(engine: Engine) -> None:
    traded(engine, 0, 1000)
    traded(engine, 10, 2000)
    reader = LedgerReader(engine)
    assert reader.books(1000).balances == {}
    assert reader.books(2001) == reader.books()
    assert reader.books(2000).of("ut", AccountKind.RECEIVABLE, "EUR") == 3 * 400_000


def test_what_is_paid_to_the_kitty_ends_what_was_seized_from_each(engine: Engine) -> None:
    writer, reader, books = (
        LedgerWriter(engine, holdback_bp=1000),
        LedgerReader(engine),
        Settlements(engine),
    )
    writer.record([usage(1), usage(2, provider="lab")], 1000)
    for event in (Event.POST, Event.SEIZE):
        writer.happen(event, [digest(1), digest(2)], 1000)
    bond = Claim("bond", "clinic", KITTY, 50_000, "EUR")
    writer.begin(Event.PLEDGE, [bond], 1000)
    writer.happen(Event.SEIZE_PLEDGE, ["bond"], 1000)
    found, pair = worked_out(engine, "2026-11", 2000), ("clinic", KITTY)
    assert found.paid[pair] == 130_000
    books.settle(found, b"signed", 3000)
    until = reader.books(2000)
    # More is seized before the payment is entered again: it pays for nothing of that.
    assert books.pay(found, pair, until, 4000, note="x")
    writer.record([usage(3)], 5000)
    for event in (Event.POST, Event.SEIZE):
        writer.happen(event, [digest(3)], 5000)
    assert not books.pay(found, pair, until, 6000, note="x")
    assert reader.books().obligations("EUR")[pair] == 40_000
    assert not disorders(reader.books())


def test_what_a_clearing_has_nobody_pay_is_not_entered(engine: Engine) -> None:
    traded(engine, 0, 1000)
    found = worked_out(engine, "2026-11", 2000)
    with pytest.raises(Terminal, match="lab has nothing to pay ut in the clearing of 2026-11"):
        Settlements(engine).pay(found, ("lab", "ut"), LedgerReader(engine).books(), 1, note="x")
