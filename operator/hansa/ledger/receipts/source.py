"""Receipts of all nodes of the hub: taken into evidence, acknowledged, logged, then handed to the books."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hansa.accounting.usage import Usage, price_of
from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.node.receipts import receipts_of
from hansa.errors import HansaError, Retryable
from hansa.grants.envelope import key_id
from hansa.ledger.lookback import Lookback
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.judge import (
    Bench,
    Disputes,
    Verdict,
    judge,
    open_window,
    outbox_of,
)
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.witnesses import Witnesses
from hansa.model.times import rfc3339
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.receipts.chain import Head, Moment
from hansa.receipts.watermark import NOTHING, acknowledge
from hansa.receipts.work_receipt import WorkReceipt

log = logging.getLogger(__name__)
AGAIN_AT_ONCE = 50
"""Refused receipts that are looked at again in one pass: a price may have been put right."""
A_BATCH = 32
"""Nodes whose windows are kept in one transaction."""
_FIRST = (0, "")


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """What one node shows."""

    node: Manifest
    name: str
    pinned: str
    """Its public key, as the league's admin entered it."""
    node_key: str
    shown: Sequence[object]
    said: str
    """Digest of the receipt up to which it was told that its receipts are taken."""


Judged = Sequence[tuple[_Window, Verdict]]


class NodeReceipts:
    """A ``ReceiptSource`` over what the nodes' agents show on the hub."""

    def __init__(
        self,
        cluster: Cluster,
        hub: HubView,
        evidence: Evidence,
        *,
        signer: Signer,
        clock: Clock,
        logbook: Logbook | None,
        skew_s: float,
    ) -> None:
        """``signer``: the hub's key. ``logbook`` None: nothing is logged."""
        self.cluster = cluster
        self.hub = hub
        self._evidence = evidence
        self.signer = signer
        self._clock = clock
        self.logbook = logbook
        """The one writer of the log; None: there is none."""
        self._witnesses = None if logbook is None else Witnesses(cluster, hub, logbook, clock)
        self._skew_s = skew_s
        self._disputes = Disputes()
        self._told: dict[str, str] = {}
        """Node → what its chain stands still for, as it was last logged."""
        self._again_after = _FIRST
        """Up to where refused receipts were looked at again, as (end, digest)."""
        self._unbooked_since = Lookback(clock)
        self.behind = 0

    def prepare(self) -> None:
        """Make sure that the log is the one of these books; raises ``Terminal`` where it is not."""
        if self.logbook is not None:
            self.logbook.claim(self._evidence)

    async def take(self) -> Sequence[Usage]:
        """Take what nodes show, one after the other; a node that cannot be taken holds up no other."""
        if not self.hub.synced:
            return ()
        nodes = list(self.hub.nodes())
        await self.remember()
        self.behind = sum(map(_waiting, nodes))
        for some in _batches(map(_window, nodes)):
            await self._take_from(some)
        if self.logbook is not None:
            await asyncio.to_thread(self.logbook.catch_up, self._evidence)
        return await asyncio.to_thread(self._unbooked)

    async def done(self, digests: Sequence[str]) -> None:
        """Do nothing: evidence is kept before the books see it, and members were told then."""

    async def witness(self) -> None:
        """Ask the league's witnesses to cosign what was logged, and publish what they signed."""
        if self._witnesses is not None:
            await self._witnesses.step()

    async def remember(self) -> None:
        """Keep what was heard of grants and their runs by now."""
        found, news = self.hub.unkept(), self.hub.news()
        granted, now_ms = list(found.values()), self._now_ms()
        await asyncio.to_thread(self._evidence.remember, granted, now_ms, news)
        self.hub.kept(found)
        self.hub.told(news)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    async def _take_from(self, windows: Sequence[_Window]) -> None:
        """Take windows in: read, judged and kept together, so that many cost little more than one."""
        judged = await asyncio.to_thread(self._judge_all, windows)
        for window, verdict in list(judged.items()):
            if verdict.is_strange:
                late = await self.hub.look_again(window.node)
                await asyncio.to_thread(self._evidence.remember, late, self._now_ms())
                judged |= await asyncio.to_thread(self._judge_all, [window])
        kept = await asyncio.to_thread(self._keep, list(judged.items()))
        heads = await asyncio.to_thread(self._evidence.heads, [one.node_key for one, _ in kept])
        for window, verdict in kept:
            self._disputes.note(window.node_key, verdict, self._clock.monotonic())
            self._tell(window.name, verdict)
            # Where less is kept than was acknowledged, the books were put back from a backup: it is sent again.
            head = heads[window.node_key]
            if window.said != head.digest and (window.said or head.sequence):
                await self._acknowledge(window, head)

    def _judge_all(self, windows: Sequence[_Window]) -> dict[_Window, Verdict]:
        """Judge windows by one read of what they are held against; what that refuses is tried node by node."""
        try:
            return self._judge(windows)
        except Retryable:
            raise
        except Exception:
            if len(windows) == 1:
                log.exception("receipts not taken", extra={"node": windows[0].name})
                return {}
        return {one: said for each in windows for one, said in self._judge_all([each]).items()}

    def _judge(self, windows: Sequence[_Window]) -> dict[_Window, Verdict]:
        hub = {self.signer.key_id: self.signer.public_key}
        opened = [
            (one, open_window(one.shown, {one.node_key: one.pinned, **hub})) for one in windows
        ]
        shown = {one.node_key: window.receipts for one, window in opened}
        with self._evidence.recorded(shown) as recorded:
            return {
                one: judge(window, recorded[one.node_key], self._bench(one))
                for one, window in opened
            }

    def _bench(self, window: _Window) -> Bench:
        left = self._disputes.left(window.node_key, self._clock.monotonic())
        return Bench(self.signer, Moment(self._clock.now(), self._skew_s), left)

    def _keep(self, judged: Judged) -> Judged:
        """Keep receipts in one transaction; what it refuses is tried node by node. Returns what is kept."""
        # A second version finds its place in the chain taken, and stays as a difference alone.
        shown = [
            replace(one, shown_by=window.name)
            for window, verdict in judged
            for one in (*verdict.taken, *verdict.second)
        ]
        try:
            self._evidence.add(shown, self._now_ms())
        except Retryable:
            raise
        except Exception:
            names = ", ".join(window.name for window, _ in judged)
            log.exception("receipts not kept", extra={"nodes": names})
        else:
            return judged
        return [kept for one in judged for kept in self._keep([one])] if len(judged) > 1 else []

    async def _acknowledge(self, window: _Window, head: Head) -> None:
        mark = acknowledge(
            self.signer,
            node_key=window.node_key,
            sequence=head.sequence,
            digest=head.digest or NOTHING,
            at=rfc3339(self._clock.now()),
        )
        taken = mark.model_dump(by_alias=True, mode="json")
        path = SOVEREIGNNODE.path(name=window.name) + "/status"
        try:
            await self.cluster.merge(path, {"status": {"receipts": {"taken": taken}}})
        except HansaError as error:
            extra = {"node": window.name, "error": str(error)}
            log.warning("receipts not acknowledged", extra=extra)

    def _tell(self, name: str, verdict: Verdict) -> None:
        for one in verdict.taken:
            for dispute in one.disputes:
                log.warning(
                    "receipt disputed",
                    extra={
                        "node": name,
                        "receipt": one.opened.digest,
                        "fault": dispute.fault,
                        "field": dispute.field,
                        "message_": dispute.message,
                    },
                )
        said = "" if verdict.objection is None else verdict.objection.message
        if said and self._told.get(name) != said:
            log.warning("receipts stand still", extra={"node": name, "why": said})
        self._told[name] = said

    def _unbooked(self) -> list[Usage]:
        now_ms, since_ms = self._now_ms(), self._unbooked_since.since_ms()
        new = self._evidence.unbooked(since_ms)
        self._unbooked_since.done(min(now_ms, new[0].recorded_ms) if new else now_ms)
        waiting = [(one.digest, one.receipt) for one in new] + self._again()
        begins = self._evidence.begins_s(receipt.run for _, receipt in waiting)
        granted_of = self._evidence.all_granted(receipt.run for _, receipt in waiting)
        return [
            _usage(digest, receipt, granted, granted.begun_s(begins[key], self._skew_s))
            for digest, receipt in waiting
            if (granted := granted_of.get(key := (receipt.run, receipt.work.node_key))) is not None
        ]

    def _again(self) -> list[tuple[str, WorkReceipt]]:
        found = self._evidence.refused(self._again_after, AGAIN_AT_ONCE)
        is_all = len(found) < AGAIN_AT_ONCE
        self._again_after = _FIRST if is_all else (found[-1][1].end_s, found[-1][0])
        return found


