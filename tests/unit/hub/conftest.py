"""What the tests of the hub share beside the kit."""

from __future__ import annotations

import pytest

from tests.unit.hub import kit


@pytest.fixture
def clock() -> kit.Time:
    return kit.Time()
