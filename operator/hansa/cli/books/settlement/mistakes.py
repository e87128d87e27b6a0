"""``settle differences``, ``explain`` and ``correct``: what is not paid, and what a posted receipt should have cost.

Nothing in the books is changed: both are entries, and the same again is the same one.
"""

from __future__ import annotations

import click
from sqlalchemy import Engine

from hansa.accounting import amounts
from hansa.adapters.clock import SystemClock
from hansa.cli.books.database import with_books, with_engine
from hansa.cli.display import say, show_table
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter

COLUMNS = ("RECEIPT", "NODE", "INSTITUTION", "FAULT", "FIELD", "WHY")
NOTE = click.option("--note", required=True, help="What was found out or agreed, and by whom.")


@click.command
@with_books
def differences(books: LedgerReader) -> None:
    """List receipts that are paid to nobody, and why, until they are posted or explained."""
    rows = books.differences()
    show_table("Differences", COLUMNS, rows)


@click.command
@click.argument("receipt")
@NOTE
@with_engine
def explain(receipt: str, note: str, engine: Engine) -> None:
    """Enter what was found out about the difference of RECEIPT, once: it stays unpaid."""
    open_ones = {row[0] for row in LedgerReader(engine).differences()}
    if receipt not in open_ones:
        text = f"no difference of receipt {receipt} is open; hansa settle differences lists them"
        raise Terminal(text, reason="NoDifference")
    LedgerWriter(engine).explain(receipt, note, int(SystemClock().now() * 1000))
    say(f"Entered: {receipt} stays unpaid")


@click.command
@click.argument("receipt")
@click.option(
    "--by",
    "change",
    required=True,
    help="What it costs more or, with a minus, less; for example -1.20. In the receipt's own currency.",
)
@NOTE
@with_engine
def correct(receipt: str, change: str, note: str, engine: Engine) -> None:
    """Change what posted RECEIPT costs, by an entry that names it. The receipt stays as it is."""
    try:
        micros = amounts.entered(change)
    except ValueError as error:
        raise Terminal(f"--by: {error}", reason="NoAmount") from error
    if not micros:
        raise Terminal("--by: 0 changes nothing", reason="NoAmount")
    made = LedgerWriter(engine).correct(receipt, micros, int(SystemClock().now() * 1000), note=note)
    by = f"{amounts.text(abs(micros))} {made.currency}"
    more = "more" if micros > 0 else "less"
    say(f"Entered: {made.debtor} owes {made.creditor} {by} {more} ({made.note})")
