"""A league that lives: sites come, go and shrink, jobs arrive and end, rules change, plans follow.

After every step the invariants hold, for the full plan and for the incremental planner alike, and
the log of events replays to the same decisions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hansa.model.events import Event, JobArrived, JobGone, PoolChanged, SiteChanged, SiteGone
from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import plan
from tests.unit.placement.leagues import (
    NOW_S,
    breaches,
    random_job,
    random_pool,
    random_site,
    random_snapshot,
)

SEED = st.integers(0, 1 << 30)


class LivingLeague(RuleBasedStateMachine):
    """Events drawn by hypothesis, objects drawn from their seeds."""

    is_compiled: bool | None = None

    def __init__(self) -> None:
        super().__init__()
        start = random_snapshot(np.random.default_rng(0), jobs=3, sites=3)
        self.start = start
        self.planner = IncrementalPlanner(start, is_compiled=self.is_compiled)
        self.log: list[tuple[Event | None, int, Plan]] = []
        self.now_s = NOW_S
        self.names = 0
        self.replan()

    def step(self, event: Event | None) -> None:
        self.now_s += 400
        before = self.planner.snapshot()
        changed = replace(_changed(before, event), now_s=self.now_s)
        decided = (
            self.planner.replan(self.now_s)
            if event is None
            else self.planner.apply(event, now_s=self.now_s)
        )
        self.log.append((event, self.now_s, decided))
        told = {w.job_uid for w in decided.waiting} | {p.job_uid for p in decided.placements}
        shown = replace(changed, jobs=tuple(j for j in changed.jobs if j.holdings or j.uid in told))
        assert not breaches(shown, decided)
        assert not inversions(changed, decided)

    @rule(seed=SEED)
    def submit(self, seed: int) -> None:
        self.names += 1
        self.step(JobArrived(random_job(np.random.default_rng(seed), f"new-{self.names:04d}")))

    @rule(seed=SEED)
    def finish(self, seed: int) -> None:
        jobs = self.planner.snapshot().jobs
        if jobs:
            self.step(JobGone(jobs[seed % len(jobs)].uid))

    @rule(seed=SEED)
    def join_or_resize(self, seed: int) -> None:
        self.step(SiteChanged(random_site(np.random.default_rng(seed), seed % 5)))

    @rule(seed=SEED)
    def open_or_close(self, seed: int) -> None:
        sites = self.planner.snapshot().sites
        if sites:
            site = sites[seed % len(sites)]
            closed = None if site.unavailable else Reason.NODE_UNREACHABLE
            price = dict.fromkeys(site.gpu_hour_price, 1 + seed % 1000)
            self.step(SiteChanged(replace(site, unavailable=closed, gpu_hour_price=price)))

    @rule(seed=SEED)
    def leave(self, seed: int) -> None:
        sites = self.planner.snapshot().sites
        if len(sites) > 1:
            self.step(SiteGone(sites[seed % len(sites)].name))

    @rule(seed=SEED)
    def change_policy(self, seed: int) -> None:
        self.step(PoolChanged(random_pool(np.random.default_rng(seed))))

    @rule()
    def replan(self) -> None:
        self.step(None)

    @invariant()
    def a_full_plan_holds_too(self) -> None:
        if len(self.log) % 4:
            return
        snapshot = self.planner.snapshot()
        decided = plan(snapshot)
        assert not breaches(snapshot, decided)
        assert not inversions(snapshot, decided)
        assert decided.certificate.value <= decided.certificate.bound

    def teardown(self) -> None:
        again = IncrementalPlanner(self.start)
        for event, now_s, decided in self.log:
            replayed = again.replan(now_s) if event is None else again.apply(event, now_s=now_s)
            assert replayed == decided


def _changed(snapshot: Snapshot, event: Event | None) -> Snapshot:
    match event:
        case JobArrived(job):
            return replace(snapshot, jobs=(*snapshot.jobs, job))
        case JobGone(uid):
            return replace(snapshot, jobs=tuple(j for j in snapshot.jobs if j.uid != uid))
        case SiteChanged(site):
            others = tuple(s for s in snapshot.sites if s.name != site.name)
            return replace(snapshot, sites=(*others, site))
        case SiteGone(name):
            return replace(snapshot, sites=tuple(s for s in snapshot.sites if s.name != name))
        case PoolChanged(pool):
            return replace(snapshot, pools=(pool,))
        case _:
            return snapshot


def inversions(snapshot: Snapshot, decided: Plan) -> list[str]:
    """Preemptions that the pool's rule does not allow."""
    jobs = {job.uid: job for job in snapshot.jobs}
    pools = {pool.name: pool for pool in snapshot.pools}
    found = []
    for stop in decided.stops:
        if not stop.in_favour_of or stop.workers:
            continue
        victim, gaining = jobs[stop.job_uid], jobs[stop.in_favour_of]
        preemption = pools[gaining.pool].preemption
        by_priority = preemption.lower_priority and victim.priority < gaining.priority
        by_share = preemption.borrowers and victim.institution != gaining.institution
        held = next(h for h in victim.holdings if h.site == stop.site)
        if not (by_priority or by_share) or not victim.preemptible:
            found.append(f"{victim.uid} yields to {gaining.uid}")
        if snapshot.now_s - held.since_s < preemption.min_runtime_s:
            found.append(f"{victim.uid} had just begun")
    return found


class InterpretedLeague(LivingLeague):
    """The same without the compiled kernel; it replays in the compiled one where there is one."""

    is_compiled = False


def _run(examples: int, steps: int, league: type[LivingLeague] = LivingLeague) -> None:
    run_state_machine_as_test(
        league,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            phases=(Phase.generate,),  # shrinking a league takes longer than reading the whole one
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.no_cover
def test_a_league_that_lives_keeps_its_invariants():
    _run(300, 40)


def test_a_league_lives_alike_without_the_compiled_kernel():
    _run(20, 40, InterpretedLeague)


@pytest.mark.soak
def test_a_league_that_lives_long_keeps_its_invariants():
    _run(2000, 50)
