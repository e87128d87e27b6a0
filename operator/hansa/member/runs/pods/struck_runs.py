"""Which runs have a pod on a machine that is lost: asked of the API server while one is, and once a run.

No pod is placed on such a machine any more, so one look at a run's pods says it for as long as the same are lost.
"""

from __future__ import annotations

import asyncio
import logging

from hansa.errors import HansaError
from hansa.member.context import AgentContext
from hansa.member.runs.pods import machines
from hansa.reconcile.member.inventory.lost_machines import machines_of
from hansa.reconcile.member.lifecycle import phase_of

log = logging.getLogger(__name__)


class StruckRuns:
    """Looks at the pods of runs when machines are lost; the run controller goes by what was seen."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._looked: dict[str, frozenset[str]] = {}
        """Run → the machines that were lost when its pods were looked at."""
        self._free = asyncio.Semaphore(machines.MOST_AT_ONCE)

    async def look(self) -> None:
        """Find the runs that the machines which are lost now had pods of."""
        await self._hear()
        lost, runs = self._context.lost_machines(), set(self._context.run_index.names())
        # A machine that came back may have got pods before it is lost again.
        self._looked = {name: seen & lost for name, seen in self._looked.items() if name in runs}
        due = [name for name in runs if not lost <= self._looked.get(name, frozenset())]
        # Until its pods are read again, what was seen holds: of the machines that were lost then, and are since.
        noted = self._context.struck_on
        self._context.struck_on = {name: noted[name] & self._looked[name] for name in self._looked}
        await asyncio.gather(*(self._look_at(name, lost) for name in due))
        for name, machine in self._context.struck_on.items():
            if machine and phase_of(self._context.namespaces.get(name)) == "Terminating":
                self._context.runs.add(name)  # no event says that its pods are past their time

    async def _hear(self) -> None:
        """Ask for one machine that is not Ready: only while somebody answers does its time count."""
        asked = sorted(self._context.cluster_state.lost_machines.unready)[:1]
        try:
            await machines.away(self._context, asked)
        except HansaError as error:
            log.info("machines not heard of", extra={"error": str(error)})

    async def _look_at(self, name: str, lost: frozenset[str]) -> None:
        context = self._context
        if context.namespaces.get(name) is None:
            return
        async with self._free:
            try:
                pods = await context.own.list(f"/api/v1/namespaces/{name}/pods")
                context.cluster_state.lost_machines.answered(context.clock.monotonic())
                held = machines_of(pods.items) & lost
                back = held - await machines.away(context, held)
            except HansaError as error:
                log.warning("pods or machines not read", extra={"run": name, "error": str(error)})
                return
        self._looked[name], context.struck_on[name] = lost - back, held - back
        if context.struck_on[name]:
            context.runs.add(name)
