"""What a user would run instead: FIFO, EASY backfill, plain fair share.

Each is the textbook rule carried over to a league where a job may use some sites only, in the way
that favours it most: a blocked job holds back others only at sites that it may use itself. All take
the first site in list order, and all obey the law: lawful sites are computed apart from any policy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort

from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.policy import Decision, Estimate, Start
from e2e.lawful import Lawful
from hansa.model.snapshot import Job, Shape, Snapshot

BACKFILL_DEPTH = 500
"""Waiting jobs a site looks at when it backfills (Slurm's ``bf_max_job_test`` default)."""

_NOTHING = Decision()
_Key = tuple[int, str]


def _key(job: Job) -> _Key:
    return job.submitted_s, job.uid


class _PerSite(ABC):
    """A job waits at every site that may and could hold it; sites look again when touched."""

    def __init__(self, snapshot: Snapshot, world: Occupancy) -> None:
        self._world = world
        self._lawful = Lawful(snapshot)
        self._jobs: dict[str, Job] = {}
        self._names = tuple(site.name for site in snapshot.sites)
        self._dirty: set[str] = set()

    def arrive(self, job: Job, now_s: int) -> None:
        """Join the queues."""
        del now_s
        self._jobs[job.uid] = job
        for site in self._sites(job):
            self._join(site, job)
            self._dirty.add(site)

    def finish(self, job: Job, now_s: int, *, ran_s: int) -> None:
        """GPUs are free: sites look again."""
        del ran_s
        self.lose(job, now_s)

    def lose(self, job: Job, now_s: int) -> None:
        """A job no longer runs."""
        del now_s
        self._dirty.add(self._forget(job))

    def site(self, name: str, now_s: int, *, up: bool) -> None:
        """Look again when it is back."""
        del now_s
        if up:
            self._dirty.add(name)

    def estimate(self, job: Job, now_s: int) -> Estimate | None:
        """The textbook rules promise nothing."""
        del job, now_s
        return None

    def tick(self, now_s: int) -> None:
        """EASY's reservations move with time."""
        del now_s
        self._dirty.update(self._names)

    def decide(self, now_s: int) -> Decision:
        """One start at a time; the engine asks again until there is none."""
        for site in self._names:
            if site in self._dirty:
                free = self._world.up(site) and self._world.free[site]
                job = self._pick(site, now_s) if free else None
                if job is not None:
                    self._leave(job)
                    self._remember(job, site, now_s)
                    return Decision(starts=(Start(job.uid, site),))
                self._dirty.discard(site)
        return _NOTHING

    def _sites(self, job: Job) -> tuple[str, ...]:
        could = self._world.could_ever_fit
        return tuple(s for s in self._lawful.sites(job) if could(s, job.shape))

    def _leave(self, job: Job) -> None:
        del self._jobs[job.uid]
        for site in self._sites(job):
            self._drop(site, job)
            self._dirty.add(site)

    @abstractmethod
    def _join(self, site: str, job: Job) -> None: ...

    @abstractmethod
    def _drop(self, site: str, job: Job) -> None: ...

    @abstractmethod
    def _pick(self, site: str, now_s: int) -> Job | None: ...

    @abstractmethod
    def _remember(self, job: Job, site: str, now_s: int) -> None: ...

    @abstractmethod
    def _forget(self, job: Job) -> str:
        """Drop a running job from the books; returns its site."""


class Fifo(_PerSite):
    """First come, first served; the head of a site's queue holds back all behind it there."""

    def __init__(self, snapshot: Snapshot, world: Occupancy) -> None:
        super().__init__(snapshot, world)
        self._queues: dict[str, list[_Key]] = {name: [] for name in self._names}
        self._ends: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in self._names}
        self._where: dict[str, str] = {}

    def _join(self, site: str, job: Job) -> None:
        insort(self._queues[site], _key(job))

    def _drop(self, site: str, job: Job) -> None:
        queue = self._queues[site]
        del queue[bisect_left(queue, _key(job))]

    def _pick(self, site: str, now_s: int) -> Job | None:
        del now_s
        queue = self._queues[site]
        head = self._jobs[queue[0][1]] if queue else None
        return head if head and self._world.fits(site, head.shape) else None

    def _remember(self, job: Job, site: str, now_s: int) -> None:
        self._where[job.uid] = site
        self._ends[site][job.uid] = (now_s + job.max_runtime_s, job.shape.total_gpus)

    def _forget(self, job: Job) -> str:
        site = self._where.pop(job.uid)
        del self._ends[site][job.uid]
        return site


