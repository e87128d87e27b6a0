"""A month is settled by its commands: proposed, worked out anew by each, signed, entered, paid."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from hansa.accounting.exports.posting_lines import posting_lines, read_posting_lines
from hansa.accounting.postings import Event
from hansa.cli.books.settlement import countersign, payment
from hansa.cli.books.settlement.terms import read_terms
from hansa.cli.main import cli
from hansa.errors import Terminal
from hansa.ledger.store.reader import LedgerReader
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.note import Note
from tests.unit.accounting.settlement.clearings import KEYS, NAMES, UNTIL_MS
from tests.unit.cli.books.office import OPERATORS, Office, terms_text
from tests.unit.grants.grant_kit import FOREIGN


def test_a_month_is_set_off_signed_by_all_and_paid(office: Office) -> None:
    told = office.propose()
    assert told.exit_code == 0, told.exception
    assert (
        "2.00 EUR that is due, 1.20 (60.0 %) is set off, 0.70 is to be paid and 0.10" in told.output
    )
    assert "abroad is not in the terms" in told.output
    office.sign(*NAMES)
    assert "all have signed it" in office.run("check", office.file("c.json")).output
    for says in ("Entered", "Was entered before"):
        assert says in office.run("record", office.file("c.json")).output
    pay = ("--debtor", "clinic", "--creditor", "lab", "--reference", "bank 77")
    for says in ("Entered: clinic paid lab 0.30", "Was entered before: clinic paid lab 0.30"):
        assert says in office.run("paid", "2026-11", *pay, terms=False).output
    shown = office.run("show", "2026-11", terms=False).output
    assert [line.split() for line in shown.splitlines() if "bank 77" in line] == [
        ["clinic", "lab", "0.30", "EUR", "yes", "bank", "77"]
    ]
    left = LedgerReader(office.engine).books().obligations("EUR")
    assert left == {("abroad", "ut"): 400_000, ("clinic", "lab"): 100_000, ("lab", "ut"): 400_000}


def test_the_kitty_is_called_so_wherever_people_read_or_write_it(office: Office) -> None:
    pair, events = ("ut", "abroad"), (Event.POST, Event.SEIZE)
    office.trade(UNTIL_MS - 1, 90, [pair], events, holdback_bp=1000)
    told = [office.propose().output]
    office.hand_out("ut")
    unknown = office.try_sign("ut")
    assert "ut to abroad" in str(unknown.exception)
    assert "follows from no receipt" in str(unknown.exception)
    node = {"institution": "abroad", "name": "node-abroad", "key": OPERATORS["abroad"].public_key}
    (office.folder / "terms.yaml").write_text(terms_text(otherNodes=[node]))
    bill = ("bank-file", office.file("c.json"), "--debtor", "ut", "--on", "2026-12-15")
    office.sign(*NAMES)
    refused = office.run(*bill, "--output", office.file("n.xml"), books=False)
    assert "no bank account is known of the league's kitty" in str(refused.exception)
    told.append(office.run("record", office.file("c.json")).output)
    pay = ("--debtor", "ut", "--creditor", "the league's kitty", "--reference", "bank 78")
    told.append(office.run("paid", "2026-11", *pay, terms=False).output)
    assert "Entered: ut paid the league's kitty 0.04" in told[-1]
    told.append(office.run("show", "2026-11", terms=False).output)
    told.append(CliRunner().invoke(cli, ["balance", "ut", "--database", office.url]).output)
    assert [text.count("@") for text in told] == [0] * len(told)
    assert [text.count("the league's kitty") for text in told] == [1, 0, 1, 2, 0]
    nobody = ("--debtor", "lab", *pay[2:])
    assert "lab has nothing to pay the league's kitty" in str(
        office.run("paid", "2026-11", *nobody, terms=False).exception
    )


def test_a_bank_gets_the_same_file_each_time_and_only_once_all_have_signed(office: Office) -> None:
    office.propose()
    order = ("bank-file", office.file("c.json"), "--debtor", "clinic", "--on", "2026-12-15")
    early = office.run(*order, "--output", office.file("x.xml"), books=False)
    assert "has not signed" in str(early.exception)
    office.sign(*NAMES)
    for name in ("a.xml", "b.xml"):
        assert office.run(*order, "--output", office.file(name), books=False).exit_code == 0
    made = (office.folder / "a.xml").read_bytes()
    assert made == (office.folder / "b.xml").read_bytes()
    assert b"pain.001.001.09" in made
    assert b">0.30<" in made
    nothing = ("bank-file", office.file("c.json"), "--debtor", "ut", "--on", "2026-12-15")
    told = office.run(*nothing, "--output", office.file("n.xml"), books=False)
    assert "ut has nothing to pay" in told.output


def test_a_member_works_it_out_without_the_ledger(office: Office) -> None:
    office.propose()
    made = office.run("export", office.file("c.json"), "--output", office.file("p"), terms=False)
    assert made.exit_code == 0, made.exception
    away = ("--postings", office.file("p"), "--database", "sqlite:////nowhere/at/all.db")
    for name in NAMES:
        office.hand_out(name)
        told = office.try_sign(name, *away, books=False)
        assert told.exit_code == 0, told.exception
    assert office.run("check", office.file("c.json"), *away, books=False).exit_code == 0
    rows = list(read_posting_lines((office.folder / "p").read_bytes().splitlines()))
    (office.folder / "p").write_bytes(
        b"".join(posting_lines(row for row in rows if row.debtor != "clinic"))
    )
    lost = office.run("check", office.file("c.json"), *away, books=False)
    assert lost.exit_code == 1
    assert "the books" in lost.output


def _books_changed(office: Office) -> None:
    office.trade(UNTIL_MS - 1, first=50)


def _other_limits(office: Office) -> None:
    text = terms_text().replace("0.10", "0.30")
    (office.folder / "terms.yaml").write_text(text)


def _other_key(office: Office) -> None:
    text = terms_text().replace(KEYS["ut"], FOREIGN.public_key)
    (office.folder / "terms.yaml").write_text(text)


def _other_currency(office: Office) -> None:
    (office.folder / "terms.yaml").write_text(terms_text(currency="CHF"))


CHANGED = {
    "the books": (_books_changed, "obligations, clinic to lab: the document says 0.80, the books"),
    "the limits": (_other_limits, "other credit limits"),
    "a key": (_other_key, "other signers"),
    "the currency": (_other_currency, "it is in EUR, the terms are in CHF"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_departs_is_neither_signed_nor_entered(office: Office, case: str) -> None:
    change, says = CHANGED[case]
    office.propose()
    office.sign(*NAMES)
    change(office)
    for told in (office.try_sign("clinic"), office.run("record", office.file("c.json"))):
        assert says in str(told.exception)
    assert LedgerReader(office.engine).clearing("2026-11", "EUR") is None


def test_who_is_missing_is_named_and_nothing_is_entered(office: Office) -> None:
    office.propose()
    office.sign("clinic", "ut")
    assert "lab has not signed" in str(office.run("record", office.file("c.json")).exception)
    (office.folder / "none.pem").write_bytes(FOREIGN.private_pem())
    office.hand_out("lab")
    (office.folder / "none.receipts.json").write_bytes(
        (office.folder / "lab.receipts.json").read_bytes()
    )
    told = office.try_sign("none")
    assert "the key of no institution" in str(told.exception)
    with pytest.raises(Terminal, match="no clearing of 2026-11"):
        payment.entered(LedgerReader(office.engine), "2026-11", "EUR")


def test_a_month_that_is_not_over_is_not_settled(office: Office, clock) -> None:
    clock.now_s = UNTIL_MS / 1000 + 4
    assert "cannot be settled before 2026-12-01T00:00:05Z" in str(office.propose().exception)


def test_the_next_period_begins_behind_what_was_settled_last(office: Office, clock) -> None:
    office.propose()
    office.sign(*NAMES)
    office.run("record", office.file("c.json"))
    entered_s = clock.now_s
    week = ("--until", "2026-12-01T00:30:00Z", "--output", office.file("w.json"))
    assert "cannot be settled before" in str(office.settle(*week).exception)
    clock.now_s = entered_s + 120
    told = office.settle(*week)
    title = "Clearing of 2026-12-01T00:30:00Z, from the books before 2026-12-01T01:00:01Z"
    assert title in " ".join(told.output.split())
    assert "0.0 %" in told.output


def test_the_state_of_the_log_is_named(office: Office) -> None:
    signed = Note(str(Checkpoint("example.org/log", 40, b"r" * 32)), ())
    (office.folder / "other").mkdir()
    (office.folder / "other" / "checkpoint").write_bytes(_encoded(signed))
    assert office.propose("--log", office.file("other")).exit_code == 0
    found = countersign.clearing_of(
        countersign.read_signed((office.folder / "c.json").read_bytes())
    )
    assert (found.period.log_size, found.period.log_root) == (40, f"sha256:{(b'r' * 32).hex()}")


def _encoded(note: Note) -> bytes:
    return note.text.encode() + b"\n\xe2\x80\x94 example.org/log AAAAAAAAAAAAAAAA\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one of --month and --until"),
        (("--month", "2026-11", "--until", "2026-12-01T00:00:00Z"), "name one of"),
        (("--month", "November"), "for example 2026-11"),
        (("--until", "soon"), "write it as 2026-12-07T00:00:00Z"),
    ],
)
def test_no_period_is_a_usage_error(office: Office, arguments, says) -> None:
    told = office.settle(*arguments, "--output", office.file("c.json"))
    assert told.exit_code == 2
    assert says in told.output


TERMS = {
    "no YAML": ("members: [", "no YAML"),
    "one member": (
        yaml.safe_dump({"members": yaml.safe_load(terms_text())["members"][:1]}),
        "members",
    ),
    "an unknown field": (terms_text(token="x"), "token"),
    "one key for two": (
        terms_text().replace(KEYS["ut"], KEYS["lab"]),
        "one key stands there twice",
    ),
    "one name twice": (
        terms_text().replace("institution: ut", "institution: lab"),
        "one institution",
    ),
    "a limit that is none": (terms_text().replace("0.10", "-1"), "creditLimit"),
    "no country": (terms_text().replace("country: EE", "country: Estonia"), "country"),
}


@pytest.mark.parametrize("case", TERMS)
def test_terms_that_are_none_are_refused_by_their_field(case: str) -> None:
    text, says = TERMS[case]
    with pytest.raises(Terminal, match=says):
        read_terms(text)
