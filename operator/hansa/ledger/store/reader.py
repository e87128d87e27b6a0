"""Reads the books: balances, uses, corrections and what is open. Each call sees one consistent state."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, distinct, exists, func, select, true
from sqlalchemy.sql import ColumnElement

from hansa.accounting.books import Books, Pair
from hansa.accounting.postings import Account, AccountKind, Event, Posting
from hansa.accounting.quote import CarbonFactor
from hansa.accounting.statement import Correction, Declared, Month
from hansa.accounting.usage import Usage
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.ledger.store.rows import usage_of


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person should see at once; money in micros by currency."""

    receipts: int
    differences: int
    """Uses that were not posted and that nobody has explained."""
    holdback: dict[str, int]
    pending: dict[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One receipt of a bill, and how far it has come."""

    usage: Usage
    event: Event
    """Charge, Post or Void; or Release or Seize, once what was kept back is decided."""
    recorded_ms: int = 0
    """When its receipt came into the books."""

    @property
    def month(self) -> Month:
        """The month whose statement has it: that of its end, or of when it came where that is later."""
        return max(Month.of(self.usage.end_ms), Month.of(self.recorded_ms + 1), key=_first_ms)

    @property
    def is_late(self) -> bool:
        """Whether it came when the month that it ended in was closed."""
        return self.month != Month.of(self.usage.end_ms)


IS_SETTLED = exists().where(
    schema.EXPLANATION.c.receipt_digest == schema.DIFFERENCE.c.receipt_digest
) | exists().where(schema.RECEIPT.c.receipt_digest == schema.DIFFERENCE.c.receipt_digest)
"""Of a difference: it was posted after all, or somebody has explained it."""


class LedgerReader:
    """Answers questions about the books."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first question."""
        self._engine = engine

    def books(self, before_ms: int | None = None) -> Books:
        """Return all balances, of now or as what was recorded before a moment makes them."""
        posting, entry = schema.POSTING, schema.ENTRY
        same = (entry.c.subject == posting.c.subject) & (entry.c.phase == posting.c.phase)
        source = posting if before_ms is None else posting.join(entry, same)
        is_before = true() if before_ms is None else entry.c.recorded_ms < before_ms
        pair = (posting.c.debtor, posting.c.creditor, posting.c.currency)
        total = func.sum(posting.c.amount)
        balances: dict[tuple[Pair, Account], int] = defaultdict(int)
        with reading(self._engine) as connection:
            for side, sign in (("debit", 1), ("credit", -1)):
                account = (posting.c[f"{side}_institution"], posting.c[f"{side}_account"])
                query = select(*pair, *account, total).select_from(source).where(is_before)
                for row in connection.execute(query.group_by(*pair, *account)):
                    debtor, creditor, currency, institution, kind, amount = row
                    key = Pair(debtor, creditor, currency), Account(institution, AccountKind(kind))
                    balances[key] += sign * int(amount)
        return Books(dict(balances))

    def postings(self, institution: str = "") -> tuple[Posting, ...]:
        """Return all movements of money, or those that concern an institution, the oldest first."""
        posting, entry = schema.POSTING, schema.ENTRY
        same = (entry.c.subject == posting.c.subject) & (entry.c.phase == posting.c.phase)
        query = select(posting, entry.c.event, entry.c.recorded_ms).join(entry, same)
        if institution:
            theirs = (posting.c.debtor == institution) | (posting.c.creditor == institution)
            query = query.where(theirs)
        order = (entry.c.recorded_ms, posting.c.subject, posting.c.phase, posting.c.leg)
        with reading(self._engine) as connection:
            return tuple(_posting(row) for row in connection.execute(query.order_by(*order)))

    def usages(self, institution: str, bounds_ms: tuple[int, int]) -> tuple[Usage, ...]:
        """Return what an institution used or provided in a month, without what was void by its end.

        It is what ended in ``(from, to]`` and was recorded before ``to``, and what had ended before and was recorded in
        ``[from, to)``: it came late. What was given back later is a correction: see ``given_back``.
        """
        receipt, entry, charge = schema.RECEIPT, schema.ENTRY, schema.ENTRY.alias()
        is_void = exists().where(
            entry.c.subject == receipt.c.receipt_digest,
            entry.c.event == Event.VOID.value,
            entry.c.recorded_ms < bounds_ms[1],
        )
        is_theirs = (receipt.c.institution == institution) | (receipt.c.provider == institution)
        start_ms, end_ms = bounds_ms
        # By the index of entries by when they were recorded: all that had ended before is a whole history.
        came = select(charge.c.subject).where(
            charge.c.event == Event.CHARGE.value,
            charge.c.recorded_ms >= start_ms,
            charge.c.recorded_ms < end_ms,
        )
        in_time = (receipt.c.end_ms > start_ms, receipt.c.end_ms <= end_ms)
        return (
            *self._usages(
                is_theirs,
                receipt.c.end_ms <= start_ms,
                receipt.c.receipt_digest.in_(came),
                ~is_void,
            ),
            *self._usages(is_theirs, *in_time, receipt.c.recorded_ms < end_ms, ~is_void),
        )

    def lines(self, job: str) -> tuple[Line, ...]:
        """Return a job's receipts, the oldest first, each with the last that happened to it.

        ``job``: its uid, or ``namespace/name`` for all jobs that were ever called so.
        """
        receipt, entry = schema.RECEIPT, schema.ENTRY
        order = (receipt.c.start_ms, receipt.c.receipt_digest)
        query = (
            select(receipt, entry.c.event)
            .join(entry, entry.c.subject == receipt.c.receipt_digest)
            .where((receipt.c.job_uid == job) | (receipt.c.job == job))
            .order_by(*order)
        )
        latest: dict[str, Line] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                line = Line(usage_of(row), Event(row["event"]), row["recorded_ms"])
                known = latest.get(line.usage.receipt_digest, line)
                latest[line.usage.receipt_digest] = max(known, line, key=_age)
        return tuple(latest.values())

    def corrections(self, institution: str = "", job: str = "") -> tuple[Correction, ...]:
        """Return corrections, the oldest first, of an institution or of a job."""
        entry, receipt = schema.ENTRY, schema.RECEIPT
        kinds = (Event.CORRECT_UP.value, Event.CORRECT_DOWN.value)
        query = select(entry).where(entry.c.event.in_(kinds))
        if institution:
            query = query.where((entry.c.debtor == institution) | (entry.c.creditor == institution))
        if job:
            query = query.join(receipt, receipt.c.receipt_digest == entry.c.refers_to)
            query = query.where((receipt.c.job_uid == job) | (receipt.c.job == job))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(entry.c.recorded_ms, entry.c.subject))
            return tuple(_correction(row) for row in rows)

    def given_back(self, institution: str, bounds_ms: tuple[int, int]) -> tuple[Correction, ...]:
        """Return what became void in ``[from, to)`` of an institution's receipts of months before."""
        entry, receipt, (start_ms, end_ms) = schema.ENTRY, schema.RECEIPT, bounds_ms
        query = (
            select(entry)
            .join(receipt, receipt.c.receipt_digest == entry.c.subject)
            .where(entry.c.event == Event.VOID.value, receipt.c.end_ms <= start_ms)
            .where(entry.c.recorded_ms >= start_ms, entry.c.recorded_ms < end_ms)
            .where(receipt.c.recorded_ms < start_ms)
            .where((receipt.c.institution == institution) | (receipt.c.provider == institution))
            .order_by(entry.c.recorded_ms, entry.c.subject)
        )
        with reading(self._engine) as connection:
            return tuple(_given_back(row) for row in connection.execute(query))

    def factors(self, nodes: Iterable[str]) -> Declared:
        """Return what nodes have declared of their power, and since when."""
        table, found = schema.AUDIT, {}
        with reading(self._engine) as connection:
            for node in nodes:
                mine = table.c.subject == f"{schema.OF_NODE}{node}"
                rows = connection.execute(select(table.c.phase, table.c.body).where(mine))
                said = sorted((int(phase), body) for phase, body in rows)
                found[node] = [(at_ms, _factor(json.loads(body)["carbon"])) for at_ms, body in said]
        return found

    def spent(self) -> dict[tuple[str, str], int]:
        """Return (project, currency) → micros charged and not void, corrections included."""
        entry, receipt, later = schema.ENTRY, schema.RECEIPT, schema.ENTRY.alias()
        is_void = exists().where(
            later.c.subject == entry.c.subject, later.c.event == Event.VOID.value
        )
        total: dict[tuple[str, str], int] = defaultdict(int)
        signs = {Event.CHARGE: 1, Event.CORRECT_UP: 1, Event.CORRECT_DOWN: -1}
        query = (
            select(receipt.c.project, entry.c.currency, entry.c.event, func.sum(entry.c.amount))
            .join(receipt, receipt.c.receipt_digest == entry.c.refers_to)
            .where(entry.c.event.in_([event.value for event in signs]), ~is_void)
            .group_by(receipt.c.project, entry.c.currency, entry.c.event)
        )
        with reading(self._engine) as connection:
            for project, currency, event, amount in connection.execute(query):
                total[project, currency] += signs[Event(event)] * int(amount)
        return dict(total)

    def institutions(self) -> tuple[str, ...]:
        """Return all that used or provided anything."""
        receipt = schema.RECEIPT
        with reading(self._engine) as connection:
            names = connection.execute(
                select(receipt.c.institution).union(select(receipt.c.provider))
            )
            return tuple(sorted(name for (name,) in names))

    def settled_ms(self, currency: str) -> int:
        """Return when a clearing was recorded last, in milliseconds since the Unix epoch; 0: never."""
        table = schema.CLEARING
        query = select(func.max(table.c.recorded_ms)).where(table.c.currency == currency)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar() or 0

    def paid(self, digest: str) -> dict[str, str]:
        """Return what was entered of a clearing's payments: subject → note."""
        entry = schema.ENTRY
        query = select(entry.c.subject, entry.c.note)
        query = query.where(entry.c.subject.startswith(f"{digest}/paid/", autoescape=True))
        with reading(self._engine) as connection:
            return {row.subject: row.note for row in connection.execute(query)}

    def clearing(self, period: str, currency: str) -> bytes | None:
        """Return a period's clearing as it was countersigned."""
        table = schema.CLEARING
        query = select(table.c.document).where(
            table.c.period == period, table.c.currency == currency
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()

    def differences(self) -> list[tuple[str, ...]]:
        """Return (receipt, node, institution, fault, field, message) of all that is not posted and not explained."""
        table = schema.DIFFERENCE
        names = ("receipt_digest", "node", "institution", "fault", "field", "message")
        query = select(*(table.c[name] for name in names)).where(~IS_SETTLED)
        query = query.order_by(table.c.recorded_ms, table.c.receipt_digest, table.c.fault)
        with reading(self._engine) as connection:
            return [tuple(row) for row in connection.execute(query)]

    def standing(self) -> Standing:
        """Return what metrics and overviews show."""
        books, difference = self.books(), schema.DIFFERENCE
        count = select(func.count(distinct(difference.c.receipt_digest))).where(~IS_SETTLED)
        with reading(self._engine) as connection:
            receipts = connection.execute(select(func.count()).select_from(schema.RECEIPT))
            return Standing(
                receipts=receipts.scalar_one(),
                differences=connection.execute(count).scalar_one(),
                holdback=_claims(books, AccountKind.HOLDBACK),
                pending=_claims(books, AccountKind.PENDING),
            )

    def _usages(self, *conditions: ColumnElement[bool]) -> tuple[Usage, ...]:
        receipt = schema.RECEIPT
        query = select(receipt).where(*conditions)
        query = query.order_by(receipt.c.end_ms, receipt.c.receipt_digest)
        with reading(self._engine) as connection:
            return tuple(usage_of(row) for row in connection.execute(query).mappings())


_ORDER: Sequence[Event] = (Event.CHARGE, Event.POST, Event.VOID, Event.RELEASE, Event.SEIZE)


def _first_ms(month: Month) -> int:
    return month.bounds_ms[0]


def _age(line: Line) -> int:
    return _ORDER.index(line.event)


def _claims(books: Books, kind: AccountKind) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for (pair, account), balance in books.balances.items():
        if account.kind is kind and balance > 0:
            totals[pair.currency] += balance
    return dict(sorted(totals.items()))


def _posting(row: Any) -> Posting:
    return Posting(
        row.subject,
        Event(row.event),
        row.leg,
        row.debtor,
        row.creditor,
        Account(row.debit_institution, AccountKind(row.debit_account)),
        Account(row.credit_institution, AccountKind(row.credit_account)),
        row.amount,
        row.currency,
        row.recorded_ms,
    )


def _given_back(row: Any) -> Correction:
    digest = f"{row.subject}/{row.phase}"
    parties = (row.debtor, row.creditor, row.currency)
    note = f"void: {row.note}"
    return Correction(digest, row.subject, *parties, -row.amount, row.recorded_ms, note)


def _factor(said: Mapping[str, Any] | None) -> CarbonFactor | None:
    if said is None:
        return None
    return CarbonFactor(said["gramsPerKwh"], said["asOf"], said.get("source", ""))


def _correction(row: Any) -> Correction:
    sign = 1 if row.event == Event.CORRECT_UP.value else -1
    return Correction(
        row.subject,
        row.refers_to,
        row.debtor,
        row.creditor,
        row.currency,
        sign * row.amount,
        row.recorded_ms,
        row.note,
    )
