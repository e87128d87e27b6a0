"""The chains of all nodes on disk: each receipt in its envelope, once, with what speaks against it.

A receipt that stands here is taken: its member may let it go. What the books make of it comes later, and
again after a crash, since the books know each receipt by its digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Engine,
    RowMapping,
    bindparam,
    exists,
    func,
    select,
    tuple_,
)
from sqlalchemy.sql import ColumnElement

from hansa.api.node.receipts import ReceiptEnvelope
from hansa.errors import Terminal
from hansa.ledger.receipts.endings import Heard, words_of
from hansa.ledger.receipts.grants import Granted, granted_from
from hansa.ledger.receipts.recorded import (
    Recorded,
    grants_of,
    head_of,
    receipt_in,
    recorded_beside,
)
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading, writing
from hansa.ledger.store.inserts import insert_missing
from hansa.ledger.store.rows import shown
from hansa.ledger.store.sides import Side, of_side
from hansa.receipts.chain import Head
from hansa.receipts.envelope import Opened, wire
from hansa.receipts.work_receipt import WorkReceipt

MOST_AT_ONCE = 500


class Place(NamedTuple):
    """Where a receipt stands among all that were recorded: many may share a millisecond."""

    recorded_ms: int
    node_key: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Dispute:
    """One thing that speaks against a receipt."""

    fault: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A receipt that found its place in its node's chain."""

    opened: Opened
    envelope: ReceiptEnvelope
    """As it is kept: countersigned where the hub agrees."""
    disputes: tuple[Dispute, ...] = ()
    shown_by: str = ""
    """Node that showed it, whatever it says of itself; empty: the one that it names."""

    @property
    def node(self) -> str:
        """Whose it is."""
        return self.shown_by or self.opened.receipt.work.node


class Waiting(NamedTuple):
    """A sound receipt that the books lack."""

    recorded_ms: int
    digest: str
    receipt: WorkReceipt


_T = schema.EVIDENCE
_UNBOOKED = (
    select(_T.c.recorded_ms, _T.c.digest, _T.c.envelope)
    .where(_T.c.recorded_ms >= bindparam("since_ms"))
    .where(_T.c.problem == "", _T.c.end_s > _T.c.start_s)
    .where(~exists().where(schema.RECEIPT.c.receipt_digest == _T.c.digest))
    .where(~exists().where(schema.DIFFERENCE.c.receipt_digest == _T.c.digest))
    .order_by(_T.c.recorded_ms, _T.c.node_key, _T.c.sequence)
    .limit(MOST_AT_ONCE)
)


