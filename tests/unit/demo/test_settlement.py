"""The demo's set-off, over real books and by the real commands; and that it fails where nothing is set off."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import pytest
from rich.console import Console

from e2e.demo.books import Books, BooksError
from e2e.demo.settlement import Node, _check, set_off, set_off_in_words
from e2e.testbed.host.progress import Progress
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from tests.unit.cli.books.office import OPERATORS, Office
from tests.unit.grants.grant_kit import HUB

NAMES = ("hospital", "tartu", "riga")
TRADE = (("hospital", "tartu"), ("hospital", "riga"), ("tartu", "riga"), ("riga", "tartu"))


NODES = [Node(f"node-{name}", name, OPERATORS[name].public_key) for name in NAMES]


def kept(folder: Path) -> Books:
    """Books with what each owes each, its receipts, and a log with its checkpoint."""
    folder.mkdir()
    office = Office(folder)
    office.trade(1000, 0, TRADE, holdback_bp=1000)
    office.engine.dispose()
    return Books(folder, HUB.public_key)


def test_three_institutions_settle_by_the_commands(tmp_path: Path) -> None:
    books, said = kept(tmp_path / "ledger"), io.StringIO()
    progress = Progress(Console(file=said, soft_wrap=True))
    set_off(books, progress, NAMES, NODES, last_job="clinic/train")
    told = said.getvalue()
    # 0.40 EUR each, a tenth of it held back.
    assert "tartu owed riga 0.36 EUR" in told
    assert "0.720000 EUR of it went back and forth and is set off" in told
    engine = open_engine(books.database)
    left = LedgerReader(engine).books().obligations("EUR")
    engine.dispose()
    assert left == {("hospital", "riga"): 360_000, ("hospital", "tartu"): 360_000}


def test_accounts_are_read_as_hansa_balance_prints_it(tmp_path: Path) -> None:
    books = kept(tmp_path / "ledger")
    held = {name: books.accounts(name).get("holdback", 0) for name in NAMES}
    # Tenths of 0.40 EUR each; the hospital earns nothing.
    assert held == {"hospital": 0, "tartu": Fraction("0.08"), "riga": Fraction("0.08")}
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
