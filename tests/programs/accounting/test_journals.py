"""The exported books, added up anew by Debian's hledger and beancount: strangers to our code."""

import csv
import io
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from e2e.bench.ledger.uses import drawn
from e2e.testbed.host.packages import PackagesMissingError, ensure_packages, system_program
from e2e.testbed.host.progress import Progress
from hansa.accounting.exports.journal import journal, name_of
from hansa.accounting.postings import Event
from hansa.accounting.settlement.clearing import Period, clear
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.settlements import Settlements
from hansa.ledger.store.writer import LedgerWriter
from tests.conftest import skip_or_fail

ACTS = (Event.POST, Event.VOID, Event.RELEASE, Event.SEIZE)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> LedgerReader:
    engine: Engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('books')}/books.db")
    migrate(engine)
    writer, reader = LedgerWriter(engine, holdback_bp=1000), LedgerReader(engine)
    uses = list(drawn(200, seed=5, institutions=6))
    writer.record(uses, 1_800_000_000_000)
    draw = np.random.default_rng(5)
    for at, act in enumerate(ACTS):
        some = [use.receipt_digest for use in uses if draw.random() < 0.6]
        writer.happen(act, some, 1_800_000_000_000 + at * 86_400_000)
    posted = [line.usage for line in reader.lines(uses[0].job_uid) if line.event is not Event.VOID]
    writer.happen(Event.POST, [use.receipt_digest for use in posted], 1_800_000_000_000)
    january = clear(Period("2027-01", "EUR"), reader.books().obligations("EUR"))
    Settlements(engine).settle(january, b"signed", 1_801_000_000_000)
    return reader


@pytest.fixture(scope="module")
def book(reader: LedgerReader, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "league.beancount"
    path.write_text(journal(reader.postings()))
    return path


def run(package: str, program: str, *arguments: str) -> str:
    try:
        ensure_packages(Progress(), [package])
    except PackagesMissingError as error:
        skip_or_fail(f"{program}: {error}")
    command = [system_program(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_hledger_adds_the_books_up_to_the_same_balances(reader: LedgerReader, book: Path) -> None:
    told = run("hledger", "hledger", "-f", f"journal:{book}", "balance", "--empty", "-O", "csv")
    rows = {row["account"]: row["balance"] for row in csv.DictReader(io.StringIO(told))}
    assert Decimal(rows.pop("total", "0").split()[0]) == 0
    found = {name: Decimal(text.split()[0]) for name, text in rows.items()}
    ours = {
        name_of(account): Decimal(micros).scaleb(-6)
        for (account, _), micros in reader.books().accounts().items()
    }
    assert found == ours
    assert sum(map(abs, ours.values())) > 100


def test_beancount_finds_nothing_wrong(book: Path) -> None:
    assert run("beancount", "bean-check", str(book)) == ""
