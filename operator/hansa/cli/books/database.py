"""Which books a command works on: those of ``hansa ledger``, over its own database.

There is no second door to them over the network: who may read the database, or run a command in the
ledger's pod, may read the books, and record settlements in them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from hansa.cli.database import books_at
from hansa.errors import Terminal
from hansa.ledger.store.engine import HERE
from hansa.ledger.store.reader import LedgerReader

MOST_NAMES = 20
VARIABLE = "HANSA_LEDGER_DATABASE__URL"


with_database = click.option(
    "--database",
    default=HERE,
    envvar=VARIABLE,
    help=f"URL of the books; default: {VARIABLE}, then the ledger's own file. In the cluster:"
    " kubectl -n hansa-system exec deploy/hansa-ledger -- hansa …",
)


def with_books(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --database, and pass the books on as ``books``, to read."""

    @with_database
    @wraps(command)
    def inner(*args: Any, database: str, **kwargs: Any) -> Any:
        with books_at(database) as engine:
            return command(*args, books=LedgerReader(engine), **kwargs)

    return inner


def with_engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --database, and pass the database on as ``engine``, to write."""

    @with_database
    @wraps(command)
    def inner(*args: Any, database: str, **kwargs: Any) -> Any:
        with books_at(database, is_reader=False) as engine:
            return command(*args, engine=engine, **kwargs)

    return inner


def check_known(books: LedgerReader, institution: str) -> None:
    """Raise ``Terminal`` where the books never heard of an institution: it is a slip of the pen."""
    if institution in books.institutions():
        return
    known = sorted({account.institution for account, _ in books.books().accounts()})
    if institution not in known:
        names = ", ".join(known[:MOST_NAMES]) or "none yet"
        raise Terminal(f"the books know no institution {institution}; they know {names}")
