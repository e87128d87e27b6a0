"""How long work of a kind ran before: the base of start estimates and of backfill.

Run times of training jobs have long tails (Philly: median 19 minutes, 99th percentile three days),
so a lognormal's quantiles are kept and a mean is never used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z90 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class RunTimes:
    """A lognormal fitted to ``count`` past run times."""

    count: int
    log_mean: float
    log_sigma: float

    @classmethod
    def fit(cls, durations_s: Sequence[float]) -> RunTimes:
        """Fit by the moments of the logarithm. No durations: a fit that is never used."""
        logs = [math.log(max(1.0, duration)) for duration in durations_s]
        if not logs:
            return cls(0, 0.0, 0.0)
        mean = math.fsum(logs) / len(logs)
        return cls(len(logs), mean, math.sqrt(math.fsum((x - mean) ** 2 for x in logs) / len(logs)))

    @property
    def p50_s(self) -> float:
        """Half of such jobs end within this time."""
        return math.exp(min(self.log_mean, 30.0))

    @property
    def p90_s(self) -> float:
        """Nine in ten such jobs end within this time."""
        return math.exp(min(self.log_mean + _Z90 * self.log_sigma, 30.0))


def size_bucket(gpus: int) -> int:
    """Jobs of 0, 1, 2–3, 4–7, 8–15 … GPUs are of one size."""
    return gpus.bit_length()
