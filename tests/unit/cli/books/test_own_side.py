"""Who signs a clearing believes receipts and no export: what was tampered with is named, and not signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hansa.accounting.books import books_of
from hansa.accounting.exports.posting_lines import posting_lines
from hansa.accounting.postings import Claim, Event, Posting, postings
from hansa.accounting.settlement.clearing import Period, clear_books
from hansa.accounting.settlement.signed import unsigned
from hansa.cli.books.settlement.propose import log_state
from hansa.cli.books.settlement.terms import read_terms
from hansa.ledger.receipts.evidence import Dispute
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.receipts.bundle import Bundle, BundledReceipt, read_bundle
from hansa.receipts.envelope import digest as digest_in
from hansa.receipts.envelope import peek
from hansa.translog.note import KeyType
from hansa.translog.signatures import NoteSigner
from tests.unit.accounting.settlement.clearings import NAMES, UNTIL_MS
from tests.unit.accounting.usages import digest
from tests.unit.cli.books.office import Office, terms_text
from tests.unit.receipts.receipt_kit import OTHER

Rows = list[Posting]
FORGED = digest("forged")
MONTH_MS = 31 * 86_400_000
OTHERS = NoteSigner.of("hansa.dev/receipts", KeyType.ED25519, OTHER)


def first(rows: Rows, debtor: str, creditor: str) -> str:
    return next(row.subject for row in rows if (row.debtor, row.creditor) == (debtor, creditor))


def of(subject: str, rows: Rows) -> Rows:
    return [row for row in rows if row.subject == subject]


def written(rows: Iterable[Posting]) -> Rows:
    return [replace(row, recorded_ms=UNTIL_MS - 1) for row in rows]


def dearer(rows: Rows) -> Rows:
    subject = first(rows, "clinic", "lab")
    return [replace(r, amount=r.amount + 7) if r.subject == subject else r for r in rows]


def forged(rows: Rows) -> Rows:
    claim = Claim(FORGED, "clinic", "lab", 99_000_000, "EUR")
    more = (row for event in (Event.CHARGE, Event.POST) for row in postings(event, claim))
    return [*rows, *written(more)]


def left_out(rows: Rows) -> Rows:
    subject = first(rows, "clinic", "lab")
    return [row for row in rows if row.subject != subject]


def to_another(rows: Rows) -> Rows:
    subject = first(rows, "clinic", "lab")
    claim = Claim(subject, "clinic", "ut", 400_000, "EUR")
    more = (row for event in (Event.CHARGE, Event.POST) for row in postings(event, claim))
    return [*left_out(rows), *written(more)]


def turned(rows: Rows) -> Rows:
    subject = first(rows, "clinic", "lab")
    claim = Claim(subject, "lab", "clinic", 400_000, "EUR")
    more = (row for event in (Event.CHARGE, Event.POST) for row in postings(event, claim))
    return [*left_out(rows), *written(more)]


def twice(rows: Rows) -> Rows:
    """The same money again, in a leg that no event has."""
    subject = first(rows, "clinic", "lab")
    again = [replace(row, leg=row.leg + 7) for row in of(subject, rows) if row.event is Event.POST]
    return [*rows, *again]


def corrected(rows: Rows) -> Rows:
    claim = Claim(FORGED, "clinic", "lab", 1_200_000, "EUR")
    return [*rows, *written(postings(Event.CORRECT_UP, claim))]


def voided(rows: Rows) -> Rows:
    """An audit that nobody held takes the provider's earnings."""
    subject = first(rows, "clinic", "lab")
    kept = [row for row in rows if row.subject != subject or row.event is Event.CHARGE]
    return [*kept, *written(postings(Event.VOID, Claim(subject, "clinic", "lab", 400_000, "EUR")))]


def set_off_before(rows: Rows) -> Rows:
    claim = Claim(f"{FORGED}/clinic/lab", "clinic", "lab", 400_000, "EUR")
    return [*rows, *written(postings(Event.SET_OFF, claim))]


