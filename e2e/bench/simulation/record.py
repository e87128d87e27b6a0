"""What a run leaves behind: one row a job, samples over time, integrals of use.

The recorder only listens. It keeps its own queue, so that what it says about waiting jobs does not
depend on the policy's books.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from e2e.bench.simulation.fairness import fair_shares, jain
from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.policy import Estimate
from e2e.bench.simulation.scenario import Scenario
from e2e.bench.simulation.sharing import Queue, SharingWatch
from e2e.lawful import Lawful
from hansa.model.snapshot import Job


@dataclass(slots=True)
class JobRow:
    """One job's life."""

    uid: str
    institution: str
    gpus: int
    arrived_s: int
    started_s: int = -1
    """First start."""
    ended_s: int = -1
    preempted: int = 0
    lost: int = 0
    """Times it was stopped by an outage."""
    estimate: Estimate | None = None
    """Given at the first tick that saw it wait."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The league at one moment."""

    at_s: int
    queued: int
    used_gpus: int
    up_gpus: int
    unusable_gpus: int
    """Free at sites where jobs wait that may run there, and none of them fits."""
    jain: float
    used_by: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything about one run."""

    jobs: tuple[JobRow, ...]
    samples: tuple[Sample, ...]
    used_gpu_s: float
    """Integral of GPUs held up to the last arrival."""
    up_gpu_s: float
    """Integral of GPUs at working sites up to the last arrival."""
    sharing_violations: int
    """Jobs kept waiting by borrowers, by the definition of ``sharing``."""
    moves: int


class Recorder:
    """Listens to the engine."""

    def __init__(self, scenario: Scenario, world: Occupancy, lawful: Lawful) -> None:
        self._world = world
        self._lawful = lawful
        self._rows = {
            job.uid: JobRow(job.uid, job.institution, job.shape.total_gpus, job.submitted_s)
            for job in scenario.jobs
        }
        self._nominal = {
            share.institution: share.nominal_gpus
            for pool in scenario.snapshot.pools
            for share in pool.shares
        }
        self._queues: dict[object, Queue] = {}
        self._queued = 0
        self._newcomers: dict[str, Job] = {}
        self._running: dict[str, tuple[Job, int]] = {}
        self._used: dict[str, int] = dict.fromkeys(self._nominal, 0)
        self._samples: list[Sample] = []
        self._sharing = SharingWatch(scenario.snapshot.pools, world)
        self._until_s = scenario.jobs[-1].submitted_s if scenario.jobs else 0
        self._used_gpu_s = 0.0
        self._up_gpu_s = 0.0
        self._last_s = scenario.snapshot.now_s
        self.unfinished = len(self._rows)

    def arrived(self, job: Job, now_s: int) -> None:
        """A job begins to wait for the first time."""
        self._enqueue(job, now_s)
        self._newcomers[job.uid] = job

    def started(self, job: Job, now_s: int) -> None:
        """A job starts, for the first time or again."""
        self._advance(now_s)
        self._newcomers.pop(job.uid, None)
        key = self._key(job)
        del self._queues[key].since_s[job.uid]
        if not self._queues[key].since_s:
            del self._queues[key]
        self._queued -= 1
        self._running[job.uid] = (job, now_s)
        self._use(job, job.shape.total_gpus)
        row = self._rows[job.uid]
        row.started_s = now_s if row.started_s < 0 else row.started_s

    def stopped(self, job: Job, now_s: int) -> None:
        """A running job goes back to the queue."""
        self._leave(job, now_s)
        self._enqueue(job, now_s)

    def preempted(self, job: Job) -> None:
        """The stop was the policy's."""
        self._rows[job.uid].preempted += 1

    def lost(self, job: Job) -> None:
        """The stop was an outage's."""
        self._rows[job.uid].lost += 1

    def ended(self, job: Job, now_s: int) -> None:
        """A job is done."""
        self._leave(job, now_s)
        self._rows[job.uid].ended_s = now_s
        self.unfinished -= 1

    def newcomers(self) -> tuple[Job, ...]:
        """Jobs that arrived since the last call and still wait."""
        jobs = tuple(self._newcomers.values())
        self._newcomers.clear()
        return jobs

    def estimated(self, job: Job, estimate: Estimate | None) -> None:
        """What the policy said about a newcomer."""
        self._rows[job.uid].estimate = estimate

    def sample(self, now_s: int) -> None:
        """Look at use, queue and fragmentation."""
        self._advance(now_s)
        used = sum(self._used.values())
        self._samples.append(
            Sample(
                at_s=now_s,
                queued=self._queued,
                used_gpus=used,
                up_gpus=self._up_gpus(),
                unusable_gpus=self._unusable(),
                jain=self._jain(),
                used_by=dict(self._used),
            )
        )

    def look(self, now_s: int) -> None:
        """Look who is kept waiting by borrowers."""
        self._sharing.look(now_s, self._queues.values(), self._running.values(), self._used)

    def record(self) -> Record:
        """The finished run."""
        return Record(
            tuple(self._rows.values()),
            tuple(self._samples),
            self._used_gpu_s,
            self._up_gpu_s,
            len(self._sharing.violated),
            self._world.moves,
        )

    def _key(self, job: Job) -> object:
        return job.institution, job.shape, self._lawful.sites(job)

    def _enqueue(self, job: Job, now_s: int) -> None:
        sites = self._lawful.sites(job)
        queue = self._queues.setdefault(self._key(job), Queue(job.shape, job.institution, sites))
        queue.since_s[job.uid] = now_s
        self._queued += 1

    def _leave(self, job: Job, now_s: int) -> None:
        self._advance(now_s)
        del self._running[job.uid]
        self._use(job, -job.shape.total_gpus)

    def _use(self, job: Job, gpus: int) -> None:
        held = self._used[job.institution] = self._used.get(job.institution, 0) + gpus
        self._sharing.used(job.institution, held)

    def _advance(self, now_s: int) -> None:
        elapsed_s = min(now_s, self._until_s) - self._last_s
        if elapsed_s > 0:
            self._used_gpu_s += elapsed_s * sum(self._used.values())
            self._up_gpu_s += elapsed_s * self._up_gpus()
            self._last_s += elapsed_s

    def _up_gpus(self) -> int:
        total = self._world.total
        return sum(gpus for site, gpus in total.items() if self._world.up(site))

    def _unusable(self) -> int:
        wanted: set[str] = set()
        usable: set[str] = set()
        for shape, sites in {(queue.shape, queue.sites) for queue in self._queues.values()}:
            for site in sites:
                if site not in usable and self._world.could_ever_fit(site, shape):
                    wanted.add(site)
                    if self._world.fits(site, shape):
                        usable.add(site)
        return sum(self._world.free[s] for s in wanted - usable if self._world.up(s))

    def _jain(self) -> float:
        demand = dict(self._used)
        for queue in self._queues.values():
            waiting = len(queue.since_s) * queue.shape.total_gpus
            demand[queue.institution] = demand.get(queue.institution, 0) + waiting
        fair = fair_shares(demand, self._nominal, self._up_gpus())
        return jain([self._used[name] / fair[name] for name in fair if fair[name] > 0])
