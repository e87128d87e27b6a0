"""The FOCUS export against the FinOps Foundation's own rules, version 1.2, as its validator's package has them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from e2e.bench.ledger.uses import drawn
from e2e.testbed.build.binaries import cache_root
from hansa.accounting.exports.focus import COLUMNS, focus_csv
from hansa.accounting.statement import Month
from tests.conftest import skip_or_fail
from tests.programs.accounting.focus_rules import DEMANDS, FUNCTIONS, Export, violations
from tests.unit.accounting.usages import BEGAN_MS, CORRECTION, USES, usage

PINNED = (
    "focus-validator==2.2.1"
    " --hash=sha256:0b9560ec8b7e36b5cf0c9685bb7ed2fa6f0e734cb8a14eb176a2bff5369cabcb"
)
MODEL = "focus_validator-2.2.1/focus_validator/rules/model-1.2.0.1.json"
NOT_OURS = frozenset(
    {
        *("AVAILABILITY_ZONE_SUPPORTED", "CAPACITY_RESERVATION_SUPPORTED"),
        *("COMMITMENT_DISCOUNT_SUPPORTED", "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED"),
        "VIRTUAL_CURRENCY_SUPPORTED",
    }
)
"""What a league does not sell: rules that bind those who do are left out, all others are applied."""
NOVEMBER = Month(2026, 11)


def downloaded(folder: Path) -> Path:
    """Have pip fetch the package's source by its digest; nothing of it is installed or run."""
    wanted = folder / "requirements.txt"
    wanted.write_text(PINNED + "\n")
    # Its metadata wants a newer Python: only the rules in it are read.
    options = ("--no-deps", "--no-binary=focus-validator", "--ignore-requires-python")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", *options]
    subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(wanted)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return next(folder.glob("focus_validator-*.tar.gz"))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> dict[str, Any]:
    kept = cache_root() / "focus" / Path(MODEL).name
    if not kept.exists():
        try:
            archive = downloaded(tmp_path_factory.mktemp("focus"))
        except (subprocess.SubprocessError, StopIteration) as error:
            skip_or_fail(f"focus-validator cannot be fetched: {error}")
        with tarfile.open(archive) as files:
            found = files.extractfile(MODEL)
            assert found is not None
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(found.read())
    loaded: dict[str, Any] = json.loads(kept.read_bytes())
    return loaded


def export(text: str) -> Export:
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    return Export(reader.fieldnames or (), rows)


def ours(**changes: str) -> Export:
    """A month of all kinds of uses and of drawn ones, with one row changed."""
    odd = [usage(n, gpu_ms=n * 7, unit_price=29_999_999) for n in range(11, 15)]
    late = usage("late", start_ms=BEGAN_MS - 600_000, end_ms=BEGAN_MS - 300_000)
    uses = [*USES, *odd, late, *drawn(60, seed=3)]
    found = export(focus_csv(NOVEMBER, uses, [CORRECTION]))
    return Export(found.columns, [found.rows[0] | changes, *found.rows[1:]])


def judged(model: dict[str, Any], found: Export) -> tuple[list[str], int]:
    return violations(
        model["ModelRules"], found, frozenset(model["ApplicabilityCriteria"]) - NOT_OURS
    )


def test_a_month_conforms_to_every_rule_that_a_machine_can_check(model) -> None:
    assert model["Details"]["FOCUSVersion"] == "1.2"
    found, evaluated = judged(model, ours())
    assert found == []
    assert evaluated > 180


def test_every_function_that_a_demand_uses_is_evaluated(model) -> None:
    known = {*FUNCTIONS, "ColumnPresent", "CheckDistinctCount", "CheckModelRule"}

    def functions(check: Any) -> set[str]:
        inner = [functions(item) for item in check.get("Items", ())]
        # A condition about reservations, which nobody here sells, is malformed in the model itself.
        return {check[key] for key in ("CheckFunction",) if key in check}.union(*inner)

    for name, rule in model["ModelRules"].items():
        said = rule["ValidationCriteria"]
        if said["Keyword"] in DEMANDS:
            used = functions(said["Requirement"]) | functions(said["Condition"])
            assert used <= known, name


SPOILT = {
    "no currency": ({"BillingCurrency": ""}, "BillingCurrency"),
    "no currency's code": ({"BillingCurrency": "euro"}, "BillingCurrency"),
    "a time of another form": ({"ChargePeriodStart": "2026-11-01 00:00"}, "ChargePeriodStart"),
    "a cost with a comma": ({"BilledCost": "0,40"}, "BilledCost"),
    "a category that is none": ({"ChargeCategory": "Rent"}, "ChargeCategory"),
    "a class that is none": ({"ChargeClass": "Mistake"}, "ChargeClass"),
    "a price that does not multiply out": ({"ListUnitPrice": "2.41"}, "ListCost"),
    "a service category that is none": ({"ServiceCategory": "Magic"}, "ServiceCategory"),
    "tags that are none": ({"Tags": "job=1"}, "Tags"),
    "a quantity of use that is none": ({"ConsumedQuantity": ""}, "ConsumedUnit"),
    "an invoice by nobody": ({"InvoiceIssuerName": ""}, "InvoiceIssuerName"),
    "no unit where there is a quantity": ({"PricingUnit": ""}, "PricingUnit"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_does_not_conform_is_found(model, case: str) -> None:
    changes, column = SPOILT[case]
    assert any(text.startswith(column) for text in judged(model, ours(**changes))[0])


@pytest.mark.parametrize("column", ["BilledCost", "ChargeClass", "ListUnitPrice", "SkuId"])
def test_a_missing_column_is_found(model, column: str) -> None:
    found = ours()
    left = Export([name for name in COLUMNS if name != column], found.rows)
    assert any(f"{column}" in text and "is missing" in text for text in judged(model, left)[0])
