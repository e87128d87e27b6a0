"""The ledger's intake over a small hub, and what a node shows it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from hansa.accounting.examination import Terms as Agreed
from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.api.workgrant import WorkGrantSpec
from hansa.ledger.intake import Intake
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.receipts.envelope import seal, wire
from hansa.receipts.watermark import read_watermark
from hansa.receipts.work_receipt import WorkReceipt
from hansa.reconcile.hub.charging.tariffs import tariff_of
from hansa.reconcile.member.usage.work_terms import Terms, work_of
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.grants.grant_kit import HUB, NODE, NOW_S, UID, grant, job
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.receipts.receipt_kit import changed, head_after, history

FOLLOWING: list[asyncio.Task[None]] = []
"""Of the running test; its loop ends them."""
TARTU = SOVEREIGNNODE.path(name="tartu")
SPEC = {
    "institution": "clinic",
    "jurisdiction": "EE",
    "legalControl": ["EE"],
    "releaseKey": NODE.public_key,
    "prices": [{"gpuClass": "nvidia-rtx-4090", "perGpuHour": "3.60"}],
}
TERMS = Terms(NODE.key_id, "EE", "nvidia-rtx-4090", SPEC, NOW_S)
GRANT_PATH = WORKGRANT.path("hansa-node-tartu", "aij-0-e1")


class Clock:
    """Later than anything in the receipts."""

    def now(self) -> float:
        return NOW_S + 1000.0

    def monotonic(self) -> float:
        return 0.0


class Jumping(Clock):
    def __init__(self) -> None:
        self.seconds = super().now()

    def now(self) -> float:
        return self.seconds


def tartu(outbox: list[Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "tartu"},
        "spec": SPEC,
        "status": {"receipts": {"outbox": outbox, "waiting": 3}},
    }


def granted() -> dict[str, Any]:
    return {"metadata": {"name": "aij-0-e1"}, "spec": grant(job())}


def charged() -> dict[str, Any]:
    """Return the grant as the hub charges it to the default project of the job's namespace."""
    return granted() | {"spec": grant(job(), project="screening")}


def receipts(**changes: Any):
    """Return the receipts of the granted run, in which the member may say otherwise."""
    work = work_of(WorkGrantSpec.model_validate(granted()["spec"]), TERMS)
    told = {name: getattr(work, name) for name in type(work).model_fields} | changes
    return history(**told)


def shown(found=None, signer=NODE) -> list[Any]:
    return [wire(seal(receipt, signer)) for receipt in (found or receipts())]


async def heard(view: HubView) -> None:
    """Have a view take in all that its hub has told so far."""
    if not view.synced:
        FOLLOWING.append(asyncio.create_task(view.follow()))
    for _ in range(20):
        await asyncio.sleep(0)


class Hub(SmallCluster):
    """A small hub that merges as an API server does: as deep as the patch goes."""

    async def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        path = path.removesuffix("/status")
        self.written.append(body)
        return self.put(path, merged(await self.get(path), body))


def merged(old: Any, patch: Any) -> Any:
    """Return what becomes of ``old`` by a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        kept.pop(name, None)
        if value is not None:
            kept[name] = merged((old or {}).get(name), value)
    return kept


class Ledger:
    """The ledger's intake over a database, a small hub and a log on disk."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.hub = Hub(NOW_S - 60)
        self.hub.put(GRANT_PATH, granted())
        self.evidence, self.reader = Evidence(engine), LedgerReader(engine)
        self.engine = engine
        self.status: dict[str, Any] = {}
        """What the node says beside its receipts."""
        own = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
        policy = Policy.of_logs([own.key])
        index = SqliteLeafIndex(folder / "leaves.db")
        self.logbook = Logbook(Appender(FileStore(folder / "log"), index, [own], policy), Clock())
        self.view = HubView(self.hub, Clock())
        self.source = NodeReceipts(
            self.hub,
            self.view,
            self.evidence,
            signer=HUB,
            clock=Clock(),
            logbook=self.logbook,
            skew_s=30.0,
        )
        self.tariffs = {"tartu": tariff_of("tartu", SovereignNodeSpec.model_validate(SPEC))}
        self.intake = Intake(
            self.source,
            LedgerWriter(engine),
            clock=Clock(),
            terms=lambda now_ms: Agreed(now_ms, frozenset({"EUR"}), self.tariffs),
        )

    def at(self, seconds: float) -> None:
        """Set the ledger's clock."""
        clock = Jumping()
        clock.seconds = seconds
        self.source._clock = self.intake._clock = self.view._clock = clock

    async def show(self, outbox: list[Any]) -> None:
        """Have the node show receipts, and the ledger hear of it."""
        node = tartu(outbox)
        self.hub.put(TARTU, {**node, "status": {**node["status"], **self.status}})
        await heard(self.view)

    async def step(self, outbox: list[Any]) -> None:
        await self.show(outbox)
        await self.intake.step()

    @property
    def amounts(self) -> list[int]:
        return [line.usage.amount for line in self.reader.lines(UID)]

    @property
    def disputes(self) -> set[tuple[str, str]]:
        table = schema.DIFFERENCE
        with reading(self.engine) as connection:
            return {tuple(row) for row in connection.execute(select(table.c.fault, table.c.field))}

    def kept(self, fault: str) -> list[Any]:
        table = schema.DIFFERENCE
        with reading(self.engine) as connection:
            rows = connection.execute(select(table.c.body).where(table.c.fault == fault))
            return [json.loads(body) for (body,) in rows]

    @property
    def taken(self):
        said = (self.hub.objects[TARTU]["status"].get("receipts") or {}).get("taken")
        return read_watermark(said, node_key=NODE.key_id, keys={HUB.key_id: HUB.public_key})


def rechained(found: list[WorkReceipt], place: int, **changes: Any) -> list[WorkReceipt]:
    """Return a chain in which one receipt says otherwise, and those behind it follow that one."""
    chain: list[WorkReceipt] = []
    for at, receipt in enumerate(found):
        told = changes if at == place else {}
        before = head_after(chain[-1]).digest if chain else None
        chain.append(changed(receipt, previous=before, **told))
    return chain


def absurd(receipt: WorkReceipt) -> dict[str, Any]:
    return {"usage": receipt.usage.model_dump() | {"gpu_seconds": 1_000_000}}
