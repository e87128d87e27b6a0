"""The hub's loop: changes in, keys queued, plans made, actions derived and handed to the executor.

1. A change marks keys, and the plan as due. 2. The planner runs once for all changes of a few
milliseconds. 3. Its decisions queue keys. 4. A worker takes a key, derives what to do from the
caches as they are then, and the executor does it. Every answer is a change again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NoReturn

from hansa.adapters.kube.mirror import ChangeType
from hansa.adapters.turns import in_turns
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.hub.caches import Caches
from hansa.hub.executor import BatchResult, Executor
from hansa.hub.node_reconciler import NodeReconciler
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner.loop import PlanningLoop
from hansa.model.plan import Placement
from hansa.model.times import from_rfc3339
from hansa.observability import metrics as m
from hansa.observability.instruments import Instruments
from hansa.ports import Clock, Manifest
from hansa.process.workqueue import LATER, NORMAL, URGENT, WorkQueue
from hansa.reconcile.hub.actions import Action, EmitEvent, SetJobStatus, WriteGrant
from hansa.reconcile.hub.derive import derive, derive_orphan
from hansa.reconcile.hub.job_case import JobCase, JobDecision
from hansa.reconcile.hub.job_view import JobView, project_of
from hansa.reconcile.hub.nodes import is_silent
from hansa.reconcile.hub.snapshot import LeagueView
from hansa.reconcile.hub.status.billing import Bill, bill

log = logging.getLogger(__name__)
FAULT_AFTER_S = 30.0
"""A key whose logic raised something unforeseen is looked at again after so long."""
MOST_QUEUED = 1000
"""Jobs that are looked at and queued in one turn of the event loop: some milliseconds."""


class Controller:
    """Ties caches, planner and executor together. Does nothing while another replica leads."""

    def __init__(
        self,
        caches: Caches,
        plans: PlanningLoop,
        nodes: NodeReconciler,
        queue: WorkQueue[ObjectKey],
        *,
        clock: Clock,
        instruments: Instruments,
        skew_s: float,
    ) -> None:
        """Wire the parts; ``work`` gets the executor, which needs the caches first."""
        self._caches = caches
        self._league = plans.league
        self._plans = plans
        self._nodes = nodes
        self._queue = queue
        self._clock = clock
        self._instruments = instruments
        self._skew_s = skew_s
        self._silent: frozenset[str] = frozenset()
        self._leading = False
        self._term = 0
        self._elected = asyncio.Event()
        self._undone: dict[ObjectKey, JobDecision] = {}
        """Decisions that could not be carried out: given up when their keys' pauses are over.

        Planned anew at once they would fail at once, as often as the API server answers.
        """

    def on_change(self, kind: str, change: ChangeType, thing: Manifest) -> None:
        """Take note of a change; called by the mirrors."""
        if kind == "job":
            self._on_job(thing)
        elif kind == "grant":
            self._on_grant(change, thing)
        elif kind == "lease":
            self._on_lease(thing)
        else:
            self._on_table(kind, change, thing)

    def on_leadership(self, leading: bool) -> None:  # noqa: FBT001  # the election's callback
        """Start from the caches when elected; stop when deposed."""
        self._leading = leading
        self._plans.lead(leading)
        self._queue.clear()
        self._undone.clear()
        # What rights nodes have, another leader may have changed.
        self._caches.access.clear()
        self._term += 1
        if leading:
            # Grants that are due already are written before the first plan looks at the league.
            self._league.refresh_now(self._clock.now())
            self._plans.full_due()
            self._elected.set()

    async def begin_terms(self) -> NoReturn:
        """Look at everything once after every election, until cancelled."""
        while True:
            await self._elected.wait()
            self._elected.clear()
            await self.resync()

    async def resync(self) -> None:
        """Look at everything once; a long league takes many turns of the loop."""
        if not self._leading:
            return
        self._nodes.queue_all(self._queue)
        self._plans.full_due()
        term = self._term
        await self._queue_all(term, self._plans.active)
        await self._queue_all(term, self._caches.orphans(), LATER)
        await self._queue_all(term, self._caches.jobs, LATER, self._ended_with_leftovers)

    async def tick(self) -> None:
        """Look at what only time changes: leases, deadlines of grants, fences."""
        if not self._leading:
            return
        term = self._term
        if await self._league.refresh(self._clock.now()):
            self._plans.due()
        if term != self._term:
            return
        before, self._silent = self._silent, _silent(self._league.view)
        self._plans.look_at_clock()
        self._nodes.queue_all(self._queue)
        await self._queue_all(term, self._plans.overdue())
        if before != self._silent:
            # Those held by nodes that fell silent, or are heard of again.
            nodes = before ^ self._silent
            held = partial(self._is_held, nodes)
            await self._queue_all(term, self._plans.active, LATER, held)
        async for uid in self._plans.moved():
            self._add(ObjectKey("job", uid), LATER)

    async def _queue_all(
        self,
        term: int,
        uids: Iterable[str],
        lane: int = NORMAL,
        is_wanted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Queue jobs in turns of the loop, as long as the term lasts."""
        async for uid in in_turns([*uids], MOST_QUEUED):
            if term != self._term:
                return
            if is_wanted(uid):
                self._add(ObjectKey("job", uid), lane)

    async def work(self, executor: Executor) -> None:
        """Take keys and do what is due, until cancelled. Run several at once."""
        while True:
            key = await self._take()
            try:
                outcome = await self._process(executor, key)
            except Exception as error:
                # A fault of ours in one object's logic must not stop the work on all others.
                log.exception("key failed kind=%s name=%s", key.kind, key.name)
                name = type(error).__name__
                self._instruments.add(m.RECONCILE_ERRORS, kind=key.kind, error=name)
                self._queue.failed(key, after_s=FAULT_AFTER_S)
            else:
                self._give_back(key, outcome)

    async def _take(self) -> ObjectKey:
        """Return the next key while nothing is planned: what a plan decides goes before what waited for it."""
        while True:
            await self._plans.at_rest.wait()
            key = await self._queue.take()
            if self._plans.at_rest.is_set():
                return key
            self._queue.put_back(key)

    async def _process(self, executor: Executor, key: ObjectKey) -> BatchResult:
        undone = self._undone.pop(key, None)
        if undone is not None:
            self._plans.settle(key.name, undone, ok=False)
        decision = self._plans.decision(key.name)
        actions = self.derive(key)
        starts = [*self._starts(actions)]
        outcome = await executor.run(actions)
        if outcome.ok:
            self._count(actions, starts)
            self._plans.settle(key.name, decision, ok=True)
        elif decision is not None:
            self._undone[key] = decision
        return outcome

    def _give_back(self, key: ObjectKey, outcome: BatchResult) -> None:
        if outcome.retry_after_s is None:
            self._queue.done(key)
        elif outcome.ok:
            self._queue.done(key)
            self._queue.add_later(key, outcome.retry_after_s, LATER)
        else:
            self._queue.failed(key, after_s=outcome.retry_after_s)

    def derive(self, key: ObjectKey) -> tuple[Action, ...]:
        """Return what is due for a key now."""
        if not self._leading:
            return ()
        if key.kind == "job":
            return self._derive_job(key.name)
        return self._nodes.derive(key)

    def _derive_job(self, uid: str) -> tuple[Action, ...]:
        job = self._caches.job(uid)
        epochs = self._plans.epochs_of(uid)
        if job is None:
            known = () if self._caches.is_others(uid) else epochs
            return tuple(action for epoch in known for action in derive_orphan(epoch))
        league = self._league.view
        spec = job.parsed.spec
        pool = league.catalog.pools.get(spec.pool) if spec else None
        decision = self._plans.decision(uid)
        node = league.nodes.get(decision.site if isinstance(decision, Placement) else job.node)
        case = JobCase(
            job=job,
            epochs=epochs,
            decision=decision,
            now_s=self._clock.now(),
            skew_s=self._skew_s,
            institution=league.catalog.institutions.get(job.namespace, ""),
            project=project_of(job, league.catalog).rpartition("/")[2],
            overlays=pool.overlays if pool else (),
            audience=node.parsed.audience if node else "",
            verdicts=() if job.node else self._plans.verdicts(uid),
            bill=self._bill(job),
            gainer=self._plans.gainer(uid),
            removed=bool(job.node) and job.node not in league.nodes,
            silent=is_silent(league.nodes.get(job.node)),
            heartbeat_s=self._caches.heartbeat_s(job.node) or 0.0,
            written_s=self._plans.pacing.at_s(uid),
            tidying=self._queue.tidies(ObjectKey("job", uid)),
        )
        return derive(case)

    def _bill(self, job: JobView) -> Bill | None:
        spec = job.parsed.spec
        if spec is None or not job.node:
            return None
        for grant in self._caches.grants_of(job.uid):
            if grant.epoch == job.epoch:
                node = self._league.view.nodes.get(grant.node)
                parsed = node.parsed if node else None
                currency = self._league.view.catalog.currency
                return bill(spec, grant, parsed, self._clock.now(), currency=currency)
        return None

    def _on_job(self, thing: Manifest) -> None:
        uid = thing["metadata"]["uid"]
        self._plans.note_job(uid)
        self._add(ObjectKey("job", uid))

    def _on_grant(self, change: ChangeType, thing: Manifest) -> None:
        uid = self._caches.index_grant(change, thing)
        if uid and not self._is_elsewhere(uid, thing):
            self._plans.note_grant(uid, thing, gone=change == "DELETED")
            self._add(ObjectKey("job", uid))

    def _is_elsewhere(self, uid: str, grant: Manifest) -> bool:
        """Tell whether a grant is of another leader's job, and at a node of that leader too."""
        node = grant["metadata"]["namespace"].removeprefix(NODE_NAMESPACE_PREFIX)
        return node in self._league.view.elsewhere and self._caches.is_others(uid)

    def _on_lease(self, thing: Manifest) -> None:
        # Renewals come every few seconds from every node: only one that ends a silence is news.
        name = thing["metadata"]["namespace"].removeprefix(NODE_NAMESPACE_PREFIX)
        node = self._league.view.nodes.get(name)
        if node is None or node.site.unavailable is not None:
            self._plans.league_changed()
            self._add(ObjectKey("node", name))

    def _on_table(self, kind: str, change: ChangeType, thing: Manifest) -> None:
        self._plans.league_changed()
        if kind == "node" and self._leading:
            # Read here, one at a time: the next look at the league finds a thousand that are read.
            self._league.look_at(thing["metadata"]["name"], self._clock.now())
        for key in self._nodes.keys_for(kind, change, thing):
            self._add(key)

    def _is_held(self, nodes: frozenset[str], uid: str) -> bool:
        job = self._caches.job(uid)
        return job is not None and job.node in nodes

    def _add(self, key: ObjectKey, lane: int = NORMAL) -> None:
        if self._leading:
            self._queue.add(key, lane)

    def queue_decisions(self, uids: Iterator[tuple[str, bool]]) -> None:
        """Queue the jobs a plan decided about; placements go first."""
        for uid, urgent in uids:
            self._add(ObjectKey("job", uid), URGENT if urgent else NORMAL)

    def _ended_with_leftovers(self, uid: str) -> bool:
        thing = self._caches.jobs.get(uid)
        return (
            thing is not None
            and uid not in self._plans.active
            and (
                bool(thing["metadata"].get("finalizers"))
                or any(self._caches.grants_of(uid))
                or _unseen(thing)
                or "ttlSecondsAfterFinished" in (thing.get("spec") or {})
            )
        )

    def _count(self, actions: tuple[Action, ...], starts: Iterable[tuple[str, float]]) -> None:
        for action in actions:
            if isinstance(action, SetJobStatus):
                self._plans.pacing.note(action.uid, self._clock.now())
            elif isinstance(action, WriteGrant) and action.epoch == 1:
                self._observe(m.QUEUE_WAIT, action.job_uid, self._clock.now())
            elif isinstance(action, EmitEvent) and action.kind == "refused":
                self._instruments.add(m.REFUSALS, node=action.node, reason=action.reason)
        for uid, at_s in starts:
            self._observe(m.START_LATENCY, uid, at_s)

    def _starts(self, actions: tuple[Action, ...]) -> Iterator[tuple[str, float]]:
        """Yield job and time of the starts that these actions are the first to tell."""
        for action in actions:
            if not isinstance(action, SetJobStatus):
                continue
            job, at_s = self._caches.job(action.uid), from_rfc3339(action.status.get("runningAt"))
            if at_s is not None and job is not None and "runningAt" not in job.status:
                yield action.uid, at_s

    def _observe(self, metric: m.Metric, uid: str, at_s: float) -> None:
        job = self._caches.job(uid)
        if job is not None and job.parsed.spec is not None:
            pool = job.parsed.spec.pool
            self._instruments.observe(metric, at_s - job.submitted_s, pool=pool)


def _silent(league: LeagueView) -> frozenset[str]:
    """Return the nodes that have not renewed their Lease in time."""
    return frozenset(name for name, node in league.nodes.items() if is_silent(node))


def _unseen(job: Manifest) -> bool:
    """Tell whether an AIJob's spec is newer than its status."""
    observed = (job.get("status") or {}).get("observedGeneration")
    return bool(job["metadata"].get("generation") != observed)
