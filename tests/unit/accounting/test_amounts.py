"""Money: one rounding, exact texts, and what a bank can move."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.accounting import amounts

MICROS = st.integers(-(10**15), 10**15)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**7))
def test_rounds_as_fractions_do(numerator: int, denominator: int) -> None:
    assert amounts.half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(MICROS, st.integers(0, 6))
def test_a_text_reads_back_to_the_same_amount(micros: int, places: int) -> None:
    assert amounts.read(amounts.text(micros, places=places)) == micros


@given(MICROS)
def test_a_decimal_is_the_amount(micros: int) -> None:
    assert str(amounts.decimal(micros) * amounts.MICROS).partition(".")[0] == str(micros)


@pytest.mark.parametrize("wrong", ["", "1.0000000", "1e3", " 1", "1,5", "NaN", "1.", "٣", "--1"])
def test_what_is_no_amount_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        amounts.read(wrong)


@pytest.mark.parametrize(
    ("currency", "moved"), [("EUR", 1_230_000), ("JPY", 1_000_000), ("TND", 1_239_000)]
)
def test_a_bank_moves_whole_small_units(currency: str, moved: int) -> None:
    assert amounts.payable(1_239_999, currency) == moved


def test_a_year_of_cheap_receipts_does_not_round_to_nothing() -> None:
    """A CPU at a cent an hour: in cents each receipt of five minutes would cost nothing."""
    receipts = 12 * 24 * 365
    assert amounts.cost(10_000, 300_000) * receipts == pytest.approx(87_600_000, rel=1e-3)
