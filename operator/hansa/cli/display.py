"""Prints tables and sentences. Texts come from other institutions, so nothing of them is trusted.

A member's message may hold terminal escapes or rich markup; both are shown, never obeyed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns when the output is no terminal: wide enough that grep finds whole sentences."""
_KEPT = "\n\t"


def plain(text: object) -> str:
    """Return ``text`` with every control character made visible, newlines and tabs excepted."""
    return "".join(c if c.isprintable() or c in _KEPT else f"\\x{ord(c):02x}" for c in str(text))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, or that it is empty."""
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    _console().print(table if table.row_count else Text(f"{title}: none"))


def say(text: str) -> None:
    """Print one line, as it is."""
    _console().print(Text(plain(text)), soft_wrap=True)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
