"""The accept path: grants in, decisions out, durable before they are told.

A rush is judged as a whole: all grants that wait, then one write of the epoch memory, then one
status patch each, then what has come meanwhile. Rendering waits until it is over, within bounds:
a hub that knows what holds plans better than one that waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace

from hansa.adapters.kube.mirror import ChangeType
from hansa.errors import HansaError, NotFound
from hansa.grants.checks import judge
from hansa.grants.envelope import workload_name
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.grants.facts import Judgement
from hansa.grants.reasons import Objection
from hansa.grants.shape import claimed
from hansa.grants.trust import read
from hansa.member.context import AgentContext
from hansa.member.facts import facts_of
from hansa.member.runs import stale_grants
from hansa.member.runs.metering import Metering
from hansa.member.state.run_index import Entry
from hansa.observability import events, metrics
from hansa.ports import Manifest
from hansa.reconcile.member import grant_status

log = logging.getLogger(__name__)
LARGEST_BATCH = 128
PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.25
"""A rush is over after so long without a grant: more, the more grants it had."""
UNFORESEEN_PAUSES = 30
"""So many times as long as after a failed call: a fault of ours is seldom over at once, and each is told at length."""
LONGEST_RUSH_S = 10.0
"""Accepted work is not kept waiting for longer, nor while work of an earlier rush still waits."""


def pause_after(judged: int, spent_s: float, *, backlog: bool) -> float:
    """Return how long to wait for another grant before accepted work is made, in seconds.

    ``judged`` grants came within ``spent_s``; ``backlog``: work of an earlier rush still waits.
    """
    left_s = 0.0 if backlog else LONGEST_RUSH_S - spent_s
    return max(0.0, min(PAUSE_S * judged, LONGEST_PAUSE_S, left_s))


@dataclass(frozen=True, slots=True)
class GrantDecision:
    """One grant and what was decided."""

    grant: Manifest
    judgement: Judgement
    again: bool = False
    """Decided before; only the hub has not taken it."""


class Judge:
    """Judges grants as they arrive. One task runs it."""

    def __init__(self, context: AgentContext, metering: Metering) -> None:
        """``context``: shared state; ``metering`` opens what is accepted."""
        self._context = context
        self._metering = metering
        self._inbox: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._untold: dict[str, tuple[Manifest, Judgement]] = {}
        """Refusals the hub has not taken yet, with what they are of: they are repeated word for word.

        Another grant may have taken the name meanwhile."""

    def seen(self, kind: ChangeType, grant: Manifest) -> None:
        """Take a change of a grant in; called by the reflector, never waits."""
        name = grant["metadata"]["name"]
        if kind == "DELETED":
            self._untold.pop(name, None)
            self._orphan(grant)
        elif self._is_new(grant):
            self._inbox[name] = None
            self._context.judging.clear()
            self._wake.set()
        else:
            self._adopt(grant)

    async def run(self) -> None:
        """Judge until cancelled."""
        while True:
            await self._wake.wait()
            await self._rush()
            self._context.judging.set()

    async def _rush(self) -> None:
        """Judge what there is, and what comes right behind it."""
        context, judged = self._context, 0
        backlog = context.runs.unfinished > context.settings.rendering.concurrency
        began_s = context.clock.monotonic()
        while self._wake.is_set():
            self._wake.clear()
            judged += await self._work_off()
            spent_s = context.clock.monotonic() - began_s
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it swallows a cancellation that meets an event.
                async with asyncio.timeout(pause_after(judged, spent_s, backlog=backlog)):
                    await self._wake.wait()

    async def _work_off(self) -> int:
        """Judge all that waits; return how many."""
        judged = 0
        while self._inbox:
            names = list(self._inbox)[:LARGEST_BATCH]
            for name in names:
                del self._inbox[name]
            await self._take(names)
            judged += len(names)
        return judged

    async def _take(self, names: list[str]) -> None:
        """Decide; what raises what nobody foresaw is found by deciding each by itself, and tried again later."""
        try:
            await self._decide(names)
        except HansaError as error:
            log.warning("grants not decided", extra={"count": len(names), "error": str(error)})
            self._later(names)
        except Exception:
            if len(names) == 1:
                log.exception("grant not decided", extra={"grant": names[0]})
                self._later(names, pauses=UNFORESEEN_PAUSES)
                return
            for name in names:
                await self._take([name])

    def _later(self, names: list[str], *, pauses: int = 1) -> None:
        retry_s = pauses * self._context.settings.timing.retry_seconds
        asyncio.get_running_loop().call_later(retry_s, self._again, names)

    def _again(self, names: list[str]) -> None:
        self._inbox.update(dict.fromkeys(names))
        self._wake.set()

    async def _decide(self, names: list[str]) -> None:
        """1. Judge all. 2. Make it durable. 3. Tell the hub, and open their rows. Undecided: nothing was told."""
        context = self._context
        grants = [context.grants.get(f"{context.hub_namespace}/{name}") for name in names]
        decisions = await self._judge_all([grant for grant in grants if grant is not None])
        try:
            records = [record for d in decisions if (record := self._record_of(d)) is not None]
            await context.epochs.put(records)
        except Exception:
            for decision in decisions:
                self._forget(decision)
            raise
        tellings = (self._tell_by_itself(decision) for decision in decisions)
        await asyncio.gather(self._open_rows(), *tellings)
        if not all(decision.judgement.accepted for decision in decisions):
            context.dirty.set()

    async def _open_rows(self) -> None:
        """Open all that was accepted in one write; what fails is tried again before anything is made."""
        try:
            await self._metering.open_accepted()
        except HansaError as error:
            log.info("runs are not opened yet", extra={"error": str(error)})
        except Exception:
            log.exception("runs are not opened yet")

    async def _judge_all(self, grants: list[Manifest]) -> list[GrantDecision]:
        """Judge each by itself: one that nobody can digest keeps no other waiting.

        Lower epochs first: of two of one job the later one finds the earlier one alive. The loop is
        given back after each: a hundred that take long to judge must not hold up a stop.
        """
        decisions = []
        for grant in sorted(grants, key=_epoch):
            await asyncio.sleep(0)
            try:
                if self._is_new(grant):
                    decisions.append(self._judge(grant))
            except Exception:
                name = grant["metadata"]["name"]
                log.exception("grant not judged", extra={"grant": name})
                self._later([name], pauses=UNFORESEEN_PAUSES)
        return decisions

    def _judge(self, grant: Manifest) -> GrantDecision:
        context, spec = self._context, grant.get("spec") or {}
        refused, untold = self._untold.pop(grant["metadata"]["name"], (None, None))
        again = untold if refused == spec else None
        judgement = again or judge(spec, context.cluster_state.policy.spec, facts_of(context, spec))
        if judgement.accepted and judgement.proposal is not None:
            p = judgement.proposal
            entry = Entry(p.spec, spec, p.digest, judgement.gpu_class, context.contact.moment())
            context.run_index.put(entry, holding=True)
        return GrantDecision(grant, judgement, again=again is not None)

    def _record_of(self, decision: GrantDecision) -> EpochRecord | None:
        """Return what to remember; a grant that proves nothing must not move anybody's epoch."""
        proposal, objections = decision.judgement.proposal, decision.judgement.objections
        if proposal is None:
            return None
        if not objections:
            return self._context.record(proposal.spec, proposal.digest, Outcome.ACCEPTED)
        highest = self._context.epochs.records.highest(proposal.spec.job.uid)
        is_late = highest is not None and highest.epoch >= proposal.spec.epoch
        if objections[0].reason.untrusted or is_late:
            return None
        reason = objections[0].reason.value
        return self._context.record(proposal.spec, proposal.digest, Outcome.REFUSED, reason=reason)

    async def _tell_by_itself(self, decision: GrantDecision) -> None:
        """Tell one decision; one that cannot be put into words keeps no other from being told.

        What was accepted its run tells, a refusal is told again.
        """
        try:
            await self._tell(decision)
        except Exception:
            log.exception("decision not told", extra={"grant": decision.grant["metadata"]["name"]})
            entry = self._entry(decision.judgement)
            if decision.judgement.accepted and entry is not None:
                self._context.runs.add(entry.name)
            self._tell_later(decision.grant, decision.judgement, pauses=UNFORESEEN_PAUSES)

    async def _tell(self, decision: GrantDecision) -> None:
        """Tell the hub; what it does not take is told again, by the run or by this judge."""
        grant, judgement = decision.grant, decision.judgement
        name, stamp = grant["metadata"]["name"], self._context.stamp()
        entry = self._entry(judgement)
        if judgement.accepted and entry is not None:
            patch = grant_status.accepted(grant, entry.name, stamp)
        else:
            if not decision.again:
                self._count(grant, judgement)
            patch = await stale_grants.refusal(self._context, grant, judgement)
        try:
            await self._context.tell_hub(name, patch)
        except NotFound:
            log.info("grant is gone", extra={"grant": name})
        except HansaError as error:
            log.warning("decision not told", extra={"grant": name, "error": str(error)})
            self._tell_later(grant, judgement)
        told = self._context.grants.get(f"{self._context.hub_namespace}/{name}")
        if judgement.accepted and entry is not None:
            self._context.runs.add(entry.name)
        elif told is not None and grant_status.is_outdated(told):
            stale_grants.owe_release(self._context, told)

    def _tell_later(self, grant: Manifest, judgement: Judgement, *, pauses: int = 1) -> None:
        if not judgement.accepted:
            name = grant["metadata"]["name"]
            self._untold[name] = grant.get("spec") or {}, judgement
            self._later([name], pauses=pauses)

    def _entry(self, judgement: Judgement) -> Entry | None:
        if judgement.proposal is None:
            return None
        spec = judgement.proposal.spec
        entry = Entry(spec, {}, judgement.proposal.digest)
        return self._context.run_index.get(entry.name)

    def _forget(self, decision: GrantDecision) -> None:
        entry = self._entry(decision.judgement)
        if decision.judgement.accepted and entry is not None:
            self._context.run_index.drop(entry.name)

    def _count(self, grant: Manifest, judgement: Judgement) -> None:
        first = judgement.objections[0]
        self._context.instruments.add(metrics.MEMBER_REFUSALS, reason=first.reason.value)
        self._context.refusals[first.reason.value] += 1
        subject, proposal = self._context.policy_subject(), judgement.proposal
        # What cannot be read has no name that may be repeated: it may be anything of any length.
        job = None if proposal is None else proposal.spec.job
        title = f"{job.namespace}/{job.name}" if job else f"grant {grant['metadata']['name']}"
        self._context.emit(events.grant_refused(subject, title, first.reason.value, first.message))

    def _is_new(self, grant: Manifest) -> bool:
        """Tell whether a grant waits for a decision: none is reported, and none is remembered."""
        if grant_status.reported(grant).accepted is not None:
            return False
        seen = self._context.epochs.records.get(*claimed(grant.get("spec") or {}))
        if seen is None:
            return True
        return seen.outcome is not Outcome.ACCEPTED or not self._same(grant, seen)

    def _same(self, grant: Manifest, seen: EpochRecord) -> bool:
        proposal = read(grant.get("spec") or {})
        return not isinstance(proposal, Objection) and proposal.digest == seen.digest

    def _adopt(self, grant: Manifest) -> None:
        """Have the run of a grant that was decided before looked at again."""
        if grant_status.reported(grant).released:
            return
        proposal = read(grant.get("spec") or {})
        if isinstance(proposal, Objection):
            return
        context = self._context
        entry = Entry(proposal.spec, grant["spec"], proposal.digest)
        known = context.run_index.get(entry.name)
        record = context.epochs.records.get(entry.uid, entry.epoch)
        if grant_status.is_outdated(grant):
            # Its release was put off, and who put it off may be gone.
            stale_grants.owe_release(context, grant)
            return
        if record is None:
            if grant_status.reported(grant).accepted:
                # What became of it is the run controller's to find out.
                context.forgotten[entry.name] = grant["metadata"]["name"]
                context.runs.add(entry.name)
            return
        if record.digest != entry.digest:
            return
        if known is None:
            context.run_index.put(entry, holding=record.outcome is Outcome.ACCEPTED)
        elif known.spec.cancel != entry.spec.cancel:
            holding = record.outcome is Outcome.ACCEPTED
            entry = replace(entry, gpu_class=known.gpu_class, taken=known.taken)
            context.run_index.put(entry, holding=holding)
        context.orphaned.pop(entry.name, None)
        context.runs.add(entry.name)

    def _orphan(self, grant: Manifest) -> None:
        """Have the run of a grant that is gone looked at, where there is one; nothing is read for it."""
        name = workload_name(*claimed(grant.get("spec") or {}))
        forgotten = self._context.forgotten.pop(name, None) is not None
        if forgotten or self._context.run_index.get(name) or self._context.namespaces.get(name):
            self._context.runs.add(name)


def _epoch(grant: Manifest) -> int:
    return claimed(grant.get("spec") or {})[1]