class Easy(Fifo):
    """EASY backfill per site, on requested run times.

    The head of a site's queue has a reservation at the moment when, by their requests, enough GPUs
    will be free; another may start before it if it ends by then, or needs only GPUs that the head
    leaves over. Source: Lifka, *The ANL/IBM SP scheduling system*, JSSPP 1995.
    """

    def _pick(self, site: str, now_s: int) -> Job | None:
        first = super()._pick(site, now_s)
        if first is not None or not self._queues[site]:
            return first
        head, *others = (self._jobs[uid] for _, uid in self._queues[site][:BACKFILL_DEPTH])
        shadow_s, spare = self._reservation(site, head, now_s)
        free = self._world.free[site]
        fits: dict[int, bool] = {}
        for job in others:
            gpus = job.shape.total_gpus
            if gpus > free or (now_s + job.max_runtime_s > shadow_s and gpus > spare):
                continue
            shape = id(job.shape)
            if shape not in fits:
                fits[shape] = self._world.fits(site, job.shape)
            if fits[shape]:
                return job
        return None

    def _reservation(self, site: str, head: Job, now_s: int) -> tuple[int, int]:
        """When the head can start, and the GPUs it leaves over then."""
        free = self._world.free[site]
        shadow_s = now_s
        for end_s, gpus in sorted(self._ends[site].values()):
            free += gpus
            shadow_s = max(now_s, end_s)
            if free >= head.shape.total_gpus:
                break
        return shadow_s, max(0, free - head.shape.total_gpus)


class FairShare(_PerSite):
    """The institution that uses least of its nominal share goes first; within it, first come.

    What does not fit is skipped; nothing is reserved and nothing is preempted.
    """

    def __init__(self, snapshot: Snapshot, world: Occupancy) -> None:
        super().__init__(snapshot, world)
        self._weight = {
            share.institution: max(1, share.nominal_gpus)
            for pool in snapshot.pools
            for share in pool.shares
        }
        self._used = dict.fromkeys(self._weight, 0)
        self._queues: dict[str, dict[Shape, dict[str, list[_Key]]]] = {
            name: {} for name in self._names
        }
        self._where: dict[str, str] = {}

    def _join(self, site: str, job: Job) -> None:
        by_institution = self._queues[site].setdefault(job.shape, {})
        insort(by_institution.setdefault(job.institution, []), _key(job))

    def _drop(self, site: str, job: Job) -> None:
        by_institution = self._queues[site][job.shape]
        queue = by_institution[job.institution]
        del queue[bisect_left(queue, _key(job))]
        if not queue:
            del by_institution[job.institution]

    def _pick(self, site: str, now_s: int) -> Job | None:
        del now_s
        heads = [
            (self._rank(name), queue[0])
            for shape, by_institution in self._queues[site].items()
            if by_institution and self._world.fits(site, shape)
            for name, queue in by_institution.items()
        ]
        return self._jobs[min(heads)[1][1]] if heads else None

    def _rank(self, institution: str) -> float:
        return self._used[institution] / self._weight[institution]

    def _remember(self, job: Job, site: str, now_s: int) -> None:
        del now_s
        self._where[job.uid] = site
        self._used[job.institution] += job.shape.total_gpus

    def _forget(self, job: Job) -> str:
        self._used[job.institution] -= job.shape.total_gpus
        return self._where.pop(job.uid)


class BestEffortFifo(FairShare):
    """First come, first served, but what does not fit is skipped: Kueue's default queueing strategy.

    Large gangs may starve behind small jobs.
    """

    def _rank(self, institution: str) -> float:
        del institution
        return 0.0
