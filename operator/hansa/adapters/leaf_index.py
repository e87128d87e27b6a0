"""Which leaf of a log stands where, in an SQLite file, behind the ``LeafIndex`` port.

It can be made again from the log's tiles, so it may lag behind them. It must not lie with them: an index
that knows more than the log does tells that the log was put back from an old backup.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hansa.errors import Retryable

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS leaf (hash BLOB PRIMARY KEY, place INTEGER UNIQUE) WITHOUT ROWID"
)
_AT_ONCE = 500


class SqliteLeafIndex:
    """The index in one file; not for two threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raises ``Retryable`` where that fails."""
        with _told():
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(_SCHEMA)

    def size(self) -> int:
        """Return how many leaves it knows; they are the first ones."""
        with _told():
            row = self._database.execute("SELECT coalesce(max(place) + 1, 0) FROM leaf").fetchone()
        return int(row[0])

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the index of each leaf hash that is known."""
        found: dict[bytes, int] = {}
        for at in range(0, len(hashes), _AT_ONCE):
            some = hashes[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT hash, place FROM leaf WHERE hash IN ({marks})"  # noqa: S608  # marks only
            with _told():
                found.update(self._database.execute(query, some))
        return found

    def add(self, first: int, hashes: Sequence[bytes]) -> None:
        """Remember leaves from index ``first`` on, all or none; known ones stay as they are."""
        rows = [(each, first + at) for at, each in enumerate(hashes)]
        with _told(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR IGNORE INTO leaf VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Retryable(f"the index of leaves: {error}") from error
