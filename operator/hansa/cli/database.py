"""The ledger's database, for commands that read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from hansa.errors import HansaError, Terminal
from hansa.ledger.store.engine import open_engine


@contextmanager
def books_at(url: str, *, is_reader: bool = True) -> Iterator[Engine]:
    """Yield the books at a URL; raises ``Terminal`` where there are none, or none that answer.

    ``is_reader``: nothing can be written. A writer makes no new books either: the ledger does.
    """
    engine = None
    try:
        engine = open_engine(url, is_reader=True)
        if not is_reader:
            engine = open_engine(url)
        yield engine
    except HansaError as error:
        if engine is not None and not isinstance(error.__cause__, SQLAlchemyError):
            raise
        raise Terminal(f"{error}; name the ledger's database with --database") from error
    finally:
        if engine is not None:
            engine.dispose()
