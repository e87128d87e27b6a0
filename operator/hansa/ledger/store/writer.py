"""Writes to the books. Who comes second changes nothing: a key decides, in the statement that writes.

No method reads first and writes then. Each inserts entries under their primary key, learns from the
same statement which of them are new, and posts those in the same transaction. So a crash leaves all or
nothing, and the same call again completes it or does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import rfc8785
from sqlalchemy import Connection, Engine, Select, and_, exists, func, literal, or_, select
from sqlalchemy.sql import ColumnElement

from hansa.accounting import amounts
from hansa.accounting.examination import Finding
from hansa.accounting.postings import REQUIRES, Claim, Event, phase_of
from hansa.accounting.statement import Correction
from hansa.accounting.usage import Usage
from hansa.errors import Terminal
from hansa.ledger.store import schema
from hansa.ledger.store.engine import writing
from hansa.ledger.store.entries import DECIDING, lock, on, post, write_entries
from hansa.ledger.store.inserts import insert_missing, insert_new
from hansa.ledger.store.rows import (
    body,
    fingerprint,
    receipt_row,
    shown,
)

MOST_ROWS = 500
"""Claims moved on in one transaction."""
CONDEMNED = "nothing of its run is paid: that was found before this receipt was booked"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of uses: digests that were new, known already, or known with other content."""

    fresh: tuple[str, ...]
    known: tuple[str, ...]
    contradicting: tuple[str, ...]


