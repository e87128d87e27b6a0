"""Receipts of all nodes of the hub: taken into evidence, acknowledged, logged, then handed to the books."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hansa.accounting import amounts
from hansa.accounting.usage import Usage
from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import Conflict, NotFound
from hansa.grants.envelope import key_id
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.grants import Granted
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.judge import Bench, Verdict, judge, outbox_of
from hansa.ledger.receipts.logbook import Logbook
from hansa.model.times import rfc3339
from hansa.ports import Clock, Cluster, Manifest, Signer
from hansa.receipts.chain import Moment
from hansa.receipts.watermark import acknowledge
from hansa.receipts.work_receipt import WorkReceipt

log = logging.getLogger(__name__)


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
        self._hub = hub
        self._evidence = evidence
        self._signer = signer
        self._clock = clock
        self._logbook = logbook
        self._skew_s = skew_s
        self._told: dict[str, str] = {}
        """Node → what its chain stands still for, as it was last logged."""
        self.behind = 0

    async def take(self) -> Sequence[Usage]:
        """Take what nodes show, one after the other; a node that cannot be taken holds up no other."""
        if not self._hub.synced:
            return ()
        nodes = list(self._hub.nodes())
        await self._remember()
        self.behind = sum(map(_waiting, nodes))
        for node in nodes:
            await self._take_from(node)
        if self._logbook is not None:
            await asyncio.to_thread(self._logbook.catch_up, self._evidence)
        return await asyncio.to_thread(self._unbooked)

    async def done(self, digests: Sequence[str]) -> None:
        """Do nothing: evidence is kept before the books see it, and members were told then."""

    async def _remember(self) -> None:
        found = self._hub.unkept()
        await asyncio.to_thread(self._evidence.remember, list(found.values()), self._now_ms())
        self._hub.kept(found)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    async def _take_from(self, node: Manifest) -> None:
        name, pinned = node["metadata"]["name"], (node.get("spec") or {}).get("releaseKey")
        shown = list(outbox_of(node))
        if not pinned or not shown:
            return
        node_key = key_id(base64.b64decode(pinned))
        verdict = await asyncio.to_thread(self._judge, node_key, str(pinned), shown)
        if verdict.is_strange:
            late = await self._hub.look_again(node)
            await asyncio.to_thread(self._evidence.remember, late, self._now_ms())
            verdict = await asyncio.to_thread(self._judge, node_key, str(pinned), shown)
        await asyncio.to_thread(self._evidence.add, verdict.taken, self._now_ms())
        self._tell(name, verdict)
        head = await asyncio.to_thread(self._evidence.head, node_key)
        said = ((node.get("status") or {}).get("receipts") or {}).get("taken") or {}
        if head.sequence and said.get("digest") != head.digest:
            await self._acknowledge(name, node_key, head.sequence, head.digest)

    def _judge(self, node_key: str, pinned: str, shown: list[object]) -> Verdict:
        keys = {node_key: pinned, self._signer.key_id: self._signer.public_key}
        moment = Moment(self._clock.now(), self._skew_s)
        # A grant never changes, and a window has many receipts of one run.
        granted = cache(self._evidence.granted)
        bench = Bench(keys, self._signer, self._evidence.known_for, granted, moment)
        return judge(shown, self._evidence.head(node_key), bench)

    async def _acknowledge(self, name: str, node_key: str, sequence: int, digest: str) -> None:
        mark = acknowledge(
            self._signer,
            node_key=node_key,
            sequence=sequence,
            digest=digest,
            at=rfc3339(self._clock.now()),
        )
        taken = mark.model_dump(by_alias=True, mode="json")
        path = SOVEREIGNNODE.path(name=name) + "/status"
        try:
            await self._cluster.merge(path, {"status": {"receipts": {"taken": taken}}})
        except (Conflict, NotFound) as error:
            log.info("receipts not acknowledged", extra={"node": name, "error": str(error)})

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
        waiting = self._evidence.unbooked()
        begins = self._evidence.begins_s(receipt.run for _, receipt in waiting)
        granted_of = cache(self._evidence.granted)
        return [
            _usage(digest, receipt, granted, begins[receipt.run])
            for digest, receipt in waiting
            if (granted := granted_of(receipt.run, receipt.work.node_key)) is not None
        ]


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


def _waiting(node: Mapping[str, Any]) -> int:
    receipts = (node.get("status") or {}).get("receipts")
    said = receipts.get("waiting") if isinstance(receipts, Mapping) else 0
    return said if isinstance(said, int) and 0 <= said < 1 << 53 else 0
