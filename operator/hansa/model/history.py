"""How long work of a kind ran before: the base of start estimates and of backfill.

Run times of training jobs have long tails (Philly: median 19 minutes, 99th percentile three days),
so a lognormal's quantiles are kept and a mean is never used. What somebody asked for is a bad
forecast, and yet the best sign of which of his jobs are short (Tsafrir, Etsion and Feitelson, IEEE
TPDS 2007): work is told apart by institution, by size, and by the time that it asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

_Z90 = 1.2815515655446004
ENOUGH = 10
"""Past run times that a narrow group must have before it is trusted."""
MOST_REMEMBERED = 1 << 16
ANY = -1
"""In a group: of whatever size, or whatever was asked for."""

Group = tuple[str, int, int]
"""Institution, ``size_bucket`` of the GPUs, ``request_bucket`` of the longest run time."""


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


def request_bucket(max_runtime_s: int) -> int:
    """Jobs that asked for times within a factor of two asked for one time."""
    return max(1, max_runtime_s).bit_length()


def groups_of(institution: str, *, gpus: int, max_runtime_s: int) -> tuple[Group, Group, Group]:
    """The groups that a job's run time tells of, the narrowest first, the broadest last."""
    size, request = size_bucket(gpus), request_bucket(max_runtime_s)
    return (institution, size, request), (institution, ANY, request), (institution, size, ANY)


def expected(
    history: Mapping[Group, RunTimes], institution: str, *, gpus: int, max_runtime_s: int
) -> RunTimes | None:
    """How long a job will run: by the narrowest group with enough past, else by the broadest."""
    *narrow, broad = groups_of(institution, gpus=gpus, max_runtime_s=max_runtime_s)
    for group in narrow:
        times = history.get(group)
        if times is not None and times.count >= ENOUGH:
            return times
    times = history.get(broad)
    return times if times is not None and times.count else None


def expecting(history: Mapping[Group, RunTimes]) -> Callable[[str, int, int], RunTimes]:
    """How long a job runs, by institution, GPUs and the time it asked for: history, else all of that.

    Remembers what it has worked out of the history as it is now.
    """
    known = dict(history)

    @lru_cache(MOST_REMEMBERED)
    def run_times(institution: str, gpus: int, asked_s: int) -> RunTimes:
        seen = expected(known, institution, gpus=gpus, max_runtime_s=asked_s)
        return seen or RunTimes(1, math.log(max(1, asked_s)), 0.0)

    return run_times
