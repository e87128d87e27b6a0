"""An institution's month for people: one table as CSV and as PDF, the same bytes when made again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from hansa.accounting import amounts
from hansa.accounting.exports.tables import csv_text, fixed
from hansa.accounting.statement import JOULES_PER_KWH, Groups, Statement, Sums

HEADER = (
    *("section", "name", "currency", "receipts", "GPU-hours", "CPU-hours", "kWh", "kg CO2e"),
    *("factor as of", "without energy", "without factor", "amount"),
)
Row = tuple[str, ...]


def report_rows(statement: Statement) -> Iterator[Row]:
    """Yield the rows of a statement: totals first, then what they are made of."""
    yield from _rows("used, total", _totals(statement.used))
    yield from _rows("used, by project", statement.projects)
    yield from _rows("used, by data set", statement.data_sets)
    yield from _rows("used, by provider", statement.providers)
    yield from _rows("earned, total", _totals(statement.earned))
    yield from _rows("earned, by payer", statement.payers)
    for month, groups in statement.late_used.items():
        yield from _rows(f"used in {month}, came late, by project", groups)
    for month, groups in statement.late_earned.items():
        yield from _rows(f"earned in {month}, came late, by payer", groups)
    for row in statement.corrections:
        sign = 1 if row.debtor == statement.institution else -1
        amount = amounts.text(sign * row.amount)
        name = f"{row.receipt_digest} {row.note}".strip()
        yield ("correction", name, row.currency, *("",) * 8, amount)


def report_csv(statement: Statement) -> str:
    """Return the report as CSV."""
    return csv_text(HEADER, report_rows(statement))


def report_pdf(statement: Statement) -> bytes:
    """Return the report as PDF."""
    page, styles = io.BytesIO(), getSampleStyleSheet()
    title = f"{statement.institution}, {statement.month.name}"
    document = SimpleDocTemplate(
        page, pagesize=landscape(A4), invariant=1, title=title, author="Hansa"
    )
    cells = [[Paragraph(escape(cell), styles["BodyText"]) for cell in HEADER]]
    cells += [
        [Paragraph(escape(cell), styles["BodyText"]) for cell in row]
        for row in report_rows(statement)
    ]
    grid = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.25, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    story = [Paragraph(escape(title), styles["Title"]), Table(cells, repeatRows=1, style=grid)]
    story.append(Spacer(1, 12))
    story += [Paragraph(escape(line), styles["BodyText"]) for line in _notes(statement)]
    document.build(story)
    return page.getvalue()


def _notes(statement: Statement) -> Iterator[str]:
    for node, factor in ((n, one) for n, found in statement.factors.items() for one in found):
        source = f", {factor.source}" if factor.source else ""
        yield f"{node} declared {factor.grams_per_kwh} g CO2e/kWh as of {factor.as_of}{source}."
    yield "Receipts without energy or without a declared factor are in no sum of kWh or CO2e."
    if statement.late_used or statement.late_earned:
        yield (
            "What came late is of a month that was closed when its receipt came: it is charged in this one, and"
            " stands in no total above."
        )


def _totals(sums: Mapping[str, Sums]) -> Groups:
    return {("", currency): total for currency, total in sums.items()}


def _rows(section: str, groups: Groups) -> Iterator[Row]:
    for (name, currency), sums in groups.items():
        yield (
            section,
            name,
            currency,
            str(sums.receipts),
            fixed(sums.gpu_ms, scale=amounts.HOUR_MS, places=3),
            fixed(sums.cpu_ms, scale=amounts.HOUR_MS, places=3),
            fixed(sums.energy_j, scale=JOULES_PER_KWH, places=3),
            fixed(sums.co2_mg, scale=1_000_000, places=3),
            " ".join(sorted(sums.as_of)),
            str(sums.unmetered),
            str(sums.undeclared),
            amounts.text(sums.amount),
        )
