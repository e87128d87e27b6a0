"""The books in SQLite: random histories with crashes, and that nothing in them can be changed."""

import tempfile
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, exc, text

from hansa.accounting.books import books_of, disorders
from hansa.accounting.examination import Fault, Finding
from hansa.accounting.postings import AccountKind, Event
from hansa.accounting.settlement.clearing import Period, clear
from hansa.errors import Retryable, Terminal
from hansa.ledger.audits.book import (
    CONDEMNED,
    DECIDED,
    JUDGED,
    REOPENED,
    AuditBook,
    Word,
    audit_phase,
    run,
)
from hansa.ledger.store import schema
from hansa.ledger.store.engine import migrate, open_engine, writing
from hansa.ledger.store.migrations.versions import r0006_decided_runs
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.schema import METADATA
from hansa.ledger.store.settlements import Settlements
from hansa.ledger.store.writer import LedgerWriter
from tests.books_kit import HISTORIES, play
from tests.new_books import new_books
from tests.unit.accounting.usages import digest, usage

MEMORY = Path("/dev/shm")
"""Thousands of commits: on a disk that is shared they would take minutes."""


@given(HISTORIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_books_balance_after_each_step_and_crash(history) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        engine = new_books(folder)
        play(engine, history)
        engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    migrate(engine)


@pytest.mark.parametrize("table", sorted(METADATA.tables))
@pytest.mark.parametrize("statement", ["UPDATE {} SET recorded_ms = 0", "DELETE FROM {}"])
def test_nothing_is_changed_or_deleted(engine: Engine, table: str, statement: str) -> None:
    writer = LedgerWriter(engine, holdback_bp=1000)
    _fill(writer)
    _fill_evidence(engine)
    if table == "posting":
        statement = statement.replace("recorded_ms", "amount")
    with (
        pytest.raises(Exception, match="the books are only added to"),
        engine.begin() as connection,
    ):
        connection.execute(text(statement.format(table)))


def _fill_evidence(engine: Engine) -> None:
    for table in (schema.GRANT, schema.EVIDENCE, schema.LOG_FILES, schema.AUDIT):
        row = {
            column.name: 1 if column.type.python_type is int else "x" for column in table.columns
        }
        with engine.begin() as connection:
            connection.execute(table.insert(), [row])


def _fill(writer: LedgerWriter) -> None:
    writer.record([usage(1)], 1)
    writer.keep(usage(2), [Finding(Fault.WRONG_PRICE, "unitPrice", "later")], 1)
    writer.explain(digest(2), "the tariff came late", 2)
    debts = {("a", "b"): 5, ("b", "a"): 5}
    Settlements(writer._engine).settle(clear(Period("2026-11", "EUR"), debts), b"signed", 3)


def test_writers_at_once_post_each_receipt_once(engine: Engine) -> None:
    def write(first: int) -> None:
        writer = LedgerWriter(engine, holdback_bp=1000)
        for number in range(first, first + 40, 4):
            writer.record([usage(n) for n in range(number, number + 8)], number)
            writer.happen(Event.POST, [digest(number)], number)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = LedgerReader(engine)
    receipts = reader.standing().receipts
    owed = sum(line.usage.amount for line in reader.lines(usage().job_uid))
    assert not disorders(reader.books())
    assert receipts == 64
    pending = reader.books().of("ut", AccountKind.PENDING, "EUR")
    assert pending + sum(reader.books().obligations("EUR").values()) + sum(
        reader.standing().holdback.values()
    ) == (owed)


def test_a_receipt_that_says_two_things_is_told_and_stays_as_it_was(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine), LedgerReader(engine)
    writer.record([usage(1)], 1)
    told = writer.record([usage(1, gpu_ms=1), usage(2)], 2)
    assert told.contradicting == (digest(1),)
    assert told.fresh == (digest(2),)
    assert [line.usage.gpu_ms for line in reader.lines(usage().job_uid)] == [600_000, 600_000]


def test_a_difference_counts_until_it_is_explained_or_posted(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine), LedgerReader(engine)
    found = [
        Finding(Fault.WRONG_PRICE, "unitPrice", "\x00later"),
        Finding(Fault.NEGATIVE, "x", "y"),
    ]
    for number in (1, 2, 3):
        writer.keep(usage(number, node="tartu\x00\ud800"), found, 1)
        writer.keep(usage(number), found, 2)
    assert reader.standing().differences == 3
    writer.explain(digest(1), "the tariff came late", 3)
    writer.record([usage(2)], 3)
    assert reader.standing().differences == 1


def test_the_movements_are_those_of_the_books(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine, holdback_bp=1000), LedgerReader(engine)
    writer.record([usage(1), usage(2, institution="lab")], 1)
    writer.happen(Event.POST, [digest(1)], 2)
    assert books_of(reader.postings()).accounts() == reader.books().accounts()
    assert {row.debtor for row in reader.postings("lab")} == {"lab"}
    assert len(reader.postings("ut")) == 5


def test_what_is_void_is_in_no_statement(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine), LedgerReader(engine)
    writer.record([usage(1), usage(2)], 1)
    writer.happen(Event.VOID, [digest(1)], 2, note="audit failed")
    bounds = (0, usage().end_ms)
    assert [use.receipt_digest for use in reader.usages("clinic", bounds)] == [digest(2)]
    assert reader.usages("ut", bounds) == reader.usages("clinic", bounds)
    assert not reader.usages("lab", bounds)
    assert not reader.usages("clinic", (usage().end_ms, usage().end_ms + 1))


def test_runs_of_older_books_are_decided_but_for_those_that_are_audited(engine: Engine) -> None:
    """Also those of which the books refused all receipts."""
    book, uid = AuditBook(engine), usage().job_uid
    LedgerWriter(engine).record([usage(n, epoch=n) for n in (7, 8, 9)], 1)
    _fill_evidence(engine)
    book.add([Word(f"audit/{n}", "Due", {"run": f"{uid}.{n}"}) for n in (8, 9)], 1)
    book.add([Word("audit/9", "Done", {})], 2)
    with engine.begin() as connection:
        refused = connection.execute(text("SELECT DISTINCT run FROM evidence")).scalars().all()
        with Operations.context(MigrationContext.configure(connection)):
            r0006_decided_runs.upgrade()
    decided = {word.subject for _, word in book.words(DECIDED)}
    assert refused
    assert decided == {run(name) for name in (f"{uid}.7", f"{uid}.9", *refused)}


def test_what_is_booked_of_a_run_that_was_condemned_is_given_back(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine), LedgerReader(engine)
    both = [Word(run(f"{usage().job_uid}.1"), phase, {}) for phase in (CONDEMNED, DECIDED)]
    AuditBook(engine).add(both, 1)
    writer.record([usage(1, epoch=1), usage(2, epoch=2)], 10)
    assert [line.event for line in reader.lines(usage().job_uid)] == [Event.VOID, Event.CHARGE]


FIRST, SECOND = "sha256:1", "sha256:12"
AUDITS = {
    "once": (audit_phase(REOPENED, FIRST), audit_phase(JUDGED, FIRST)),
    "once, by an older ledger": (REOPENED, JUDGED),
    "once, judged by this one": (REOPENED, audit_phase(JUDGED, FIRST)),
    "twice": (
        *(audit_phase(REOPENED, FIRST), audit_phase(REOPENED, SECOND)),
        *(audit_phase(JUDGED, FIRST), audit_phase(JUDGED, SECOND)),
    ),
    "after a verdict": (
        *(audit_phase(REOPENED, SECOND), audit_phase(REOPENED, FIRST)),
        *(audit_phase(JUDGED, SECOND), audit_phase(JUDGED, FIRST)),
    ),
}


@pytest.mark.parametrize("audits", AUDITS.values(), ids=AUDITS)
def test_what_is_old_enough_moves_on_where_its_run_is_decided_and_not_audited_again(
    engine: Engine, audits: tuple[str, ...]
) -> None:
    writer, book = LedgerWriter(engine), AuditBook(engine)
    writer.record([usage(n, epoch=n) for n in (1, 2, 4)], 10)
    writer.record([usage(3, epoch=3)], 11)
    book.add([Word(run(f"{usage().job_uid}.{n}"), DECIDED, {}) for n in (1, 2, 3)], 12)
    again = run(f"{usage().job_uid}.2")
    book.add([Word(again, phase, {}) for phase in audits[:1]], 12)
    assert writer.move_on(Event.POST, 20, before_ms=10, decided=True) == (digest(1),)
    for phase in audits[1:]:
        assert writer.move_on(Event.POST, 20, before_ms=10, decided=True) == ()
        book.add([Word(again, phase, {})], 12)
    assert writer.move_on(Event.POST, 20, before_ms=10, decided=True) == (digest(2),)
    assert writer.move_on(Event.POST, 20, before_ms=10, decided=True) == ()
    assert writer.move_on(Event.POST, 20, before_ms=10) == (digest(4),)
    assert writer.move_on(Event.POST, 20, before_ms=10) == ()


def test_a_correction_is_bounded_and_the_same_once(engine: Engine) -> None:
    writer, reader = LedgerWriter(engine), LedgerReader(engine)
    writer.record([usage(1)], 1)
    with pytest.raises(Terminal, match="is not posted"):
        writer.correct(digest(1), -1, 2, note="early")
    writer.happen(Event.POST, [digest(1)], 2)
    first = writer.correct(digest(1), -400_000, 3, note="free of charge")
    assert writer.correct(digest(1), -400_000, 9, note="free of charge") == first
    with pytest.raises(Terminal, match="costs less than"):
        writer.correct(digest(1), -1, 4, note="more than free")
    assert reader.corrections("clinic") == (first,) == reader.corrections(job="clinic/train")


@pytest.mark.parametrize("url", ["mysql://a/b", "books.db", ""])
def test_another_database_is_refused_by_name(url: str) -> None:
    with pytest.raises(Terminal, match="must begin with sqlite:/// or postgresql://"):
        open_engine(url)


def test_a_database_that_is_away_is_tried_again(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/no/such/folder/books.db")
    with pytest.raises(Retryable, match="the ledger's database"):
        LedgerReader(engine).books()


def test_an_event_out_of_order_is_refused(engine: Engine) -> None:
    with pytest.raises(Terminal, match="needs Charge first"):
        LedgerWriter(engine).begin(Event.POST, [], 1)


WRONG_WITH = {
    "a right is missing": (exc.ProgrammingError, Retryable),
    "a table is missing": (exc.OperationalError, Retryable),
    "only reading is allowed": (exc.InternalError, Retryable),
    "the row": (exc.DataError, Terminal),
    "the row's keys": (exc.IntegrityError, Terminal),
}


@pytest.mark.parametrize(("kind", "told"), WRONG_WITH.values(), ids=WRONG_WITH)
def test_only_what_is_wrong_with_a_row_is_held_against_it(engine: Engine, kind, told) -> None:
    """A database put back without its rights refuses every receipt, and none for good."""
    with pytest.raises(told, match="the ledger's database"), writing(engine):
        raise kind("INSERT", {}, Exception("permission denied for table receipt"))
