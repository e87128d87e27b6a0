"""What a treasurer can do about a receipt that is not paid, or that cost too much: entries, never changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.accounting.examination import Fault, Finding
from hansa.accounting.postings import Event
from hansa.cli.books.bill import bill
from hansa.cli.books.settlement.group import settle
from hansa.errors import Terminal
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.new_books import new_books
from tests.unit.accounting.usages import BEGAN_MS, digest, usage


@pytest.fixture
def books(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/books.db"
    engine = new_books(tmp_path)
    writer = LedgerWriter(engine)
    writer.record([usage(1), usage(2)], BEGAN_MS)
    writer.happen(Event.POST, [digest(1)], BEGAN_MS)
    writer.keep(usage(3), [Finding(Fault.WRONG_PRICE, "unitPrice", "3 EUR was valid")], BEGAN_MS)
    engine.dispose()
    return url


def run(books: str, *arguments: str) -> str:
    command = bill if arguments[0] == "clinic/train" else settle
    found = CliRunner().invoke(command, [*arguments, "--database", books])
    if isinstance(found.exception, Terminal):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def standing(books: str) -> int:
    engine = open_engine(books)
    try:
        return LedgerReader(engine).standing().differences
    finally:
        engine.dispose()


def test_a_difference_is_listed_until_it_is_explained(books: str):
    assert "WrongPrice" in run(books, "differences")
    run(books, "explain", digest(3), "--note", "agreed to be free")
    assert "WrongPrice" not in run(books, "differences")
    assert standing(books) == 0
    with pytest.raises(Terminal, match="no difference"):
        run(books, "explain", digest(3), "--note", "again")


def test_what_nobody_disputes_cannot_be_explained(books: str):
    with pytest.raises(Terminal, match="settle differences lists them"):
        run(books, "explain", digest(1), "--note", "it is posted")


def test_a_correction_shows_in_the_bill_and_is_entered_once(books: str):
    for _ in range(2):
        said = run(books, "correct", digest(1), "--by", "-0.10", "--note", "late tariff")
        assert "0.10 EUR less" in said
    assert run(books, "clinic/train").count("Correction -0.10 EUR: late tariff") == 1
    run(books, "correct", digest(1), "--by", "0.05", "--note", "half of it back")
    assert "Correction 0.05 EUR: half of it back" in run(books, "clinic/train")


REFUSED = {
    "not posted": (digest(2), "-0.10", "is not posted"),
    "never seen": (digest(9), "-0.10", "is not posted"),
    "less than nothing": (digest(1), "-99", "costs less than 99"),
    "nothing": (digest(1), "0", "0 changes nothing"),
    "no amount": (digest(1), "much", "--by: 'much' is no amount"),
    "too much": (digest(1), "1000000000.000001", "is beyond 1000000000; check its digits"),
    "too little": (digest(1), "-1000000000.000001", "is beyond 1000000000; check its digits"),
    "too fine": (digest(1), "0.0000001", "--by: .* is no amount"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_corrected_is_told(books: str, case: str):
    receipt, change, why = REFUSED[case]
    with pytest.raises(Terminal, match=why):
        run(books, "correct", receipt, f"--by={change}", "--note", "a try")
