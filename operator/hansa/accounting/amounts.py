"""Amounts of money: integers of millionths, their one rounding, and their text."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

MICROS = 1_000_000
"""Smallest units in one unit of any currency."""
HOUR_MS = 3_600_000
LARGEST = 10**15
"""No amount of one receipt is larger: a thousand million of any currency."""
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217: digits after the point, of the currencies that have not two."""
_AMOUNT = re.compile(r"^(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?$", re.ASCII)


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, halves to the even one.

    >>> half_even(1, 2), half_even(3, 2), half_even(-5, 10), half_even(7, 3)
    (0, 2, 0, 2)
    """
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def cost(price_per_hour: int, used_ms: int) -> int:
    """Return what a use costs, in micros: the one rounding of a receipt.

    ``price_per_hour``: micros for one GPU (or CPU) and hour; ``used_ms``: GPU- or CPU-milliseconds.

    >>> cost(2_400_000, 300_000)
    200000
    """
    return half_even(price_per_hour * used_ms, HOUR_MS)


def digits(currency: str) -> int:
    """Return how many digits after the point a bank moves of a currency."""
    return _DIGITS.get(currency, 2)


def payable(micros: int, currency: str) -> int:
    """Return how much of an amount a bank can move, in micros; the rest stays owed.

    >>> payable(1_239_999, "EUR"), payable(1_239_999, "JPY")
    (1230000, 1000000)
    """
    step: int = 10 ** (6 - digits(currency))
    return micros // step * step


def text(micros: int, *, places: int = 2) -> str:
    """Return an amount exactly, as a decimal with at least ``places`` digits after the point.

    >>> text(1_250_000), text(-7), text(1_000_000, places=0)
    ('1.25', '-0.000007', '1')
    """
    whole, part = divmod(abs(micros), MICROS)
    decimals = f"{part:06d}".rstrip("0").ljust(places, "0")
    return f"{'-' if micros < 0 else ''}{whole}" + (f".{decimals}" if decimals else "")


@lru_cache(1024)
def read(amount: str) -> int:
    """Return a decimal text in micros; raises ``ValueError`` for anything else.

    >>> read("0.35"), read("-2")
    (350000, -2000000)
    """
    match = _AMOUNT.match(amount)
    if match is None:
        raise ValueError(f"{amount!r} is no amount: write at most six digits after the point")
    sign, whole, part = match.groups()
    micros = int(whole) * MICROS + int((part or "").ljust(6, "0"))
    return -micros if sign else micros


def entered(amount: str) -> int:
    """Return what a person enters, in micros; raises ``ValueError`` as ``read``, and for more than a receipt can be.

    Nothing leaves the books again, and what a database cannot add up would close them for good.

    >>> entered("-1.20")
    -1200000
    """
    micros = read(amount)
    if abs(micros) > LARGEST:
        raise ValueError(f"{amount} is beyond {text(LARGEST, places=0)}; check its digits")
    return micros


def decimal(micros: int) -> Decimal:
    """Return an amount as an exact decimal, for libraries that ask for one."""
    return Decimal(micros).scaleb(-6)
