"""``kubectl hansa balance``: what each institution owes, is owed, and has at stake."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hansa.accounting import amounts
from hansa.accounting.books import Books, disorders
from hansa.accounting.postings import owner_in_words
from hansa.cli.books.database import check_known, with_books
from hansa.cli.display import Section, show, with_output
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader

ACCOUNTS, DUE = ("INSTITUTION", "ACCOUNT", "BALANCE"), ("DEBTOR", "CREDITOR", "DUE")


@click.command
@click.argument("institution", default="")
@with_output
@with_books
def balance(institution: str, output: str, books: LedgerReader) -> None:
    """Show the accounts of INSTITUTION, or of all; and who owes whom how much now.

    What is owed stands below zero. Fails where the books do not balance.
    """
    if institution:
        check_known(books, institution)
    found = books.books()
    accounts = Section("Accounts", ACCOUNTS, [*account_rows(found, institution)])
    show([accounts, Section("Due now", DUE, [*due_rows(found, institution)])], output)
    wrong = disorders(found)
    if wrong:
        raise Terminal(f"the books are not in order: {'; '.join(wrong[:5])}")


def account_rows(books: Books, institution: str) -> Iterator[tuple[str, ...]]:
    """Yield each account that is not empty."""
    for (account, currency), micros in books.accounts().items():
        if micros and institution in {"", account.institution}:
            yield account.institution, account.kind.value, f"{amounts.text(micros)} {currency}"


def due_rows(books: Books, institution: str) -> Iterator[tuple[str, ...]]:
    """Yield who owes whom."""
    currencies = sorted({pair.currency for pair, _ in books.balances})
    for currency in currencies:
        for (debtor, creditor), micros in books.obligations(currency).items():
            if institution in {"", debtor, creditor}:
                yield debtor, owner_in_words(creditor), f"{amounts.text(micros)} {currency}"
