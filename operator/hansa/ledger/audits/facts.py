"""What the books and the evidence say of runs and nodes, as verification needs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, case, func, select

from hansa.accounting.postings import BEGINNING, PHASE, Event
from hansa.api.node.receipts import ReceiptEnvelope
from hansa.ledger.audits.book import HEARD
from hansa.ledger.receipts.endings import A_READ, DROPPED, ending_of, words_of
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.receipts.countersign import Ending
from hansa.receipts.envelope import peek
from hansa.receipts.problems import Problem
from hansa.receipts.work_receipt import WorkReceipt
from hansa.verification.consequences import Unsettled
from hansa.verification.course.claims import UNTOLD, Claim, claim

MOST_LOOKED_AT = 32
"""Newest receipts of a node that are all looked at for a witnessed one."""
_T = schema.EVIDENCE
_PLACES = (
    select(
        _T.c.node_key,
        func.max(case((_T.c.problem == "", _T.c.sequence))).label("sound"),
        func.max(_T.c.sequence).label("newest"),
    )
    .where(_T.c.run.in_(bindparam("runs", expanding=True)))
    .where(_T.c.problem != Problem.RUN_OVER.value)
    .group_by(_T.c.run, _T.c.node_key)
    .subquery()
)
_NEWEST = (
    select(_T)
    .join(_PLACES, _T.c.node_key == _PLACES.c.node_key)
    .where(_T.c.sequence.in_((_PLACES.c.sound, _PLACES.c.newest)))
    .order_by(_T.c.run, _T.c.node_key, _T.c.sequence)
)
"""By run and node: its newest sound receipt, if any, and behind it the newest that is disputed and not ``RunOver``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended: its newest sound receipt, its last one as a rule, and what was heard of its end."""

    digest: str
    receipt: WorkReceipt
    recorded_ms: int
    ending: Ending | None = None
    is_dropped: bool = False
    """Whether the ledger saw the hub take its grant away."""
    disputed: WorkReceipt | None = None
    """Its last receipt, where that is disputed: what it claims its member has signed, and is held to."""
    dispute: str = ""
    """What speaks against that."""

    @property
    def claim(self) -> Claim:
        """What it claims."""
        last = self.receipt if self.receipt.last else self.disputed
        if last is None and self.ending is None:
            return UNTOLD
        reason, digest = ("", None) if last is None else (last.end_reason, last.result_digest)
        return claim(str(reason), digest, self.ending, is_unheard=self.is_unheard)

    @property
    def is_unheard(self) -> bool:
        """Whether the hub gave it up without a word of its end."""
        return self.is_dropped and self.ending is None

    @property
    def lacks(self) -> str:
        """What of it is not paid, whatever an audit finds: a clause for people; empty: nothing is missing."""
        if self.receipt.last:
            return ""
        behind = f"what it held after {self.receipt.end}"
        if self.disputed is None:
            return f"; its last receipt has not come: {behind} is paid only if it does"
        return f"; its last receipt is disputed ({self.dispute}): {behind} is paid to nobody"

    @property
    def heard_of_ms(self) -> int:
        """When the hub heard of its end, or else when its newest sound receipt came."""
        told_s = None if self.ending is None else self.ending.told_s
        return self.recorded_ms if told_s is None else told_s * 1000

    @property
    def is_untold(self) -> bool:
        """Whether only its member could tell what it claims: the hub has not heard of its end."""
        return self.ending is None


class Facts:
    """Reads both, and writes nothing."""

    def __init__(self, engine: Engine, currency: str = "") -> None:
        """Nothing is opened before the first question. ``currency``: in which pledges count; empty: none does."""
        self._engine, self._currency = engine, currency

    def ended(self, after_ms: int, until_ms: int) -> list[Ended]:
        """Return the runs whose last receipts were recorded in ``(after, until]``, also those that are disputed."""
        table = schema.EVIDENCE
        wanted = (
            select(table)
            .where(table.c.recorded_ms > after_ms, table.c.recorded_ms <= until_ms)
            .where(table.c.problem != Problem.RUN_OVER.value)
            .order_by(table.c.node_key, table.c.sequence)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).mappings().all()
            both = ((_ended(row), row) for row in rows)
            last = [(one, row) for one, row in both if one is not None]
            words = words_of(connection, (one.receipt.run for one, _ in last))
            sound = [_with(one, words) for one, row in last if not row["problem"]]
            spoilt = {(row["run"], row["node_key"]) for _, row in last if row["problem"]}
            stands = _ends(connection, (run for run, _ in spoilt))
        # Whoever signs for another's run ends it for nobody.
        mine = (one for one in stands if (one.receipt.run, one.receipt.work.node_key) in spoilt)
        return [*sound, *mine]

    def last_of(self, job_uid: str) -> Ended | None:
        """Return the last receipt of a job's newest run that has ended."""
        table = schema.EVIDENCE
        wanted = select(table).where(schema.is_of_job(table.c.run, job_uid), table.c.problem == "")
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(table.c.end_s.desc(), table.c.part.desc()))
            found = map(_ended, rows.mappings().all())
            last = next((one for one in found if one is not None), None)
            return last and _with(last, words_of(connection, [last.receipt.run]))

    def end_of(self, run: str) -> Ended | None:
        """Return how a run has ended; None: it has no receipt that is sound."""
        return next(iter(self.ends_of([run])), None)

    def ends_of(self, runs: Iterable[str]) -> list[Ended]:
        """Return how runs have ended, of those that have a receipt that is sound."""
        with reading(self._engine) as connection:
            return _ends(connection, runs)

    def newest(self, node_key: str) -> Iterator[tuple[str, WorkReceipt]]:
        """Yield (digest, receipt) of a node's receipts that nothing speaks against, the newest first.

        All of the last ones, then ever fewer: twice as far back each time.
        """
        behind, few = 0, MOST_LOOKED_AT
        while rows := self._sound(node_key, behind, few):
            for row in rows:
                receipt = _receipt(row)
                if receipt is not None:
                    yield row["digest"], receipt
            behind, few = max(2 * behind, MOST_LOOKED_AT), 1

    def _sound(self, node_key: str, behind: int, limit: int) -> Sequence[RowMapping]:
        table = schema.EVIDENCE
        wanted = (
            select(table)
            .where(table.c.node_key == node_key, table.c.problem == "")
            .order_by(table.c.sequence.desc())
            .limit(limit)
            .offset(behind)
        )
        with reading(self._engine) as connection:
            return connection.execute(wanted).mappings().all()

    def payments(self, runs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return (job uid, epoch) → micros charged for the whole run."""
        receipt, entry = schema.RECEIPT, schema.ENTRY
        keys = set(runs)
        wanted = (
            select(receipt.c.job_uid, receipt.c.epoch, func.sum(entry.c.amount))
            .join(entry, entry.c.subject == receipt.c.receipt_digest)
            .where(entry.c.event == Event.CHARGE.value)
            .where(receipt.c.job_uid.in_(sorted({uid for uid, _ in keys})))
            .group_by(receipt.c.job_uid, receipt.c.epoch)
        )
        with reading(self._engine) as connection:
            found = {(uid, epoch): int(micros) for uid, epoch, micros in connection.execute(wanted)}
        return {key: found.get(key, 0) for key in keys}

    def undrawn(self, until_ms: int) -> list[str]:
        """Return the runs with pay that was pending at a moment and still is, and that no draw has looked at."""
        receipt, entry, later = schema.RECEIPT, schema.ENTRY, schema.ENTRY.alias()
        word, run = schema.AUDIT, schema.RUN_OF_RECEIPT
        is_over = select(later.c.subject).where(
            later.c.subject == entry.c.subject, later.c.phase == PHASE[Event.POST]
        )
        is_drawn = select(word.c.subject).where(
            word.c.subject == schema.OF_RUN + run,
            word.c.phase.in_((HEARD, schema.DECIDED, schema.CONDEMNED)),
        )
        wanted = (
            select(run)
            .distinct()
            .join(entry, entry.c.subject == receipt.c.receipt_digest)
            .where(entry.c.event == Event.CHARGE.value, entry.c.recorded_ms <= until_ms)
            .where(~is_over.exists(), ~is_drawn.exists())
            .order_by(run)
        )
        with reading(self._engine) as connection:
            return list(connection.execute(wanted).scalars())

    def partly_booked(self, runs: Iterable[str]) -> set[str]:
        """Return those of the runs of which the books lack, or refused, a receipt that is sound."""
        table, names = schema.EVIDENCE, sorted(set(runs))
        is_booked = select(schema.RECEIPT.c.receipt_digest).where(
            schema.RECEIPT.c.receipt_digest == table.c.digest
        )
        wanted = select(table.c.run).where(
            table.c.problem == "", table.c.end_s > table.c.start_s, ~is_booked.exists()
        )
        found: set[str] = set()
        with reading(self._engine) as connection:
            for first in range(0, len(names), A_READ):
                some = table.c.run.in_(names[first : first + A_READ])
                found |= set(connection.execute(wanted.where(some)).scalars())
        return found

    def unsettled(self, node: str, before_ms: int | None = None) -> list[Unsettled]:
        """Return a node's receipts of which something is still held back or pending, in micros.

        ``before_ms``: only those recorded before.
        """
        receipt, first = schema.RECEIPT, schema.ENTRY.alias()
        second, third = schema.ENTRY.alias(), schema.ENTRY.alias()
        subject = receipt.c.receipt_digest
        wanted = (
            select(receipt, first.c.amount, first.c.held, second.c.event)
            .join(first, (first.c.subject == subject) & (first.c.phase == BEGINNING))
            .outerjoin(
                second, (second.c.subject == subject) & (second.c.phase == PHASE[Event.POST])
            )
            .outerjoin(third, (third.c.subject == subject) & (third.c.phase == PHASE[Event.SEIZE]))
            .where(receipt.c.node == node, third.c.event.is_(None))
            .where(second.c.event.is_(None) | (second.c.event == Event.POST.value))
            .order_by(subject)
        )
        if before_ms is not None:
            wanted = wanted.where(receipt.c.recorded_ms <= before_ms)
        with reading(self._engine) as connection:
            return [_unsettled(row) for row in connection.execute(wanted).mappings()]

    def pledges(self, institution: str, before_ms: int | None = None) -> dict[str, int]:
        """Return subject → micros of what an institution has pledged and not got back, nor lost.

        In another currency than the ledger's it has pledged nothing: nobody can tell what that is worth.
        ``before_ms``: only those recorded before.
        """
        first, last = schema.ENTRY.alias(), schema.ENTRY.alias()
        is_over = (
            select(last.c.subject)
            .where(last.c.subject == first.c.subject, last.c.phase == PHASE[Event.RETURN_PLEDGE])
            .exists()
        )
        wanted = select(first.c.subject, first.c.amount).where(
            first.c.event == Event.PLEDGE.value,
            first.c.debtor == institution,
            first.c.currency == self._currency,
            ~is_over,
        )
        if before_ms is not None:
            wanted = wanted.where(first.c.recorded_ms <= before_ms)
        with reading(self._engine) as connection:
            return {subject: int(micros) for subject, micros in connection.execute(wanted)}


def _unsettled(row: RowMapping) -> Unsettled:
    is_pending = row["event"] is None
    return Unsettled(
        receipt=row["receipt_digest"],
        run=f"{row['job_uid']}.{row['epoch']}",
        held=row["amount"] if is_pending else row["held"],
        pending=is_pending,
    )


def _ended(row: RowMapping) -> Ended | None:
    receipt = _receipt(row)
    if receipt is None or not receipt.last:
        return None
    return Ended(row["digest"], receipt, row["recorded_ms"])


def _ends(connection: Connection, runs: Iterable[str]) -> list[Ended]:
    """Return how runs have ended, by name: their newest sound receipts, and last ones that are disputed.

    Behind its last receipt a run has none that counts: the newest that is not ``RunOver`` is its last, or it has none.
    """
    found: dict[str, Ended] = {}
    names = sorted(set(runs))
    for first in range(0, len(names), A_READ):
        rows = connection.execute(_NEWEST, {"runs": names[first : first + A_READ]}).mappings()
        newest: dict[tuple[str, str], list[RowMapping]] = {}
        for row in rows:
            newest.setdefault((row["run"], row["node_key"]), []).append(row)
        for (run, _), (one, *after) in newest.items():
            stands = _stands(one, after)
            if stands is not None and _rank(stands) > _rank(found.get(run)):
                found[run] = stands
    words = words_of(connection, found)
    return [_with(one, words) for _, one in sorted(found.items())]


def _stands(sound: RowMapping, after: Sequence[RowMapping]) -> Ended | None:
    """Return what stands for a run. ``after``: its newest receipt, where that is disputed."""
    receipt = None if sound["problem"] else _receipt(sound)
    if receipt is None:
        return None
    one = Ended(sound["digest"], receipt, sound["recorded_ms"])
    last = _receipt(after[0]) if after else None
    if last is None or not last.last:
        return one
    return replace(one, disputed=last, dispute=after[0]["problem"])


def _rank(one: Ended | None) -> tuple[bool, int, int]:
    """Order what nodes say of one run: who has ended it comes first, then who was there last."""
    return (
        (False, -1, 0) if one is None else (one.receipt.last, one.receipt.end_s, one.receipt.part)
    )


def _with(one: Ended, words: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Ended:
    said = words.get(one.receipt.run, {})
    return replace(one, ending=ending_of(said), is_dropped=DROPPED in said)


def _receipt(row: RowMapping) -> WorkReceipt | None:
    return peek(ReceiptEnvelope.model_validate_json(row["envelope"]))