class LedgerWriter:
    """Writes what receipts bring about, and what people correct."""

    def __init__(self, engine: Engine, *, holdback_bp: int = 0) -> None:
        """``holdback_bp``: share of each amount that is kept back, in hundredths of a percent."""
        self._engine = engine
        self._holdback_bp = holdback_bp

    def record(self, usages: Iterable[Usage], recorded_ms: int) -> Recorded:
        """Meter and charge uses in one transaction; each receipt once, whoever sends it again.

        What is of a run that was condemned is given back at once.
        """
        by_digest = {usage.receipt_digest: usage for usage in usages}
        rows = [receipt_row(by_digest[digest], recorded_ms) for digest in sorted(by_digest)]
        if not rows:
            return Recorded((), (), ())
        with writing(self._engine) as connection:
            lock(connection, DECIDING, shared=True)
            fresh = insert_new(connection, schema.RECEIPT, rows, "receipt_digest")
            claims = [self._claim(by_digest[digest]) for digest in sorted(fresh)]
            write_entries(connection, Event.CHARGE, claims, recorded_ms, refers_to=_itself)
            late = _ready(Event.VOID, recorded_ms, CONDEMNED).where(
                schema.ENTRY.c.subject.in_(sorted(fresh)), _of_run(_is_said(schema.CONDEMNED))
            )
            _advance(connection, Event.VOID, late)
            known = by_digest.keys() - {claim.subject for claim in claims}
            return _sorted_out(connection, by_digest, claims, known)

    def happen(
        self,
        event: Event,
        subjects: Iterable[str],
        recorded_ms: int,
        *,
        note: str = "",
        check: Callable[[Connection], None] | None = None,
    ) -> tuple[str, ...]:
        """Move claims on; returns those that it happened to: not those it had happened to, or cannot.

        ``check``: raises what speaks against it, in the same transaction.
        """
        with writing(self._engine) as connection:
            if check is not None:
                check(connection)
            return happen(connection, event, subjects, recorded_ms, note=note)

    def move_on(
        self,
        event: Event,
        recorded_ms: int,
        *,
        before_ms: int,
        since_ms: int = 0,
        decided: bool = False,
    ) -> tuple[str, ...]:
        """Move on what became ready between two moments, at most so much at once.

        ``decided``: only what is of runs that are decided, none of them condemned or being audited.
        """
        entry = schema.ENTRY
        ready = _ready(event, recorded_ms, "").where(
            entry.c.recorded_ms <= before_ms, entry.c.recorded_ms >= since_ms
        )
        if decided:
            ready = ready.where(_of_run(_is_decided()))
        ready = ready.order_by(entry.c.recorded_ms, entry.c.subject).limit(MOST_ROWS)
        with writing(self._engine) as connection:
            # What the statement sees is as of when it begins, in PostgreSQL: behind a draw or a verdict, not beside it.
            lock(connection, DECIDING, shared=True)
            return _advance(connection, event, ready)

    def begin(
        self, event: Event, claims: Iterable[Claim], recorded_ms: int, *, note: str = ""
    ) -> tuple[str, ...]:
        """Enter claims of their own: pledges and payments; returns the subjects that were new."""
        if event in REQUIRES:
            raise Terminal(f"{event} needs {REQUIRES[event]} first", reason="OutOfOrder")
        with writing(self._engine) as connection:
            return write_entries(connection, event, claims, recorded_ms, note=note)

    def correct(self, receipt: str, micros: int, recorded_ms: int, *, note: str) -> Correction:
        """Change what a posted receipt costs by ``micros``; the same correction again is the same one.

        Raises ``Terminal`` where the receipt is not posted, or would cost less than nothing.
        """
        subject = _digest({"receipt": receipt, "micros": str(micros), "note": note})
        event = Event.CORRECT_UP if micros > 0 else Event.CORRECT_DOWN
        source = _correction(receipt, subject, micros, recorded_ms=recorded_ms, note=note)
        with writing(self._engine) as connection:
            lock(connection, receipt)
            _advance(connection, event, source)
            found = _entry(connection, subject)
        if found is None:
            text = f"receipt {receipt} is not posted, or costs less than {amounts.text(-micros)}"
            raise Terminal(text, reason="CannotCorrect")
        return Correction(
            subject,
            receipt,
            found.debtor,
            found.creditor,
            found.currency,
            micros,
            found.recorded_ms,
            found.note,
        )

    def keep(self, usage: Usage, findings: Iterable[Finding], recorded_ms: int) -> bool:
        """Keep a use that is not posted, with what is wrong with it; False: all of that is known."""
        rows = [
            {
                "receipt_digest": shown(usage.receipt_digest),
                "fault": finding.fault.value,
                "field": finding.field,
                "node": shown(usage.node),
                "institution": shown(usage.institution),
                "message": shown(finding.message),
                "body": body(usage),
                "recorded_ms": recorded_ms,
            }
            for finding in findings
        ]
        with writing(self._engine) as connection:
            return bool(insert_new(connection, schema.DIFFERENCE, rows, "receipt_digest"))

    def explain(self, receipt: str, note: str, recorded_ms: int) -> None:
        """Record what a person found out about a difference; the first word stays."""
        row = {"receipt_digest": receipt, "note": note, "recorded_ms": recorded_ms}
        with writing(self._engine) as connection:
            insert_missing(connection, schema.EXPLANATION, [row])

    def _claim(self, usage: Usage) -> Claim:
        held = amounts.half_even(usage.amount * self._holdback_bp, 10_000)
        return Claim(
            usage.receipt_digest,
            usage.institution,
            usage.provider,
            usage.amount,
            usage.currency,
            held,
        )


def happen(
    connection: Connection, event: Event, subjects: Iterable[str], recorded_ms: int, *, note: str
) -> tuple[str, ...]:
    """Do what ``LedgerWriter.happen`` does, within somebody's transaction."""
    wanted: list[str] = sorted(set(subjects))
    happened: list[str] = []
    for start in range(0, len(wanted), MOST_ROWS):
        some = wanted[start : start + MOST_ROWS]
        ready = _ready(event, recorded_ms, note).where(schema.ENTRY.c.subject.in_(some))
        happened += _advance(connection, event, ready)
    return tuple(happened)


def _itself(claim: Claim) -> str | None:
    return claim.subject


def _sorted_out(
    connection: Connection, usages: dict[str, Usage], claims: list[Claim], known: Iterable[str]
) -> Recorded:
    table = schema.RECEIPT
    told = connection.execute(
        select(table.c.receipt_digest, table.c.fingerprint).where(
            table.c.receipt_digest.in_(sorted(known))
        )
    )
    others = [digest for digest, said in told if said != fingerprint(usages[digest])]
    same = sorted(set(known) - set(others))
    return Recorded(tuple(c.subject for c in claims), tuple(same), tuple(sorted(others)))


