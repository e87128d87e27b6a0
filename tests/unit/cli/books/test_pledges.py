"""A pledge is entered once, stands until it is returned or seized, and is named where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, event

from hansa.accounting.books import disorders
from hansa.accounting.postings import AccountKind
from hansa.cli.books.settlement.group import settle
from hansa.errors import Terminal
from hansa.ledger.audits.book import (
    ASKED,
    CLOSED,
    DONE,
    DRAWN,
    DUE,
    OPENED,
    REPLIED,
    VERDICT,
    AuditBook,
    Word,
    audit,
    epoch,
)
from hansa.ledger.audits.facts import Facts
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.new_books import new_books
from tests.unit.accounting.usages import BEGAN_MS, usage

FIRST = ("--amount", "5000", "--reference", "guarantee 1")


@pytest.fixture
def books(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/books.db"
    engine = new_books(tmp_path)
    LedgerWriter(engine).record([usage(1)], BEGAN_MS)
    engine.dispose()
    return url


def run(books: str, *arguments: str) -> str:
    found = CliRunner().invoke(settle, [*arguments, "--database", books])
    if isinstance(found.exception, Terminal):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def pledged(books: str, institution: str = "ut") -> int:
    engine = open_engine(books)
    try:
        known = LedgerReader(engine).books()
        assert not disorders(known)
        bond = known.of(institution, AccountKind.BOND, "EUR")
        assert bond == sum(Facts(engine, "EUR").pledges(institution).values())
        return bond
    finally:
        engine.dispose()


def test_a_pledge_stands_once_until_it_is_returned(books: str):
    assert "Entered: the pledge guarantee 1 of ut" in run(books, "pledge", "ut", *FIRST)
    assert pledged(books) == 5_000_000_000
    changed = ("--amount", "1", "--reference", "guarantee 1")
    assert "Was entered before, and is not changed" in run(books, "pledge", "ut", *changed)
    run(books, "pledge", "ut", "--amount", "0.50", "--reference", "guarantee 2")
    assert pledged(books) == 5_000_500_000
    run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    assert pledged(books) == 500_000
    with pytest.raises(Terminal, match="has no pledge guarantee 1 that stands"):
        run(books, "return-pledge", "ut", "--reference", "guarantee 1")


@pytest.mark.parametrize("amount", ["0", "-5", "much", "1.1234567", "1000000000.000001"])
def test_what_is_no_amount_is_named(books: str, amount: str):
    with pytest.raises(Terminal, match="--amount: "):
        run(books, "pledge", "ut", "--amount", amount, "--reference", "x")
    assert pledged(books) == 0


def test_an_institution_that_nobody_knows_is_a_slip_of_the_pen(books: str):
    with pytest.raises(Terminal, match=r"the books know no institution uni; .*--new"):
        run(books, "pledge", "uni", *FIRST)
    assert pledged(books, "uni") == 0


def test_a_new_member_that_has_earned_nothing_can_pledge(books: str):
    run(books, "pledge", "newcomer", *FIRST, "--new")
    assert pledged(books, "newcomer") == 5_000_000_000
    more = ("--amount", "1", "--reference", "guarantee 2")
    run(books, "pledge", "newcomer", *more)
    assert pledged(books, "newcomer") == 5_001_000_000


@pytest.mark.parametrize("name", ["New Comer", "", "league:kitty", "a" * 64])
def test_a_new_member_has_a_name_that_a_node_can_have(books: str, name: str):
    with pytest.raises(Terminal, match="is no name of an institution"):
        run(books, "pledge", name, *FIRST, "--new")
    assert pledged(books, name) == 0


@pytest.mark.parametrize("currency", ["EURO", "eur", "", "\N{EURO SIGN}", "EUR\n"])
@pytest.mark.parametrize("command", ["pledge", "show", "paid"])
def test_what_is_no_currency_is_named(books: str, command: str, currency: str):
    arguments = {
        "pledge": ("ut", *FIRST),
        "show": ("2026-11",),
        "paid": ("2026-11", "--debtor", "ut", "--creditor", "clinic", "--reference", "x"),
    }
    options = (*arguments[command], "--currency", currency, "--database", books)
    found = CliRunner().invoke(settle, [command, *options])
    assert found.exit_code == 2
    assert "three capital letters, for example EUR" in found.output
    assert pledged(books) == 0


def note(books: str, phase: str, institution: str = "ut", subject: str = audit("sha256:1")) -> None:
    """Have the ledger say something of the audit of a run, or of an epoch."""
    engine = open_engine(books)
    body = {"run": "u1.1", "institution": institution}
    AuditBook(engine).add([Word(subject, phase, body)], BEGAN_MS)
    engine.dispose()


def test_a_pledge_that_a_draw_counted_on_stands_until_what_its_verdict_says_is_done(books: str):
    run(books, "pledge", "ut", *FIRST)
    for phase in (DUE, f"{ASKED}1", f"{REPLIED}1", VERDICT):
        note(books, phase, "ut")
        with pytest.raises(Terminal, match=r"run u1\.1 of ut is being audited"):
            run(books, "return-pledge", "ut", "--reference", "guarantee 1")
        assert pledged(books) == 5_000_000_000
    note(books, DONE, "ut")
    run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    assert pledged(books) == 0


def test_anothers_audit_keeps_no_pledge(books: str):
    run(books, "pledge", "ut", *FIRST)
    note(books, DUE, "clinic")
    run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    assert pledged(books) == 0


def test_a_pledge_stands_while_a_draw_may_be_counting_on_it(books: str):
    """The draw reads what stands, and says a moment later which runs are audited."""
    run(books, "pledge", "ut", *FIRST)
    note(books, OPENED, subject=epoch(7))
    note(books, CLOSED, subject=epoch(7))
    note(books, OPENED, subject=epoch(8))
    with pytest.raises(Terminal, match="audit epoch 7 is being drawn"):
        run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    assert pledged(books) == 5_000_000_000
    note(books, DRAWN, subject=epoch(7))
    run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    assert pledged(books) == 0


def test_it_is_looked_at_and_returned_in_one_transaction(books: str):
    """Between two of them an epoch could be closed, and drawn by a pledge that is gone."""
    run(books, "pledge", "ut", *FIRST)
    begun: list[Connection] = []
    heard = begun.append
    event.listen(Engine, "begin", heard)
    try:
        run(books, "return-pledge", "ut", "--reference", "guarantee 1")
    finally:
        event.remove(Engine, "begin", heard)
    assert len(begun) == 1
