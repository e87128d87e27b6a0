"""Why a job is where it is: site by site, and what would have to be otherwise.

Nothing is guessed. The runner-up is where the planner puts the job when its own site will not have
it; a remedy is tried with the planner on a changed snapshot, and only one that lets the job start is
told. That costs some plans, so it is done for one job on demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from hansa.model.plan import Placement, Plan, Verdict
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement import planner
from hansa.placement.explain.verdicts import alone, removed, verdicts
from hansa.placement.state.league import League
from hansa.placement.whatif.compare import with_job
from hansa.placement.whatif.remedies import Case, Remedy, remedies

MOST_TRIES = 64
FEWEST_TRIES = 8
JOBS_PLANNED = 400_000
"""Remedies tried at most, and in a league of many jobs: as many as plan about so many jobs in all."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole story of one job."""

    reason: Reason
    """PLACED, why it waits, or why what runs is stopped."""
    message: str
    removed: Mapping[Reason, int] = field(default_factory=dict)
    """Rule → sites that it, as the first, removed."""
    sites: tuple[str, ...] = ()
    """Where it was placed, or runs."""
    runner_up: str = ""
    """Where it would be if those sites would not have it; empty: nowhere now, or not known."""
    price_gap_micros_per_hour: int = 0
    """What the runner-up would cost more (or, below zero, less: scarcity decided)."""
    remedy: Remedy | None = None
    """What would let it start now; tried and found true."""
    verdicts: tuple[Verdict, ...] = ()
    """What the rules say of each site, gravest first."""

    @property
    def counts(self) -> str:
        """How many nodes each rule removed; empty when none did."""
        return ", ".join(f"{count} by {reason}" for reason, count in self.removed.items())

    @property
    def next_best(self) -> str:
        """The runner-up and its price; empty when there is none."""
        gap = f"{self.price_gap_micros_per_hour / 1e6:+.6f}"
        return f"next best is {self.runner_up} at {gap} an hour" if self.runner_up else ""

    @property
    def sentence(self) -> str:
        """All of it for a person."""
        parts = [f"{self.reason}: {self.message}" if self.message else str(self.reason)]
        parts += [f"nodes ruled out: {self.counts}"] if self.removed else []
        parts += [self.next_best] if self.runner_up else []
        parts += [f"it would start now if {self.remedy.words}"] if self.remedy else []
        return "; ".join(parts)


def explain_job(snapshot: Snapshot, job_uid: str, plan: Plan | None = None) -> Explanation | None:
    """The story of one job in the plan of a snapshot; None when there is no such job."""
    league, job = alone(snapshot, job_uid)
    if job is None:
        return None
    decided = planner.plan(snapshot) if plan is None else plan
    told = tuple(verdicts(snapshot, job_uid))
    placed = [p for p in decided.placements if p.job_uid == job_uid]
    if placed or job.holdings:
        story = _at_a_site(snapshot, league, job, decided, placed)
    else:
        story = _waiting(snapshot, league, job, decided, told)
    return replace(story, removed=removed(told), verdicts=told)


def _waiting(
    snapshot: Snapshot, league: League, job: Job, decided: Plan, told: tuple[Verdict, ...]
) -> Explanation:
    said = next(waiting for waiting in decided.waiting if waiting.job_uid == job.uid)
    pool = league.pools.get(job.pool)
    if pool is None:
        return Explanation(said.reason, said.message)
    case = Case(snapshot, job, pool, decided, told, league)
    tries = max(FEWEST_TRIES, min(MOST_TRIES, JOBS_PLANNED // len(snapshot.jobs)))
    candidates = islice(remedies(case, said.reason), tries)
    remedy = next((found for found in candidates if _starts(found, job)), None)
    return Explanation(said.reason, said.message, remedy=remedy)


def _starts(remedy: Remedy, job: Job) -> bool:
    changed = planner.plan(remedy.changed)
    return any(placed.job_uid == job.uid for placed in changed.placements)


def _at_a_site(
    snapshot: Snapshot, league: League, job: Job, decided: Plan, placed: list[Placement]
) -> Explanation:
    held = league.records[job.uid].held
    cells = [_cell(league, p) for p in placed] or [holding.cell for holding in held]
    sites = tuple(p.site for p in placed) or tuple(h.site for h in job.holdings)
    stop = next((s for s in decided.stops if s.job_uid == job.uid and not s.workers), None)
    if stop is not None:
        why = Reason.PREEMPTED if stop.in_favour_of else stop.reason
        return Explanation(why, stop.message, sites=sites)
    other = _runner_up(snapshot, job, sites) if len(cells) == 1 else None
    if other is None:
        return Explanation(Reason.PLACED, "", sites=sites)
    kind = league.kinds.kinds[league.records[job.uid].kind]
    hourly = league.rules.hourly_cost(kind, job.shape.workers)
    gap = int(hourly[_cell(league, other)] - hourly[cells[0]])
    return Explanation(Reason.PLACED, "", {}, sites, other.site, gap)


def _runner_up(snapshot: Snapshot, job: Job, sites: tuple[str, ...]) -> Placement | None:
    """Where the planner puts the job when its own site will not have it."""
    refused = {**job.refused_by, **dict.fromkeys(sites, "")}
    elsewhere = replace(job, refused_by=refused, holdings=())
    decided = planner.plan(with_job(snapshot, elsewhere))
    return next((placed for placed in decided.placements if placed.job_uid == job.uid), None)


def _cell(league: League, placed: Placement) -> int:
    """The cell of a placement; those of one class at a site cost the same."""
    cells = league.fleet.cells_of_site[league.fleet.site_index[placed.site]]
    return next(at for at in cells if league.fleet.cells[at].gpu_class == placed.gpu_class)
