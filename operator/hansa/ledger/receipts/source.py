"""Receipts of all nodes of the hub: taken into evidence, acknowledged, logged, then handed to the books."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hansa.accounting import amounts
from hansa.accounting.usage import Usage
from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import HansaError, Retryable
from hansa.grants.envelope import key_id
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.judge import Bench, Verdict, judge, outbox_of
from hansa.ledger.receipts.logbook import Logbook
from hansa.model.times import rfc3339
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.receipts.chain import Moment
from hansa.receipts.watermark import NOTHING, acknowledge
from hansa.receipts.work_receipt import WorkReceipt

log = logging.getLogger(__name__)
AGAIN_AT_ONCE = 50
"""Refused receipts that are looked at again in one pass: a price may have been put right."""
_FIRST = (0, "")


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
        self._cluster = cluster
        self.hub = hub
        self._evidence = evidence
        self.signer = signer
        self._clock = clock
        self.logbook = logbook
        """The one writer of the log; None: there is none."""
        self._skew_s = skew_s
        self._told: dict[str, str] = {}
        """Node → what its chain stands still for, as it was last logged."""
        self._again_after = _FIRST
        """Up to where refused receipts were looked at again, as (end, digest)."""
        self.behind = 0

    async def take(self) -> Sequence[Usage]:
        """Take what nodes show, one after the other; a node that cannot be taken holds up no other."""
        if not self.hub.synced:
            return ()
        nodes = list(self.hub.nodes())
        await self._remember()
        self.behind = sum(map(_waiting, nodes))
        for node in nodes:
            await self._take_alone(node)
        if self.logbook is not None:
            await asyncio.to_thread(self.logbook.catch_up, self._evidence)
        return await asyncio.to_thread(self._unbooked)

    async def done(self, digests: Sequence[str]) -> None:
        """Do nothing: evidence is kept before the books see it, and members were told then."""

    async def _remember(self) -> None:
        found = self.hub.unkept()
        await asyncio.to_thread(self._evidence.remember, list(found.values()), self._now_ms())
        self.hub.kept(found)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    async def _take_alone(self, node: Manifest) -> None:
        try:
            await self._take_from(node)
        except Retryable:
            # Of the database, and so of every node.
            raise
        except Exception:
            log.exception("receipts not taken", extra={"node": node["metadata"]["name"]})

    async def _take_from(self, node: Manifest) -> None:
        name, pinned = node["metadata"]["name"], (node.get("spec") or {}).get("releaseKey")
        shown, said = list(outbox_of(node)), _acknowledged(node)
        if not pinned or not (shown or said):
            return
        node_key = key_id(base64.b64decode(pinned))
        verdict = await asyncio.to_thread(self._judge, node_key, str(pinned), shown)
        if verdict.is_strange:
            late = await self.hub.look_again(node)
            await asyncio.to_thread(self._evidence.remember, late, self._now_ms())
            verdict = await asyncio.to_thread(self._judge, node_key, str(pinned), shown)
        # A second version finds its place in the chain taken, and stays as a difference alone.
        shown_now = (*verdict.taken, *verdict.second)
        await asyncio.to_thread(self._evidence.add, shown_now, self._now_ms())
        self._tell(name, verdict)
        head = await asyncio.to_thread(self._evidence.head, node_key)
        # Where less is kept than was acknowledged, the books were put back from a backup: it is sent again.
        if said != head.digest and (said or head.sequence):
            await self._acknowledge(name, node_key, head.sequence, head.digest or NOTHING)

    def _judge(self, node_key: str, pinned: str, shown: list[object]) -> Verdict:
        keys = {node_key: pinned, self.signer.key_id: self.signer.public_key}
        moment = Moment(self._clock.now(), self._skew_s)
        before = partial(self._evidence.before, node_key)
        return judge(shown, Bench(keys, self.signer, before, moment))

    async def _acknowledge(self, name: str, node_key: str, sequence: int, digest: str) -> None:
        mark = acknowledge(
            self.signer,
            node_key=node_key,
            sequence=sequence,
            digest=digest,
            at=rfc3339(self._clock.now()),
        )
        taken = mark.model_dump(by_alias=True, mode="json")
        path = SOVEREIGNNODE.path(name=name) + "/status"
        try:
            await self._cluster.merge(path, {"status": {"receipts": {"taken": taken}}})
        except HansaError as error:
            log.warning("receipts not acknowledged", extra={"node": name, "error": str(error)})

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
        waiting = self._evidence.unbooked() + self._again()
        begins = self._evidence.begins_s(receipt.run for _, receipt in waiting)
        granted_of = self._evidence.all_granted(receipt.run for _, receipt in waiting)
        return [
            _usage(digest, receipt, granted, begins[receipt.run])
            for digest, receipt in waiting
            if (granted := granted_of.get((receipt.run, receipt.work.node_key))) is not None
        ]

    def _again(self) -> list[tuple[str, WorkReceipt]]:
        found = self._evidence.refused(self._again_after, AGAIN_AT_ONCE)
        is_all = len(found) < AGAIN_AT_ONCE
        self._again_after = _FIRST if is_all else (found[-1][1].end_s, found[-1][0])
        return found


def _usage(digest: str, receipt: WorkReceipt, granted: Granted, began_s: int) -> Usage:
    """Return a receipt as the books see it."""
    work, price = receipt.work, receipt.work.price
    hour = "0" if price is None else ((price.gpu_hour or "0") if work.gpus else price.cpu_hour)
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
        unit_price=amounts.read(hour),
        tariff_version="none" if price is None else price.tariff,
        currency="EUR" if price is None else price.currency,
        data_sets=work.data_sets,
        jurisdiction=work.jurisdiction,
    )


def _acknowledged(node: Mapping[str, Any]) -> str:
    """Return the digest of the receipt up to which a node was told that its receipts are taken."""
    receipts = (node.get("status") or {}).get("receipts")
    taken = receipts.get("taken") if isinstance(receipts, Mapping) else None
    said = taken.get("digest") if isinstance(taken, Mapping) else None
    return str(said or "").replace(NOTHING, "")


def _waiting(node: Mapping[str, Any]) -> int:
    receipts = (node.get("status") or {}).get("receipts")
    said = receipts.get("waiting") if isinstance(receipts, Mapping) else 0
    return said if isinstance(said, int) and 0 <= said < 1 << 53 else 0
