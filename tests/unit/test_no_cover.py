"""What is marked ``no_cover``, or is one seed of many, is not traced, in whichever process it runs."""

import sys

import pytest

from tests.conftest import TRACED_SEEDS


@pytest.mark.no_cover
def test_nothing_is_traced():
    assert sys.gettrace() is None


@pytest.mark.parametrize("seed", [TRACED_SEEDS, TRACED_SEEDS + 1])
def test_nothing_of_a_later_seed_is_traced(seed):
    assert sys.gettrace() is None, seed
