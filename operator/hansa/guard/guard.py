"""The guard's pass: read everything, end what must not go on, tell the others that they may live.

Short full passes instead of watches: a lost event, a call that hangs or one bad object holds nothing
up, and a pass that failed is made good by the next. No replica waits for another: deleting twice is
deleting once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from hansa.errors import HansaError
from hansa.guard.contact import ContactWatch
from hansa.guard.reading import (
    MOST_AT_ONCE,
    NAMESPACES,
    Looks,
    Reading,
    Works,
    is_known_start,
    read_all,
    read_files,
)
from hansa.guard.settings import GuardSettings
from hansa.guard.time_kept import TimeKept
from hansa.ports import Clock, Cluster
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.guard_verdicts import (
    MarkedRun,
    Sight,
    late_runs,
    pressing_verdicts,
    renewals,
    says_stopped,
    unseen_starts,
    verdicts,
)
from hansa.reconcile.member.workload import Workload, WorkloadView

log = logging.getLogger(__name__)
Act: TypeAlias = Callable[[], Awaitable[None]]


class Guard:
    """Makes passes. It remembers nothing that a pass cannot do without."""

    def __init__(
        self,
        settings: GuardSettings,
        cluster: Cluster,
        *,
        workloads: tuple[Workload, ...],
        clock: Clock,
        server_skew: Callable[[], float | None],
    ) -> None:
        """``server_skew()``: the API server's clock minus ours in seconds, None if not known."""
        self._settings = settings
        self._cluster = cluster
        self._works = Works(cluster, workloads, Looks(2 * settings.answer_seconds))
        self._looks = Looks(settings.answer_seconds)
        """At what the pods of runs are told."""
        self._clock = clock
        self._time = TimeKept(clock, server_skew=server_skew, skew_s=settings.clock_skew_seconds)
        self._contact = ContactWatch(
            clock, skew_s=settings.clock_skew_seconds, grace_s=settings.grace_seconds
        )
        self._no_policy_since: float | None = None
        self._started: dict[str, WorkloadView | None] = {}
        """Namespace's uid → what does its work, once it is known since when it runs."""
        self._emptied: set[str] = set()
        """Uids of namespaces that are going, and whose pods were told to end."""
        self.stops: Counter[EndReason] = Counter()
        self.runs = 0
        self.seen_s = clock.monotonic()
        """Monotonic time of the last pass that could see all runs and the policy."""

    async def make_pass(self) -> None:
        """1. Read. 2. End what must go whatever its work is. 3. Read what the other pods were told.

        4. Look at old runs' work, and end what is late or was told to end. 5. Renew what may live on.
        6. Note which commands have begun.
        """
        reading = await read_all(self._cluster, self._settings)
        if reading.runs is None:
            return
        if reading.policy is not None:
            self.seen_s = self._clock.monotonic()
        self.runs = len(reading.runs)
        self._emptied &= {run.uid for run in reading.runs}
        sight = self._sight(reading, reading.runs)
        ends = pressing_verdicts(reading.runs, sight)
        await self._end(reading.runs, ends)
        left = [run for run in reading.runs if run.name not in ends and not run.terminating]
        files = await read_files(self._cluster, left, self._looks)
        sight = replace(sight, alive_until_s=files.until_s, begun=files.begun)
        sight = await self._with_late_runs(left, sight)
        late = verdicts(left, sight)
        await self._end(left, late)
        left = [run for run in left if run.name not in late]
        if reading.policy is not None:
            await self._renew(left, sight)
        await self._note_starts(left, sight)

    @property
    def contact_age_s(self) -> float:
        """Age of the last contact with the hub."""
        return self._contact.age_s(self._time.now_s())

    def _sight(self, reading: Reading, runs: list[MarkedRun]) -> Sight:
        now_s = self._time.now_s()
        self._contact.seen(reading.contact_s, now_s)
        return Sight(
            node=self._settings.node,
            now_s=now_s,
            run_now_s=self._time.of_runs(run.uid for run in runs),
            stopped=self._stopped(reading),
            contact_s=self._contact.last_s,
            contact_age_s=self._contact.age_s(now_s),
        )

    def _stopped(self, reading: Reading) -> bool:
        """Read the switch; a policy that is gone or cannot be had stops all work after a grace."""
        if reading.policy is not None:
            self._no_policy_since = None
            return says_stopped(reading.policy)
        steady = self._clock.monotonic()
        if self._no_policy_since is None:
            self._no_policy_since = steady
        return steady - self._no_policy_since >= self._settings.grace_seconds

    async def _with_late_runs(self, runs: list[MarkedRun], sight: Sight) -> Sight:
        late = late_runs(runs, sight)
        known = {run.name: self._started[run.uid] for run in late if run.uid in self._started}
        found = known | await self._works.read([run for run in late if run.name not in known])
        self._started = {
            run.uid: found[run.name]
            for run in late
            if run.name in found and is_known_start(found[run.name])
        }
        return replace(sight, works=found)

    async def _end(self, runs: list[MarkedRun], ends: Mapping[str, EndReason]) -> None:
        """Delete what must go, and the pods of all that is going: the agent deletes namespaces alone."""

        async def end(run: MarkedRun) -> None:
            if run.name in ends:
                await self._cluster.delete(f"{NAMESPACES}/{run.name}", uid=run.uid)
                self.stops[ends[run.name]] += 1
                log.warning("run ended", extra={"run": run.name, "reason": ends[run.name].value})
            # No pod can be made there any more. The namespace's controller, which would end those
            # there are, looks at every kind of every namespace in turn.
            await self._cluster.delete(f"{NAMESPACES}/{run.name}/pods")
            self._emptied.add(run.uid)

        going = [run for run in runs if run.name in ends or run.terminating]
        await _each({run.name: partial(end, run) for run in going if run.uid not in self._emptied})

    async def _renew(self, runs: list[MarkedRun], sight: Sight) -> None:
        due = renewals(runs, sight)

        async def renew(run: MarkedRun) -> None:
            path = f"{NAMESPACES}/{run.name}/configmaps/{alive.NAME}"
            said = alive.validity(sight.now_of(run), due[run.name])
            await self._cluster.merge(path, {"data": said})

        await _each({run.name: partial(renew, run) for run in runs if run.name in due})

    async def _note_starts(self, runs: list[MarkedRun], sight: Sight) -> None:
        """Note for good which commands have begun: last, for it may be many reads."""
        unseen, tried = unseen_starts(runs, sight), {run.name for run in late_runs(runs, sight)}
        known = {run.name: sight.works[run.name] for run in unseen if run.name in sight.works}
        found = known | await self._works.read([run for run in unseen if run.name not in tried])

        async def note(name: str, since_s: float) -> None:
            path = f"{NAMESPACES}/{name}/configmaps/{alive.NAME}"
            await self._cluster.merge(path, {"data": alive.begun(since_s)})

        starts = {n: view.running_s for n, view in found.items() if view and view.started}
        await _each({n: partial(note, n, at) for n, at in starts.items() if at is not None})


async def _each(acts: Mapping[str, Act]) -> None:
    """Do all, some at a time; one that fails is told and keeps no other from being done."""
    free = asyncio.Semaphore(MOST_AT_ONCE)

    async def do(name: str, act: Act) -> None:
        async with free:
            try:
                await act()
            except HansaError as error:
                log.warning("not done", extra={"run": name, "error": str(error)})

    await asyncio.gather(*(do(name, act) for name, act in acts.items()))
