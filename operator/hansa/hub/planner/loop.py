"""Keeps the planner and its decisions; plans once for many changes.

The planner stays compiled between plans: what changed goes in as events, and only what that makes
possible comes out. A full plan, which also knows every job's place in the queue, follows now and
then, for a bounded share of a core however long the queue is.

It plans beside the event loop, and nobody else may touch it then: workers wait for ``at_rest``, and what
changes meanwhile counts against what was decided. Work on the loop for every job is cut into turns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

from hansa.adapters.turns import in_turns
from hansa.hub.caches import Caches
from hansa.hub.league_cache import LeagueCache
from hansa.hub.planner.decisions import Decisions, Told
from hansa.hub.planner.explanations import Explanations
from hansa.hub.planner.full_plans import FullPlans
from hansa.hub.planner.job_index import JobIndex
from hansa.hub.planner.kept_planner import NOTHING, Beside, KeptPlanner
from hansa.hub.planner.status_pacing import StatusPacing
from hansa.hub.planner.usage_history import UsageHistory
from hansa.model.events import Event, JobArrived, JobGone, changes_of_places
from hansa.model.plan import Placement, Plan, Stop, Verdict, Waiting
from hansa.model.snapshot import Job, ShadowPrices, Snapshot
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.pricing.market import Market
from hansa.ports import Clock, Manifest
from hansa.reconcile.hub.job_case import Epoch, JobDecision
from hansa.reconcile.hub.job_view import JobView
from hansa.reconcile.hub.snapshot import LeagueView, build

MOST_PUBLISHED = 1000  # in one turn of the event loop


class PlanningLoop:
    """The planner over the caches."""

    def __init__(  # what it reads, and its two times
        self,
        caches: Caches,
        league: LeagueCache,
        *,
        clock: Clock,
        instruments: Instruments,
        skew_s: float,
        coalesce_s: float,
        beside: Beside = asyncio.to_thread,
    ) -> None:
        """Nothing is planned before ``due`` is called."""
        self._caches = caches
        self.league = league
        self._clock = clock
        self._instruments = instruments
        self._coalesce_s = coalesce_s
        self._due = asyncio.Event()
        self._job_index = JobIndex(caches, league, clock=clock, skew_s=skew_s)
        self._past = UsageHistory()
        self._explanations = Explanations()
        self._kept = KeptPlanner(beside)
        self.use_compiled = self._kept.use_compiled
        self._base = NOTHING
        self._seen: LeagueView | None = None
        self._jobs: dict[str, Job] = {}
        self._decisions = Decisions()
        self._again_s = float("-inf")  # what comes sooner after a plan is planned together
        self._full = FullPlans()
        self._league_changed = True
        self._leads = False
        self._term = 0
        """Counts elections: what was planned in an earlier one decides nothing."""
        self.pacing = StatusPacing()
        self.plan = Plan()
        """The last full plan."""
        self.planned = False

    def due(self) -> None:
        """Ask for a plan soon."""
        self._due.set()

    def full_due(self) -> None:
        """Ask for a full plan, whatever has changed."""
        self._full.is_stale = True
        self._due.set()

    def league_changed(self) -> None:
        """Ask for a look at nodes and pools, and for a plan if they changed."""
        self._league_changed = True
        self._due.set()

    def lead(self, leads: bool) -> None:  # noqa: FBT001  # elected or deposed
        """Begin or stop planning. No decision is kept: another replica may have acted since."""
        self._leads = leads
        self._decisions.clear()
        self._jobs.clear()
        self._kept.drop()
        self._term += 1
        self._explanations.follow(None)
        self.planned = False

    def note_job(self, uid: str) -> None:
        """Take note of a changed AIJob; one that ended counts until its node released it."""
        self._past.note(uid, self._caches.job(uid))
        job = self._job_index.note(uid)
        if job is None:
            self.pacing.forget(uid)
            self._decisions.forget(uid)
        elif self._job_index.asks_anew(job):
            # What was decided was decided for another spec.
            self._decisions.drop(uid)
        if uid in self._jobs if job is None else not job.node:
            self._due.set()

    def note_grant(self, uid: str, thing: Manifest, *, gone: bool) -> None:
        """Take note of a changed grant: resources may be free again."""
        status = thing.get("status") or {}
        if gone:
            self._job_index.forget_grant(thing["metadata"]["uid"])
        if gone or status.get("release") or status.get("finishedAt"):
            self.note_job(uid)
            self._due.set()
        else:
            self._job_index.note(uid)

    def look_at_clock(self) -> None:
        """Plan for what only time changes: refusals that pass, fences that open, least run times."""
        if self._job_index.wake():
            self._due.set()
        if self.plan.waiting and self._full.is_outdated(self._clock.monotonic()):
            self.full_due()

    def settle(self, uid: str, decision: JobDecision, *, ok: bool) -> None:
        """A decision was carried out, or could not be: a placement is not tried again from memory."""
        if isinstance(decision, Placement) and self._decisions.get(uid) is decision:
            self._decisions.drop(uid)
            job = self._job_index.note(uid)
            if not ok or (job is not None and not job.node):
                self._due.set()

    def reprice(self, prices: ShadowPrices) -> bool:
        """Plan by these shadow prices from now on; False, and nothing is done, while not leading."""
        if self._leads:
            self._kept.reprice(prices)
            self.full_due()
        return self._leads

    @property
    def market(self) -> Market | None:
        """What the last full plan began with; None while not leading, or where it found its prices."""
        return self._kept.market if self._leads else None

    @property
    def active(self) -> set[str]:
        """UIDs of jobs that have not ended, or have not been released."""
        return self._job_index.active

    @property
    def snapshot(self) -> Snapshot:
        """The league as the planner sees it, with what it has decided."""
        return self._kept.snapshot(self._base)

    @property
    def at_rest(self) -> asyncio.Event:
        """Set while nothing is planned: only then may verdicts be asked for."""
        return self._kept.at_rest

    @property
    def _planner(self) -> IncrementalPlanner | None:
        return self._kept.planner

    def overdue(self) -> Iterator[str]:
        """Yield jobs that hold a node beyond a deadline: not accepted in time, or fence open."""
        return self._job_index.overdue()

    def epochs_of(self, uid: str) -> tuple[Epoch, ...]:
        """Return the epochs of a job, each with its fence."""
        return self._job_index.epochs_of(uid)

    def decision(self, uid: str) -> JobDecision:
        """Return what was last decided for a job."""
        return self._decisions.get(uid)

    def verdicts(self, uid: str) -> tuple[Verdict, ...]:
        """Return why each other node was not chosen, by the league as the last plan left it."""
        decision = self._decisions.get(uid)
        if not isinstance(decision, Placement | Waiting):
            return ()
        return self._explanations.of(uid, decision)

    def gainer(self, uid: str) -> str:
        """Return the institution for whose work the planner stops a job; empty when for none."""
        decision = self._decisions.get(uid)
        gaining = self._jobs.get(decision.in_favour_of) if isinstance(decision, Stop) else None
        return gaining.institution if gaining else ""

    def moved(self) -> AsyncIterator[str]:
        """Yield waiting jobs whose place or expected start is to be told anew; call now and then."""
        now_s, may_ask = self._clock.now(), self.at_rest.is_set
        waiting, verdicts = self.plan.waiting, self.verdicts
        return self.pacing.due(waiting, self._waiting, verdicts, now_s, may_ask=may_ask)

    async def run(self, publish: Callable[[Iterator[Told]], None]) -> None:
        """Plan whenever due while leading, until cancelled; ``publish`` gets what was decided."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._full_in_s()):
                    await self._due.wait()
            await asyncio.sleep(max(self._coalesce_s, self._again_s - self._clock.monotonic()))
            self._due.clear()
            if self._leads:
                decided = await self.replan()
                for start in range(0, len(decided), MOST_PUBLISHED):
                    publish(iter(decided[start : start + MOST_PUBLISHED]))
                    await asyncio.sleep(0)
            else:
                self._job_index.changed.clear()

    async def replan(self) -> list[Told]:
        """Plan now; return the jobs whose decision is to be carried out."""
        with self._kept.busy():
            return await self._replan(self._term)

    async def _replan(self, term: int) -> list[Told]:
        started = self._clock.monotonic()
        if self._league_changed:
            self._league_changed = False
            await self.league.refresh(self._clock.now())
            await asyncio.sleep(0)
            if term != self._term:
                return []
        self._job_index.wake()
        planner = self._planner
        is_due = started >= self._full.from_s and (self._full.is_stale or self._someone_asks())
        is_full = planner is None or is_due
        plan = await (self._plan_all() if is_full else self._plan_changes())
        if term != self._term:
            return []
        self._explanations.follow(self._kept.league)
        told = self._take(plan)

        def counts(uid: str) -> bool:
            return term == self._term and uid in self._job_index.active

        if is_full:
            self.plan, self.planned = plan, True
            told += await self._decisions.take_waiting(plan.waiting, counts)
        took_s = self._clock.monotonic() - started
        if is_full:
            self._full.note(started, took_s)
        else:
            self._again_s = started + 3 * took_s
        self._instruments.observe(m.PLAN_DURATION, took_s)
        return told

    def _someone_asks(self) -> bool:
        """Tell whether a job came, or changed while it waited: better planned with all the others."""
        for uid in self._job_index.changed:
            known, decision = self._jobs.get(uid), self._decisions.get(uid)
            if not (isinstance(decision, Placement) or (known and known.holdings)):
                return True
        return False

    def _full_in_s(self) -> float | None:
        if not (self._leads and self._full.is_stale and self._planner):
            return None
        return max(0.0, self._full.from_s - self._clock.monotonic())

    async def _plan_all(self) -> Plan:
        """Plan everything that waits."""
        term = self._term
        self._job_index.changed.update(self._decisions.withdraw(self._waiting))
        events, now_s = [*self._follow(), *await self._news()], int(self._clock.now())
        self._full.is_stale = False
        if self._planner is None:
            jobs = tuple(job for _, job in sorted(self._jobs.items()))
            planner, events = await self._kept.make(replace(self._base, jobs=jobs)), []
            if term != self._term:
                return Plan()
            self._kept.planner = planner
        return await self._kept.replan(events, now_s)

    async def _plan_changes(self) -> Plan:
        """Take in what has changed, and decide what that makes possible."""
        term, planner = self._term, self._planner
        places = self._follow() if self.league.view is not self._seen else []
        events = [*places, *await self._news()]
        if planner is None or term != self._term:
            return Plan()
        plan = await self._kept.update(events, int(self._clock.now()))
        self._full.is_stale |= planner.is_stale
        return plan

    def _follow(self) -> list[Event]:
        """Look at sites, pools and the past; return what changed of sites and pools."""
        league, now_s, before = self.league.view, self._clock.now(), self._base
        if league is not self._seen:
            self._job_index.follow(self._seen, league)
        past, held = self._past.past(league.catalog, now_s), self._job_index.held_pools()
        base = build(league, (), now_s, past, held_pools=held)
        self._seen, self._base = league, replace(base, now_s=0)
        if self._planner and before.history != base.history:
            self._planner.learn(base.history)
        return [*changes_of_places(before, base)]

    async def _news(self) -> list[Event]:
        """Return news of jobs that may look other than the planner knows them."""
        if self._planner is None:
            self._job_index.changed |= self._job_index.active | self._job_index.orphaned
        changed, self._job_index.changed = sorted(self._job_index.changed), set()
        events, term = list[Event](), self._term
        async for uid in in_turns(changed):
            if term != self._term:
                return []
            job = self._look(uid)
            if job is not None:
                self._jobs[uid] = job
                events.append(JobArrived(job))
            elif self._jobs.pop(uid, None) is not None:
                events.append(JobGone(uid))
        return events

    def _look(self, uid: str) -> Job | None:
        decision = self._decisions.get(uid)
        if isinstance(decision, Stop) and not self._job_index.runs(uid, decision.site):
            self._decisions.drop(uid)
            decision = None
        return self._job_index.look(uid, decision, self._decisions.gpu_class(uid))

    def _waiting(self, uid: str) -> JobView | None:
        """Return a job that holds no node and is to get none."""
        job = self._caches.job(uid) if uid in self._job_index.active else None
        placed = isinstance(self._decisions.get(uid), Placement)
        return None if job is None or job.node or placed else job

    def _take(self, plan: Plan) -> list[Told]:
        """Note what the planner has booked; who is another one meanwhile is planned again as it is now."""
        booked = {row.job_uid for row in plan.stops} | {row.job_uid for row in plan.placements}
        outdated = self._job_index.outdated(booked, self._jobs, self._look)
        told = [*self._decisions.take(plan, outdated)]
        self._job_index.changed |= booked
        if outdated:
            self.full_due()
        return told
