"""What was said and done in verification, on disk: each phase of a subject once, and never changed.

Subjects are ``epoch/N``, ``run/UID.EPOCH``, ``audit/RECEIPT`` and ``probe/KEY/N``. Whoever does a thing writes its phase first and acts
then, so that a crash repeats the act and never the decision.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, RowMapping, Select, select

from hansa.ledger.lookback import looked_back
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading, writing
from hansa.ledger.store.entries import DECIDING, lock
from hansa.ledger.store.inserts import insert_missing

OPENED, CLOSED, DRAWN = "Opened", "Closed", "Drawn"
COMMITTED, REVEALED = "Committed/", "Revealed/"
"""Of an epoch; the auditor's key id follows."""
SPEC, RESULT, DOUBTFUL, FAILED = "Spec", "Result", "Doubtful", "Failed"
WAITING, HEARD, SILENT, DECIDED = "Waiting", "Heard", "Silent", schema.DECIDED
"""Of a run: what it has to do and gave, what was found, and how far it is from being paid."""
DUE, ASKED, REPLIED, VERDICT, DONE = "Due", "Asked/", "Replied/", "Verdict", "Done"
"""Of an audit; the number of the auditor follows who was asked and replied."""
REOPENED, JUDGED, CONDEMNED = schema.REOPENED, schema.JUDGED, schema.CONDEMNED
"""Of a run, too: it is audited after it was decided, that audit has a verdict (which one follows), nothing of it is paid."""
PLANNED, SENT, PROBED = "Planned", "Sent", "Probed"
"""Of a capacity probe."""
A_READ = 500
"""Subjects that one statement asks for."""
Body = Mapping[str, Any]


class Word(NamedTuple):
    """One row."""

    subject: str
    phase: str
    body: Body


class AuditBook:
    """The table, for this process."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first call."""
        self._engine = engine

    @contextmanager
    def deciding(self) -> Iterator[Connection]:
        """Yield a transaction in which nobody else books, pays, releases, seizes or returns what is at stake.

        What is read meanwhile by other connections is what stands when it ends.
        """
        with writing(self._engine) as connection:
            lock(connection, DECIDING)
            yield connection

    def add(
        self, words: Iterable[Word], recorded_ms: int, within: Connection | None = None
    ) -> None:
        """Keep words in one transaction; of a phase that is there already the first word stays.

        ``within``: somebody's transaction; None: one of its own.
        """
        rows = [
            {
                "subject": word.subject,
                "phase": word.phase,
                "body": json.dumps(word.body),
                "recorded_ms": recorded_ms,
            }
            for word in words
        ]
        if not rows:
            return
        with nullcontext(within) if within is not None else writing(self._engine) as connection:
            insert_missing(connection, schema.AUDIT, rows)

    def of(self, subject: str) -> dict[str, Body]:
        """Return all phases of a subject."""
        table = schema.AUDIT
        wanted = select(table.c.phase, table.c.body).where(table.c.subject == subject)
        with reading(self._engine) as connection:
            return {phase: json.loads(body) for phase, body in connection.execute(wanted)}

    def of_all(self, subjects: Iterable[str]) -> dict[str, dict[str, Body]]:
        """Return all phases of each of many subjects; one that nothing was said of has none."""
        table, names = schema.AUDIT, sorted(set(subjects))
        found: dict[str, dict[str, Body]] = {name: {} for name in names}
        with reading(self._engine) as connection:
            for first in range(0, len(names), A_READ):
                some = table.c.subject.in_(names[first : first + A_READ])
                rows = connection.execute(
                    select(table.c.subject, table.c.phase, table.c.body).where(some)
                )
                for subject, phase, body in rows:
                    found[subject][phase] = json.loads(body)
        return found

    def failures(self, runs: Iterable[str]) -> set[str]:
        """Return those of the runs that failed by their members' word, without those whose audits found the same."""
        table, names = schema.AUDIT, sorted(map(run, set(runs)))
        said: dict[str, str] = {}
        with reading(self._engine) as connection:
            for first in range(0, len(names), A_READ):
                some = table.c.subject.in_(names[first : first + A_READ])
                wanted = select(table.c.subject, table.c.body).where(some, table.c.phase == FAILED)
                for subject, body in connection.execute(wanted):
                    said[audit(json.loads(body)["receipt"])] = subject.removeprefix(run(""))
        found = self.of_all(said)
        return {
            name
            for subject, name in said.items()
            if found[subject].get(VERDICT, {}).get("verdict") != "Passed"
        }

    def recorded_ms(self, subject: str) -> dict[str, int]:
        """Return when each phase of a subject was recorded."""
        table = schema.AUDIT
        wanted = select(table.c.phase, table.c.recorded_ms).where(table.c.subject == subject)
        with reading(self._engine) as connection:
            return {row.phase: row.recorded_ms for row in connection.execute(wanted)}

    def words(self, phase: str, since_ms: int = 0) -> Iterator[tuple[int, Word]]:
        """Yield (recorded at, word) of one phase, of those recorded at or after a moment, by subject."""
        table = schema.AUDIT
        wanted = select(table).where(table.c.phase == phase, table.c.recorded_ms >= since_ms)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(table.c.subject)).mappings().all()
        yield from map(_word, rows)

    def open(self, phase: str, until: str) -> list[str]:
        """Return the subjects that have one phase and not yet another."""
        return [word.subject for _, word in self.open_words(phase, until)]

    def open_words(self, phase: str, until: str) -> list[tuple[int, Word]]:
        """Return (recorded at, word) of one phase, of subjects that do not have another yet, by subject."""
        with reading(self._engine) as connection:
            return open_words(connection, phase, until)


