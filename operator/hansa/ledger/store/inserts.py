"""Whole rows into a table, as text that is made once for it. The statement that writes tells which were new.

Core compiles and binds each row by itself, which took a third of all that a receipt costs the ledger. SQLite is
handed the rows one by one in one call, PostgreSQL all of them as one JSON value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Table

from hansa.errors import Terminal

Row = Mapping[str, Any]
"""Every column of its table."""
_LEAVE = " ON CONFLICT DO NOTHING"


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows none of which may be there."""
    _write(connection, table, rows, "")


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert those rows that are not there yet."""
    _write(connection, table, rows, _LEAVE)


def insert_new(connection: Connection, table: Table, rows: Sequence[Row], key: str) -> list[str]:
    """Insert those rows that are not there yet, and return a column of them."""
    if not rows:
        return []
    if _is_postgresql(connection):
        text = f"{_from_json(table)}{_LEAVE} RETURNING {key}"
        found = connection.exec_driver_sql(text, (_json(rows),)).scalars().all()
        return [str(one) for one in found]
    return _new_in_sqlite(connection, table, rows, key)


def _new_in_sqlite(
    connection: Connection, table: Table, rows: Sequence[Row], key: str
) -> list[str]:
    # Asking SQLite for what it has inserted doubles what that costs. As a rule all are new, which their number
    # tells; where it does not, all of it is taken back and each row is asked about.
    text, values = _of_values(table) + _LEAVE, _columns(table)
    with connection.begin_nested() as attempt:
        done = connection.exec_driver_sql(text, [values(row) for row in rows])
        if done.rowcount == len(rows):
            return [str(row[key]) for row in rows]
        attempt.rollback()
    asking = f"{text} RETURNING {key}"
    each = (connection.exec_driver_sql(asking, values(row)).scalar() for row in rows)
    return [str(one) for one in each if one is not None]


def _write(connection: Connection, table: Table, rows: Sequence[Row], tail: str) -> None:
    if not rows:
        return
    if _is_postgresql(connection):
        connection.exec_driver_sql(_from_json(table) + tail, (_json(rows),))
    else:
        values = _columns(table)
        connection.exec_driver_sql(_of_values(table) + tail, [values(row) for row in rows])


def _is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


@cache
def _of_values(table: Table) -> str:
    marks = ", ".join("?" * len(table.c))
    return f"INSERT INTO {table.name} ({_names(table)}) VALUES ({marks})"  # noqa: S608  # of the schema


@cache
def _from_json(table: Table) -> str:
    names = _names(table)
    source = f"json_populate_recordset(NULL::{table.name}, %s::json)"
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {source}"  # noqa: S608  # of the schema


@cache
def _columns(table: Table) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*table.c.keys())


def _names(table: Table) -> str:
    return ", ".join(table.c.keys())


def _json(rows: Sequence[Row]) -> str:
    try:
        return orjson.dumps(rows).decode()
    except orjson.JSONEncodeError as error:
        text = f"the ledger's database cannot hold it: {error}"
        raise Terminal(text, reason="DatabaseRefused") from error
