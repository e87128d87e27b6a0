"""What others read of the books: the sums are the books', and the bytes the same when made again."""

import csv
import io
from dataclasses import replace
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from hansa.accounting.exports.bank_file import Order, Party, bank_file
from hansa.accounting.exports.focus import COLUMNS, focus_csv
from hansa.accounting.exports.journal import journal
from hansa.accounting.exports.report import report_csv, report_pdf
from hansa.accounting.exports.usage_record import NAMESPACE, usage_records
from hansa.accounting.postings import KITTY, Claim, Event, postings
from hansa.accounting.quote import CarbonFactor
from hansa.accounting.settlement.clearing import Period, clear
from hansa.accounting.statement import Month, statement
from hansa.errors import Terminal
from tests.unit.accounting.usages import BEGAN_MS, CORRECTION, EUR, USES, digest

NOVEMBER = Month(2026, 11)
MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}


def focus_rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(focus_csv(NOVEMBER, USES, [CORRECTION]))))


def test_focus_has_its_mandatory_columns_and_the_books_sums() -> None:
    rows = focus_rows()
    assert set(COLUMNS) >= MANDATORY
    total = sum(use.amount for use in USES) - 5
    assert sum(Decimal(row["BilledCost"]) for row in rows) * EUR == total
    assert len({row["x_ReceiptDigest"] for row in rows}) == 3


