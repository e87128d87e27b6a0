"""The league's own planner as a policy: the incremental planner, as the hub runs it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from e2e.bench.simulation.policy import Decision, Estimate, Start
from hansa.model.events import Event, JobArrived, JobGone, SiteChanged
from hansa.model.history import Group, RunTimes, groups_of
from hansa.model.plan import Plan, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot
from hansa.placement.explain.waitlist import about
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.state.league import League

LEARN_S = 6 * 3600
"""The hub fits past run times anew four times a day."""
REMEMBERED = 400
"""Run times kept for each group of jobs."""


class LeaguePolicy:
    """Tells the planner every event, and hands its decisions to the engine."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._planner = IncrementalPlanner(snapshot)
        self._ran_s: dict[Group, deque[int]] = {}
        self._learn_at_s = snapshot.now_s + LEARN_S
        self._sites = {site.name: site for site in snapshot.sites}
        self._jobs: dict[str, Job] = {}
        self._starts: list[Start] = []
        self._stops: list[str] = []
        self._newcomers: set[str] = set()
        """Jobs that have begun to wait since the last full plan."""
        self._told: dict[str, Waiting] = {}
        """What the last full plan said of those who were newcomers then."""

    def arrive(self, job: Job, now_s: int) -> None:
        """A job waits; after a stop this confirms that it holds nothing."""
        self._jobs[job.uid] = job
        self._newcomers.add(job.uid)
        self._apply(JobArrived(job), now_s)

    def finish(self, job: Job, now_s: int, *, ran_s: int) -> None:
        """A job ended; what it held is free, and how long it ran is remembered."""
        del self._jobs[job.uid]
        asked = {"gpus": job.shape.total_gpus, "max_runtime_s": job.max_runtime_s}
        for group in groups_of(job.institution, **asked):
            self._ran_s.setdefault(group, deque(maxlen=REMEMBERED)).append(ran_s)
        self._apply(JobGone(job.uid), now_s)

    def lose(self, job: Job, now_s: int) -> None:
        """Its arrival, which follows, says that it holds nothing."""

    def site(self, name: str, now_s: int, *, up: bool) -> None:
        """A site went down or came back."""
        site = self._sites[name]
        down = replace(site, unavailable=Reason.NODE_UNREACHABLE, unavailable_message="outage")
        self._apply(SiteChanged(site if up else down), now_s)
        if not up:
            self._withdraw(name, now_s)

    def tick(self, now_s: int) -> None:
        """Plan everything anew, as the hub does between events."""
        if now_s >= self._learn_at_s:
            self._learn_at_s = now_s + LEARN_S
            history = {group: RunTimes.fit(ran) for group, ran in self._ran_s.items()}
            self._planner.learn(history)
        plan = self._planner.replan(now_s)
        self._told = {said.job_uid: said for said in about(plan.waiting, self._newcomers)}
        self._newcomers.clear()
        self._take(plan)

    def decide(self, now_s: int) -> Decision:
        """What the planner said since the engine last asked."""
        del now_s
        decision = Decision(tuple(self._starts), tuple(self._stops))
        self._starts.clear()
        self._stops.clear()
        return decision

    def estimate(self, job: Job, now_s: int) -> Estimate | None:
        """What the last full plan said."""
        waiting = self._told.pop(job.uid, None)
        if waiting is None or waiting.start_p50_s is None or waiting.start_p90_s is None:
            return None
        earliest_s = now_s if waiting.start_p10_s is None else waiting.start_p10_s
        return Estimate(earliest_s, waiting.start_p50_s, waiting.start_p90_s)

    def _withdraw(self, site: str, now_s: int) -> None:
        """Take back starts of this very second at a site that is gone."""
        lost = [start for start in self._starts if start.site == site]
        self._starts = [start for start in self._starts if start.site != site]
        for start in lost:
            self._apply(JobArrived(self._jobs[start.uid]), now_s)

    def _apply(self, event: Event, now_s: int) -> None:
        self._take(self._planner.update([event], now_s=now_s))

    def _take(self, plan: Plan) -> None:
        self._starts += [
            Start(p.job_uid, p.site, p.gpu_class, machines_of(self._planner.league, p.job_uid))
            for p in plan.placements
        ]
        self._stops += [stop.job_uid for stop in plan.stops]


def machines_of(league: League, uid: str) -> tuple[tuple[int, int], ...]:
    """Where in its cell the workers of a running job are booked: (machine, workers)."""
    held = league.records[uid].held[-1]
    lo = int(league.supply.cell_lo[held.cell])
    pairs = zip(held.log[::2], held.log[1::2], strict=True)
    return tuple((machine - lo, workers) for machine, workers in pairs if workers)
