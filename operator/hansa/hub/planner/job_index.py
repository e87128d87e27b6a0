"""Every job as the planner is to see it, looked at again only where something may have changed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping

from hansa.hub.caches import Caches
from hansa.hub.league_cache import LeagueCache
from hansa.model.snapshot import Job
from hansa.ports import Clock
from hansa.reconcile.hub.job_case import Epoch, JobDecision
from hansa.reconcile.hub.job_view import Catalog, JobView, ParsedSpec
from hansa.reconcile.hub.snapshot import (
    LeagueView,
    changes_after,
    epoch_of,
    orphan,
    plan_job,
    release_verified,
    request_of,
)


class JobIndex:
    """What each job asks for and holds, from the caches."""

    def __init__(self, caches: Caches, league: LeagueCache, *, clock: Clock, skew_s: float) -> None:
        """Begin empty; ``note`` fills it."""
        self._caches = caches
        self._league = league
        self._clock = clock
        self._skew_s = skew_s
        self._requests: dict[str, tuple[ParsedSpec, Catalog, Job]] = {}
        self._catalogs = league.view.catalog, league.view.catalog
        self._released: dict[str, tuple[tuple[str, str], bool]] = {}
        self._timers: list[tuple[float, str]] = []
        self._after_s: dict[str, float] = {}
        self._refused: set[str] = set()
        self._late: set[str] = set()
        self._audits: set[str] = set()
        self._pools: dict[str, str] = {}
        self._elsewhere: frozenset[str] = frozenset()
        self.active: set[str] = set()
        """UIDs of jobs that have not ended, or have not been released."""
        self.orphaned: set[str] = set()
        """UIDs of jobs whose AIJob is gone and of which a grant may still run."""
        self.changed: set[str] = set()
        """Jobs to look at again: active ones, and ones that no longer are."""

    def note(self, uid: str) -> JobView | None:
        """Take note of a changed job or grant; return the job if it is active."""
        self.changed.add(uid)
        job = self._caches.job(uid)
        _mark(self.orphaned, uid, job is None and self._holds_room(uid))
        if job is None or (job.ended and not self._open(uid)):
            self.active.discard(uid)
            for kept in (self._requests, self._after_s, self._pools):
                kept.pop(uid, None)
            for marked in (self._refused, self._late, self._audits):
                marked.discard(uid)
            return None
        self.active.add(uid)
        spec = job.parsed.spec
        if job.node and spec is not None:
            self._pools[uid] = spec.pool
        _mark(self._audits, uid, spec is not None and spec.audit is not None)
        if uid not in self._requests and self._league.view.version:
            # While jobs are read the API server is waited for now and then: the first plan waits for all.
            self._request(job, self._league.view.catalog)
        return job

    def forget_grant(self, uid: str) -> None:
        """Drop what is remembered of a grant that is gone."""
        self._released.pop(uid, None)

    def asks_anew(self, job: JobView) -> bool:
        """Tell whether a job's spec is another than when it was last looked at."""
        known = self._requests.get(job.uid)
        return known is not None and known[0] is not job.parsed

    def outdated(
        self, uids: Collection[str], known: Mapping[str, Job], look: Callable[[str], Job | None]
    ) -> set[str]:
        """Return who is not as it was ``known``: a job changes, too, with each piece of its log."""

        def is_other(uid: str) -> bool:
            job = self._caches.job(uid)
            return job is None or self.asks_anew(job) or look(uid) != known.get(uid)

        return {uid for uid in self.changed.intersection(uids) if is_other(uid)}

    def runs(self, uid: str, node: str) -> bool:
        """Tell whether a job may run at a node that was not asked to stop it."""
        return any(
            epoch.grant.node == node and not epoch.fence.over and not epoch.grant.stopping
            for epoch in self.epochs_of(uid)
        )

    def follow(self, before: LeagueView | None, after: LeagueView) -> None:
        """Mark the jobs that a changed league may concern."""
        if after.elsewhere != self._elsewhere:
            self._elsewhere = after.elsewhere
            for uid in self._caches.others():
                self.note(uid)
                # Their pools are to be there as pools without nodes before they come.
                self.look(uid, None, "")
        if before is None or not before.catalog.asks_like(after.catalog):
            self.changed |= self.active
            return
        # A node may ask for other refusals to be forgotten, or come back after its fence opened.
        self.changed |= self._refused | self._late
        voices, voices_now = _voices(before), _voices(after)
        heard = {node for node, _ in voices.items() ^ voices_now.items()}
        if heard:
            self.changed |= self._caches.granted_at(heard)
        if voices.keys() != voices_now.keys():
            # Each says of every other node why it is not there.
            self.changed |= self._audits

    def wake(self) -> bool:
        """Mark the jobs that time alone may have changed; tell whether there are any."""
        now_s, woken = self._clock.now(), False
        while self._timers and self._timers[0][0] < now_s:
            after_s, uid = heapq.heappop(self._timers)
            if self._after_s.get(uid) == after_s:
                self.changed.add(uid)
                woken = True
        return woken

    def overdue(self) -> Iterator[str]:
        """Yield jobs that hold a node beyond a deadline: not accepted in time, or fence open."""
        yield from sorted(self._late)

    def look(self, uid: str, decision: JobDecision, gpu_class: str) -> Job | None:
        """Return a job as it is now, with what was decided for it; None: nothing to plan."""
        view, now_s, epochs = self._caches.job(uid), self._clock.now(), self.epochs_of(uid)
        if view is None and uid in self.orphaned:
            return self._orphan(uid, epochs, now_s)
        if uid not in self.active or view is None:
            return None
        self._note_time(uid, view, epochs, now_s)
        league = self._league.view
        job = plan_job(
            view,
            epochs,
            league,
            now_s,
            decision=decision,
            gpu_class=gpu_class,
            request=self._request(view, league.catalog),
        )
        if job.holdings:
            self._pools[uid] = job.pool
        else:
            self._pools.pop(uid, None)
        return None if (view.ended or view.deleting) and not job.holdings else job

    def _orphan(self, uid: str, epochs: tuple[Epoch, ...], now_s: float) -> Job | None:
        """Return what an AIJob that is gone has left; look again when its fence may be open."""
        job = orphan(uid, epochs, now_s)
        if job is None:
            self.orphaned.discard(uid)
            self._pools.pop(uid, None)
            self._after_s.pop(uid, None)
            return None
        self._pools[uid] = job.pool
        self._wake_after(uid, min(e.fence.at_s for e in epochs if not e.fence.over))
        return job

    def held_pools(self) -> set[str]:
        """Return the pools of jobs that hold room."""
        return {*self._pools.values()}

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

    def _holds_room(self, uid: str) -> bool:
        """Tell whether a job that is not here has room; another leader's only where the node is ours."""
        held = [epoch.grant.node for epoch in self.epochs_of(uid) if not epoch.fence.over]
        if held and self._caches.is_others(uid):
            return any(node not in self._elsewhere for node in held)
        return bool(held)

    def _open(self, uid: str) -> bool:
        return any(not epoch.fence.over for epoch in self.epochs_of(uid))

    def _request(self, view: JobView, catalog: Catalog) -> Job:
        known, judge = self._requests.get(view.uid), self._judge(catalog)
        if known is None or known[0] is not view.parsed or known[1] is not judge:
            known = (view.parsed, judge, request_of(view, catalog))
            self._requests[view.uid] = known
        return known[2]

    def _judge(self, catalog: Catalog) -> Catalog:
        """Return the first of those in a row that judge requests alike."""
        first, last = self._catalogs
        if catalog is not last:
            self._catalogs = (first if catalog.asks_like(last) else catalog), catalog
        return self._catalogs[0]

    def _note_time(self, uid: str, view: JobView, epochs: tuple[Epoch, ...], now_s: float) -> None:
        was_refused, after_s = bool(view.status.get("refusals")), float("inf")
        if was_refused or epochs:
            after_s = changes_after(view, epochs, now_s, self._skew_s)
        self._wake_after(uid, after_s)
        _mark(self._refused, uid, was_refused)
        _mark(self._late, uid, any(self._is_late(epoch, now_s) for epoch in epochs))

    def _wake_after(self, uid: str, after_s: float) -> None:
        if after_s != self._after_s.get(uid):
            self._after_s[uid] = after_s
            if after_s < float("inf"):
                heapq.heappush(self._timers, (after_s, uid))

    def _is_late(self, epoch: Epoch, now_s: float) -> bool:
        return epoch.fence.over or (
            not epoch.grant.accepted and now_s > epoch.grant.not_after_s + self._skew_s
        )

    def _is_released(self, key: str) -> bool:
        grant = self._caches.grant(key)
        if grant is None or grant.status.release is None:
            return False
        node = self._league.view.nodes.get(grant.node)
        stamp = (grant.resource_version, node.parsed.release_key if node else "")
        known = self._released.get(grant.uid)
        if known is None or known[0] != stamp:
            known = (stamp, release_verified(grant, node))
            self._released[grant.uid] = known
        return known[1]


def _voices(league: LeagueView) -> dict[str, tuple[str, str]]:
    """Whose word counts, and by which key."""
    return {n: (v.parsed.accepted, v.parsed.release_key) for n, v in league.nodes.items()}


def _mark(marked: set[str], uid: str, is_so: bool) -> None:  # noqa: FBT001  # set or not
    (marked.add if is_so else marked.discard)(uid)