def _ready(event: Event, recorded_ms: int, note: str) -> Select[Any]:
    """Return the statement for entries of claims that have come so far and no further."""
    entry, later = schema.ENTRY, schema.ENTRY.alias()
    phase = phase_of(event)
    is_done = exists().where(later.c.subject == entry.c.subject, later.c.phase == phase)
    return select(
        entry.c.subject,
        literal(phase),
        literal(event.value),
        *(entry.c[name] for name in ("debtor", "creditor", "amount", "held", "currency")),
        entry.c.refers_to,
        literal(recorded_ms),
        literal(note),
    ).where(entry.c.event == REQUIRES[event].value, ~is_done)


def _of_run(what: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition, over entries, that something is so of the run of a receipt."""
    return exists().where(schema.RECEIPT.c.receipt_digest == schema.ENTRY.c.subject, what)


def _is_said(phase: str) -> ColumnElement[bool]:
    """Return the condition, over receipts, that their run has a phase."""
    word = schema.AUDIT.alias()
    subject = schema.OF_RUN + schema.RUN_OF_RECEIPT
    return exists().where(word.c.subject == subject, word.c.phase == phase)


def _is_decided() -> ColumnElement[bool]:
    """Return the condition, over receipts, that their run was drawn, and nothing speaks against its pay."""
    return and_(_is_said(schema.DECIDED), ~_is_said(schema.CONDEMNED), ~_is_audited())


def _is_audited() -> ColumnElement[bool]:
    """Return the condition, over receipts, that their run was decided and an audit of it has no verdict yet."""
    word, later = schema.AUDIT.alias(), schema.AUDIT.alias()
    which = func.substr(word.c.phase, len(schema.REOPENED) + 1)
    is_judged = exists().where(
        later.c.subject == word.c.subject,
        later.c.phase.startswith(schema.JUDGED),
        or_(which == "", later.c.phase == schema.JUDGED + which),
    )
    return exists().where(
        word.c.subject == schema.OF_RUN + schema.RUN_OF_RECEIPT,
        word.c.phase.startswith(schema.REOPENED),
        ~is_judged,
    )


def _correction(
    receipt: str, subject: str, micros: int, *, recorded_ms: int, note: str
) -> Select[Any]:
    """Return the statement for the entry of a correction, if the receipt bears it."""
    entry, past = schema.ENTRY, schema.ENTRY.alias()
    event = Event.CORRECT_UP if micros > 0 else Event.CORRECT_DOWN

    def changed(by: Event) -> Any:
        total = select(func.coalesce(func.sum(past.c.amount), 0))
        return total.where(past.c.refers_to == receipt, past.c.event == by.value).scalar_subquery()

    left = entry.c.amount + changed(Event.CORRECT_UP) - changed(Event.CORRECT_DOWN)
    return select(
        literal(subject),
        literal(phase_of(event)),
        literal(event.value),
        entry.c.debtor,
        entry.c.creditor,
        literal(abs(micros)),
        literal(0),
        entry.c.currency,
        literal(receipt),
        literal(recorded_ms),
        literal(note),
    ).where(entry.c.subject == receipt, entry.c.event == Event.POST.value, left + micros >= 0)


_COLUMNS = (
    *("subject", "phase", "event", "debtor", "creditor", "amount", "held", "currency"),
    *("refers_to", "recorded_ms", "note"),
)
_CLAIM = tuple(schema.ENTRY.c[name] for name in Claim.__dataclass_fields__)


def _advance(connection: Connection, event: Event, source: Select[Any]) -> tuple[str, ...]:
    """Insert the entries that a statement finds, and post those that were new."""
    insert = on(connection)(schema.ENTRY).from_select(_COLUMNS, source)
    fresh = connection.execute(insert.on_conflict_do_nothing().returning(*_CLAIM)).all()
    claims = sorted((Claim(*row) for row in fresh), key=lambda claim: claim.subject)
    post(connection, event, claims)
    return tuple(claim.subject for claim in claims)


def _entry(connection: Connection, subject: str) -> Any:
    return connection.execute(select(schema.ENTRY).where(schema.ENTRY.c.subject == subject)).first()


def _digest(said: dict[str, str]) -> str:
    return f"sha256:{hashlib.sha256(rfc8785.dumps(said)).hexdigest()}"
