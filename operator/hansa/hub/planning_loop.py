"""Keeps the planner's input and its last decisions; plans once for many changes.

The pause between plans grows with the time one takes, so that a long queue costs a bounded share of
a core however many events arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from hansa.hub.caches import Caches
from hansa.hub.pastbook import PastBook
from hansa.hub.told import Told
from hansa.hub.world import WorldView
from hansa.model.plan import Placement, Plan, Stop, Verdict, Waiting
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Machines, Pool, Shape, Site, Snapshot
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.placement import planner
from hansa.planning.hub_derive import Decision, Epoch
from hansa.planning.hub_snapshot import build, epoch_of, plan_job, release_verified
from hansa.ports import Clock, Manifest

MAX_SITES_EXPLAINED = 64
"""With more sites, verdicts are told for waiting jobs only: they would cost more than the plan."""


class PlanningLoop:
    """The planner over the caches."""

    def __init__(  # what it reads, and its two times
        self,
        caches: Caches,
        world: WorldView,
        *,
        clock: Clock,
        instruments: Instruments,
        skew_s: float,
        coalesce_s: float,
    ) -> None:
        """Nothing is planned before ``due`` is called."""
        self._caches = caches
        self._world = world
        self._clock = clock
        self._instruments = instruments
        self._skew_s = skew_s
        self._coalesce_s = coalesce_s
        self._due = asyncio.Event()
        self._decisions: dict[str, Decision] = {}
        self._jobs: dict[str, tuple[object, Job]] = {}
        self._released: dict[str, tuple[tuple[str, str], bool]] = {}
        self._past = PastBook()
        self._verdicts_of = -1
        self._verdicts: dict[object, list[Verdict]] = {}
        self.told = Told()
        self._took_s = 0.0
        self._world_dirty = True
        self.active: set[str] = set()
        """UIDs of jobs that have not ended."""
        self.snapshot = Snapshot(0, (), (), ())
        self.plan = Plan()
        self.planned = False

    def due(self) -> None:
        """Ask for a plan soon."""
        self._due.set()

    def world_changed(self) -> None:
        """Ask for a look at nodes and pools, and for a plan if they changed."""
        self._world_dirty = True
        self._due.set()

    def forget(self) -> None:
        """Drop all decisions: another replica may have acted since."""
        self._decisions.clear()

    def note_job(self, uid: str, *, gone: bool) -> None:
        """Take note of a changed AIJob; one that ended counts until its node released it."""
        job = None if gone else self._caches.job(uid)
        self._past.note(uid, job)
        if job is None or (job.ended and not self._open(uid)):
            self.active.discard(uid)
            self.told.forget(uid)
            self._decisions.pop(uid, None)
            known = self._jobs.pop(uid, None)
            if known is not None and known[1].holdings:
                self._due.set()
            return
        self.active.add(uid)
        if not job.node:
            self._due.set()

    def note_grant(self, uid: str, thing: Manifest, *, gone: bool) -> None:
        """Take note of a changed grant: resources may be free again."""
        status = thing.get("status") or {}
        if gone:
            self._released.pop(thing["metadata"]["uid"], None)
        if gone or status.get("release") or status.get("finishedAt"):
            self.note_job(uid, gone=self._caches.job(uid) is None)
            self._due.set()

    def waits_for_time(self) -> bool:
        """Tell whether a job waits that a member refused for a passing reason, maybe."""
        return any(
            isinstance(decision, Waiting) and job is not None and job.status.get("refusals")
            for uid, decision in self._decisions.items()
            for job in (self._caches.job(uid),)
        )

    def overdue(self) -> Iterator[str]:
        """Yield jobs that hold a node beyond a deadline: not accepted in time, or fence open."""
        now_s = self._clock.now()
        for uid in self.active:
            for epoch in self.epochs_of(uid):
                late = not epoch.grant.accepted and now_s > epoch.grant.not_after_s + self._skew_s
                if epoch.fence.over or late:
                    yield uid

    def _open(self, uid: str) -> bool:
        return any(not epoch.fence.over for epoch in self.epochs_of(uid))

    def epochs_of(self, uid: str) -> tuple[Epoch, ...]:
        """Return the epochs of a job, each with its fence."""
        now_s = self._clock.now()
        return tuple(
            epoch_of(
                grant,
                released=self._is_released(grant.namespace + "/" + grant.name),
                lease_s=self._caches.heartbeat_s(grant.node),
                now_s=now_s,
                skew_s=self._skew_s,
            )
            for grant in self._caches.grants_of(uid)
        )

    def decision(self, uid: str) -> Decision:
        """Return what the last plan said about a job."""
        return self._decisions.get(uid)

    def settle(self, uid: str, *, ok: bool) -> None:
        """A placement was carried out, or could not be: it is not to be tried from memory."""
        if isinstance(self._decisions.get(uid), Placement):
            del self._decisions[uid]
            job = self._caches.job(uid)
            if not ok or (job is not None and not job.node):
                self._due.set()

    def verdicts(self, uid: str) -> tuple[Verdict, ...]:
        """Return why each other node was not chosen, as of the last plan's snapshot."""
        decision = self._decisions.get(uid)
        chosen = decision.site if isinstance(decision, Placement) else ""
        if chosen and len(self.snapshot.sites) > MAX_SITES_EXPLAINED:
            return ()
        if not isinstance(decision, Placement | Waiting) or uid not in self._jobs:
            return ()
        job = self._jobs[uid][1]
        fits = Reason.OUTBID if chosen else Reason.WAITING_FOR_CAPACITY
        return tuple(
            Verdict(row.site, fits, row.message or _WORDS[fits])
            if row.reason is Reason.PENDING
            else row
            for row in self._explained(job)
            if row.site != chosen
        )

    def _explained(self, job: Job) -> list[Verdict]:
        """Return the planner's verdicts; jobs of a burst are mostly alike, so once a kind."""
        refusals = tuple(sorted(job.refused_by.items()))
        rules = (job.residency, job.data, job.spread, job.assurance, refusals)
        limits = (job.shape, job.budget_micros, job.max_runtime_s, job.priority, job.barred)
        kind = (job.pool, job.institution, *rules, *limits)
        if kind not in self._verdicts:
            alone = replace(self.snapshot, jobs=(job,))
            self._verdicts[kind] = planner.explain(alone, job.uid)
        return self._verdicts[kind]

    def gainer(self, uid: str) -> str:
        """Return the institution for whose work the last plan stops a job; empty when for none."""
        decision = self._decisions.get(uid)
        gaining = decision.in_favour_of if isinstance(decision, Stop) else ""
        return self._jobs[gaining][1].institution if gaining in self._jobs else ""

    def moved(self) -> Iterator[str]:
        """Yield waiting jobs whose place or expected start is to be told anew; call now and then."""
        yield from self.told.due(self.plan.waiting, self._caches.job, self._clock.now())

    async def run(self, publish: Callable[[Iterator[tuple[str, bool]]], None]) -> None:
        """Plan whenever due, until cancelled; ``publish`` gets (uid, is a placement)."""
        while True:
            await self._due.wait()
            await asyncio.sleep(max(self._coalesce_s, 2 * self._took_s))
            self._due.clear()
            publish(iter(self.replan()))

    def replan(self) -> list[tuple[str, bool]]:
        """Plan now; return the jobs whose decision is to be carried out."""
        started = self._clock.monotonic()
        now_s = self._clock.now()
        if self._world_dirty:
            self._world_dirty = False
            self._world.refresh(now_s)
        world = self._world.world
        jobs = [job for uid in sorted(self.active) if (job := self._job(uid, now_s)) is not None]
        self.snapshot = build(world, jobs, now_s, self._past.past(world.league, now_s))
        if world.version != self._verdicts_of:
            self._verdicts_of, self._verdicts = world.version, {}
        self.plan = planner.plan(self.snapshot)
        changed = self._take(self.plan)
        self._took_s = self._clock.monotonic() - started
        self._instruments.observe(m.PLAN_DURATION, self._took_s)
        self.planned = True
        return changed

    def _take(self, plan: Plan) -> list[tuple[str, bool]]:
        before, self._decisions = self._decisions, {}
        for uid, decision in before.items():
            if isinstance(decision, Placement) and uid in self.active:
                self._decisions[uid] = decision
        changed = []
        for waiting in plan.waiting:
            self._decisions[waiting.job_uid] = waiting
            if not _same_wait(before.get(waiting.job_uid), waiting):
                changed.append((waiting.job_uid, False))
        for stop in plan.stops:
            self._decisions[stop.job_uid] = stop
            changed.append((stop.job_uid, False))
        for placement in plan.placements:
            self._decisions[placement.job_uid] = placement
            changed.append((placement.job_uid, True))
        return changed

    def _job(self, uid: str, now_s: float) -> Job | None:
        view = self._caches.job(uid)
        if view is None:
            return None
        decision = self._decisions.get(uid)
        granting = decision if isinstance(decision, Placement) else None
        world = self._world.world
        epochs = self.epochs_of(uid)
        states = tuple((epoch.grant.resource_version, epoch.fence.over) for epoch in epochs)
        stamp = (view.resource_version, world.version, states, granting)
        known = self._jobs.get(uid)
        # A refusal may lose its force with time, and a fence's words hold a date.
        if known is not None and known[0] == stamp and not view.status.get("refusals"):
            return known[1]
        job = plan_job(view, epochs, world, now_s, granting=granting)
        if view.ended and not job.holdings:
            return None
        self._jobs[uid] = (stamp, job)
        return job

    def _is_released(self, key: str) -> bool:
        grant = self._caches.grant(key)
        if grant is None or grant.status.release is None:
            return False
        node = self._world.world.nodes.get(grant.node)
        stamp = (grant.resource_version, node.parsed.release_key if node else "")
        known = self._released.get(grant.uid)
        if known is None or known[0] != stamp:
            known = (stamp, release_verified(grant, node))
            self._released[grant.uid] = known
        return known[1]


def warm_up() -> None:
    """Plan one made-up job, so that whatever the planner loads or compiles is there."""
    machines = Machines(1, 0, "", 0, 4000, 8 << 30)
    site = Site("warm", "warm", "warm", "EE", frozenset({"EE"}), machines=(machines,))
    job = Job("warm", "warm/warm", "warm", "warm", Shape(1), submitted_s=0)
    planner.plan(Snapshot(0, (site,), (Pool("warm"),), (job,)))


_WORDS = {
    Reason.OUTBID: "eligible, another node was better",
    Reason.WAITING_FOR_CAPACITY: "eligible, but full now",
}


def _same_wait(before: Decision, now: Waiting) -> bool:
    return isinstance(before, Waiting) and before.reason is now.reason
