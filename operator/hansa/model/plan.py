"""The planner's output: what to start and stop, and why everything else waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hansa.model.reasons import Reason

NOTHING = 1e-6
"""A bound no higher than this is the rounding that keeps it safe: there was nothing to gain."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said about one site. Rules never return a bare bool."""

    site: str
    reason: Reason
    message: str = ""


class Placement(NamedTuple):
    """Start ``workers`` of a job at a site."""

    job_uid: str
    site: str
    workers: int
    cost_micros_per_hour: int
    gpu_class: str = ""
    """GPU class of all its workers; empty for work without GPUs."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End what a job holds at a site: it is preempted, drained or shrunk to ``workers``."""

    job_uid: str
    site: str
    reason: Reason
    message: str
    workers: int = 0
    """Workers left; 0 stops the job."""
    in_favour_of: str = ""
    """UID of the job that gains."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a job does not start now."""

    job_uid: str
    reason: Reason
    message: str
    position: int = 0
    """Jobs ahead of it in its pool's order."""
    start_p50_s: int | None = None
    start_p90_s: int | None = None
    start_p10_s: int | None = None
    """Known only once enough starts have shown how far estimates are off."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """How good the plan is: ``value ≤ optimum ≤ bound`` by weak duality."""

    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Share of the bound that the plan may be missing, in [0, 1]."""
        if self.bound <= NOTHING:
            return 0.0
        return max(0.0, (self.bound - self.value) / self.bound)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is wrong with a site or a pool itself; work goes on around it."""

    kind: str
    """``SovereignNode`` or ``ComputePool``."""
    name: str
    reason: Reason
    message: str
    """What is wrong, what follows from it, and what mends it."""
    is_total: bool = False
    """Nothing can be placed there because of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A full plan. Order of ``placements`` is the order of decisions."""

    placements: tuple[Placement, ...] = ()
    stops: tuple[Stop, ...] = ()
    waiting: Sequence[Waiting] = ()
    """Compares like a tuple."""
    certificate: Certificate = field(default_factory=lambda: Certificate(0.0, 0.0))
    notices: tuple[Notice, ...] = ()
