"""``settle propose``: a period's clearing, worked out from the books, for all to sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hansa.accounting import amounts
from hansa.accounting.exports.tables import moment
from hansa.accounting.postings import owner_in_words
from hansa.accounting.settlement.clearing import Clearing, Period, clear_books
from hansa.accounting.settlement.set_off import Obligations
from hansa.accounting.settlement.signed import unsigned
from hansa.accounting.statement import Month
from hansa.adapters.clock import SystemClock
from hansa.adapters.files import FileStore
from hansa.cli.books.database import with_books
from hansa.cli.books.settlement.terms import SettlementTerms, with_terms
from hansa.cli.display import say, show_table
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.model.times import from_rfc3339
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.log.appender import HEAD
from hansa.translog.note import Note

COLUMNS = ("DEBTOR", "CREDITOR", "OWED", "SET OFF", "TO PAY", "CARRIED")
LATE_S = 5
"""So long after a moment its last entries are in the books. One that comes later yet makes the books differ
from the clearing, which is named when it is to be signed or entered."""


def with_period(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --month and --until, and pass on ``span``: the period's name, and its end in milliseconds."""

    @click.option("--month", help="For example 2026-11.")
    @click.option("--until", help="Or any moment, for example 2026-12-07T00:00:00Z: weekly, say.")
    @wraps(command)
    def inner(*args: Any, month: str | None, until: str | None, **kwargs: Any) -> Any:
        return command(*args, span=read_span(month, until), **kwargs)

    return inner


def read_span(month: str | None, until: str | None) -> tuple[str, int]:
    """Return a period's name and its end in milliseconds; raises ``click.BadParameter``."""
    if (month is None) == (until is None):
        raise click.UsageError("name one of --month and --until")
    if month is not None:
        try:
            found = Month.read(month)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--month") from None
        return found.name, found.bounds_ms[1]
    end_s = from_rfc3339(until)
    if end_s is None:
        raise click.BadParameter("write it as 2026-12-07T00:00:00Z", param_hint="--until")
    return moment(int(end_s) * 1000), int(end_s) * 1000


@click.command
@with_period
@with_terms
@click.option(
    "--log",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the transparency log: the clearing names its state.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the clearing, which then goes round to be signed.",
)
@with_books
def propose(
    span: tuple[str, int],
    terms: SettlementTerms,
    log: Path,
    output: Path,
    books: LedgerReader,
) -> None:
    """Work out what is set off, paid and carried of what was due at the end of a period.

    Where another period was settled after that end, it follows from the books of then.
    """
    period = period_of(span, books, terms.currency, log, SystemClock().now())
    found = clear_books(period, books.books(period.until_ms), terms.limits, terms.signers)
    output.write_bytes(unsigned(found).wire())
    show_clearing(found)
    for text in left_out(books, terms, period):
        say(text)
    say(f"Written to {output}; next: each institution runs hansa settle sign")


def period_of(
    span: tuple[str, int], books: LedgerReader, currency: str, log: Path, now_s: float
) -> Period:
    """Return the period to settle; raises ``Terminal`` for one that is not over."""
    name, end_ms = span
    # Behind what was settled last, or its set-off would be set off again.
    after_ms = books.settled_ms(currency) // 1000 * 1000 + 1000
    until_ms = max(end_ms, after_ms)
    if now_s * 1000 < until_ms + LATE_S * 1000:
        text = f"{name} cannot be settled before {moment(until_ms + LATE_S * 1000)}"
        raise Terminal(f"{text}: until then entries may come in", reason="NotOver")
    size, root = log_state(log)
    return Period(name, currency, until_ms, size, root)


def left_out(books: LedgerReader, terms: SettlementTerms, period: Period) -> Iterator[str]:
    """Yield who has no key in the terms, whose debts stay as they are."""
    owed = books.books(period.until_ms).obligations(period.currency)
    names = {name for pair in owed for name in pair if not name.startswith("@")}
    for name in sorted(names - terms.keys.keys()):
        yield f"{name} is not in the terms: what it owes and is owed stays as it is"


def show_clearing(clearing: Clearing) -> None:
    """Print a clearing as a table, and in one sentence."""
    period = clearing.period
    title = f"Clearing of {period.name}, from the books before {moment(period.until_ms)}"
    show_table(title, COLUMNS, _rows(clearing))
    share = f"{clearing.cleared_share * 100:.1f} %"
    owed, cleared = (_sum(rows) for rows in (clearing.obligations, clearing.set_off))
    paid, carried = (_sum(rows) for rows in (clearing.paid, clearing.carried))
    say(
        f"Of {owed} {period.currency} that is due, {cleared} ({share}) is set off, {paid} is to be"
        f" paid and {carried} is carried into the next period. {clearing.digest}"
    )


def _rows(clearing: Clearing) -> Iterator[tuple[str, ...]]:
    parts = (clearing.obligations, clearing.set_off, clearing.paid, clearing.carried)
    for pair in sorted(clearing.obligations):
        yield (*map(owner_in_words, pair), *(amounts.text(part.get(pair, 0)) for part in parts))


def _sum(rows: Obligations) -> str:
    return amounts.text(sum(rows.values()))


def log_state(log: Path) -> tuple[int, str]:
    """Return the size and root of a log as its checkpoint has them; raises ``Terminal`` where there is none."""
    head = FileStore(log).read(HEAD)
    if head is None:
        raise Terminal(f"{log} holds no checkpoint; name the log's folder")
    found = Checkpoint.parse(Note.parse(head).text)
    return found.size, f"sha256:{found.root.hex()}"
