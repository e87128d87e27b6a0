"""Prints tables and sentences. Texts come from other institutions, so nothing of them is trusted.

A member's message may hold terminal escapes or rich markup; both are shown, never obeyed.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hansa.errors import Terminal

PIPE_WIDTH = 200
"""Columns when the output is no terminal: wide enough that grep finds whole sentences."""
WATCH_S = 2.0
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


@dataclass(frozen=True, slots=True)
class Section:
    """A part of what a command shows: a table, or lines of text where there are no columns."""

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    lines: Sequence[str] = ()
    """Said above the table, in a terminal and in a document alike."""
    hidden: str = ""
    """Why this user sees nothing of it; empty: all is shown."""


def show(sections: Iterable[Section], output: str) -> None:
    """Print sections as tables for people, or as one document for programs (json, yaml)."""
    if output in FORMATS:
        click.echo(FORMATS[output]({_key(one.title): _data(one) for one in sections}))
        return
    for one in sections:
        for line in one.lines:
            say(line)
        if one.hidden:
            say(f"{one.title}: {one.hidden}")
        elif one.columns:
            show_table(one.title, one.columns, one.rows)


def _data(one: Section) -> object:
    """Return a section as JSON: a row an object, a cell what it was; None: hidden."""
    if not one.columns:
        return list(one.lines)
    if one.hidden:
        return None
    return [dict(zip(map(_key, one.columns), row, strict=True)) for row in one.rows]


def _key(title: str) -> str:
    """Return a heading as a name of a field.

    >>> _key("GPUS HELD/LENT")
    'gpusHeldLent'
    """
    first, *rest = map(str, re.findall(r"[a-z0-9]+", title.lower()))
    return first + "".join(word.capitalize() for word in rest)


def _json(document: object) -> str:
    return json.dumps(document, indent=2, default=str)


def _yaml(document: object) -> str:
    text = yaml.safe_dump(json.loads(_json(document)), sort_keys=False, allow_unicode=True)
    return str(text).rstrip("\n")


FORMATS: dict[str, Callable[[object], str]] = {"json": _json, "yaml": _yaml}


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -o and pass it on as ``output``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", *FORMATS]),
        default="table",
        help="A table for people, or json or yaml for programs.",
    )(command)


def with_watch(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --watch and pass it on as ``watch``."""
    return click.option(
        "-w", "--watch", is_flag=True, help="Show it again every two seconds until interrupted."
    )(command)


def repeat(
    answer: Callable[[], tuple[Sequence[Section], int]], output: str, *, watch: bool
) -> None:
    """Show what ``answer`` returns, once or again and again, and exit with its code if it is not 0."""
    while True:
        sections, code = answer()
        if watch and sys.stdout.isatty():
            click.clear()
        if watch and output == "yaml":
            click.echo("---")
        show(sections, output)
        if not watch:
            break
        asyncio.run(asyncio.sleep(WATCH_S))
    if code:
        sys.exit(code)


def say(text: str) -> None:
    """Print one line, as it is."""
    _console().print(Text(plain(text)), soft_wrap=True)


def save(path: Path, body: bytes) -> None:
    """Write a file; raises ``Terminal`` where that cannot be."""
    try:
        path.write_bytes(body)
    except OSError as error:
        raise Terminal(f"{path} cannot be written: {error.strerror}") from error


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