class Evidence:
    """The receipts and grants that the ledger keeps."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first call."""
        self._engine = engine

    def remember(
        self, grants: Iterable[Granted], recorded_ms: int, news: Iterable[Heard] = ()
    ) -> None:
        """Keep grants that were not seen before, and what was heard of their runs first."""
        rows = [
            {
                "run": one.run,
                "node_key": one.record.node_key,
                "body": json.dumps(one.wire()),
                "recorded_ms": recorded_ms,
            }
            for one in grants
        ]
        with writing(self._engine) as connection:
            insert_missing(connection, schema.GRANT, rows)
            insert_missing(connection, schema.AUDIT, [one.row(recorded_ms) for one in news])

    def claim_log(self, origin: str, identity: str, recorded_ms: int) -> None:
        """Keep for good which files are the log of these books; raises ``Terminal`` where others are.

        Two ledgers over one database, each with files of its own, would sign two trees of one size. So would one
        that has lost its files.
        """
        row = {"origin": origin, "identity": identity, "recorded_ms": recorded_ms}
        table = schema.LOG_FILES
        with writing(self._engine) as connection:
            insert_missing(connection, table, [row])
            wanted = select(table.c.identity).where(table.c.origin == origin)
            kept = connection.execute(wanted).scalar_one()
        if kept != identity:
            text = (
                f"the log {origin} of these books is in other files (identity {kept}, not {identity}): put them"
                " back, or give log.origin another name, which begins a new log"
            )
            raise Terminal(text, reason="OtherLog")

    def granted(self, run: str, node_key: str) -> Granted | None:
        """Return the grant of a run to a node; None: the ledger never saw one."""
        return self.all_granted([run]).get((run, node_key))

    def all_granted(self, runs: Iterable[str]) -> dict[tuple[str, str], Granted]:
        """Return (run, node's key) → grant, of those runs that have one."""
        with reading(self._engine) as connection:
            return grants_of(connection, runs)

    def heads(self, node_keys: Iterable[str]) -> dict[str, Head]:
        """Return the newest receipts of nodes' chains."""
        with reading(self._engine) as connection:
            return {key: head_of(connection, key) for key in node_keys}

    @contextmanager
    def recorded(
        self, windows: Mapping[str, Sequence[WorkReceipt]]
    ) -> Iterator[dict[str, Recorded]]:
        """Yield by node's key what receipts that it shows are held against."""
        with reading(self._engine) as connection:
            yield recorded_beside(connection, windows)

    def add(self, taken: Sequence[Taken], recorded_ms: int) -> None:
        """Keep receipts in one transaction, and as differences of the books what is disputed."""
        if not taken:
            return
        disputed = [
            _difference(one, dispute, recorded_ms) for one in taken for dispute in one.disputes
        ]
        with writing(self._engine) as connection:
            insert_missing(connection, schema.EVIDENCE, [_row(one, recorded_ms) for one in taken])
            insert_missing(connection, schema.DIFFERENCE, disputed)

    def unbooked(self, since_ms: int = 0) -> list[Waiting]:
        """Return sound receipts that the books lack, in the order in which they were recorded, so many.

        ``since_ms``: only those recorded then or later.
        """
        with reading(self._engine) as connection:
            rows = connection.execute(_UNBOOKED, {"since_ms": since_ms}).all()
        return [Waiting(ms, digest, receipt_in(text, digest)) for ms, digest, text in rows]

    def refused(self, after: tuple[int, str], limit: int) -> list[tuple[str, WorkReceipt]]:
        """Return (digest, receipt) of sound ones that the books refused, in the order of (end, digest).

        Only what nobody has explained: that was decided.
        """
        table, difference = schema.EVIDENCE, schema.DIFFERENCE
        booked = exists().where(schema.RECEIPT.c.receipt_digest == table.c.digest)
        decided = exists().where(schema.EXPLANATION.c.receipt_digest == table.c.digest)
        place = tuple_(table.c.end_s, table.c.digest)
        wanted = (
            select(table)
            .where(table.c.digest.in_(select(difference.c.receipt_digest)), table.c.problem == "")
            .where(place > tuple_(*after), ~booked, ~decided)
            .order_by(table.c.end_s, table.c.digest)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).mappings().all()
        return [(row["digest"], _receipt(row)) for row in rows]

    def begins_s(self, runs: Iterable[str]) -> dict[tuple[str, str], int]:
        """Return (run, node's key) → when it began by its first receipt, in seconds since the Unix epoch.

        A disputed one counts, too: whoever spoilt its first would choose from when on its run is priced.
        """
        table = schema.EVIDENCE
        of = (table.c.run, table.c.node_key)
        wanted = select(*of, func.min(table.c.start_s)).where(table.c.run.in_(sorted(set(runs))))
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.group_by(*of)).all()
        return {(run, key): start_s for run, key, start_s in rows}

    def after(self, place: Place, limit: int) -> list[tuple[Place, str]]:
        """Return (place, digest) of the receipts behind a place in the order in which they were recorded."""
        table = schema.EVIDENCE
        order = (table.c.recorded_ms, table.c.node_key, table.c.sequence)
        wanted = (
            select(*order, table.c.digest)
            .where(tuple_(*order) > tuple_(*place))
            .order_by(*order)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return [(Place(ms, key, sequence), digest) for ms, key, sequence, digest in rows]

    def count(self, first: Place, last: Place) -> int:
        """Return how many receipts were recorded behind one place and not behind another."""
        where = tuple_(_T.c.recorded_ms, _T.c.node_key, _T.c.sequence)
        wanted = select(func.count()).where(where > tuple_(*first), where <= tuple_(*last))
        with reading(self._engine) as connection:
            return int(connection.execute(wanted).scalar_one())

    def uids(self, job: str) -> list[str]:
        """Return the uids of all jobs that were ever called ``namespace/name``."""
        table = schema.GRANT
        called = json.dumps({"job": job})[:-1] + ","
        wanted = select(table.c.run).where(table.c.body.startswith(called, autoescape=True))
        with reading(self._engine) as connection:
            runs = connection.execute(wanted).scalars().all()
        return sorted({run.rpartition(".")[0] for run in runs})

    def granted_on(self, data_set: str) -> list[Granted]:
        """Return the grants of all runs on a data set, in the order in which they were given."""
        table = schema.GRANT
        named = table.c.body.contains(json.dumps(data_set), autoescape=True)
        with reading(self._engine) as connection:
            bodies = connection.execute(select(table.c.body).where(named)).scalars().all()
        found = [granted_from(json.loads(body)) for body in bodies]
        mine = [one for one in found if data_set in one.record.data_sets]
        return sorted(mine, key=lambda one: (one.record.granted_s, one.run))

    def heard(self, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return run → phase → what the hub was told of how it ended and what left."""
        with reading(self._engine) as connection:
            return words_of(connection, runs)

    def of_job(self, job_uid: str) -> Iterator[tuple[str, ReceiptEnvelope, tuple[Dispute, ...]]]:
        """Yield digest, envelope and disputes of all receipts of a job."""
        return self._with_disputes(schema.is_of_job(_T.c.run, job_uid))

    def of_side(self, side: Side) -> Iterator[tuple[str, ReceiptEnvelope, tuple[Dispute, ...]]]:
        """Yield the same of all that an institution's side of the books follows from, as it was booked by then.

        These are whole runs of which anything happened in the time, and the chains of its own nodes from the last
        receipt that was booked before it.
        """
        with reading(self._engine) as connection:
            is_mine = of_side(connection, side)
        return self._with_disputes(is_mine)

    def _with_disputes(
        self, is_mine: ColumnElement[bool]
    ) -> Iterator[tuple[str, ReceiptEnvelope, tuple[Dispute, ...]]]:
        table, difference = schema.EVIDENCE, schema.DIFFERENCE
        mine = select(table).where(is_mine).order_by(table.c.node_key, table.c.sequence)
        digests = select(table.c.digest).where(is_mine)
        with reading(self._engine) as connection:
            rows = connection.execute(mine).mappings().all()
            said = connection.execute(
                select(difference).where(difference.c.receipt_digest.in_(digests))
            ).mappings()
            against: dict[str, list[Dispute]] = {}
            for row in said:
                dispute = Dispute(row["fault"], row["field"], row["message"])
                against.setdefault(row["receipt_digest"], []).append(dispute)
        for row in rows:
            envelope = ReceiptEnvelope.model_validate_json(row["envelope"])
            yield row["digest"], envelope, tuple(against.get(row["digest"], ()))


def _row(one: Taken, recorded_ms: int) -> dict[str, object]:
    receipt = one.opened.receipt
    return {
        "node_key": receipt.work.node_key,
        "sequence": receipt.sequence,
        "digest": one.opened.digest,
        "node": one.node,
        "run": receipt.run,
        "part": receipt.part,
        "start_s": receipt.start_s,
        "end_s": receipt.end_s,
        "problem": one.disputes[0].fault if one.disputes else "",
        "envelope": one.envelope.model_dump_json(by_alias=True),
        "recorded_ms": recorded_ms,
    }


def _difference(one: Taken, dispute: Dispute, recorded_ms: int) -> dict[str, object]:
    work = one.opened.receipt.work
    return {
        "receipt_digest": one.opened.digest,
        "fault": dispute.fault,
        "field": dispute.field,
        "node": one.node,
        "institution": work.institution,
        "message": shown(dispute.message),
        "body": json.dumps(wire(one.envelope)),
        "recorded_ms": recorded_ms,
    }


def _receipt(row: RowMapping) -> WorkReceipt:
    return receipt_in(row["envelope"], row["digest"])
