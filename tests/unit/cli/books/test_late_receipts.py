"""A receipt that comes when its month is closed is an entry of the month in which it comes."""

from __future__ import annotations

import csv
import io

import pytest
from click.testing import CliRunner

from hansa.accounting.postings import Event
from hansa.cli.books import bill, statement
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.settlement.clearings import NAMES, UNTIL_MS
from tests.unit.accounting.usages import digest, usage
from tests.unit.cli.books.office import Office

DAY_MS = 86_400_000
LATE_MS = UNTIL_MS + 3 * DAY_MS
FORMS = ("table", "csv", "pdf", "focus", "apel")


def told(office: Office, month: str, form: str = "csv", name: str = "clinic") -> bytes:
    options = (name, "--month", month, "--format", form, "--database", office.url)
    done = CliRunner().invoke(statement.statement, options)
    assert done.exit_code == 0, done.exception
    return done.output_bytes


def late(office: Office, *names: str, recorded_ms: int = LATE_MS) -> None:
    """Have receipts of November come in December."""
    writer = LedgerWriter(office.engine)
    uses = [usage(name, institution="clinic", provider="lab") for name in names]
    writer.record(uses, recorded_ms)
    writer.happen(Event.POST, [use.receipt_digest for use in uses], recorded_ms)


def rows(office: Office, month: str, name: str = "clinic") -> list[tuple[str, str, str, str]]:
    found = csv.DictReader(io.StringIO(told(office, month, name=name).decode()))
    return [(r["section"], r["name"], r["receipts"], r["amount"]) for r in found]


def settle(office: Office) -> None:
    assert office.propose().exit_code == 0
    office.sign(*NAMES)
    assert office.run("record", office.file("c.json")).exit_code == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_closed_month_stays_as_it_was_told(office: Office, form: str) -> None:
    first = told(office, "2026-11", form)
    late(office, "late")
    assert told(office, "2026-11", form) == first
    assert (form == "pdf") or b"0.4" in told(office, "2026-12", form)


def test_what_was_signed_stays_to_the_byte_and_the_next_set_off_has_what_came_late(
    office: Office, clock
) -> None:
    settle(office)
    kept = LedgerReader(office.engine).clearing("2026-11", "EUR")
    late(office, "late")
    clock.now_s = LATE_MS / 1000 + 40 * 86_400
    assert LedgerReader(office.engine).clearing("2026-11", "EUR") == kept
    assert "all have signed it" in office.run("check", office.file("c.json")).output
    told = office.settle("--month", "2026-12", "--output", office.file("d.json"))
    # 0.40 more than what November left: 0.80 owed, 0.40 set off with what lab owes round the circle.
    assert ["clinic", "lab", "0.80"] in [line.split()[:3] for line in told.output.splitlines()]


def test_what_comes_late_names_the_month_that_it_is_of(office: Office) -> None:
    late(office, "a", "b")
    assert rows(office, "2026-12") == [
        ("used in 2026-11, came late, by project", "clinic/screening", "2", "0.80")
    ]
    assert rows(office, "2026-12", "lab") == [
        ("earned in 2026-11, came late, by payer", "clinic", "2", "0.80")
    ]
    charges = csv.DictReader(io.StringIO(told(office, "2026-12", "focus").decode()))
    assert {(row["ChargeClass"], row["BillingPeriodStart"]) for row in charges} == {
        ("Correction", "2026-12-01T00:00:00Z")
    }


def test_a_bill_says_in_which_month_it_is_charged(office: Office) -> None:
    late(office, "a", "b")
    done = CliRunner().invoke(bill.bill, ("clinic/train", "--database", office.url))
    said = " ".join(done.output.split())
    assert "Late: 0.80 EUR of 2026-11 (2 receipts) came when that month was closed" in said
    assert "stands in the statement of 2026-12" in said
    assert said.count(" 2026-12 sha256:") == 2


def test_what_came_late_and_is_void_is_given_back_where_it_was_charged(office: Office) -> None:
    """Void in the month it came in it was never charged; void later it is given back then."""
    late(office, "a", "b")
    writer, reader = LedgerWriter(office.engine), LedgerReader(office.engine)
    writer.record([usage("c", institution="clinic", provider="lab")], LATE_MS)
    writer.happen(Event.VOID, [digest("c")], LATE_MS + 1, note="audit: lost")
    assert [amount for *_, amount in rows(office, "2026-12")] == ["0.80"]
    writer.record([usage("d", institution="clinic", provider="lab")], LATE_MS)
    january_ms = LATE_MS + 31 * DAY_MS
    writer.happen(Event.VOID, [digest("d")], january_ms, note="audit: lost")
    assert [amount for *_, amount in rows(office, "2026-12")] == ["1.20"]
    assert [(row[0], row[3]) for row in rows(office, "2027-01")] == [("correction", "-0.40")]
    assert len(reader.usages("clinic", (UNTIL_MS, UNTIL_MS + 31 * DAY_MS))) == 3


def test_months_add_up_to_the_books(office: Office) -> None:
    """Each receipt stands in one month, whenever it ended and came: nothing is told twice, nothing nowhere."""
    for at, (end_ms, recorded_ms) in enumerate(
        (end_ms, recorded_ms)
        for end_ms in (UNTIL_MS - 1, UNTIL_MS, UNTIL_MS + 1)
        for recorded_ms in (UNTIL_MS - 1, UNTIL_MS, UNTIL_MS + 1, LATE_MS)
    ):
        use = usage(f"x{at}", start_ms=end_ms - 300_000, end_ms=end_ms, provider="lab")
        LedgerWriter(office.engine).record([use], recorded_ms)
    reader, bounds = LedgerReader(office.engine), [(0, UNTIL_MS), (UNTIL_MS, LATE_MS + 1)]
    found = [use.receipt_digest for one in bounds for use in reader.usages("clinic", one)]
    lines = {line.usage.receipt_digest: line for line in reader.lines("clinic/train")}
    mine = {
        name
        for name, line in lines.items()
        if "clinic" in {line.usage.institution, line.usage.provider}
    }
    assert (len(found), set(found)) == (len(mine), mine)
    november = {use.receipt_digest for use in reader.usages("clinic", bounds[0])}
    assert {name for name in mine if lines[name].month.name == "2026-11"} == november
