"""The ledger's duties over real books: time moves claims on, and figures are those of the books."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hansa.accounting.postings import Event
from hansa.ledger.app import Ledger
from hansa.ledger.audits.book import DECIDED, JUDGED, REOPENED, AuditBook, Word, run
from hansa.ledger.prices_and_budgets import PricesAndBudgets
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.settings import Database, LedgerSettings, Terms
from hansa.ledger.source import NoReceipts
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import digest, usage
from tests.unit.ledger.hub_server import Server, project
from tests.unit.ledger.receipts.ledger_kit import heard


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


async def prepared(tmp_path: Path, *, pending_s: int = 60, audits: Any = None):
    url = f"sqlite:///{tmp_path}/books.db"
    terms = Terms(pending_seconds=pending_s, holdback_percent=10, holdback_days=1)
    settings = LedgerSettings(database=Database(url=SecretStr(url)), terms=terms)
    server, clock = Server(projects=[project(spent="")]), Clock()
    hub = HubView(server, clock)
    agreed = PricesAndBudgets(server, hub, currency="EUR", skew_ms=1000)
    ledger = Ledger(
        *(settings, hub, agreed, lambda _: NoReceipts(), clock),
        open_audits=lambda *_: audits,
    )
    await ledger.prepare()
    return ledger, server, clock


def figures(ledger) -> dict[str, float]:
    return {sample.metric.name: sample.value for sample in ledger.samples()}


async def test_claims_move_on_as_their_time_comes(tmp_path: Path) -> None:
    ledger, server, clock = await prepared(tmp_path)
    writer, reader = LedgerWriter(ledger._engine, holdback_bp=1000), LedgerReader(ledger._engine)
    writer.record([usage(n) for n in range(1200)], int(clock.now() * 1000))
    seen = []
    for later_s in (59, 60, 60 + 86_399, 60 + 86_400):
        clock.seconds = 1000.0 + later_s
        await ledger.move_on()
        seen.append({line.event for line in reader.lines(usage().job_uid)})
    assert seen == [{Event.CHARGE}, {Event.POST}, {Event.POST}, {Event.RELEASE}]
    await ledger.tell()
    assert next(iter(server.applied.values()))["spent"]["amount"] == "480"
    ledger.close()


class Audited:
    """Audits, of which the books tell."""


async def test_where_runs_are_audited_nothing_is_due_before_its_run_is_decided(
    tmp_path: Path,
) -> None:
    ledger, _, clock = await prepared(tmp_path, audits=Audited())
    LedgerWriter(ledger._engine).record([usage(1, epoch=1)], int(clock.now() * 1000))
    book, reader = AuditBook(ledger._engine), LedgerReader(ledger._engine)
    seen = []
    for phases in ((), (DECIDED, REOPENED), (JUDGED,)):
        book.add([Word(run(f"{usage().job_uid}.1"), phase, {}) for phase in phases], 1)
        clock.seconds += 1000
        await ledger.move_on()
        seen.append(reader.lines(usage().job_uid)[0].event)
    assert seen == [Event.CHARGE, Event.CHARGE, Event.POST]
    ledger.close()


async def test_a_league_that_waits_for_no_audit_has_all_due_at_once(tmp_path: Path) -> None:
    ledger, _, clock = await prepared(tmp_path, pending_s=0, audits=Audited())
    LedgerWriter(ledger._engine).record([usage(1)], int(clock.now() * 1000))
    await ledger.move_on()
    line = LedgerReader(ledger._engine).lines(usage().job_uid)[0]
    assert line.event is Event.POST
    ledger.close()


async def test_figures_are_those_of_the_books_and_absent_before_they_are_read(tmp_path) -> None:
    ledger, _, clock = await prepared(tmp_path)
    assert "hansa_ledger_receipts" not in figures(ledger)
    assert ledger.ready() == "the books have not been read yet"
    writer = LedgerWriter(ledger._engine, holdback_bp=1000)
    writer.record([usage(1), usage(2)], 1)
    writer.happen(Event.POST, [digest(1)], 2)
    await ledger.look()
    told = figures(ledger)
    assert told["hansa_ledger_receipts"] == 2
    assert told["hansa_ledger_pending_amount"] == 0.4
    assert told["hansa_ledger_holdback_amount"] == 0.04
    assert ledger.ready() == "the hub's nodes and grants have not been read yet"
    await heard(ledger._hub)
    assert ledger.ready() == ""
    clock.seconds += 301
    await ledger.look()
    assert ledger.ready() == "the hub has told nothing of nodes and grants for 301 s"
    clock.seconds += 301
    assert ledger.ready() == "the books were not read for 301 s"
    assert ledger.healthy() == "no intake has begun for 602 s"
    ledger.close()


async def test_budgets_are_shown_by_project(tmp_path: Path) -> None:
    ledger, _, _ = await prepared(tmp_path)
    LedgerWriter(ledger._engine).record([usage(1)], 1)
    await ledger.tell()
    assert figures(ledger)["hansa_project_budget_ratio"] == 0.04
    ledger.close()


async def test_a_clock_that_jumps_releases_nothing_before_an_hour_has_shown_it_right(
    tmp_path: Path, caplog
) -> None:
    ledger, _, clock = await prepared(tmp_path)
    LedgerWriter(ledger._engine, holdback_bp=1000).record([usage(1)], int(clock.now() * 1000))
    reader, running = LedgerReader(ledger._engine), Running(clock)
    ledger._clock = ledger._even._clock = running

    def event():
        return reader.lines(usage().job_uid)[0].event

    await ledger.move_on()
    running.ahead_s = 365 * 86_400.0
    await ledger.move_on()
    assert "clock has jumped" in caplog.text
    running.ahead_s = 0.0
    clock.seconds += 30
    await ledger.move_on()
    assert event() is Event.CHARGE

    running.ahead_s = 86_000.0
    for later_s in (0, 3599):
        clock.seconds += later_s
        await ledger.move_on()
        assert event() is Event.CHARGE
    clock.seconds += 1
    await ledger.move_on()
    assert event() is Event.POST
    ledger.close()


class Running:
    """The time of day may be ahead; what has gone by is not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_s = 0.0

    def now(self) -> float:
        return self._clock.seconds + self.ahead_s

    def monotonic(self) -> float:
        return self._clock.seconds
