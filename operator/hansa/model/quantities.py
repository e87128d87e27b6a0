"""Kubernetes quantities to integers: bytes for memory, thousandths for CPU.

Rounds up, as the API server does, so that nothing is promised that does not fit.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_FORM = re.compile(
    r"^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][0-9]+)?$", re.ASCII
)
_FACTORS: dict[str, Fraction] = {
    "": Fraction(1),
    **{suffix: Fraction(1, 1000**power) for power, suffix in enumerate(("m", "u", "n"), 1)},
    **{
        suffix: Fraction(1000**power)
        for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)
    },
    **{
        suffix: Fraction(1024**power)
        for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)
    },
}
_LARGEST_EXPONENT = 30
_REMEMBERED = 4096
"""Texts read: the same few come with every job."""


@lru_cache(_REMEMBERED)
def units(quantity: str) -> int:
    """Return whole units (bytes, pieces), rounded up; raises ``ValueError`` for other text.

    >>> units("2Gi"), units("1500m")
    (2147483648, 2)
    """
    return _ceil(_exact(quantity))


@lru_cache(_REMEMBERED)
def millis(quantity: str) -> int:
    """Return thousandths, rounded up; raises ``ValueError`` for other text.

    >>> millis("500m"), millis("2")
    (500, 2000)
    """
    return _ceil(_exact(quantity) * 1000)


def _exact(quantity: str) -> Fraction:
    match = _FORM.match(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity")
    number, suffix = match.group(1), match.group(2) or ""
    if suffix[1:].isdecimal():
        exponent = int(suffix[1:])
        if exponent > _LARGEST_EXPONENT:
            raise ValueError(f"{quantity!r} is too large")
        return Fraction(number) * Fraction(10) ** exponent
    return Fraction(number) * _FACTORS[suffix]


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
