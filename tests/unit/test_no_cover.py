"""What is marked ``no_cover`` is not traced, in whichever process it runs."""

import sys

import pytest


@pytest.mark.no_cover
def test_nothing_is_traced():
    assert sys.gettrace() is None
