"""Which books a command works on: those of ``hansa ledger``, over its own database.

There is no second door to them over the network: who may read the database, or run a command in the
ledger's pod, may read the books, and record settlements in them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from sqlalchemy import Engine

from hansa.ledger.settings import HERE
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader

VARIABLE = "HANSA_LEDGER_DATABASE__URL"


def with_books(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --database, and pass the books on as ``books``."""

    @with_engine
    @wraps(command)
    def inner(*args: Any, engine: Engine, **kwargs: Any) -> Any:
        return command(*args, books=LedgerReader(engine), **kwargs)

    return inner


def with_engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --database, and pass the database on as ``engine``."""

    @click.option(
        "--database",
        default=HERE,
        envvar=VARIABLE,
        help=f"URL of the books; default: {VARIABLE}, then the ledger's own file. In the cluster:"
        " kubectl -n hansa-system exec deploy/hansa-ledger -- hansa …",
    )
    @wraps(command)
    def inner(*args: Any, database: str, **kwargs: Any) -> Any:
        engine = open_engine(database)
        try:
            return command(*args, engine=engine, **kwargs)
        finally:
            engine.dispose()

    return inner