def paid_before(rows: Rows) -> Rows:
    claim = Claim(f"{FORGED}/paid/clinic/lab", "clinic", "lab", 400_000, "EUR")
    return [*rows, *written(postings(Event.PAY, claim))]


Tamper = Callable[[Rows], Rows]
EXPORTS: dict[str, tuple[Tamper, str, str]] = {
    "a charge of more than its receipt": (dearer, "clinic", "its receipt comes to 0.40, and is"),
    "a charge without a receipt": (forged, "clinic", "99.00 EUR, clinic to lab"),
    "a receipt that nobody is charged for": (
        left_out,
        "lab",
        "0.40 EUR from clinic to lab, stands",
    ),
    "a charge for another": (to_another, "clinic", "the creditor is ut, by its receipt lab"),
    "a debt turned round": (turned, "lab", "the debtor is lab, by its receipt clinic"),
    "one charge twice": (twice, "clinic", "its receipt comes to 0.40, and is not posted so"),
    "a correction that nobody knows of": (corrected, "clinic", "CorrectUp of 1.20 EUR"),
    "an audit that nobody held": (voided, "lab", "Void of 0.40 EUR, clinic to lab"),
    "a set-off that nobody signed": (set_off_before, "lab", "not among those that you signed"),
    "a payment that nobody made": (paid_before, "lab", "not among those that you signed"),
}


def hand_round(office: Office, rows: Sequence[Posting], name: str = "2026-11") -> tuple[str, ...]:
    """Write an export, and the clearing that it gives: who tampers with one does so with the other."""
    terms = read_terms((office.folder / "terms.yaml").read_text())
    period = Period(name, "EUR", UNTIL_MS, *log_state(Path(office.file("log"))))
    found = clear_books(period, books_of(rows), terms.limits, terms.signers)
    (office.folder / "c.json").write_bytes(unsigned(found).wire())
    (office.folder / "p").write_bytes(b"".join(posting_lines(rows)))
    return ("--postings", office.file("p"))


@pytest.mark.parametrize(("tamper", "signer", "says"), EXPORTS.values(), ids=EXPORTS)
def test_a_tampered_export_is_not_signed_and_the_difference_is_named(
    office: Office, tamper: Tamper, signer: str, says: str
) -> None:
    rows = tamper(list(LedgerReader(office.engine).postings()))
    away = hand_round(office, rows)
    office.hand_out(signer)
    before = (office.folder / "c.json").read_bytes()
    told = office.try_sign(signer, *away, books=False)
    assert (told.exit_code, says in str(told.exception)) == (1, True), told.exception
    assert (office.folder / "c.json").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_touched_is_signed_by_all(office: Office, name: str) -> None:
    away = hand_round(office, LedgerReader(office.engine).postings())
    office.hand_out(name)
    assert office.try_sign(name, *away, books=False).exit_code == 0


def test_what_follows_from_no_receipt_is_signed_by_who_knows_of_it(office: Office) -> None:
    (receipt, *_) = office.trade(UNTIL_MS - 1, 30, [("clinic", "lab")])
    made = LedgerWriter(office.engine).correct(receipt, -100_000, UNTIL_MS - 1, note="agreed")
    away = hand_round(office, LedgerReader(office.engine).postings())
    for name in ("clinic", "lab"):
        office.hand_out(name)
        assert "name it with --agreed" in str(office.try_sign(name, *away).exception)
        done = office.try_sign(name, *away, "--agreed", made.digest, books=False)
        assert done.exit_code == 0, done.exception
    office.hand_out("ut")
    assert office.try_sign("ut", *away, books=False).exit_code == 0


def kept(bundle: Bundle, keep: Callable[[int, BundledReceipt], BundledReceipt | None]) -> Bundle:
    found = [keep(at, one) for at, one in enumerate(bundle.receipts)]
    return bundle.model_copy(update={"receipts": tuple(one for one in found if one is not None)})


def without_second(bundle: Bundle) -> Bundle:
    return kept(bundle, lambda at, one: None if at == 1 else one)


