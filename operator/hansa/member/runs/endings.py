"""How a run ended: looks at what is left of it, and says so with as much of its words as may leave."""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus

from hansa.errors import HansaError, NotFound, Retryable, Terminal
from hansa.grants.exports.permits import Exportable, Subject, exportable
from hansa.member.context import AgentContext
from hansa.member.runs.held_results import HeldResults
from hansa.member.runs.logs.log_follower import LogFollower
from hansa.member.runs.release import gpu_seconds
from hansa.member.runs.run_objects import RunObjects
from hansa.member.state.run_index import Entry
from hansa.ports import Manifest
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.contracts.time_limits import held_up_limit_s
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.lifecycle import Action, End, ReportFinished, Run
from hansa.reconcile.member.outgoing import outgoing, wanted
from hansa.reconcile.member.post_mortem import post_mortem
from hansa.reconcile.member.workload import Autopsy, Finding, Output

log = logging.getLogger(__name__)
STAYS_AWAY = "Should that machine not come back, the run counts as over {:.0f} minutes after this."
READ_ATTEMPTS = 3
"""A kubelet or an API server that will not answer must not hold up the end."""


class Endings:
    """Finds out why runs ended, and makes the statuses that say it."""

    def __init__(
        self, context: AgentContext, objects: RunObjects, held: HeldResults, logs: LogFollower
    ) -> None:
        """``context``: shared state; ``objects`` reads pods; ``held`` keeps results; ``logs`` ends."""
        self._context = context
        self._objects = objects
        self._held = held
        self._logs = logs

    async def began_before(self, name: str, run: Run, action: Action | None) -> bool:
        """Tell whether a run that is to end as one that never began had begun: then it is looked at again.

        Its head was killed, the hub has never heard that it runs, and the agent that saw it is gone.
        """
        if run.begun_s is not None or not isinstance(action, End | ReportFinished):
            return False
        was_up = run.workload is not None and run.workload.running_s is not None
        if action.reason is not EndReason.NEVER_STARTED or not was_up:
            return False
        since_s = await self._objects.begun(name)
        if since_s is not None:
            self._context.begun[name] = since_s
        return since_s is not None

    async def told(self, entry: Entry, run: Run, action: ReportFinished) -> Manifest | EndReason:
        """Return the patch that says how a run ended; a reason: it did not end of itself."""
        if action.reason is not EndReason.SUCCEEDED:
            why = await self._objects.given_up(entry, run.workload, action.at_s)
            if why is not None:
                return why
        context, spec = self._context, entry.spec
        grant, job = context.need_grant(entry), spec.job_spec
        found, autopsy = await self._found(entry, run, action)
        if run.machine_lost:
            until = STAYS_AWAY.format(-(-held_up_limit_s(run.contract, run.noted) // 60))
            found = replace(found, words=f"{found.words} {until}".strip())
        context.left_machines.note(entry.uid, found.machines)
        subject = Subject(spec.institution, tuple(source.name for source in job.data))
        may = exportable(subject, context.cluster_state.policy.spec)
        output = await self._output(entry) if wanted(job, may) else Output(is_read=False)
        told = outgoing(found, action.message, output, job, may)
        rows: tuple[Manifest, ...] = ()
        if told.held is not None:
            rows = (await self._held.keep(entry, told.held, may.result.rule),)
            told = told.staying(rows[0]["message"])
        used = gpu_seconds(entry, run, action.at_s)
        dead = await self._post_mortem(entry, autopsy, may)
        ending = grant_status.Ending(
            found.reason, action.at_s, used, told, rows, dead, run.untold_running_s
        )
        patch = grant_status.finished(grant, ending, context.stamp())
        patch["status"] |= await self._logs.end(entry)
        return patch

    async def _post_mortem(
        self, entry: Entry, autopsy: Autopsy, may: Exportable
    ) -> tuple[Manifest, ...]:
        if not may.shows_tail:
            return ()
        read = [(pod, await self._objects.last_words(entry, pod)) for pod in autopsy.dead]
        return post_mortem(read, autopsy.machines, may)

    async def _found(
        self, entry: Entry, run: Run, action: ReportFinished
    ) -> tuple[Finding, Autopsy]:
        try:
            return await self._objects.diagnose(entry, action.reason, action.at_s, run.workload)
        except HansaError as error:
            if self._context.runs.failures(entry.name) < READ_ATTEMPTS:
                raise Retryable(f"pods not read: {error}") from error
            log.warning("pods not read", extra={"run": entry.name, "error": str(error)})
            return Finding(action.reason), Autopsy()

    async def _output(self, entry: Entry) -> Output:
        try:
            return await self._objects.read_output(entry)
        except HansaError as error:
            if self._context.runs.failures(entry.name) < READ_ATTEMPTS:
                raise Retryable(f"log not read: {error}") from error
            log.warning("log not read", extra={"run": entry.name, "error": str(error)})
            return Output(is_there=False) if _is_absent(error) else Output(is_read=False)


def _is_absent(error: HansaError) -> bool:
    """Tell whether there is no such log: its pod or machine is no more, or its container never began."""
    never_began = isinstance(error, Terminal) and error.status == HTTPStatus.BAD_REQUEST
    return never_began or isinstance(error, NotFound)
