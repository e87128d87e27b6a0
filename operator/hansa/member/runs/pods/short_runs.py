"""Which runs miss a pod that was up once: KubeRay makes it anew, and says no more of it than that the job runs.

A worker of a drained machine may find no room, or its image no more; its driver waits for it. What is looked at
here are runs whose command has begun: before that, how long a start may take is told by the RayJob itself.

A head that is made anew has forgotten its job, which its submitter would then begin once more in the same run. In
memory only: where no agent looked, the launcher in the new head says it, by what the guard has noted.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from hansa.errors import HansaError
from hansa.member.context import AgentContext
from hansa.member.runs.pods.machines import MOST_AT_ONCE
from hansa.reconcile.member.workload import Traces

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Short:
    """When a run was first and last seen without a pod, by the monotonic clock.

    Both move on by the time in which its pods could not be read.
    """

    since_s: float
    seen_s: float


class ShortRuns:
    """Looks at the pods of runs that have begun; the run controller goes by what was seen."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._short: dict[str, Short] = {}
        self._heads: dict[str, str] = {}
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def look(self) -> None:
        """See which runs miss a pod."""
        begun = [name for name in self._context.run_index.names() if self._has_begun(name)]
        self._short = {name: self._short[name] for name in begun if name in self._short}
        self._heads = {name: self._heads[name] for name in begun if name in self._heads}
        self._context.head_anew.intersection_update(begun)
        await asyncio.gather(*map(self._look_at, begun))
        short_s = {name: short.seen_s - short.since_s for name, short in self._short.items()}
        self._context.short_s = short_s
        for name in {*short_s, *self._context.head_anew}:
            self._context.runs.add(name)  # no event says that time has passed

    def _has_begun(self, name: str) -> bool:
        entry = self._context.run_index.get(name)
        watched = self._context.watched_for(entry) if entry else None
        view = watched.view(name) if watched else None
        return view is not None and view.started and view.end is None

    async def _look_at(self, name: str) -> None:
        context, entry = self._context, self._context.run_index.get(name)
        watched = context.watched_for(entry) if entry else None
        if entry is None or watched is None:
            return
        async with self._free:
            try:
                pods = await context.own.list(f"/api/v1/namespaces/{name}/pods")
            except HansaError as error:
                log.warning("pods not read", extra={"run": name, "error": str(error)})
                self._skip(name)
                return
        now_s = context.clock.monotonic()
        workers = entry.spec.job_spec.ray.worker_pods(entry.spec.workers)
        traces = Traces(pods.items, workers=workers)
        head = watched.workload.head(traces)
        if head and self._heads.setdefault(name, head) != head:
            context.head_anew.add(name)
        if watched.workload.missing(traces):
            known = self._short.get(name)
            self._short[name] = Short(known.since_s if known else now_s, now_s)
        else:
            self._short.pop(name, None)

    def _skip(self, name: str) -> None:
        """Count nothing of the time since a run was seen: its pods could not be read."""
        if known := self._short.get(name):
            now_s = self._context.clock.monotonic()
            self._short[name] = Short(known.since_s + now_s - known.seen_s, now_s)
