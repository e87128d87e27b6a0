"""The books in Debian's PostgreSQL: the same histories, many writers at once, and that nothing changes."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, text

from e2e.bench.ledger import __main__ as bench
from e2e.testbed.host.packages import PackagesMissingError
from e2e.testbed.host.postgres import postgres
from e2e.testbed.host.progress import Progress
from hansa.accounting.books import disorders
from hansa.accounting.postings import Event
from hansa.errors import Retryable, Terminal
from hansa.ledger.receipts.evidence import Dispute
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.schema import METADATA
from hansa.ledger.store.sides import disputed
from hansa.ledger.store.writer import LedgerWriter
from tests.books_kit import HISTORIES, play
from tests.conftest import skip_or_fail
from tests.unit.accounting.settlement.clearings import NAMES
from tests.unit.accounting.usages import BEGAN_MS, digest, usage
from tests.unit.cli.books.office import Office
from tests.unit.ledger.audits.deciding.payers import MEANWHILE, what_a_cheat_is_paid
from tests.unit.ledger.receipts.ledger_kit import Ledger, absurd, receipts, rechained, shown
from tests.unit.ledger.receipts.logbook.two_ledgers import one_of_many_writes_the_log
from tests.unit.ledger.settled_books import settled_and_paid

WRITERS = 8
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    try:
        with postgres(Progress()) as found:
            yield found
    except PackagesMissingError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Engine]:
    engine = open_engine(url, connections=WRITERS)
    yield engine
    engine.dispose()


def emptied(engine: Engine) -> Engine:
    """The tables anew: nothing in them can be deleted."""
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    migrate(engine)
    return engine


@given(HISTORIES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_books_balance_after_each_step_and_crash(server: Engine, history) -> None:
    play(emptied(server), history)


def test_the_migrations_make_the_tables_that_the_code_knows(server: Engine) -> None:
    with emptied(server).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


@pytest.mark.parametrize(
    "verb", ["UPDATE receipt SET node = ''", "DELETE FROM posting", "TRUNCATE entry CASCADE"]
)
def test_nothing_is_changed_or_deleted(server: Engine, verb: str) -> None:
    LedgerWriter(emptied(server)).record([usage(1)], 1)
    with (
        pytest.raises(Exception, match="the books are only added to"),
        server.begin() as connection,
    ):
        connection.execute(text(verb))


def test_writers_at_once_post_each_receipt_once_and_correct_it_within_bounds(
    server: Engine,
) -> None:
    emptied(server)
    corrected: list[int] = []

    def write(first: int) -> None:
        writer = LedgerWriter(server, holdback_bp=1000)
        for number in range(first, first + 20, 4):
            writer.record([usage(n) for n in range(number, number + 8)], number)
            writer.happen(Event.POST, [digest(n) for n in range(number, number + 8)], number)
            writer.happen(Event.VOID, [digest(n) for n in range(number, number + 8)], number)
        try:
            writer.correct(digest(20), -150_000, 9, note=f"by {first}")
        except Terminal:
            return
        corrected.append(first)

    threads = [threading.Thread(target=write, args=(first,)) for first in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = LedgerReader(server)
    assert not disorders(reader.books())
    assert {line.event for line in reader.lines(usage().job_uid)} == {Event.POST}
    assert len(corrected) == 2


def test_a_period_is_settled_once_and_paid_once(server: Engine) -> None:
    settled_and_paid(emptied(server))


def test_a_side_is_held_against_receipts_and_late_ones_are_told_there_too(
    server: Engine, url: str, tmp_path: Path
) -> None:
    emptied(server)
    office, december_ms = Office(tmp_path, url), BEGAN_MS + 30 * 86_400_000
    office.trade(BEGAN_MS + 3_600_000)
    receipt, provider = office.receipt(40, "clinic", "ut")
    office.keep(receipt, provider, december_ms, Dispute("Differs", "gpus", "2, not 1"))
    until = ("--until", "2026-11-02T00:00:00Z", "--output", office.file("c.json"))
    assert office.settle(*until).exit_code == 0
    office.sign(*NAMES)
    assert office.run("record", office.file("c.json")).exit_code == 0
    office.trade(december_ms, 50, [("clinic", "lab")])
    reader, month_ms = LedgerReader(server), (december_ms, december_ms + 31 * 86_400_000)
    assert [use.start_ms for use in reader.usages("clinic", month_ms)] == [BEGAN_MS + 15_000_000]
    assert [row[1:] for row in disputed(server, 16)["node-ut"]] == [("Differs", "gpus", "2, not 1")]
    office.engine.dispose()


def test_a_server_that_is_away_is_tried_again(url: str) -> None:
    gone = open_engine(url.replace("host=", "host=/nowhere"))
    with pytest.raises(Retryable, match="the ledger's database"):
        LedgerReader(gone).books()


@pytest.mark.usefixtures("url")
def test_the_benchmark_tells_what_its_page_says(capsys) -> None:
    sizes = ("--receipts", "64", "--taken", "40", "--leaves", "600")
    bench.main([*sizes, "--members", "10", "--obligations", "40"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    page = PAGE.read_text()
    assert told["clearing"]["equals_lp"]
    assert told["clearing"]["identical"]
    assert min(told[f"receipts_{name}per_s_core"] for name in ("", "checked_")) > 0
    assert told["signature_us"] > 0
    assert told["leaves"] == 600
    assert told["proof_bytes"] < 1500
    assert set(told["postings_per_s"]) == {"sqlite", "postgresql_16_writers"}
    assert [key for key in (*told, *told["clearing"]) if f"`{key}`" not in page] == []


async def test_a_server_that_is_gone_for_an_hour_costs_nothing(
    server: Engine, url: str, tmp_path: Path
) -> None:
    """It lets nobody in, and ends whoever is there: as a server that is stopped, to those who use it."""
    ledger, outbox = Ledger(emptied(server), tmp_path), shown()
    await ledger.step(outbox[:1])
    admin = open_engine(url.replace("/postgres?", "/template1?"))
    try:
        let_in(admin, is_let=False)
        for _ in range(3):
            with pytest.raises(Retryable, match="the ledger's database"):
                await ledger.step(outbox)
    finally:
        let_in(admin, is_let=True)
        admin.dispose()
    for _ in range(2):
        await ledger.step(outbox)
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.disputes == set()


def let_in(admin: Engine, *, is_let: bool) -> None:
    """Open or shut the database that the tests use."""
    with admin.begin() as connection:
        shut = "UPDATE pg_database SET datallowconn = :let WHERE datname = 'postgres'"
        connection.execute(text(shut), {"let": is_let})
    if not is_let:
        with admin.begin() as connection:
            end = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'"
            )
            connection.execute(text(end))


@pytest.mark.parametrize("table", ["evidence", "receipt", "entry", "posting"])
async def test_a_server_that_is_full_is_tried_again_and_pays_once(
    server: Engine, tmp_path: Path, table: str
) -> None:
    """At each write of a receipt's way, with the server's own code for it."""
    ledger, outbox = Ledger(emptied(server), tmp_path), shown()
    with server.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        trigger = f"CREATE TRIGGER fill AFTER INSERT ON {table} EXECUTE FUNCTION fill()"
        connection.execute(text(trigger))
    for _ in range(2):
        with pytest.raises(Retryable, match="no space left"):
            await ledger.step(outbox)
    assert not disorders(ledger.reader.books())
    assert ledger.amounts == []
    with server.begin() as connection:
        connection.execute(text(f"DROP TRIGGER fill ON {table}"))
    for _ in range(2):
        await ledger.step(outbox)
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.disputes == set()


def test_of_ledgers_over_one_server_one_writes_the_log(
    server: Engine, url: str, tmp_path: Path
) -> None:
    emptied(server)
    one_of_many_writes_the_log(url, tmp_path)


@pytest.mark.parametrize("what", MEANWHILE, ids=[one.__name__ for one in MEANWHILE])
async def test_nothing_is_paid_beside_a_decision(server: Engine, tmp_path: Path, what) -> None:
    assert await what_a_cheat_is_paid(emptied(server), tmp_path, what) == {}


async def test_receipts_are_judged_and_looked_at_again_there_too(
    server: Engine, tmp_path: Path
) -> None:
    ledger, found = Ledger(emptied(server), tmp_path), receipts()
    outbox = shown(rechained(found, 1, **absurd(found[1])))
    valid = ledger.tariffs["tartu"]
    ledger.tariffs["tartu"] = replace(valid, rates=())
    for so_far in (1, 2, 3):
        await ledger.step(outbox[:so_far])
    assert ledger.disputes == {("BadAmount", "receipt"), ("WrongPrice", "unitPrice")}
    ledger.tariffs["tartu"] = valid
    await ledger.step(shown(found)[1:2])
    assert sorted(ledger.amounts) == [100_000, 600_000]
    assert len(ledger.kept("TwoVersions")) == 1