def unproved(bundle: Bundle) -> Bundle:
    return kept(bundle, lambda _, one: one.model_copy(update={"proof": None}))


def not_countersigned(bundle: Bundle) -> Bundle:
    def alone(_: int, one: BundledReceipt) -> BundledReceipt:
        envelope = one.envelope
        first_alone = envelope.model_copy(update={"signatures": envelope.signatures[:1]})
        return one.model_copy(update={"envelope": first_alone})

    return kept(bundle, alone)


BUNDLES = {
    "a receipt of its own is left out": (without_second, "receipt 2 of node-ut, which is yours"),
    "no place in the log": (unproved, "It has no proof of its place in the log"),
    "the hub did not sign": (not_countersigned, "the hub did not countersign"),
    "none at all": (lambda b: b.model_copy(update={"receipts": ()}), "follows from no receipt"),
}


@pytest.mark.parametrize(("spoil", "says"), BUNDLES.values(), ids=BUNDLES)
def test_receipts_that_show_too_little_are_not_signed_for(office: Office, spoil, says: str) -> None:
    away = hand_round(office, LedgerReader(office.engine).postings())
    file = Path(office.hand_out("ut"))
    bundle = read_bundle(file.read_bytes())
    assert isinstance(bundle, Bundle)
    file.write_text(spoil(bundle).model_dump_json(by_alias=True, exclude_none=True))
    told = office.try_sign("ut", *away, books=False)
    assert (told.exit_code, says in str(told.exception)) == (1, True), told.exception


def test_a_receipt_and_its_posting_left_out_together_are_missed_by_its_provider(
    office: Office,
) -> None:
    """The chain of its node has a gap then, whoever hides it."""
    rows = list(LedgerReader(office.engine).postings())
    gone = first(rows, "lab", "ut")
    away = hand_round(office, [row for row in rows if row.subject != gone])
    file = Path(office.hand_out("ut"))
    bundle = read_bundle(file.read_bytes())
    assert isinstance(bundle, Bundle)
    file.write_text(
        kept(bundle, lambda _, one: None if gone == digest_of(one) else one).model_dump_json(
            by_alias=True, exclude_none=True
        )
    )
    told = office.try_sign("ut", *away, books=False)
    assert "of node-ut, which is yours, are not shown" in str(told.exception)


def digest_of(one: BundledReceipt) -> str:
    return digest_in(one.envelope)


def test_what_its_own_cluster_has_otherwise_is_named(office: Office) -> None:
    away = hand_round(office, LedgerReader(office.engine).postings())
    file = Path(office.hand_out("ut"))
    mine = office.folder / "mine.json"
    mine.write_bytes(file.read_bytes())
    assert office.try_sign("ut", *away, "--mine", str(mine), books=False).exit_code == 0
    bundle = read_bundle(file.read_bytes())
    assert isinstance(bundle, Bundle)
    receipt = peek(bundle.receipts[0].envelope)
    assert receipt is not None
    other = office.sealed(
        receipt.model_copy(update={"usage": receipt.usage.model_copy(update={"gpu_seconds": 1})}),
        "ut",
    )
    changed = bundle.model_copy(update={"receipts": (BundledReceipt(envelope=other),)})
    mine.write_text(changed.model_dump_json(by_alias=True, exclude_none=True))
    told = office.try_sign("ut", *away, "--mine", str(mine), books=False)
    assert "receipt 1 of node-ut" in str(told.exception)
    assert "is shown otherwise" in str(told.exception)


def test_what_is_disputed_is_told_and_is_no_gap(office: Office) -> None:
    receipt, provider = office.receipt(40, "clinic", "ut")
    office.keep(receipt, provider, UNTIL_MS - 1, Dispute("Differs", "gpus", "says 2, not 1"))
    office.trade(UNTIL_MS - 1, 41, [("lab", "ut")])
    away = hand_round(office, LedgerReader(office.engine).postings())
    office.hand_out("ut")
    told = office.try_sign("ut", *away, books=False)
    assert told.exit_code == 0, told.exception
    assert "receipt 4 of node-ut is disputed and paid by nobody: gpus: says 2" in told.output


