"""CSV as everybody reads it: UTF-8, a comma, one line feed a row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from hansa.accounting.amounts import half_even
from hansa.model.times import rfc3339

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![0-9.]+$)")
"""How text begins that spreadsheets work out; a number with its sign is one."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with its header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue()


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe says that it is text, and is not shown."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def moment(milliseconds: int) -> str:
    """Return a time as RFC 3339 in UTC, to the second."""
    return rfc3339(milliseconds // 1000)


def fixed(value: int, *, scale: int, places: int) -> str:
    """Return ``value / scale`` with so many digits after the point, rounded half to even.

    >>> fixed(5_400_000, scale=3_600_000, places=3)
    '1.500'
    """
    scaled = half_even(abs(value) * 10**places, scale)
    whole, part = divmod(scaled, 10**places)
    sign = "-" if value < 0 and scaled else ""
    return f"{sign}{whole}.{part:0{places}d}" if places else f"{sign}{whole}"
