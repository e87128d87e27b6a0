"""Claims about jobs of many leagues, each with the league that it was made of; what comes of undoing its cause."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

from hansa.model.plan import Placement, Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement.planner import explain, plan
from tests.unit.placement.leagues.faulty_leagues import TROUBLES, troubled
from tests.unit.placement.leagues.mended_leagues import undone

SEEDS = {
    "a second wave": 4,
    "urgent work": 4,
    "held room": 4,
    "caps that fill": 6,
    "small shares": 8,
    "tiny shares": 14,
    "much assurance": 14,
}
"""Trouble → leagues with it; of the others four."""
MOST_A_LEAGUE = 2
"""Jobs looked at in one league for one reason."""
MOST = 20
"""The same in all."""


@dataclass(frozen=True)
class Case:
    """One claim about one job."""

    league: str
    snapshot: Snapshot
    decided: Plan
    job: Job
    reason: Reason
    site: str = ""

    def __str__(self) -> str:
        return f"{self.league}: {self.job.uid} {self.reason} {self.site}"

    def undone(self) -> Snapshot:
        return undone(self.snapshot, self.job, self.reason, self.decided, self.site)


@cache
def leagues() -> list[tuple[str, Snapshot, Plan]]:
    made = [
        (f"{name}, {seed}", troubled(name, seed))
        for name in TROUBLES
        for seed in range(SEEDS.get(name, 4))
    ]
    return [(name, snapshot, plan(snapshot)) for name, snapshot in made]


def spread(cases: list[Case], most: int) -> list[Case]:
    """So many of them, from all leagues."""
    return cases[:: -(-len(cases) // most)]


@cache
def waits() -> dict[Reason, list[Case]]:
    """Jobs that wait, by the reason that is told."""
    found: dict[Reason, list[Case]] = defaultdict(list)
    for name, snapshot, decided in leagues():
        jobs, seen = {job.uid: job for job in snapshot.jobs}, Counter()
        for told in decided.waiting:
            seen[told.reason] += 1
            if seen[told.reason] <= MOST_A_LEAGUE:
                case = Case(name, snapshot, decided, jobs[told.job_uid], told.reason)
                found[told.reason].append(case)
    return {reason: spread(cases, MOST) for reason, cases in found.items()}


@cache
def verdicts() -> dict[Reason, list[Case]]:
    """Nodes that a rule removed for a job."""
    found: dict[Reason, list[Case]] = defaultdict(list)
    for name, snapshot, decided in leagues():
        seen: Counter[Reason] = Counter()
        for job in snapshot.jobs[:6]:
            for said in explain(snapshot, job.uid):
                seen[said.reason] += 1
                if seen[said.reason] <= MOST_A_LEAGUE:
                    found[said.reason].append(
                        Case(name, snapshot, decided, job, said.reason, said.site)
                    )
    return {reason: spread(cases, 2 * MOST) for reason, cases in found.items()}


def starts(snapshot: Snapshot, uid: str) -> Placement | None:
    return next((p for p in plan(snapshot).placements if p.job_uid == uid), None)


def outcome(snapshot: Snapshot, uid: str) -> Reason:
    decided = plan(snapshot)
    if any(placed.job_uid == uid for placed in decided.placements):
        return Reason.PLACED
    return next(told.reason for told in decided.waiting if told.job_uid == uid)