OTHER_TERMS = {
    "no hub": ({"hub": None}, "name no hub"),
    "another hub": ({"hub": OTHER.public_key}, "known here"),
    "no log": ({"logPolicy": ""}, "no logPolicy"),
    "another log": ({"logPolicy": f"log {OTHERS.key}\nquorum none\n"}, "did not sign"),
}


@pytest.mark.parametrize(("changes", "says"), OTHER_TERMS.values(), ids=OTHER_TERMS)
def test_without_the_league_s_own_keys_nothing_is_signed(office: Office, changes, says) -> None:
    office.propose()
    office.hand_out("clinic")
    (office.folder / "terms.yaml").write_text(terms_text(**changes))
    told = office.try_sign("clinic")
    assert (told.exit_code, says in str(told.exception)) == (1, True), told.exception


def next_month(office: Office, clock) -> tuple[str, ...]:
    """Settle November, trade in December, and propose what that gives; returns what both months need."""
    # The last receipt of each node in November is of nothing.
    office.trade(UNTIL_MS - 1, 20, [("clinic", "lab"), ("lab", "ut"), ("ut", "clinic")], idle=True)
    office.propose()
    office.sign(*NAMES)
    assert office.run("record", office.file("c.json")).exit_code == 0
    office.trade(UNTIL_MS + 86_400_000, 50)
    clock.now_s = (UNTIL_MS + MONTH_MS) / 1000 + 3600
    told = office.settle("--month", "2026-12", "--output", office.file("d.json"))
    assert told.exit_code == 0, told.exception
    done = office.run("export", office.file("d.json"), "--output", office.file("p"), terms=False)
    assert done.exit_code == 0, done.exception
    return ("--before", office.file("c.json"))


@pytest.mark.parametrize("name", NAMES)
def test_the_next_month_needs_what_came_since(office: Office, clock, name: str) -> None:
    before = next_month(office, clock)
    office.hand_out(name, *before, file="d.json")
    few = read_bundle((office.folder / f"{name}.receipts.json").read_bytes())
    away = ("--postings", office.file("p"), *before)
    told = office.try_sign(name, *away, file="d.json", books=False)
    assert told.exit_code == 0, told.exception
    office.hand_out(name, file="d.json")
    all_ = read_bundle((office.folder / f"{name}.receipts.json").read_bytes())
    assert isinstance(few, Bundle)
    assert isinstance(all_, Bundle)
    assert len(few.receipts) < len(all_.receipts)


def test_what_was_settled_is_not_changed_afterwards(office: Office, clock) -> None:
    before = next_month(office, clock)
    rows = [
        replace(row, amount=row.amount + 70_000)
        if (row.debtor, row.creditor) == ("clinic", "lab") and row.recorded_ms < UNTIL_MS
        else row
        for row in LedgerReader(office.engine).postings()
    ]
    office.hand_out("clinic", *before, file="d.json")
    terms = read_terms((office.folder / "terms.yaml").read_text())
    found = clear_books(
        Period("2026-12", "EUR", UNTIL_MS + MONTH_MS), books_of(rows), terms.limits, terms.signers
    )
    (office.folder / "d.json").write_bytes(unsigned(found).wire())
    (office.folder / "p").write_bytes(b"".join(posting_lines(rows)))
    away = ("--postings", office.file("p"), *before)
    told = office.try_sign("clinic", *away, file="d.json", books=False)
    said = "before 2026-11 was cleared clinic owed lab 0.80, by these postings 0.94"
    assert said in str(told.exception)


def test_a_clearing_that_it_did_not_sign_settles_nothing(office: Office, clock) -> None:
    next_month(office, clock)
    office.propose()
    told = office.run(
        *("receipts", office.file("d.json"), "--for", "clinic", "--log", office.file("log")),
        *("--before", office.file("c.json"), "--output", office.file("x")),
    )
    assert "clinic has not signed it" in str(told.exception)
