"""Whatever is recorded is logged: many in one millisecond, late, or by a clock that was put back."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.event import listen

from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.errors import NotFound
from hansa.ledger.receipts import logbook as module
from hansa.ledger.receipts.evidence import Evidence, Place
from hansa.ledger.receipts.logbook import BACK_MS, Logbook
from hansa.ledger.store import schema
from hansa.ledger.store.engine import writing
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.accounting.usages import digest
from tests.unit.grants.grant_kit import HUB
from tests.unit.ledger.receipts.logbook.logbook_kit import NOW_MS, Clock


class Log:
    """A log, and receipts put straight into evidence."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        own = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
        policy = Policy.of_logs([own.key])
        index = SqliteLeafIndex(folder / "leaves.db")
        self.clock, self._engine = Clock(), engine
        appender = Appender(FileStore(folder / "log"), index, [own], policy)
        self._logbook, self._evidence = Logbook(appender, self.clock), Evidence(engine)

    def record(self, numbers: range, recorded_ms: int) -> None:
        texts = dict.fromkeys(("node", "run", "problem", "envelope"), "")
        times = dict.fromkeys(("part", "start_s", "end_s"), 0)
        rows = [
            {
                **texts,
                **times,
                "node_key": f"key-{number % 3}",
                "sequence": number,
                "digest": digest(number),
                "recorded_ms": recorded_ms,
            }
            for number in numbers
        ]
        with writing(self._engine) as connection:
            connection.execute(schema.EVIDENCE.insert(), rows)

    def missing(self, numbers: range) -> list[int]:
        self._logbook.catch_up(self._evidence)
        return [n for n in numbers if not self._is_logged(n)]

    def _is_logged(self, number: int) -> bool:
        try:
            self._logbook.prove(digest(number))
        except NotFound:
            return False
        return True


def test_more_than_a_page_may_share_a_millisecond(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 10)
    log = Log(engine, tmp_path)
    log.record(range(1, 36), NOW_MS)
    log.record(range(36, 41), NOW_MS + 1)
    assert log.missing(range(1, 41)) == []


def test_what_is_not_logged_is_found_without_reading_all(engine):
    said: list[str] = []
    listen(engine, "before_cursor_execute", lambda *args: said.append((args[2], args[3])))
    Evidence(engine).after(Place(NOW_MS, "k", 3), 10)
    statement, parameters = said[-1]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert "USING INDEX ix_evidence_recorded_ms_node_key_sequence" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


def test_a_writer_that_commits_late_is_seen(engine, tmp_path):
    log = Log(engine, tmp_path)
    log.record(range(1, 3), NOW_MS)
    assert log.missing(range(1, 3)) == []
    log.record(range(3, 4), NOW_MS - BACK_MS + 1)
    assert log.missing(range(1, 4)) == []


def test_what_a_clock_that_was_put_back_recorded_is_logged(engine, tmp_path):
    log = Log(engine, tmp_path)
    log.record(range(1, 3), NOW_MS)
    assert log.missing(range(1, 3)) == []
    log.clock.now_ms = NOW_MS - 3_600_000
    assert log.missing(range(1, 3)) == []
    log.record(range(3, 6), log.clock.now_ms)
    assert log.missing(range(1, 6)) == []
