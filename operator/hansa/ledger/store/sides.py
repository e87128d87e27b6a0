"""Which receipts an institution's side of the books follows from in a time: whole runs, and its own nodes' chains."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, false, func, or_, select
from sqlalchemy.sql import ColumnElement

from hansa.accounting.postings import Event
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.ledger.store.reader import IS_SETTLED

_T = schema.EVIDENCE


class Side(NamedTuple):
    """An institution's side of the books in a time."""

    institution: str
    node_keys: frozenset[str]
    """Of the nodes that it operates."""
    since_ms: int
    until_ms: int


def of_side(connection: Connection, side: Side) -> ColumnElement[bool]:
    """Return the condition, over rows of evidence, that a receipt is one of them."""
    receipt, entry = schema.RECEIPT, schema.ENTRY

    def booked(before_ms: int) -> Any:
        return select(receipt.c.receipt_digest).where(receipt.c.recorded_ms < before_ms)

    def newest(digests: Any) -> dict[str, int]:
        """Return node's key → place of the newest of these receipts."""
        wanted = select(_T.c.node_key, func.max(_T.c.sequence)).where(_T.c.digest.in_(digests))
        rows = connection.execute(wanted.group_by(_T.c.node_key))
        return {key: int(sequence) for key, sequence in rows}

    theirs = (receipt.c.institution == side.institution) | (receipt.c.provider == side.institution)
    happened = select(entry.c.refers_to).where(
        entry.c.recorded_ms >= side.since_ms, entry.c.recorded_ms < side.until_ms
    )
    active = booked(side.until_ms).where(theirs, receipt.c.receipt_digest.in_(happened))
    runs = select(_T.c.run).where(_T.c.digest.in_(active))
    last = newest(booked(side.until_ms))
    # What costs nothing moves no money: in the postings nobody would find it again.
    first = newest(
        select(entry.c.subject).where(
            entry.c.event == Event.CHARGE.value,
            entry.c.amount > 0,
            entry.c.recorded_ms < side.since_ms,
        )
    )
    # What was booked by then is the begin of each chain, but for what is disputed.
    in_time = or_(
        false(),
        *((_T.c.node_key == key) & (_T.c.sequence <= upto) for key, upto in last.items()),
    )
    own = or_(
        false(),
        *(
            (_T.c.node_key == key) & (_T.c.sequence >= first.get(key, 1))
            for key in sorted(side.node_keys)
        ),
    )
    return in_time & (_T.c.run.in_(runs) | own)


def disputed(engine: Engine, most: int) -> dict[str, list[tuple[str, ...]]]:
    """Return node → (receipt, fault, field, message) of so many of its newest differences that are open."""
    table = schema.DIFFERENCE
    names = tuple(table.c[name] for name in ("receipt_digest", "fault", "field", "message"))
    order = (table.c.recorded_ms.desc(), *names[:3])
    place = func.row_number().over(partition_by=table.c.node, order_by=order).label("place")
    ranked = select(table.c.node, *names, place).where(~IS_SETTLED).subquery()
    wanted = select(ranked).where(ranked.c.place <= most).order_by(ranked.c.node, ranked.c.place)
    found: dict[str, list[tuple[str, ...]]] = {}
    with reading(engine) as connection:
        for node, *row, _ in connection.execute(wanted):
            found.setdefault(node, []).append(tuple(row))
    return found
