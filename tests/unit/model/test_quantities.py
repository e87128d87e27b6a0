"""Quantities become whole numbers, never smaller than what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.model.quantities import millis, units

QUANTITIES = {
    "0": (0, 0),
    "3": (3, 3000),
    "500m": (1, 500),
    "1500m": (2, 1500),
    "1.5": (2, 1500),
    "1.": (1, 1000),
    ".5": (1, 500),
    "0.0001": (1, 1),
    "1k": (1000, 1_000_000),
    "2M": (2 * 1000**2, 2 * 1000**3),
    "2G": (2 * 1000**3, 2 * 1000**4),
    "2T": (2 * 1000**4, 2 * 1000**5),
    "2P": (2 * 1000**5, 2 * 1000**6),
    "1.5Ki": (1536, 1_536_000),
    "3Mi": (3 << 20, 3000 << 20),
    "3Gi": (3 << 30, 3000 << 30),
    "3Ti": (3 << 40, 3000 << 40),
    "3Pi": (3 << 50, 3000 << 50),
    "12e3": (12_000, 12_000_000),
    "1.25E1": (13, 12_500),
    "1e30": (10**30, 10**33),
    "1E": (10**18, 10**21),
    "1Ei": (1 << 60, 1000 << 60),
    "2500u": (1, 3),
    "100n": (1, 1),
}


@pytest.mark.parametrize("text", QUANTITIES)
def test_quantities(text):
    assert (units(text), millis(text)) == QUANTITIES[text]


WRONG = {
    "empty": ("", "is not a Kubernetes quantity"),
    "a sign": ("-1", "is not a Kubernetes quantity"),
    "a space": ("1 Gi", "is not a Kubernetes quantity"),
    "an unknown suffix": ("1KB", "is not a Kubernetes quantity"),
    "no number": ("Gi", "is not a Kubernetes quantity"),
    "a bare exponent": ("1e", "is not a Kubernetes quantity"),
    "a negative exponent": ("1e-3", "is not a Kubernetes quantity"),
    "digits of another script": ("١", "is not a Kubernetes quantity"),
    "too large": ("1e31", "is too large"),
    "far too large": ("1e999999999", "is too large"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("read", [units, millis])
def test_other_text_is_refused(case, read):
    text, words = WRONG[case]

    with pytest.raises(ValueError, match=words):
        read(text)


@given(st.integers(0, 10**9), st.integers(0, 30))
def test_an_exponent_is_a_power_of_ten(number, exponent):
    assert units(f"{number}e{exponent}") == number * 10**exponent
