"""``settle bank-file``, ``paid`` and ``show``: what a clearing leaves to pay, and that it was paid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import Engine

from hansa.accounting import amounts
from hansa.accounting.exports.bank_file import Order
from hansa.accounting.exports.bank_file import bank_file as make_file
from hansa.accounting.postings import KITTY_IN_WORDS, owner_in_words, owner_of
from hansa.accounting.settlement.clearing import Clearing
from hansa.accounting.settlement.signed import clearing_of, read_signed, unwarranted
from hansa.adapters.clock import SystemClock
from hansa.api.meta import CURRENCY as CODE
from hansa.cli.books.database import with_engine
from hansa.cli.books.settlement.countersign import FILE
from hansa.cli.books.settlement.propose import show_clearing
from hansa.cli.books.settlement.terms import SettlementTerms, with_terms
from hansa.cli.display import say, show_table
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements

PAYMENTS = ("DEBTOR", "CREDITOR", "TO PAY", "PAID", "REFERENCE")


def _currency(_context: click.Context, _option: click.Parameter, code: str) -> str:
    if not re.fullmatch(CODE, code):
        text = f"{code!r} is no ISO 4217 code: write three capital letters, for example EUR"
        raise click.BadParameter(text)
    return code


CURRENCY = click.option("--currency", default="EUR", callback=_currency, help="ISO 4217.")


@click.command("bank-file")
@FILE
@with_terms
@click.option("--debtor", required=True, help="Institution that pays.")
@click.option(
    "--on",
    "execution",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day on which the bank shall pay, for example 2026-12-15.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the bank: ISO 20022 pain.001.001.09.",
)
def bank_file(
    file: Path, terms: SettlementTerms, debtor: str, execution: datetime, output: Path
) -> None:
    """Write DEBTOR's payments of the clearing in FILE for its bank. Needs no database.

    The same clearing and day give the same bytes: a bank that gets it twice sees that it is one.
    """
    signed = read_signed(file.read_bytes())
    clearing = clearing_of(signed)
    missing = [*terms.departures(clearing), *unwarranted(signed, terms.keys)]
    if missing:
        raise Terminal(f"nothing is paid of it yet: {'; '.join(missing[:5])}", reason="NotAgreed")
    order = Order(clearing.period.until_ms, execution.date())
    made = make_file(clearing, debtor, terms.parties, order)
    if made is None:
        say(f"{debtor} has nothing to pay in {clearing.period.name}")
        return
    output.write_bytes(made)
    say(f"Written to {output}; once the bank has paid: hansa settle paid {clearing.period.name}")


@click.command
@click.argument("period")
@CURRENCY
@click.option("--debtor", required=True, help="Institution that paid.")
@click.option(
    "--creditor", required=True, help=f"Institution that was paid, or {KITTY_IN_WORDS!r}."
)
@click.option(
    "--reference", required=True, help="What the bank calls it, or who was told of it how."
)
@with_engine
def paid(  # one parameter an option
    period: str, *, currency: str, debtor: str, creditor: str, reference: str, engine: Engine
) -> None:
    """Enter that DEBTOR has paid CREDITOR what the clearing of PERIOD says, in full. Once is enough."""
    books = LedgerReader(engine)
    clearing = entered(books, period, currency)
    until, now_ms = books.books(clearing.period.until_ms), int(SystemClock().now() * 1000)
    pair = (debtor, owner_of(creditor))
    fresh = Settlements(engine).pay(clearing, pair, until, now_ms, note=reference)
    amount = f"{amounts.text(clearing.paid[pair])} {currency}"
    said = "Entered" if fresh else "Was entered before"
    say(f"{said}: {debtor} paid {owner_in_words(pair[1])} {amount} of {period}")


@click.command
@click.argument("period")
@CURRENCY
@with_engine
def show(period: str, currency: str, engine: Engine) -> None:
    """Show the clearing of PERIOD as it was entered, and which of its payments were made."""
    books = LedgerReader(engine)
    clearing = entered(books, period, currency)
    show_clearing(clearing)
    show_table("Payments", PAYMENTS, payment_rows(clearing, books.paid(clearing.digest)))


def entered(books: LedgerReader, period: str, currency: str) -> Clearing:
    """Return a clearing of the books; raises ``Terminal`` where there is none of that name."""
    kept = books.clearing(period, currency)
    if kept is None:
        text = (
            f"no clearing of {period} in {currency} is in the books; hansa settle record enters one"
        )
        raise Terminal(text, reason="NotSettled")
    return clearing_of(read_signed(kept))


def payment_rows(clearing: Clearing, notes: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each payment. ``notes``: subject → reference, of what was entered."""
    for (debtor, creditor), micros in clearing.paid.items():
        name = f"{clearing.digest}/paid/{debtor}/{creditor}"
        said = [note for subject, note in notes.items() if f"{subject}/".startswith(f"{name}/")]
        amount = f"{amounts.text(micros)} {clearing.period.currency}"
        yield (
            debtor,
            owner_in_words(creditor),
            amount,
            "yes" if said else "no",
            said[0] if said else "",
        )
