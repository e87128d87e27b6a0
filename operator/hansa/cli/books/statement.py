"""``kubectl hansa statement``: an institution's month, for people, spreadsheets and other systems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import click

from hansa.accounting.exports.focus import focus_csv
from hansa.accounting.exports.journal import journal
from hansa.accounting.exports.report import HEADER, report_csv, report_pdf, report_rows
from hansa.accounting.exports.usage_record import usage_records
from hansa.accounting.statement import Month, Statement
from hansa.accounting.statement import statement as add_up
from hansa.cli.books.database import check_known, with_books
from hansa.cli.display import save, show_table
from hansa.ledger.store.reader import LedgerReader

FORMATS = ("table", "csv", "pdf", "focus", "apel", "journal")


def read(books: LedgerReader, institution: str, month: Month) -> Statement:
    """Add an institution's month up from the books, and from nothing else."""
    uses = books.usages(institution, month.bounds_ms)
    later = books.given_back(institution, month.bounds_ms)
    factors = books.factors({usage.node for usage in uses})
    return add_up(institution, month, uses, factors, (*books.corrections(institution), *later))


def _focus(books: LedgerReader, institution: str, month: Month) -> bytes:
    told = read(books, institution, month)
    uses = books.usages(institution, month.bounds_ms)
    charged = [use for use in uses if use.institution == institution]
    rows = [row for row in told.corrections if row.debtor == institution]
    return focus_csv(month, charged, rows).encode()


Maker: TypeAlias = Callable[[LedgerReader, str, Month], bytes]
MAKERS: Mapping[str, Maker] = {
    "csv": lambda books, name, month: report_csv(read(books, name, month)).encode(),
    "pdf": lambda books, name, month: report_pdf(read(books, name, month)),
    "focus": _focus,
    "apel": lambda books, name, month: usage_records(books.usages(name, month.bounds_ms)),
    "journal": lambda books, name, _: journal(books.postings(name)).encode(),
}


@click.command
@click.argument("institution")
@click.option("--month", required=True, help="For example 2026-11.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", help="What to write."
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; default: the screen."
)
@with_books
def statement(  # one parameter an option
    institution: str,
    *,
    month: str,
    form: str,
    output: Path | None,
    books: LedgerReader,
) -> None:
    """Show INSTITUTION's month: GPU-hours, kWh, kg CO2e and amounts, by project and data set.

    CO2 is told by what the nodes declared when the work ended. A month that is over gives the same bytes whenever it
    is made: what is given back later stands as a correction in the month in which it was, and a receipt that comes
    late in the month in which it came, which names the one that it is of.
    """
    try:
        period = Month.read(month)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--month") from None
    if form == "table" and output is not None:
        text = "a table is for the screen; choose another --format for a file"
        raise click.BadParameter(text, param_hint="--output")
    check_known(books, institution)
    if form == "table":
        told = read(books, institution, period)
        title = f"{institution}, {period.name}"
        show_table(title, [name.upper() for name in HEADER], report_rows(told))
        return
    made = MAKERS[form](books, institution, period)
    if output is not None:
        save(output, made)
    else:
        sys.stdout.buffer.write(made)
