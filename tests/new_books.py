"""Books with all tables and nothing in them: the migrations run once in a process, then each gets a copy.

They run again where they are what is tested.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from hansa.ledger.store.engine import migrate, open_engine

FILE = "books.db"


def new_books(folder: str | Path) -> Engine:
    """Return an engine over new books, in ``books.db`` of a folder."""
    path = Path(folder, FILE)
    path.write_bytes(_empty())
    return open_engine(f"sqlite:///{path}")


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/{FILE}")
        migrate(engine)
        engine.dispose()  # the last connection: all of it is in the one file then
        return Path(folder, FILE).read_bytes()
