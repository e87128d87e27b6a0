"""``kubectl hansa bill``: every receipt of a job, how far each has come, and the sum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import click

from hansa.accounting import amounts
from hansa.accounting.exports.tables import fixed, moment
from hansa.accounting.postings import Event
from hansa.accounting.statement import JOULES_PER_KWH, Correction, Month
from hansa.cli.books.database import with_books
from hansa.cli.display import Section, show, with_output
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader, Line

COLUMNS = (
    *("FROM", "TO", "NODE", "GPU-HOURS", "KWH", "PRICE", "AMOUNT", "STATE", "MONTH", "RECEIPT"),
)
"""MONTH: of the statement that has it."""
_STATES = {
    Event.CHARGE: "pending",
    Event.POST: "due",
    Event.RELEASE: "due",
    Event.SEIZE: "due, held part seized",
    Event.VOID: "void",
}


@click.command
@click.argument("job")
@with_output
@with_books
def bill(job: str, output: str, books: LedgerReader) -> None:
    """Show what JOB was charged. JOB is NAMESPACE/NAME, or a uid.

    Amounts are rounded once a receipt, half to even, to a millionth; totals are sums of receipts. A receipt that came
    when its month was closed is charged in the month in which it came.
    """
    lines, corrections = books.lines(job), books.corrections(job=job)
    if not lines:
        raise Terminal(f"the books have no receipt of {job}; write NAMESPACE/NAME or its uid")
    receipts = Section("Receipts", COLUMNS, [*map(_cells, lines)], [lines[0].usage.job])
    show([receipts, Section("Totals", lines=[*totals(lines, corrections)])], output)


def totals(lines: Sequence[Line], corrections: Sequence[Correction]) -> Iterator[str]:
    """Yield the sum in each currency; what is void is in none."""
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.usage.currency] += 0 if line.event is Event.VOID else line.usage.amount
    yield from _late(lines)
    for row in corrections:
        sums[row.currency] += row.amount
        yield f"Correction {amounts.text(row.amount)} {row.currency}: {row.note}"
    for currency, micros in sorted(sums.items()):
        yield f"Total {amounts.text(micros)} {currency}"


def _late(lines: Sequence[Line]) -> Iterator[str]:
    """Yield what of which month came when that was closed, and is charged in which one."""
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for line in lines:
        if line.is_late and line.event is not Event.VOID:
            use = line.usage
            key = (Month.of(use.end_ms).name, line.month.name, use.currency)
            count, micros = sums.get(key, (0, 0))
            sums[key] = (count + 1, micros + use.amount)
    for (of, charged_in, currency), (count, micros) in sorted(sums.items()):
        yield (
            f"Late: {amounts.text(micros)} {currency} of {of} ({count} receipts) came when that month was closed,"
            f" and stands in the statement of {charged_in}"
        )


def _cells(line: Line) -> tuple[str, ...]:
    use = line.usage
    return (
        moment(use.start_ms),
        moment(use.end_ms),
        use.node,
        fixed(use.gpu_ms, scale=amounts.HOUR_MS, places=4),
        "" if use.energy_j is None else fixed(use.energy_j, scale=JOULES_PER_KWH, places=4),
        f"{amounts.text(use.unit_price)}/h",
        f"{amounts.text(use.amount)} {use.currency}",
        _STATES[line.event],
        line.month.name,
        use.receipt_digest[:19],
    )
