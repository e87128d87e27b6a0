"""Meters runs: opens them when they are accepted, and has receipts signed until nothing of them is left.

A run's row is durable before anything of the run is made, so that whatever ran leaves receipts, also
where its agent dies a moment later and its grant and its namespace go before another looks. The end of
a run waits for nothing here.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.node.receipts import receipts_of
from hansa.errors import HansaError, Retryable, Terminal
from hansa.grants.envelope import canonical, grant_name, pre_auth, workload_name
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.grants.trust import by_id
from hansa.member.context import AgentContext
from hansa.member.state.run_index import Entry
from hansa.model.times import rfc3339
from hansa.ports import Manifest, Signer
from hansa.receipts.metering import MeteredRun, Sight
from hansa.receipts.work_receipt import WorkReceipt, seconds
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.lifecycle import end_reason
from hansa.reconcile.member.usage.work_terms import Terms, work_of

log = logging.getLogger(__name__)
ASK_S = 15.0
SALT_TYPE = "application/vnd.hansa.gpu-salt.v1alpha1+json"


class Metering:
    """Keeps this member's chain of receipts going."""

    def __init__(self, context: AgentContext) -> None:
        """``context``: shared state."""
        self._context = context
        self._node_spec: Mapping[str, Any] | None = None
        self._jurisdiction = ""
        context.receipts.issued = self._issued

    async def look(self) -> None:
        """1. Open what was accepted. 2. Close what is lost. 3. Sign what is due. 4. Show it."""
        context = self._context
        await self.open_accepted()
        lost = [record for run in context.receipts.runs.values() for record in self._lost(run)]
        if lost:
            await context.epochs.put(lost)
        if not self._is_clock_off():
            await context.receipts.issue(self._sights())
        outbox = await context.receipts.outbox()
        if outbox != context.outbox:
            context.outbox = outbox
            context.dirty.set()

    async def ask_hub(self) -> None:
        """Read our own SovereignNode: prices, how far the ledger has come, what it asks. A hub may say anything."""
        context = self._context
        try:
            node = await context.hub.get(SOVEREIGNNODE.path(name=context.settings.node))
        except HansaError as error:
            log.info("the hub's word on receipts is not to be had", extra={"error": str(error)})
            return
        spec, policy = node.get("spec"), context.cluster_state.policy.spec
        self._node_spec = spec if isinstance(spec, dict) else {}
        receipts = receipts_of(node)
        if policy is None:
            return
        keys = by_id(policy.trusted_hubs)
        if await context.auditor.hear(node, keys):
            context.dirty.set()
        if await context.hardware.hear(node, keys):
            context.dirty.set()
        if await context.cosigner.hear(node, keys.values()):
            context.dirty.set()
        if receipts.get("taken") is not None:
            trouble = await context.receipts.take(receipts["taken"], keys)
            if trouble:
                log.warning("watermark not taken", extra={"why": trouble})
        for why in await context.handed.take(receipts, keys.values()):
            log.warning("what the ledger hands out is not kept", extra={"why": why})

    def ask_pause_s(self) -> float:
        """Return how long to wait before asking again: less while nothing can be begun for want of terms."""
        return ASK_S if self._node_spec is not None else self._context.settings.timing.retry_seconds

    async def open_accepted(self) -> None:
        """Open all that was accepted and is not yet, in one go: a write for each page of rows."""
        rows = list(self._rows(self._unopened()))
        if rows:
            await self._context.receipts.note(*rows)

    async def begin(self, entry: Entry) -> None:
        """Return when the row of an accepted run is durable: nothing of the run may be made before.

        Raises ``Terminal`` for a run that no receipt can describe, ``Retryable`` while there is no row.
        """
        receipts = self._context.receipts
        if not receipts.is_durable(_run(entry)) and not await receipts.note(self._row(entry)):
            raise Retryable("no room for its receipts: the ledger takes none")

    async def note_finish(self, entry: Entry, *, ended_s: float, result: str | None) -> None:
        """Keep what only the run's own objects tell, before they are deleted."""
        receipts = self._context.receipts
        known = receipts.runs.get(_run(entry))
        is_kept = known is not None and known.finished is not None
        is_kept = is_kept and receipts.is_durable(_run(entry))
        if is_kept or not self._is_accepted(entry):
            return
        digest = None if result is None else _digest(result)
        news = {"finished": rfc3339(ended_s), "result_digest": digest}
        for row in self._rows((entry,)) if known is None else (known,):
            await receipts.note(row.model_copy(update=news))

    def _rows(self, entries: Iterable[Entry]) -> Iterator[MeteredRun]:
        """Yield the rows of runs that can be opened now; one that cannot holds up no other."""
        for entry in entries:
            try:
                yield self._row(entry)
            except HansaError as error:
                log.info("run is not opened", extra={"run": entry.name, "why": str(error)})

    def _row(self, entry: Entry) -> MeteredRun:
        """Return the row that a run begins with, under the terms of now."""
        policy = self._context.cluster_state.policy.spec
        if policy is not None:
            self._jurisdiction = policy.jurisdiction
        if not self._jurisdiction:
            raise Retryable("no policy says where we are")
        if self._node_spec is None:
            raise Retryable("the hub has not yet said under which terms this node works")
        try:
            return self._opened(entry, self._jurisdiction)
        except ValueError as error:
            raise Terminal(f"no receipt can describe it: {error}"[:300]) from error

    def _unopened(self) -> Iterator[Entry]:
        context = self._context
        for name in context.run_index.names():
            entry = context.run_index.get(name)
            if entry is None or _run(entry) in context.receipts.runs:
                continue
            # What an earlier process accepted has no class, and so no price, until it is made.
            is_waiting = entry.gpus and not entry.gpu_class and not context.namespaces.get(name)
            if self._is_accepted(entry) and not is_waiting:
                yield entry

    def _is_accepted(self, entry: Entry) -> bool:
        """Tell whether a run has a beginning to be metered from: after its end only its row has one."""
        record = self._record(entry.uid, entry.epoch)
        return record is not None and record.outcome is Outcome.ACCEPTED

    def _opened(self, entry: Entry, jurisdiction: str) -> MeteredRun:
        context, record = self._context, self._record(entry.uid, entry.epoch)
        since_s = record.seen_s if record is not None else context.clock.now()
        terms = Terms(
            node_key=context.signer.key_id,
            jurisdiction=jurisdiction,
            gpu_class=entry.gpu_class,
            node_spec=self._node_spec,
            begin_s=since_s,
            assurance=context.auditor.level,
        )
        return MeteredRun(work=work_of(entry.spec, terms), until=rfc3339(since_s))

    def _record(self, uid: str, epoch: int) -> EpochRecord | None:
        return self._context.epochs.records.get(uid, epoch)

    def _lost(self, run: MeteredRun) -> Iterator[EpochRecord]:
        """Yield the end of a run that memory has as accepted and of which nothing is left, here or there.

        A hub that was put back has no grant of it, and its namespace went while no agent looked. Memory says
        that it is over, so that it never begins again behind its last receipt. What nobody saw costs nothing.
        """
        context, record = self._context, self._record(run.work.job_uid, run.work.epoch)
        if record is None or record.outcome is not Outcome.ACCEPTED:
            return
        if not (context.grants.synced and context.namespaces.synced):
            return
        place = workload_name(run.work.job_uid, run.work.epoch)
        if context.run_index.get(place) or context.namespaces.get(place) or self._grant_of(run):
            return
        reason, seen_s = EndReason.DELETED.value, seconds(run.until)
        log.warning("accepted, and gone while nobody looked", extra={"run": run.run})
        yield replace(record, outcome=Outcome.ENDED, reason=reason, seen_s=seen_s)

    def _grant_of(self, run: MeteredRun) -> Manifest | None:
        name = grant_name(run.work.job_uid, run.work.epoch)
        return self._context.grants.get(f"{self._context.hub_namespace}/{name}")

    def _sights(self) -> dict[str, Sight]:
        return {name: self._sight(run) for name, run in self._context.receipts.runs.items()}

    def _sight(self, run: MeteredRun) -> Sight:
        context = self._context
        record = self._record(run.work.job_uid, run.work.epoch)
        ended = record is None or record.outcome is not Outcome.ACCEPTED
        place = workload_name(run.work.job_uid, run.work.epoch)
        is_gone = context.namespaces.synced and context.namespaces.get(place) is None
        held, energy = context.gpu_sightings.told(run.run)
        return Sight(
            now_s=int(context.clock.now()),
            over=ended and is_gone and not self._may_begin_again(run, record),
            ended_s=record.seen_s if record is not None and ended else self._finished_s(place),
            end_reason=end_reason(record).value if record is not None else "DeletedAtMember",
            held=held,
            energy_joules=energy,
        )

    def _may_begin_again(self, run: MeteredRun, record: EpochRecord | None) -> bool:
        """Tell whether a run that memory has lost may be accepted once more: its grant is still there."""
        is_there = not self._context.grants.synced or self._grant_of(run) is not None
        return record is None and is_there

    def _finished_s(self, name: str) -> int | None:
        """Return when a run ended of itself, by the object that does its work."""
        views = (watched.view(name) for watched in self._context.watched)
        ends = (view.ended_s for view in views if view is not None and view.end is not None)
        return next((int(end) for end in ends if end is not None), None)

    def _issued(self, receipt: WorkReceipt) -> None:
        self._context.gpu_sightings.settle(receipt.run, over=receipt.last)

    def _is_clock_off(self) -> bool:
        """Tell whether this clock is known to be wrong: what it says now is not signed."""
        skew_s = self._context.hub_skew()
        return skew_s is not None and abs(skew_s) > self._context.settings.limits.clock_skew_seconds


def gpu_salt(signer: Signer) -> bytes:
    """Return this member's salt: nobody without its key knows it, and each agent finds the same."""
    return hashlib.sha256(signer.sign(pre_auth(SALT_TYPE, canonical({})))).digest()


def _run(entry: Entry) -> str:
    return f"{entry.uid}.{entry.epoch}"


def _digest(result: str) -> str:
    return "sha256:" + hashlib.sha256(result.encode()).hexdigest()
