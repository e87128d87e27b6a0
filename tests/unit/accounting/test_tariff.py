"""Which price a run pays, and whether a price is what it claims to be."""

import pytest

from hansa.accounting.tariff import CostParts, PriceMode, Rate, Tariff, faults

NOVEMBER, DECEMBER = 1_000, 2_000
TARIFF = Tariff("tartu", "EUR", (Rate("h100", 3, DECEMBER), Rate("h100", 2, NOVEMBER), Rate("", 1)))


@pytest.mark.parametrize(
    ("gpu_class", "moment", "price"),
    [
        ("h100", NOVEMBER - 1, None),
        ("h100", NOVEMBER, 2),
        ("h100", DECEMBER - 1, 2),
        ("h100", DECEMBER, 3),
        ("", 0, 1),
        ("a100", DECEMBER, None),
    ],
)
def test_the_price_is_the_one_valid_at_the_moment(
    gpu_class: str, moment: int, price: int | None
) -> None:
    rate = TARIFF.rate_at(gpu_class, moment)
    assert (rate and rate.per_hour) == price


def test_a_version_is_what_the_tariff_says_and_not_its_order() -> None:
    turned = Tariff("tartu", "EUR", TARIFF.rates[::-1])
    dearer = Tariff("tartu", "EUR", (*TARIFF.rates[1:], Rate("h100", 4, DECEMBER)))
    other = Tariff("tartu", "EUR", TARIFF.rates, PriceMode.COST_RECOVERY)
    assert turned.version == TARIFF.version
    assert len({TARIFF.version, dearer.version, other.version}) == 3


WRONG = {
    "no parts": (Rate("h100", 5), "does not say what it is made of"),
    "a margin": (Rate("h100", 5, parts=CostParts(1, 2, 1)), "not the sum of its parts"),
    "a loss": (Rate("h100", 3, parts=CostParts(1, 2, 1)), "not the sum of its parts"),
    "negative": (Rate("h100", -1, parts=CostParts(-1)), "is negative"),
}


@pytest.mark.parametrize("case", WRONG)
def test_cost_recovery_shows_that_it_takes_no_margin(case: str) -> None:
    rate, says = WRONG[case]
    found = faults(Tariff("tartu", "EUR", (rate,), PriceMode.COST_RECOVERY))
    assert len(found) == 1
    assert says in found[0]


def test_a_tariff_in_order_has_no_faults() -> None:
    rates = (Rate("h100", 4, parts=CostParts(1, 2, 1)),)
    assert not faults(Tariff("tartu", "EUR", rates, PriceMode.COST_RECOVERY))
    assert not faults(TARIFF)


def test_two_prices_of_one_moment_are_a_fault() -> None:
    assert "begin at one moment" in faults(Tariff("t", "EUR", (Rate("a", 1), Rate("a", 2))))[0]
