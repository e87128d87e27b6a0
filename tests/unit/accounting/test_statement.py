"""A month's sums, and what a job will cost."""

import pytest

from hansa.accounting.quote import CarbonFactor, Demand, quote
from hansa.accounting.statement import Correction, Month, statement
from tests.unit.accounting.usages import BEGAN_MS, EUR, TARIFF, digest, usage

NOVEMBER = Month(2026, 11)
FACTOR = CarbonFactor(400, "2026-05-01", "national grid")
FACTORS = {"tartu": ((BEGAN_MS, FACTOR),)}


def test_totals_count_each_receipt_once_and_data_sets_each_that_a_run_read() -> None:
    rows = [usage(1), usage(2, data_sets=("scans", "labs")), usage(3, project="clinic/other")]
    told = statement("clinic", NOVEMBER, rows, FACTORS)
    assert told.used["EUR"].amount == 3 * 400_000
    assert told.used["EUR"].energy_j == 3 * 360_000
    assert told.used["EUR"].co2_mg == 3 * 40_000
    assert told.data_sets["scans", "EUR"].receipts == 3
    assert told.data_sets["labs", "EUR"].receipts == 1
    assert told.projects["clinic/other", "EUR"].amount == 400_000
    assert not told.earned
    assert told.factors == {"tartu": (FACTOR,)}
    assert told.used["EUR"].as_of == {"2026-05-01"}


def test_co2_is_by_what_a_node_declared_when_the_work_ended() -> None:
    end_ms = usage().end_ms
    later = CarbonFactor(20, "2026-11-01")
    rows = [usage(1), usage(2, end_ms=end_ms + 1), usage(3, end_ms=end_ms + 2)]
    said = {"tartu": ((end_ms, FACTOR), (end_ms + 1, later), (end_ms + 2, None))}
    told = statement("clinic", NOVEMBER, rows, said)
    assert told.used["EUR"].co2_mg == 40_000 + 2_000
    assert told.used["EUR"].undeclared == 1
    assert told.factors == {"tartu": (FACTOR, later)}
    assert told.used["EUR"].as_of == {"2026-05-01", "2026-11-01"}


def test_what_is_not_measured_or_declared_is_said_and_not_made_up() -> None:
    told = statement("clinic", NOVEMBER, [usage(1, energy_j=None), usage(2)])
    sums = told.used["EUR"]
    assert (sums.unmetered, sums.undeclared, sums.co2_mg) == (1, 1, 0)


def test_a_receipt_belongs_to_the_month_it_ends_in() -> None:
    ends = {BEGAN_MS: (), BEGAN_MS + 1: (1,), BEGAN_MS + 30 * 86_400_000: (1,)}
    for end_ms, receipts in ends.items():
        told = statement("clinic", NOVEMBER, [usage(start_ms=end_ms - 1, end_ms=end_ms)])
        assert tuple(sums.receipts for sums in told.used.values()) == receipts


def test_provider_and_payer_see_the_same_amount() -> None:
    rows = [usage(n, gpu_ms=n * 1001) for n in range(9)]
    payer, provider = (statement(name, NOVEMBER, rows) for name in ("clinic", "ut"))
    assert payer.used["EUR"].amount == provider.earned["EUR"].amount
    assert provider.payers["clinic", "EUR"] == payer.providers["ut", "EUR"]


def test_a_correction_is_told_in_its_own_month() -> None:
    row = Correction(digest("c"), digest(1), "clinic", "ut", "EUR", -5, BEGAN_MS)
    december = statement("clinic", Month(2026, 12), [], corrections=[row])
    assert statement("clinic", NOVEMBER, [], corrections=[row]).corrections == (row,)
    assert not december.corrections
    assert not statement("lab", NOVEMBER, [], corrections=[row]).corrections


@pytest.mark.parametrize("text", ["2026-13", "2026", "26-11", "0000-01", "2026-11-01", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="for example 2026-11"):
        Month.read(text)


def test_a_quote_multiplies_and_does_not_invent() -> None:
    demand = Demand("h100", 8, 0, 1800)
    told = quote(demand, TARIFF, BEGAN_MS, watts=700, factor=FACTOR)
    assert told is not None
    assert (told.amount, told.energy_wh, told.co2_grams) == (8 * 1_200_000, 2800, 1120)
    bare = quote(demand, TARIFF, BEGAN_MS, factor=FACTOR)
    assert bare is not None
    assert (bare.energy_wh, bare.co2_grams, bare.factor) == (None, None, None)
    assert quote(Demand("b300", 1, 0, 1), TARIFF, BEGAN_MS) is None


def test_work_without_gpus_is_quoted_by_cpu() -> None:
    told = quote(Demand("", 0, 2500, 3600), TARIFF, BEGAN_MS)
    assert told is not None
    assert told.amount == 90_000
    assert told.amount < EUR
