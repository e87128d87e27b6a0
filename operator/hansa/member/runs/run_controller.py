"""Carries runs through their life: asks ``lifecycle.next_action`` what to do, does it, asks again.

The only place that acts on the member's cluster for a job. A step that fails is tried again later;
what was done already is met again as a 409 or a 404, which is success.
"""

from __future__ import annotations

import asyncio
import logging

from hansa.adapters.kube.mirror import ChangeType
from hansa.api.meta import EPOCH_LABEL, JOB_UID_LABEL
from hansa.errors import HansaError, NotFound, Retryable, Terminal
from hansa.grants.epochs import BEGUN, Outcome
from hansa.member.context import AgentContext
from hansa.member.runs import forgotten, stale_grants
from hansa.member.runs.endings import Endings
from hansa.member.runs.metering import Metering
from hansa.member.runs.rejudging import Rulings
from hansa.member.runs.release import count_build, sign_release
from hansa.member.runs.run_objects import RunObjects
from hansa.member.runs.situations import is_late, lives, situation_of
from hansa.member.state.run_index import Entry
from hansa.observability import events, metrics
from hansa.ports import Manifest
from hansa.reconcile.member import grant_status
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.lifecycle import (
    Action,
    CleanUp,
    End,
    Outlive,
    Refuse,
    Release,
    Render,
    ReportAccepted,
    Reported,
    ReportFinished,
    ReportRunning,
    Run,
    next_action,
    phase_of,
)
from hansa.reconcile.member.outgoing import clusters_words

log = logging.getLogger(__name__)
MOST_STEPS = 12
LONGEST_WAIT_S = 1.0
"""A rush of grants keeps a worker no longer from other runs."""
STUCK_S = 30.0  # until what no retry mends is looked at again
TOLD_ALL = Reported(accepted=True, rendered=True, running=True, finished=True, released=True)


