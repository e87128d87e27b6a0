"""A database that is full, and a currency that nobody knows: named, nothing lost, nothing paid twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, Engine, event

from hansa.accounting.books import disorders
from hansa.errors import Retryable
from hansa.receipts.work_receipt import Price
from tests.unit.ledger.receipts.ledger_kit import Ledger, receipts, shown

PAID = [100_000, 600_000, 600_000]
MOST_TRIES = 500
"""Each adds a page; a ledger that never gets through fails, and does not hang."""
DIGEST = f"sha256:{'0' * 64}"


async def test_a_disk_that_is_full_is_named_and_nothing_is_lost_or_paid_twice(
    engine: Engine, tmp_path: Path
):
    """A page comes free at a time: so the ledger gets a little further each time."""
    ledger, outbox, pages, failed = Ledger(engine, tmp_path), shown(), 0, 0
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(engine, "begin", limit, insert=True)
    for _ in range(MOST_TRIES):
        if ledger.amounts:
            break
        try:
            await ledger.step(outbox)
        except Retryable as error:
            assert "database or disk is full" in str(error)  # noqa: PT017  # one of many
            assert not disorders(ledger.reader.books())
            pages, failed = pages + 1, failed + 1
    assert failed > 2
    await ledger.step(outbox)
    assert sorted(ledger.amounts) == PAID
    assert ledger.disputes == set()
    assert not disorders(ledger.reader.books())


async def test_a_currency_that_the_league_does_not_know_is_named_and_holds_up_nobody(
    engine: Engine, tmp_path: Path
):
    ledger = Ledger(engine, tmp_path)
    valid = ledger.tariffs["tartu"]
    price = Price(gpu_hour="3.60", cpu_hour="0", currency="XTS", tariff=DIGEST)
    ledger.tariffs["tartu"] = replace(valid, currency="XTS")
    await ledger.step(shown(receipts(price=price)))
    assert ledger.disputes == {("UnknownCurrency", "currency")}
    assert ledger.amounts == []
    assert ledger.taken.sequence == 3, "its member may let the receipts go: they are kept here"
