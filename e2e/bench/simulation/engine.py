"""The event loop: virtual time, true run times, and a policy that must live with them.

The engine trusts no policy: a start outside the job's lawful sites, or one that does not fit,
raises. Events of the same second are applied in the order end, outage, arrival, tick, before the
policy decides; samples are taken after it has.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import IntEnum

from e2e.bench.simulation.occupancy import Occupancy
from e2e.bench.simulation.policy import Decision, Policy, Start
from e2e.bench.simulation.record import Record, Recorder
from e2e.bench.simulation.scenario import Scenario
from e2e.lawful import Lawful
from hansa.errors import Terminal
from hansa.model.snapshot import Job

_MOST_ROUNDS = 100_000
"""More decisions than this in one second is a policy that runs in circles."""
_NOTHING = Decision()


class _Kind(IntEnum):
    END = 0
    DOWN = 1
    UP = 2
    ARRIVE = 3
    TICK = 4
    LOOK = 5
    SAMPLE = 6


@dataclass(slots=True)
class _Run:
    job: Job
    since_s: int
    generation: int


class Simulation:
    """One policy on one scenario."""

    def __init__(self, scenario: Scenario, policy: Policy, *, world: Occupancy) -> None:
        self._scenario = scenario
        self._policy = policy
        self._world = world
        self._lawful = Lawful(scenario.snapshot)
        self._job = {job.uid: job for job in scenario.jobs}
        self._left = dict(zip(self._job, scenario.duration_s, strict=True))
        self._duration = dict(self._left)
        self._runs: dict[str, _Run] = {}
        self._recorder = Recorder(scenario, world, self._lawful)
        self._generation = 0
        self._events: list[tuple[int, _Kind, int, str]] = []
        self._has_ticked = False
        self._to_come = 0
        """Arrivals and outages that have not happened yet."""

    def run(self) -> Record:
        """Run until the last job has ended.

        Raises:
            Terminal: the policy broke the law, overfilled a machine, or left jobs waiting forever.
        """
        self._schedule_known()
        while self._recorder.unfinished:
            now_s = self._events[0][0]
            kinds = self._apply_all(now_s)
            self._decide(now_s)
            if _Kind.LOOK in kinds:
                self._recorder.look(now_s)
            if _Kind.SAMPLE in kinds:
                self._recorder.sample(now_s)
            if not (self._runs or self._to_come):
                break
        if self._recorder.unfinished:
            raise Terminal(f"{self._recorder.unfinished} jobs never ended")
        return self._recorder.record()

    def _schedule_known(self) -> None:
        scenario = self._scenario
        for number, job in enumerate(scenario.jobs):
            self._events.append((job.submitted_s, _Kind.ARRIVE, number, job.uid))
        for number, outage in enumerate(scenario.outages):
            self._events.append((outage.down_s, _Kind.DOWN, number, outage.site))
            self._events.append((outage.up_s, _Kind.UP, number, outage.site))
        self._to_come = len(self._events)
        start_s = scenario.snapshot.now_s
        self._events += [(start_s, kind, 0, "") for kind in (_Kind.TICK, _Kind.SAMPLE)]
        self._events.append((start_s + scenario.look_s // 2, _Kind.LOOK, 0, ""))
        heapq.heapify(self._events)

    def _apply_all(self, now_s: int) -> set[_Kind]:
        """Apply the events of one second, in the order of kinds; the kinds there were."""
        kinds = set()
        while self._events[0][0] == now_s:
            _, kind, number, name = heapq.heappop(self._events)
            self._apply(kind, number, name, now_s)
            kinds.add(kind)
        return kinds

    def _apply(self, kind: _Kind, number: int, name: str, now_s: int) -> None:
        if kind is _Kind.END:
            self._end(name, number, now_s)
        elif kind is _Kind.TICK:
            self._policy.tick(now_s)
            self._has_ticked = True
            self._again(kind, now_s + self._scenario.tick_s)
        elif kind is _Kind.LOOK:
            self._again(kind, now_s + self._scenario.look_s)
        elif kind is _Kind.SAMPLE:
            self._again(kind, now_s + self._scenario.sample_s)
        else:
            self._to_come -= 1
            self._happen(kind, name, now_s)

    def _happen(self, kind: _Kind, name: str, now_s: int) -> None:
        if kind is _Kind.ARRIVE:
            self._recorder.arrived(self._job[name], now_s)
            self._policy.arrive(self._job[name], now_s)
        else:
            self._outage(name, now_s, up=kind is _Kind.UP)

    def _again(self, kind: _Kind, at_s: int) -> None:
        """Ticks and samples go on; ``run`` ends when they alone are left and nothing runs."""
        heapq.heappush(self._events, (at_s, kind, 0, ""))

    def _end(self, uid: str, generation: int, now_s: int) -> None:
        run = self._runs.get(uid)
        if run is None or run.generation != generation:
            return
        del self._runs[uid]
        self._world.release(uid)
        self._recorder.ended(run.job, now_s)
        self._policy.finish(run.job, now_s, ran_s=self._duration[uid])

    def _outage(self, site: str, now_s: int, *, up: bool) -> None:
        self._world.set_up(site, up=up)
        lost = [] if up else self._world.running_at(site)
        for uid in lost:
            self._stop(uid, now_s)
            self._recorder.lost(self._job[uid])
            self._policy.lose(self._job[uid], now_s)
        self._policy.site(site, now_s, up=up)
        for uid in lost:
            self._policy.arrive(self._job[uid], now_s)

    def _stop(self, uid: str, now_s: int) -> None:
        run = self._runs.pop(uid)
        ran_s = now_s - run.since_s
        kept_s = ran_s - run.job.unsaved_s(ran_s)
        self._left[uid] = max(1, self._left[uid] - kept_s)
        self._world.release(uid)
        self._recorder.stopped(run.job, now_s)

    def _decide(self, now_s: int) -> None:
        decision = self._policy.decide(now_s)
        for _ in range(_MOST_ROUNDS):
            for uid in decision.stops:
                self._stop(uid, now_s)
                self._recorder.preempted(self._job[uid])
                self._policy.arrive(self._job[uid], now_s)
            for start in decision.starts:
                self._start(start, now_s)
            if decision == _NOTHING:
                break
            decision = self._policy.decide(now_s)
        else:
            raise Terminal(f"the policy does not settle at {now_s}")
        if self._has_ticked:
            self._has_ticked = False
            for job in self._recorder.newcomers():
                self._recorder.estimated(job, self._policy.estimate(job, now_s))

    def _start(self, start: Start, now_s: int) -> None:
        job = self._job[start.uid]
        if start.site not in self._lawful.sites(job):
            raise Terminal(f"{start.uid} may not run at {start.site}")
        self._world.take(start.uid, start.site, job.shape, start.gpu_class, start.machines)
        self._generation += 1
        self._runs[start.uid] = _Run(job, now_s, self._generation)
        self._recorder.started(job, now_s)
        end = (now_s + self._left[start.uid], _Kind.END, self._generation, start.uid)
        heapq.heappush(self._events, end)


def simulate(scenario: Scenario, policy: Policy, *, world: Occupancy) -> Record:
    """Run a policy over a scenario. ``world`` is the occupancy that the policy may look at."""
    return Simulation(scenario, policy, world=world).run()
