"""Opens the database, brings its tables up to date, and translates its errors into Hansa's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import make_url

from hansa.errors import Retryable, Terminal

HERE = "sqlite:////var/lib/hansa/ledger/books.db"
"""Where the books are unless a setting says otherwise. Not among the settings: each command that reads books would load those."""
READS = "hansa_reads"
"""Execution option of a transaction that only reads: SQLite lets it run beside a writer."""
LONGEST_WAIT_S = 20
"""For a connection, a lock, or the answer to a statement."""
RETRY_AFTER_S = 5.0
SQLITE_CACHE_KIB = 32_768
"""Of one connection. Digests are in no order, so a row of them goes anywhere: with SQLite's own 2 MiB, pages of a book of
ten thousand receipts are read and written again for each, which takes a sixth of the processor time."""
SQLITE_CHECKPOINT_PAGES = 4000
"""Pages of the write-ahead log that are carried over at once, four times SQLite's own: the same page comes often."""
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def open_engine(
    url: str, *, password: str = "", connections: int = 4, is_reader: bool = False
) -> Engine:
    """Return an engine for ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``; opens nothing yet.

    ``password``: for the URL, so that it need not stand in it. ``is_reader``: no file is made or changed.
    Raises ``Terminal`` for other URLs, and for a reader where there is no such file.
    """
    try:
        where = make_url(url)
    except exc.ArgumentError:
        raise _unknown("it cannot be read") from None
    backend = where.get_backend_name()
    if backend == "sqlite":
        return _sqlite_reader(url, where.database or "") if is_reader else _sqlite(url)
    if backend not in _DRIVERS:
        raise _unknown(f"{backend} is neither")
    where = where.set(drivername=_DRIVERS[backend])
    return create_engine(
        where.set(password=password) if password else where,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=LONGEST_WAIT_S,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": LONGEST_WAIT_S,
            "options": f"-c statement_timeout={LONGEST_WAIT_S}s -c lock_timeout={LONGEST_WAIT_S}s",
        },
    )


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version; harmless where they are."""
    from alembic import command  # noqa: PLC0415  # a third of a second that no reader of the books needs
    from alembic.config import Config  # noqa: PLC0415  # see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield one transaction, committed at the end: all of it happened, or nothing did.

    Raises ``Retryable`` where the database is away, busy, full or not in order (rights, tables), and
    ``Terminal`` where it does not take these rows.
    """
    with _translated(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield one consistent view of the books."""
    with _translated(), engine.connect() as plain:
        connection = plain.execution_options(**{READS: True})
        if engine.dialect.name != "sqlite":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (exc.DataError, exc.IntegrityError) as error:
        text = f"the ledger's database refuses it: {_cause(error)}"
        raise Terminal(text, reason="DatabaseRefused") from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise Retryable(f"the ledger's database: {_cause(error)}", after_s=RETRY_AFTER_S) from error


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": LONGEST_WAIT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _sqlite_reader(url: str, path: str) -> Engine:
    if not Path(path).exists():
        raise Terminal(f"there are no books at {path or url}", reason="NoDatabase")
    engine = create_engine(url, connect_args={"timeout": LONGEST_WAIT_S})
    event.listen(engine, "connect", _prepare_sqlite_reader)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite_reader(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late and deferred: read, then write, then "database is locked".
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}")


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _unknown(why: str) -> Terminal:
    text = f"the ledger's database URL must begin with sqlite:/// or postgresql://; {why}"
    return Terminal(text, reason="NoDatabase")


def _cause(error: exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
