"""What a simulation runs: an idle league, jobs with their true run times, and outages.

A scenario is a value; running it twice gives the same result. Chance enters only here, through a
seeded generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hansa.model.snapshot import Job, Site, Snapshot


@dataclass(frozen=True, slots=True)
class Outage:
    """A site is gone from ``down_s`` until ``up_s``; what ran there stops."""

    site: str
    down_s: int
    up_s: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run's input."""

    snapshot: Snapshot
    """Sites and pools; its own jobs are ignored. ``now_s`` is the start."""
    jobs: tuple[Job, ...]
    """In order of ``submitted_s``."""
    duration_s: tuple[int, ...]
    """True run time of each job, unknown to the policy until the job ends."""
    outages: tuple[Outage, ...] = ()
    sample_s: int = 3600
    """Time between samples of shares, queue and fragmentation."""
    look_s: int = 600
    """Time between looks for who is kept waiting by borrowers, midway between ticks at first."""
    tick_s: int = 600
    """Time between the policy's ticks: what may happen by the passing of time alone."""

    def __post_init__(self) -> None:
        """Refuse input that has no meaning.

        Raises:
            ValueError: lengths differ, times are not positive, or arrivals are out of order.
        """
        if len(self.jobs) != len(self.duration_s):
            raise ValueError("a scenario needs one duration a job")
        if any(seconds <= 0 for seconds in self.duration_s):
            raise ValueError("durations must be > 0")
        if any(job.shape.gpus <= 0 or job.shape.workers <= 0 for job in self.jobs):
            raise ValueError("every job of a scenario needs GPUs")
        if min(self.sample_s, self.look_s, self.tick_s) <= 0:
            raise ValueError("sample_s, look_s and tick_s must be > 0")
        arrivals = [job.submitted_s for job in self.jobs]
        if arrivals != sorted(arrivals):
            raise ValueError("jobs must come in order of submission")


def draw_outages(
    rng: np.random.Generator,
    sites: tuple[Site, ...],
    *,
    start_s: int,
    end_s: int,
    mean_up_s: float = 30 * 86_400,
    mean_down_s: float = 2 * 3600,
) -> tuple[Outage, ...]:
    """Independent outages of each site, up and down times exponential, in order of time."""
    outages = []
    for site in sites:
        at = start_s + float(rng.exponential(mean_up_s))
        while at < end_s:
            back = at + max(60.0, float(rng.exponential(mean_down_s)))
            outages.append(Outage(site.name, int(at), int(back)))
            at = back + float(rng.exponential(mean_up_s))
    return tuple(sorted(outages, key=lambda outage: (outage.down_s, outage.site)))