def test_focus_multiplies_out() -> None:
    for row in focus_rows()[:3]:
        cost = Decimal(row["ContractedUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert cost == Decimal(row["ContractedCost"]) == Decimal(row["ListCost"])
        assert abs(cost - Decimal(row["BilledCost"])) < Decimal("0.000002")
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]


def test_a_correction_is_of_the_class_correction() -> None:
    last = focus_rows()[-1]
    assert (last["ChargeCategory"], last["ChargeClass"]) == ("Adjustment", "Correction")
    assert last["ChargeDescription"] == "late tariff"


def test_a_loader_of_usage_records_finds_what_it_asks_for() -> None:
    root = ET.fromstring(usage_records(USES))
    records = root.findall(f"{{{NAMESPACE}}}UsageRecord")
    asked = (
        "Site",
        "MachineName",
        "LocalJobId",
        "WallDuration",
        "CpuDuration",
        "StartTime",
        "EndTime",
    )
    first = {name: records[0].find(f".//{{{NAMESPACE}}}{name}").text for name in asked}
    assert len(records) == 3
    assert first["Site"] == "ut"
    assert (first["WallDuration"], first["CpuDuration"]) == ("PT300S", "PT1200S")
    assert (first["StartTime"], first["EndTime"]) == (
        "2026-11-01T00:00:00Z",
        "2026-11-01T00:05:00Z",
    )


def test_the_journal_names_everybody_apart_and_balances_each_transaction() -> None:
    claim = Claim(digest(1), "kitty", "ut", 1000, "EUR", held=100)
    bond = Claim(digest("b"), "ut", KITTY, 7, "EUR")
    rows = [
        row
        for event, what in (
            (Event.CHARGE, claim),
            (Event.POST, claim),
            (Event.SEIZE, claim),
            (Event.PLEDGE, bond),
        )
        for row in postings(event, what, recorded_ms=BEGAN_MS)
    ]
    told = journal(rows)
    assert journal(reversed(rows)) == told
    assert "open Assets:Pending:Kitty" in told
    for block in told.split("\n\n")[1:]:
        moved = [line.split() for line in block.splitlines()[1:]]
        assert sum(Decimal(amount) for _, amount, _ in moved) == 0


def test_a_report_adds_up_and_is_the_same_when_made_again() -> None:
    factors = {"tartu": ((0, CarbonFactor(400, "2026-05-01", "grid & <wind>")),)}
    told = statement("clinic", NOVEMBER, USES, factors, [CORRECTION])
    rows = list(csv.DictReader(io.StringIO(report_csv(told))))
    by = {
        part: sum(Decimal(row["amount"]) for row in rows if row["section"] == part)
        for part in ("used, total", "used, by project", "used, by provider")
    }
    assert len(set(by.values())) == 1
    assert rows[-1]["amount"] == "-0.000005"
    assert rows[0]["factor as of"] == "2026-05-01"
    made = report_pdf(told)
    assert made == report_pdf(told)
    assert made.startswith(b"%PDF-")
    assert made != report_pdf(replace(told, institution="lab"))


FORMULAS = {
    "a formula": ("=1+2", "'=1+2"),
    "a command": ("@SUM(A1)", "'@SUM(A1)"),
    "a plus": ("+cmd|'/c calc'!A0", "'+cmd|'/c calc'!A0"),
    "a minus": ("-2+3", "'-2+3"),
    "a tab": ("\t=1", "'\t=1"),
    "a debt": ("-0.000005", "-0.000005"),
    "a sign": ("+12", "+12"),
    "words": ("agreed = fine", "agreed = fine"),
    "Greek": ("Νοσοκομείο", "Νοσοκομείο"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_no_spreadsheet_works_out_what_somebody_wrote(case: str) -> None:
    written, shown = FORMULAS[case]
    text = focus_csv(NOVEMBER, [], [replace(CORRECTION, note=written or "agreed")])
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["ChargeDescription"] == (shown or "agreed")


PARTIES = {
    "clinic": Party("Clinic", "EE382200221020145685", "Tartu", "EE", "L. Puusepa", "8", "50406"),
    "ut": Party("University", "DE89370400440532013000", "Berlin", "DE", bic="COBADEFFXXX"),
    "lab": Party("Lab", "FI2112345600000785", "Espoo", "FI"),
}
ORDER = Order(BEGAN_MS, date(2026, 12, 8))
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"


def cleared(currency: str = "EUR"):
    debts = {("clinic", "ut"): 12_345_678, ("clinic", "lab"): 5 * EUR, ("ut", "lab"): EUR}
    return clear(Period("2026-11", currency), debts)


def test_a_bank_file_pays_what_is_left_to_structured_addresses() -> None:
    made = bank_file(cleared(), "clinic", PARTIES, ORDER)
    root = ET.fromstring(made)
    assert made == bank_file(cleared(), "clinic", PARTIES, ORDER)
    assert [e.text for e in root.iter(f"{PAIN}InstdAmt")] == ["5.00", "12.34"]
    assert {e.text for e in root.iter(f"{PAIN}CtrlSum")} == {"17.34"}
    assert not list(root.iter(f"{PAIN}AdrLine"))
    assert {e.text for e in root.iter(f"{PAIN}TwnNm")} == {"Tartu", "Berlin", "Espoo"}
    assert bank_file(cleared(), "lab", PARTIES, ORDER) is None


def iban_of(country: str, account: str) -> str:
    """Return an IBAN whose check digits are right, whatever its length is."""
    digits = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{account}"


REFUSED = {
    "another currency": ("CHF", PARTIES, "SEPA pays EUR, not CHF"),
    "no account": ("EUR", {**PARTIES, "lab": None}, "no bank account is known of lab"),
    "no town": (
        "EUR",
        {**PARTIES, "lab": replace(PARTIES["lab"], town=" ")},
        "lab: town is missing",
    ),
    "no country": (
        "EUR",
        {**PARTIES, "lab": replace(PARTIES["lab"], country="Finland")},
        "refuse the file",
    ),
    **{
        f"a {name} with a {what}": (
            "EUR",
            {**PARTIES, "lab": replace(PARTIES["lab"], **{name: f"Es{character}poo"})},
            f"lab: {name} has a character that cannot be printed",
        )
        for name in ("name", "town", "street")
        for what, character in {
            "line feed": "\n",
            "zero": "\0",
            "bell": "\a",
            "turn": "\u202e",
        }.items()
    },
    **{
        what: ("EUR", {**PARTIES, "lab": replace(PARTIES["lab"], iban=iban)}, says)
        for what, (iban, says) in {
            "a wrong digit": ("FI2112345600000786", "is no IBAN; check its digits"),
            "blanks": ("FI21 1234 5600 0007 85", "is no IBAN; .* without blanks"),
            "a digit too few, and the sum is right": (iban_of("FI", "1234560000078"), "have 18"),
            "a digit too many, and the sum is right": (iban_of("EE", "1" * 17), "not 21"),
            "no country": (iban_of("ZZ", "1" * 14), "no country's begin with ZZ"),
        }.items()
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_bank_would_refuse_is_told_before(case: str) -> None:
    currency, parties, says = REFUSED[case]
    with pytest.raises(Terminal, match=says):
        bank_file(cleared(currency), "clinic", parties, ORDER)
