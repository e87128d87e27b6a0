"""The demo's set-off, over real books and by the real commands; and that it fails where nothing is set off."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import pytest
from rich.console import Console

from e2e.demo.books import Books, BooksError
from e2e.demo.settlement import _check, set_off, set_off_in_words
from e2e.testbed.host.progress import Progress
from hansa.accounting.postings import Event
from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.accounting.usages import usage
from tests.unit.grants.grant_kit import HUB
from tests.unit.ledger.receipts.logbook.logbook_kit import Clock

NAMES = ("hospital", "tartu", "riga")
TRADE = (("hospital", "tartu"), ("hospital", "riga"), ("tartu", "riga"), ("riga", "tartu"))


def kept(folder: Path) -> Books:
    """Books with what each owes each, and a log with its checkpoint."""
    folder.mkdir()
    books = Books(folder, HUB.public_key)
    engine = open_engine(books.database)
    migrate(engine)
    writer = LedgerWriter(engine, holdback_bp=1000)
    uses = [
        usage(n, institution=payer, provider=provider, job="riga/last", gpu_ms=60_000 * (n + 1))
        for n, (payer, provider) in enumerate(TRADE)
    ]
    writer.record(uses, 1000)
    writer.happen(Event.POST, [use.receipt_digest for use in uses], 1000)
    engine.dispose()
    own = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
    policy = Policy.parse(f"log {own.key}\nquorum none\n".encode())
    log = FileStore(folder / "log")
    Appender(log, SqliteLeafIndex(folder / "leaves.db"), [own], policy).checkpoint(Clock())
    return books


def test_three_institutions_settle_by_the_commands(tmp_path: Path) -> None:
    books, said = kept(tmp_path / "ledger"), io.StringIO()
    set_off(books, Progress(Console(file=said, soft_wrap=True)), NAMES, "riga/last")
    told = said.getvalue()
    # 0.04, 0.08, 0.12 and 0.16 EUR, a tenth of each held back.
    assert "tartu owed riga 0.108 EUR" in told
    assert "0.216000 EUR of it went back and forth and is set off" in told
    engine = open_engine(books.database)
    left = LedgerReader(engine).books().obligations("EUR")
    engine.dispose()
    assert left == {
        ("hospital", "riga"): 72_000,
        ("hospital", "tartu"): 36_000,
        ("riga", "tartu"): 36_000,
    }


def test_accounts_are_read_as_hansa_balance_prints_it(tmp_path: Path) -> None:
    books = kept(tmp_path / "ledger")
    held = {name: books.accounts(name).get("holdback", 0) for name in NAMES}
    # Tenths of 0.12 EUR, and of 0.04 and 0.16; the hospital earns nothing.
    assert held == {"hospital": 0, "tartu": Fraction("0.02"), "riga": Fraction("0.02")}
    assert "kitty" not in books.accounts("riga")
    with pytest.raises(BooksError, match="nobody"):
        books.accounts("nobody")


DEBT = ["a", "b", "1.00"]
BAD = {
    "nothing set off": {"obligations": [DEBT], "setOff": [], "paid": [DEBT], "carried": []},
    "one has less": {"obligations": [DEBT], "setOff": [DEBT], "paid": [], "carried": []},
    "a debt is left to another": {
        "obligations": [DEBT],
        "setOff": [DEBT],
        "paid": [["a", "c", "1.00"]],
        "carried": [],
    },
}


@pytest.mark.parametrize("case", BAD)
def test_a_set_off_that_is_none_fails_the_demo(case: str) -> None:
    with pytest.raises(AssertionError, match="the set-off is none, or changes"):
        _check(BAD[case])


def test_it_is_told_in_plain_words() -> None:
    both = {
        "obligations": [DEBT, ["b", "a", "0.40"]],
        "setOff": [["a", "b", "0.40"], ["b", "a", "0.40"]],
        "paid": [["a", "b", "0.50"]],
        "carried": [["a", "b", "0.10"]],
        "signers": {"a": "x", "b": "y"},
    }
    _check(both)
    seized = {"obligations": [DEBT, ["a", "@kitty", "0.10"]]}
    assert set_off_in_words(both | seized).startswith(
        "a owed b 1.00 EUR, a owed the league's kitty 0.10 EUR. "
    )
    told = set_off_in_words(both)
    assert told.startswith("a owed b 1.00 EUR, b owed a 0.40 EUR. 0.800000 EUR of it")
    assert "0.500000 EUR is left for the bank, 0.100000 EUR is within" in told
