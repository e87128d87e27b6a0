"""A league that lives: more work than room, and sites, jobs and rules that come, go and change.

After every step the invariants hold, for the full plan and for the incremental planner alike, and
the log of events replays to the same decisions. What a run never met it has not tested: what was
seen is counted, and a machine that hardly preempts, shrinks or refuses fails.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hansa.model.events import Event, JobArrived, JobGone, PoolChanged, SiteChanged, SiteGone
from hansa.model.plan import Plan
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Site, Snapshot
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import plan
from tests.unit.placement.books_oracle import misbooked
from tests.unit.placement.leagues.crowded_leagues import (
    NAMES,
    POOLS,
    crowded_job,
    crowded_pool,
    crowded_site,
    crowded_snapshot,
)
from tests.unit.placement.leagues.random_leagues import NOW_S
from tests.unit.placement.oracle import breaches
from tests.unit.placement.stops_oracle import must_leave, wrong_stops

SEED = st.integers(0, 1 << 30)
STEP_S = 400
HOUR_S = 3600
Change = Event | tuple[Job, ...] | None
"""An event, a rush of jobs that a full plan takes in, or nothing: a full plan."""


class LivingLeague(RuleBasedStateMachine):
    """Events drawn by hypothesis, objects drawn from their seeds."""

    is_compiled = True
    seen: ClassVar[Counter[str]] = Counter()

    @initialize(seed=SEED)
    def begin(self, seed: int) -> None:
        """Some jobs begin, the elastic ones with all their workers; then come more than there is room."""
        rng = np.random.default_rng(seed)
        self.start = crowded_snapshot(rng, jobs=int(rng.integers(5, 20)))
        self.planner = IncrementalPlanner(self.start, is_compiled=self.is_compiled)
        self.log: list[tuple[Change, int, Plan]] = []
        self.now_s, self.names = NOW_S, 0
        self.preempted: list[tuple[int, str, str]] = []
        self.seen["runs"] += 1
        self.step(None)
        self.step(tuple(self.new_job(seed + at) for at in range(int(rng.integers(20, 35)))))

    def step(self, change: Change) -> None:
        self.now_s += STEP_S
        changed = replace(_changed(self.planner.snapshot(), change), now_s=self.now_s)
        decided = decide(self.planner, change, self.now_s)
        self.log.append((change, self.now_s, decided))
        is_whole = change is None or isinstance(change, tuple)
        shown = changed if is_whole else _only(changed, change, decided)
        assert_none(
            breaches(shown, decided),
            wrong_stops(changed, decided, is_whole=not _is_rebuilt(change)),
            misbooked(self.planner),
            unsettled(self.planner.snapshot(), decided, is_whole=is_whole),
            self.overspent(changed, decided),
        )
        assert decided.certificate.value <= decided.certificate.bound
        self.count(decided)

    def overspent(self, snapshot: Snapshot, decided: Plan) -> list[str]:
        """Institutions that preempted more within an hour than their pool allows."""
        jobs = {job.uid: job for job in snapshot.jobs}
        gaining = [jobs[s.in_favour_of] for s in decided.stops if s.in_favour_of and not s.workers]
        self.preempted += [(self.now_s, job.pool, job.institution) for job in gaining]
        late = Counter(row[1:] for row in self.preempted if self.now_s - row[0] < HOUR_S)
        rules = {pool.name: pool.preemption for pool in snapshot.pools}
        is_new = {(job.pool, job.institution) for job in gaining}
        return [f"{key} {late[key]}" for key in is_new if late[key] > rules[key[0]].max_per_hour]

    def count(self, decided: Plan) -> None:
        self.seen["steps"] += 1
        self.seen["placement"] += len(decided.placements)
        for stop in decided.stops:
            by_law = "preemption" if stop.in_favour_of else str(stop.reason)
            self.seen["shrink" if stop.workers else by_law] += 1
        for waiting in decided.waiting:
            self.seen[f"wait:{waiting.reason}"] += 1

    # What users do.

    def jobs(self, *, held: bool) -> list[Job]:
        return [job for job in self.planner.snapshot().jobs if bool(job.holdings) is held]

    def site(self, seed: int) -> Site | None:
        sites = self.planner.snapshot().sites
        return sites[seed % len(sites)] if sites else None

    def new_job(self, seed: int) -> Job:
        self.names += 1
        job = crowded_job(np.random.default_rng(seed), f"new-{self.names:04d}")
        return replace(job, submitted_s=self.now_s)

    @rule(seed=SEED)
    def submit(self, seed: int) -> None:
        self.step(JobArrived(self.new_job(seed)))

    @rule(seed=SEED)
    def submit_what_matters(self, seed: int) -> None:
        job = replace(self.new_job(seed), priority=300, barred=None)
        self.step(JobArrived(job))

    @rule(seed=SEED)
    def rush(self, seed: int) -> None:
        self.step(tuple(self.new_job(seed + at) for at in range(6)))

    @rule(seed=SEED)
    def finish(self, seed: int) -> None:
        jobs = self.jobs(held=True)
        self.step(JobGone(jobs[seed % len(jobs)].uid) if jobs else None)

    @rule(seed=SEED)
    def suspend_or_resume(self, seed: int) -> None:
        jobs = self.jobs(held=seed % 3 > 0) or [self.new_job(seed)]
        job = jobs[seed % len(jobs)]
        barred = None if job.barred else Reason.SUSPENDED
        self.step(JobArrived(replace(job, barred=barred)))

    # What members do.

    @rule(seed=SEED)
    def confirm_stops(self, seed: int) -> None:
        """A stop is done: the job is released, and waits again."""
        jobs = [j for j in self.jobs(held=True) if any(h.stopping for h in j.holdings)]
        if not jobs:
            return self.step(None)
        job = jobs[seed % len(jobs)]
        return self.step(JobArrived(replace(job, holdings=())))

    @rule(seed=SEED)
    def refuse(self, seed: int) -> None:
        """A member says no to what it was given: the job waits again, and not for that site."""
        jobs = self.jobs(held=True)
        if not jobs:
            return self.step(None)
        job = jobs[seed % len(jobs)]
        refused = dict(job.refused_by) | {held.site: "no" for held in job.holdings}
        self.seen["refusal"] += 1
        return self.step(JobArrived(replace(job, holdings=(), refused_by=refused)))

    @rule(seed=SEED)
    def join_or_resize(self, seed: int) -> None:
        site = crowded_site(np.random.default_rng(seed), NAMES[seed % len(NAMES)])
        self.step(SiteChanged(site))

    @rule(seed=SEED)
    def open_or_close(self, seed: int) -> None:
        site = self.site(seed)
        if site is None:
            return self.step(None)
        closed = None if site.unavailable else Reason.NODE_UNREACHABLE
        price = dict(site.gpu_hour_price)
        if seed % 4 == 0:  # dear to plan where jobs have budgets
            price = dict.fromkeys(price, 1 + seed % 1000)
        return self.step(SiteChanged(replace(site, unavailable=closed, gpu_hour_price=price)))

    @rule(seed=SEED)
    def drain_or_not(self, seed: int) -> None:
        site = self.site(seed)
        self.step(SiteChanged(replace(site, draining=not site.draining)) if site else None)

    @rule(seed=SEED)
    def leave(self, seed: int) -> None:
        site = self.site(seed)
        self.step(SiteGone(site.name) if site and seed % 3 == 0 else None)

    @rule(seed=SEED)
    def change_policy(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.step(PoolChanged(crowded_pool(rng, POOLS[seed % len(POOLS)])))

    @rule()
    def replan(self) -> None:
        self.step(None)

    @invariant()
    def a_full_plan_holds_too(self) -> None:
        if len(self.log) % 8:
            return
        snapshot = self.planner.snapshot()
        decided = plan(snapshot, is_compiled=self.is_compiled)
        assert_none(breaches(snapshot, decided), wrong_stops(snapshot, decided))
        assert decided.certificate.value <= decided.certificate.bound
        self.seen["full plans"] += 1

    def teardown(self) -> None:
        """Every third log is replayed: it costs as much as the run."""
        if self.seen["runs"] % 3:
            return
        again = IncrementalPlanner(self.start)
        for change, now_s, decided in self.log:
            assert decide(again, change, now_s) == decided


def assert_none(*found: list[str]) -> None:
    wrong = [words for words_ in found for words in words_]
    assert not wrong, "; ".join(wrong)


def decide(planner: IncrementalPlanner, change: Change, now_s: int) -> Plan:
    if change is None or isinstance(change, tuple):
        return planner.replan(now_s, map(JobArrived, change or ()))
    return planner.update([change], now_s=now_s)


def _is_rebuilt(change: Change) -> bool:
    """Whether the answer may be a full plan that does not tell of all who wait."""
    return isinstance(change, PoolChanged | SiteGone | SiteChanged | JobArrived)


def _only(snapshot: Snapshot, change: Change, decided: Plan) -> Snapshot:
    """Without the waiting jobs that an event says nothing of; it always speaks of its own."""
    told = {waiting.job_uid for waiting in decided.waiting}
    told |= {placed.job_uid for placed in decided.placements}
    told |= {change.job.uid} if isinstance(change, JobArrived) else set()
    jobs = tuple(job for job in snapshot.jobs if job.holdings or job.uid in told)
    return replace(snapshot, jobs=jobs)


def _changed(snapshot: Snapshot, change: Change) -> Snapshot:
    """What the planner is asked to plan; a job, site or pool that comes replaces that of its name."""
    jobs, sites, pools = snapshot.jobs, snapshot.sites, snapshot.pools
    match change:
        case tuple():
            jobs = (*jobs, *change)
        case JobArrived(job):
            jobs = (*(other for other in jobs if other.uid != job.uid), job)
        case JobGone(uid):
            jobs = tuple(job for job in jobs if job.uid != uid)
        case SiteChanged(site):
            sites = (*(other for other in sites if other.name != site.name), site)
        case SiteGone(name):
            sites = tuple(site for site in sites if site.name != name)
        case PoolChanged(pool):
            pools = (*(other for other in pools if other.name != pool.name), pool)
    return replace(snapshot, jobs=jobs, sites=sites, pools=pools)


def unsettled(snapshot: Snapshot, decided: Plan, *, is_whole: bool) -> list[str]:
    """What runs on where it may not: nothing of it is left after a full plan."""
    sites = {site.name: site for site in snapshot.sites}
    found = []
    for job in snapshot.jobs:
        for held in job.holdings:
            site = sites.get(held.site)
            if not is_whole or site is None or held.stopping:
                continue
            if site.draining or job.barred is Reason.SUSPENDED:
                found.append(f"{job.uid} goes on at {site.name}")
            if must_leave(snapshot, job, site):
                found.append(f"{job.uid} goes on unlawfully at {site.name}")
    stopped = {(stop.job_uid, stop.site) for stop in decided.stops}
    held = {(j.uid, h.site) for j in snapshot.jobs for h in j.holdings if h.stopping}
    return found + [f"{uid} is not stopping at {site}" for uid, site in stopped - held]


class InterpretedLeague(LivingLeague):
    """The same without the compiled kernel; it replays in the compiled one where there is one."""

    is_compiled = False
    seen: ClassVar[Counter[str]] = Counter()


class SoakingLeague(LivingLeague):
    """The same for longer."""

    seen: ClassVar[Counter[str]] = Counter()


OFTEN = (
    "preemption", "shrink", "refusal", Reason.NODE_CORDONED, Reason.SUSPENDED,
    Reason.RESIDENCY_DENIED, *(f"wait:{reason}" for reason in (
        Reason.WAITING_FOR_QUOTA, Reason.WAITING_FOR_CAP, Reason.WAITING_FOR_FAIR_SHARE,
        Reason.WAITING_FOR_PREEMPTION, Reason.WAITING_FOR_CAPACITY, Reason.RESIDENCY_DENIED,
        Reason.LEGAL_CONTROL_DENIED, Reason.DATA_ELSEWHERE, Reason.ASSURANCE_TOO_LOW,
        Reason.NO_ACCELERATOR, Reason.NO_SUCH_ACCELERATOR, Reason.OVER_BUDGET, Reason.NODE_REFUSED,
        Reason.NODE_CORDONED, Reason.NOT_ADMITTED_TO_POOL, Reason.EXCEEDS_POOL_QUOTA,
    )),
)  # fmt: skip
"""What a machine that tests anything meets again and again."""
LEAST_SEEN = 5
"""The rarest is met 43 times or 11: hypothesis draws constants from whatever modules are loaded beside."""


def _run(examples: int, steps: int, league: type[LivingLeague] = LivingLeague) -> Counter[str]:
    league.seen.clear()
    run_state_machine_as_test(
        league,
        settings=settings(
            max_examples=examples + examples // 5,  # one in six that hypothesis draws is cut short
            stateful_step_count=steps,  # and the two that begin it
            deadline=None,
            derandomize=True,
            phases=(Phase.generate,),  # shrinking a league takes longer than reading the whole one
            suppress_health_check=list(HealthCheck),
        ),
    )
    return league.seen


def test_a_league_that_lives_keeps_its_invariants():
    seen = _run(150, 40)
    assert seen["runs"] >= 150
    assert seen["steps"] >= 150 * 40
    assert {what: seen[what] for what in OFTEN if seen[what] < LEAST_SEEN} == {}


def test_a_league_lives_alike_without_the_compiled_kernel():
    seen = _run(8, 40, InterpretedLeague)
    assert seen["preemption"] > 0


@pytest.mark.soak
def test_a_league_that_lives_long_keeps_its_invariants():
    seen = _run(2000, 50, SoakingLeague)
    assert seen["runs"] >= 2000
    assert seen["steps"] >= 2000 * 50
    assert {what: seen[what] for what in OFTEN if seen[what] < LEAST_SEEN} == {}
