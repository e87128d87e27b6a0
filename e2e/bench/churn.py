"""Events for the incremental benchmark, drawn from a seed and from what runs at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hansa.model.events import Event, JobArrived, JobGone, PoolChanged, SiteChanged
from hansa.model.reasons import Reason
from hansa.model.snapshot import Job, Snapshot

MIX: Mapping[str, float] = {
    "arrive": 0.475,
    "finish": 0.475,
    "fail": 0.02,
    "price": 0.025,
    "policy": 0.005,
}
"""Share of each kind of event."""
MOST_DOWN = 3
"""Sites down at once; one more failure brings the first of them back instead."""


class Churn:
    """Keeps what waits and runs, as the hub's caches would, and draws what happens next."""

    def __init__(self, snapshot: Snapshot, *, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._jobs = {job.uid: job for job in snapshot.jobs}
        self._templates = snapshot.jobs
        self._sites = {site.name: site for site in snapshot.sites}
        self._names = tuple(self._sites)
        (self._pool,) = snapshot.pools
        self._overlays = dict(self._pool.overlays)
        self._running: list[str] = []
        self._place: dict[str, int] = {}
        self._where: dict[str, str] = {}
        self._at: dict[str, dict[str, None]] = {name: {} for name in self._sites}
        self._down: list[str] = []
        self._arrived = 0

    def started(self, uid: str, site: str) -> None:
        """The planner placed a job."""
        self._place[uid] = len(self._running)
        self._running.append(uid)
        self._where[uid] = site
        self._at[site][uid] = None

    def stopped(self, uid: str) -> Job:
        """A job was stopped, by the planner or an outage: it waits again, and holds nothing."""
        if uid in self._place:
            self._leave(uid)
        return self._jobs[uid]

    def draw(self) -> tuple[str, list[Event]]:
        """What happens next: its kind, and the events it sends."""
        kind = str(self._rng.choice(list(MIX), p=list(MIX.values())))
        if kind == "finish" and not self._running:
            kind = "arrive"
        return kind, {
            "arrive": self._arrive,
            "finish": self._finish,
            "fail": self._fail,
            "price": self._price,
            "policy": self._policy,
        }[kind]()

    def _arrive(self) -> list[Event]:
        self._arrived += 1
        template = self._templates[int(self._rng.integers(len(self._templates)))]
        uid = f"new-{self._arrived:06d}"
        job = replace(template, uid=uid, name=f"phx/{uid}")
        self._jobs[uid] = job
        return [JobArrived(job)]

    def _finish(self) -> list[Event]:
        uid = self._running[int(self._rng.integers(len(self._running)))]
        self._leave(uid)
        del self._jobs[uid]
        return [JobGone(uid)]

    def _fail(self) -> list[Event]:
        if len(self._down) >= MOST_DOWN:
            return [SiteChanged(self._sites[self._down.pop(0)])]
        name = self._names[int(self._rng.integers(len(self._names)))]
        site = self._sites[name]
        if name in self._down or site.unavailable is not None:
            return [SiteChanged(site)]
        self._down.append(name)
        down = replace(site, unavailable=Reason.NODE_UNREACHABLE, unavailable_message="outage")
        lost = [self.stopped(uid) for uid in list(self._at[name])]
        return [SiteChanged(down), *(JobArrived(job) for job in lost)]

    def _price(self) -> list[Event]:
        name = self._names[int(self._rng.integers(len(self._names)))]
        if name in self._down:
            return self._arrive()
        factor = float(self._rng.lognormal(0.0, 0.1))
        site = self._sites[name]
        prices = {key: max(1, round(price * factor)) for key, price in site.gpu_hour_price.items()}
        self._sites[name] = replace(site, gpu_hour_price=prices)
        return [SiteChanged(self._sites[name])]

    def _policy(self) -> list[Event]:
        """Weights change, and one adequacy list loses a country, or has it back."""
        overlays = dict(self._pool.overlays)
        name = sorted(overlays)[int(self._rng.integers(len(overlays)))]
        whole = self._overlays[name]
        lost = sorted(whole)[int(self._rng.integers(len(whole)))]
        overlays[name] = whole - {lost} if overlays[name] == whole else whole
        shares = tuple(
            replace(share, weight=int(self._rng.integers(1, 30))) for share in self._pool.shares
        )
        self._pool = replace(self._pool, overlays=overlays, shares=shares)
        return [PoolChanged(self._pool)]

    def _leave(self, uid: str) -> None:
        """Forget a running job in constant time: the last of the list takes its place."""
        at = self._place.pop(uid)
        last = self._running.pop()
        if last != uid:
            self._running[at] = last
            self._place[last] = at
        del self._at[self._where.pop(uid)][uid]