class RunController:
    """Works off the queue of runs. Several workers share it; a run has one worker at a time."""

    def __init__(
        self, context: AgentContext, objects: RunObjects, endings: Endings, metering: Metering
    ) -> None:
        """``context``: shared state; ``objects`` makes and deletes a run's objects."""
        self._context = context
        self._metering = metering
        self._objects = objects
        self._endings = endings
        self._rulings = Rulings(context)

    def seen(self, _: ChangeType, thing: Manifest) -> None:
        """Have a run looked at because its namespace or its workload has changed."""
        self._context.runs.add(thing["metadata"]["name"])

    async def work(self) -> None:
        """Work until cancelled."""
        runs = self._context.runs
        while True:
            name = await runs.take()
            try:
                await self._carry(name)
            except Terminal as error:
                log.error("run stuck", extra={"run": name, "error": str(error)})  # noqa: TRY400  # no trace needed
                runs.failed(name, after_s=STUCK_S)
            except HansaError as error:
                log.info("run waits", extra={"run": name, "error": str(error)})
                runs.failed(name, after_s=error.after_s if isinstance(error, Retryable) else 0.0)
            except Exception:  # a fault of ours in one run must not leave all others unattended
                log.exception("run not understood", extra={"run": name})
                runs.failed(name, after_s=STUCK_S)
            else:
                runs.done(name)

    async def watch_deadlines(self) -> None:
        """Stop what must not go on, from time to time: time passes without events.

        Here and not by the workers, for all of them may be waiting for a hub that does not answer.
        """
        while True:
            await asyncio.sleep(self._context.settings.timing.tick_seconds)
            names = self._context.run_index.names()
            await asyncio.gather(*(self._look_at(name) for name in names))

    async def _look_at(self, name: str) -> None:
        """Stop one run where that is due; one that is not understood keeps no other from its end."""
        try:
            await self._stop_due(name)
        except Exception:
            log.exception("run not understood", extra={"run": name})

    async def _stop_due(self, name: str) -> None:
        """End a run and delete it, where that is due; nothing here asks the hub."""
        for _ in range(2):
            run, entry = self._observe(name), self._context.run_index.get(name)
            if run is None or entry is None:
                return
            action = next_action(run, situation_of(self._context, name))
            if isinstance(action, ReportFinished):
                self._context.runs.add(name)  # no event says that a run has had its time
            if not isinstance(action, End | CleanUp):
                return
            try:
                if await self._endings.began_before(name, run, action):
                    return
                await self._perform(entry, run, action)
            except HansaError as error:
                log.warning("run not stopped yet", extra={"run": name, "error": str(error)})
                if isinstance(action, End) and action.reason.verdict == "Interrupted":
                    # As long as its reason stands nothing makes the run anew, remembered or not.
                    await self._delete(name)
                return
            self._context.runs.add(name)

    async def _delete(self, name: str) -> None:
        try:
            await self._objects.clean_up(name)
        except HansaError as error:
            log.warning("run not deleted", extra={"run": name, "error": str(error)})

    async def _carry(self, name: str) -> None:
        """Act until nothing is left to do."""
        if self._context.run_index.get(name) is None and not await self._recall(name):
            return
        for _ in range(MOST_STEPS):
            run, entry = self._observe(name), self._context.run_index.get(name)
            if run is None or entry is None:
                return
            action = next_action(run, situation_of(self._context, name))
            if await self._endings.began_before(name, run, action):
                continue
            if action is None:
                break
            if not await self._perform(entry, run, action):
                return
        await self._close(name)

    async def _recall(self, name: str) -> bool:
        """Find a run the hub has not told of, from the record in its own namespace."""
        namespace = self._context.namespaces.get(name)
        if namespace is None:
            return await forgotten.end(self._context, name)
        entry = await self._objects.recall(name)
        if entry is None:
            await self._remove_stray(name, namespace)
            return False
        context = self._context
        record = context.epochs.records.get(entry.uid, entry.epoch)
        if record is None:
            highest = context.epochs.records.highest(entry.uid)
            if highest is not None and highest.epoch > entry.epoch:
                await self._remove_stray(name, namespace)
                return False
            record = context.record(entry.spec, entry.digest, Outcome.ACCEPTED, reason=BEGUN)
            await context.epochs.put((record,))
        context.run_index.put(entry, holding=record.outcome is Outcome.ACCEPTED)
        return True

    async def _remove_stray(self, name: str, namespace: Manifest) -> None:
        """Delete a run of ours that nobody can answer for any more.

        Invariant: never before the hub's grants were read. A namespace without a record may be a
        run that another replica had only begun to make; its grant is adopted and makes it whole.
        """
        context = self._context
        if not context.grants.synced:
            raise Retryable("the hub's grants are not read yet")
        if context.run_index.get(name) is not None:
            context.runs.add(name)
            return
        labels = namespace["metadata"].get("labels") or {}
        log.warning("stray run removed", extra={"run": name})
        if JOB_UID_LABEL in labels and EPOCH_LABEL in labels:
            await self._objects.clean_up(name)

    def _observe(self, name: str) -> Run | None:
        context = self._context
        entry = context.run_index.get(name)
        record = context.epochs.records.get(entry.uid, entry.epoch) if entry is not None else None
        if entry is None or record is None:
            return None
        grant, watched = context.grant_of(entry), context.watched_for(entry)
        workload = watched.view(name) if watched is not None else None
        if workload is not None:
            context.made.add(name)
        if workload and workload.started and workload.running_s is not None:
            context.begun.setdefault(name, workload.running_s)
        return Run(
            contract=context.contract(entry),
            record=record,
            reported=self._reported(grant),
            cancelled=grant is not None and (grant.get("spec") or {}).get("cancel") == "Stop",
            forbidden=self._rulings.forbidden(entry, made=workload is not None),
            namespace=phase_of(context.namespaces.get(name)),
            served=watched is not None,
            workload=workload,
            begun_s=context.begun.get(name),
            made=name in context.made,
            machine_lost=context.has_lost_machine(name),
            head_anew=name in context.head_anew,
            short_s=context.short_s.get(name, 0.0),
            noted=context.noted(name),
            outlived=name in context.outlived,
        )

    def _reported(self, grant: Manifest | None) -> Reported:
        if grant is not None:
            return grant_status.reported(grant)
        # Nobody to tell: the hub has deleted the grant. Not read yet: accepted, as the record says.
        return TOLD_ALL if self._context.grants.synced else Reported(accepted=True)

    async def _perform(self, entry: Entry, run: Run, action: Action) -> bool:
        """Do one thing; False: what comes next will be an event."""
        match action:
            case Render():
                return await self._render(entry)
            case CleanUp():
                await self._objects.clean_up(entry.name)
                return False
            case End(reason=reason, message=message):
                await self._end(entry, reason, message)
            case Release() | Outlive() if await lives(self._context, entry.name, run.namespace):
                # The cache lags behind what we made ourselves: a release is a promise, so ask.
                await self._objects.clean_up(entry.name)
                return False
            case Release():
                # Whoever else deleted the namespace left the volumes.
                await self._objects.remove_volumes(entry.name)
                await self._tell(entry, run, action)
            case Outlive():
                self._context.outlived.add(entry.name)
            case ReportFinished():
                await self._report_finished(entry, run, action)
            case _:
                await self._tell(entry, run, action)
        return True

    async def _render(self, entry: Entry) -> bool:
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._context.judging.wait()
        except TimeoutError:
            raise Retryable("grants are being judged; accepted work is made after them") from None
        try:
            entry = self._objects.with_class(entry)
            await self._metering.begin(entry)
            if self._rulings.forbidden(entry, made=False):
                return True  # the policy has changed while it waited
            await self._objects.build(entry)
        except (Terminal, NotFound) as error:
            return await self._unmade(entry, error)
        except Retryable as error:
            if not is_late(self._context, entry, error):
                raise
            return await self._unmade(entry, error)
        self._context.unmade.pop(entry.name, None)
        count_build(self._context, entry)
        return False

    async def _unmade(self, entry: Entry, error: HansaError) -> bool:
        log.warning("run not made", extra={"run": entry.name, "error": str(error)})
        await self._end(entry, *await self._objects.why_not_made(entry, error))
        return True

    async def _tell(self, entry: Entry, run: Run, action: Action) -> None:
        context = self._context
        grant, stamp = context.need_grant(entry), context.stamp()
        match action:
            case Refuse(reason=reason):
                patch = grant_status.refused_again(grant, reason, stamp)
            case ReportAccepted():
                patch = grant_status.accepted(grant, entry.name, stamp)
            case ReportRunning(at_s=at_s):
                view = run.workload
                made_s = view.created_s if view else at_s
                patch = grant_status.running(grant, at_s, made_s, stamp)
            case Release(reason=reason, why=why):
                if why:
                    context.outlived.add(entry.name)  # so it is, whether the hub answers or not
                release = sign_release(context, entry.uid, entry.spec.epoch)
                words = context.last_words.get(entry.name, "")
                since_s = run.untold_running_s
                patch = grant_status.released(
                    grant, reason, release, stamp, words, why=why, running_s=since_s
                )
            case _:
                return
        await self._send(entry, patch)

    async def _send(self, entry: Entry, patch: Manifest) -> None:
        try:
            await self._context.tell_hub(entry.grant, patch)
        except NotFound:
            log.info("grant is gone", extra={"grant": entry.grant})
            raise Retryable("the grant is gone; waiting for its watch event") from None

    async def _end(self, entry: Entry, reason: EndReason, message: str = "") -> None:
        """Make the end durable before anything is deleted."""
        context = self._context
        record = context.record(entry.spec, entry.digest, Outcome.ENDED, reason=reason.value)
        await context.epochs.put((record,))
        context.run_index.let_go(entry.name)
        context.last_words[entry.name] = clusters_words(message)
        if reason.verdict == "Interrupted":
            context.instruments.add(metrics.MEMBER_STOPS, reason=reason.value)
            subject, why = context.policy_subject(), message or explain(reason)
            context.emit(events.run_stopped(subject, entry.title, reason.value, why))

    async def _report_finished(self, entry: Entry, run: Run, action: ReportFinished) -> None:
        """Tell how the run ended, or end it where it was made to end."""
        told = await self._endings.told(entry, run, action)
        if isinstance(told, EndReason):
            await self._end(entry, told)
        else:
            result = told["status"].get("result")
            await self._metering.note_finish(entry, ended_s=action.at_s, result=result)
            await self._send(entry, told)

    async def _close(self, name: str) -> None:
        """Forget a run of which nothing is left to do and nothing is left."""
        run, entry = self._observe(name), self._context.run_index.get(name)
        if run is None or entry is None or run.namespace != "Absent":
            return
        was_told = run.reported.released or run.reported.accepted is False
        if was_told and run.record.outcome is not Outcome.ACCEPTED:
            self._context.run_index.drop(name)
            self._rulings.forget(name)
            self._context.orphaned.pop(name, None)
            self._context.last_words.pop(name, None)
            self._context.begun.pop(name, None)
            self._context.unmade.pop(name, None)
            self._context.outlived.discard(name)
            self._context.made.discard(name)
            stale_grants.owe_releases(self._context, entry.uid)
