"""Why a job is where it is: site by site, and what would have to be otherwise.

The remedy is not guessed: each is tried with the planner itself on a changed snapshot, and only one
that lets the job start is told. That costs some plans, so it is done for one job on demand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement import planner
from hansa.placement.league import League
from hansa.placement.remedies import Remedy, remedies
from hansa.placement.verdicts import alone, verdicts


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole story of one job."""

    reason: Reason
    """PLACED, or why it waits."""
    message: str
    removed: Mapping[Reason, int] = field(default_factory=dict)
    """Rule → sites that it, as the first, removed."""
    sites: tuple[str, ...] = ()
    """Where it was placed, or runs."""
    runner_up: str = ""
    """The site that would have been next."""
    price_gap_micros_per_hour: int = 0
    """What the runner-up would cost more (or, below zero, less: scarcity decided)."""
    remedy: Remedy | None = None
    """Something that alone would let it start now; tried and found true."""

    @property
    def sentence(self) -> str:
        """All of it for a person."""
        told = ", ".join(f"{count} by {reason}" for reason, count in self.removed.items())
        parts = [f"{self.reason}: {self.message}" if self.message else str(self.reason)]
        parts += [f"nodes ruled out: {told}"] if told else []
        if self.runner_up:
            parts.append(
                f"next best is {self.runner_up} at {self.price_gap_micros_per_hour / 1e6:+.6f} an hour"
            )
        parts += [f"it would start now if {self.remedy.words}"] if self.remedy else []
        return "; ".join(parts)


def explain_job(snapshot: Snapshot, job_uid: str, plan: Plan | None = None) -> Explanation | None:
    """The story of one job in the plan of a snapshot; None when there is no such job."""
    league, job = alone(snapshot, job_uid)
    if job is None:
        return None
    decided = planner.plan(snapshot) if plan is None else plan
    counts = Counter(verdict.reason for verdict in verdicts(snapshot, job_uid))
    removed: dict[Reason, int] = {
        r: counts[r] for r in sorted(counts, key=lambda r: r.gravity) if r is not Reason.PENDING
    }
    sites = tuple(p.site for p in decided.placements if p.job_uid == job_uid)
    sites = sites or tuple(holding.site for holding in job.holdings)
    if sites:
        runner_up, gap = _runner_up(league, job_uid, sites)
        return Explanation(Reason.PLACED, "", removed, sites, runner_up, gap)
    said = next(waiting for waiting in decided.waiting if waiting.job_uid == job_uid)
    remedy = next(_true_remedies(snapshot, job, said.reason), None)
    return Explanation(said.reason, said.message, removed, remedy=remedy)


def _true_remedies(snapshot: Snapshot, job: Job, reason: Reason) -> Iterator[Remedy]:
    for remedy in remedies(snapshot, job, reason):
        changed = planner.plan(remedy.changed)
        if any(placed.job_uid == job.uid for placed in changed.placements):
            yield remedy


def _runner_up(league: League, job_uid: str, sites: tuple[str, ...]) -> tuple[str, int]:
    record = league.records[job_uid]
    if len(record.kinds) != 1:
        return "", 0
    cells = league.tariff.candidates(record.kinds[0])
    cells = cells[league.supply.cell_open[cells] == 1]
    names = [league.fleet.sites[league.fleet.cells[cell].site].name for cell in cells.tolist()]
    cost = league.rules.hourly_cost(league.kinds.kinds[record.kinds[0]], record.job.shape.workers)
    other = next((at for at, name in enumerate(names) if name not in sites), None)
    chosen = next((at for at, name in enumerate(names) if name in sites), None)
    if other is None or chosen is None:
        return "", 0
    return names[other], int(cost[cells[other]] - cost[cells[chosen]])
