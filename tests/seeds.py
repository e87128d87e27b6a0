"""Seeds of drawn cases: half of them run always, all of them in the long runs of ``make soak``."""

from __future__ import annotations

import numpy as np
import pytest
from _pytest.mark import ParameterSet

SEEDS_OF = 1 << 32

TRACED = 4
"""Seeds that count for coverage: tracing takes as long again, and what the others reach is a matter of luck."""


def drawn() -> int:
    """Return a seed that nobody chose."""
    return int(np.random.default_rng().integers(SEEDS_OF))


def seeds(count: int) -> list[int | ParameterSet]:
    """Return ``count`` seeds, the later half of them marked ``soak``, all but the first few ``no_cover``."""
    half = count // 2
    now = (pytest.param(seed, marks=pytest.mark.no_cover) for seed in range(TRACED, half))
    later = (
        pytest.param(seed, marks=[pytest.mark.soak, pytest.mark.no_cover])
        for seed in range(half, count)
    )
    return [*range(min(TRACED, half)), *now, *later]
