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
from hansa.accounting.quote import CarbonFactor
from hansa.accounting.statement import Month, Statement
from hansa.accounting.statement import statement as add_up
from hansa.cli.access import Access, with_access
from hansa.cli.books.database import check_known, with_books
from hansa.cli.books.declared import declared
from hansa.cli.display import save, show_table
from hansa.errors import HansaError
from hansa.ledger.store.reader import LedgerReader

FORMATS = ("table", "csv", "pdf", "focus", "apel", "journal")


def read(
    books: LedgerReader, institution: str, month: Month, factors: Mapping[str, CarbonFactor]
) -> Statement:
    """Add an institution's month up from the books."""
    uses = books.usages(institution, month.bounds_ms)
    return add_up(institution, month, uses, factors, books.corrections(institution))


def _focus(books: LedgerReader, institution: str, month: Month, _: object) -> bytes:
    told = read(books, institution, month, {})
    uses = books.usages(institution, month.bounds_ms)
    charged = [use for use in uses if use.institution == institution]
    rows = [row for row in told.corrections if row.debtor == institution]
    return focus_csv(month, charged, rows).encode()


Maker: TypeAlias = Callable[[LedgerReader, str, Month, Mapping[str, CarbonFactor]], bytes]
MAKERS: Mapping[str, Maker] = {
    "csv": lambda books, name, month, known: report_csv(read(books, name, month, known)).encode(),
    "pdf": lambda books, name, month, known: report_pdf(read(books, name, month, known)),
    "focus": _focus,
    "apel": lambda books, name, month, _: usage_records(books.usages(name, month.bounds_ms)),
    "journal": lambda books, name, _, __: journal(books.postings(name)).encode(),
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
@with_access
def statement(  # one parameter an option
    institution: str,
    *,
    month: str,
    form: str,
    output: Path | None,
    books: LedgerReader,
    access: Access,
) -> None:
    """Show INSTITUTION's month: GPU-hours, kWh, kg CO2e and amounts, by project and data set.

    CO2 is told with what the nodes declare, where the hub can be asked. The same month of the same
    books gives the same bytes.
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
        told = read(books, institution, period, _factors(access))
        title = f"{institution}, {period.name}"
        show_table(title, [name.upper() for name in HEADER], report_rows(told))
        return
    made = MAKERS[form](books, institution, period, _factors(access))
    if output is not None:
        save(output, made)
    else:
        sys.stdout.buffer.write(made)


def _factors(access: Access) -> dict[str, CarbonFactor]:
    try:
        return {node.name: node.factor for node in access.ask(declared) if node.factor}
    except HansaError as error:
        click.echo(f"no CO2 is told: the hub cannot be asked ({error})", err=True)
        return {}