def _window(node: Manifest) -> _Window | None:
    """Return what a node shows; None: nothing, or it has no key to sign with."""
    name, pinned = node["metadata"]["name"], (node.get("spec") or {}).get("releaseKey")
    shown, said = list(outbox_of(node)), _acknowledged(node)
    if not pinned or not (shown or said):
        return None
    try:
        node_key = key_id(base64.b64decode(pinned))
    except (TypeError, ValueError) as error:
        log.warning("receipts not taken", extra={"node": name, "error": f"its key: {error}"})
        return None
    return _Window(node, name, str(pinned), node_key, shown, said)


def _batches(windows: Iterable[_Window | None]) -> Iterator[list[_Window]]:
    """Yield windows of different keys: of two with one key the second is held against what the first left."""
    batch: dict[str, _Window] = {}
    for window in windows:
        if window is None:
            continue
        if window.node_key in batch or len(batch) == A_BATCH:
            yield list(batch.values())
            batch = {}
        batch[window.node_key] = window
    if batch:
        yield list(batch.values())


def _usage(digest: str, receipt: WorkReceipt, granted: Granted, began_s: int) -> Usage:
    """Return a receipt as the books see it."""
    work, price = receipt.work, receipt.work.price
    unit_price, currency = price_of(receipt)
    namespace = granted.job.partition("/")[0]
    return Usage(
        receipt_digest=digest,
        node=work.node,
        provider=granted.provider,
        institution=work.institution,
        project=f"{namespace}/{work.project}" if work.project else "",
        job_uid=work.job_uid,
        job=granted.job,
        epoch=work.epoch,
        began_ms=began_s * 1000,
        start_ms=receipt.start_s * 1000,
        end_ms=receipt.end_s * 1000,
        gpu_class=work.gpu_class or "",
        gpus=work.gpus,
        gpu_ms=receipt.usage.gpu_seconds * 1000,
        cpu_ms=receipt.usage.cpu_milliseconds,
        energy_j=receipt.usage.energy_joules,
        unit_price=unit_price,
        tariff_version="none" if price is None else price.tariff,
        currency=currency,
        data_sets=work.data_sets,
        jurisdiction=work.jurisdiction,
    )


def _acknowledged(node: Mapping[str, Any]) -> str:
    """Return the digest of the receipt up to which a node was told that its receipts are taken."""
    taken = receipts_of(node).get("taken")
    said = taken.get("digest") if isinstance(taken, Mapping) else None
    return str(said or "").replace(NOTHING, "")


def _waiting(node: Mapping[str, Any]) -> int:
    said = receipts_of(node).get("waiting")
    return said if isinstance(said, int) and 0 <= said < 1 << 53 else 0
