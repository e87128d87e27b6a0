"""Seeds of drawn cases: half of them run always, all of them in the long runs of ``make soak``."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet


def seeds(count: int) -> list[int | ParameterSet]:
    """Return ``count`` seeds, the later half of them marked ``soak``."""
    half = count // 2
    later = (pytest.param(seed, marks=pytest.mark.soak) for seed in range(half, count))
    return [*range(half), *later]