def open_words(connection: Connection, phase: str, until: str) -> list[tuple[int, Word]]:
    """Return what ``AuditBook.open_words`` does, within somebody's transaction."""
    return [_word(row) for row in connection.execute(_open_words(phase, until)).mappings()]


@lru_cache
def _open_words(phase: str, until: str) -> Select[Any]:
    """Made once: a dozen a pass, and making one takes longer than the database does."""
    table, later = schema.AUDIT, schema.AUDIT.alias()
    is_over = (
        select(later.c.subject)
        .where(later.c.subject == table.c.subject, later.c.phase == until)
        .exists()
    )
    return select(table).where(table.c.phase == phase, ~is_over).order_by(table.c.subject)


class Following:
    """Reads the words of one phase as they come; some more than once."""

    def __init__(self, book: AuditBook, phase: str) -> None:
        """The first reading is of all."""
        self._book, self._phase = book, phase
        self._read_ms = 0

    def new(self, now_ms: int) -> list[Word]:
        """Return what was recorded since the last reading, also by a clock that was put back since."""
        since_ms = looked_back(self._read_ms, now_ms)
        found = [word for _, word in self._book.words(self._phase, since_ms)]
        self._read_ms = now_ms
        return found


def _word(row: RowMapping) -> tuple[int, Word]:
    return row["recorded_ms"], Word(row["subject"], row["phase"], json.loads(row["body"]))


audit_phase = schema.audit_phase


def epoch(number: int) -> str:
    """Return the subject of an epoch; they sort by number."""
    return f"epoch/{number:012d}"


def number(subject: str) -> int:
    """Return the number in the subject of an epoch, or of a probe."""
    return int(subject.rpartition("/")[2])


def run(name: str) -> str:
    """Return the subject of a run; ``name``: UID.EPOCH."""
    return f"run/{name}"


def audit(receipt: str) -> str:
    """Return the subject of the audit of a run, by the digest of its last receipt."""
    return f"audit/{receipt}"


def probe(node_key: str, number: int) -> str:
    """Return the subject of a node's capacity probe; ``number``: from 1, those of a node sort by it."""
    return f"probe/{node_key}/{number:08d}"
