"""From what a node shows to the books: taken once, countersigned or disputed, acknowledged, logged."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from hansa.accounting.examination import Terms as Agreed
from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.sovereignnode import SovereignNodeSpec
from hansa.api.workgrant import WorkGrantSpec
from hansa.ledger.intake import Intake
from hansa.ledger.receipts import hub_view
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.receipts.hub_view import HubView
from hansa.ledger.receipts.logbook import Logbook
from hansa.ledger.receipts.source import NodeReceipts
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.ledger.store.reader import LedgerReader
from hansa.ledger.store.writer import LedgerWriter
from hansa.model.times import rfc3339
from hansa.receipts.envelope import seal, wire
from hansa.receipts.watermark import read_watermark
from hansa.receipts.work_receipt import HeldGpu
from hansa.reconcile.hub.charging.tariffs import tariff_of
from hansa.reconcile.member.usage.work_terms import Terms, work_of
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.grants.grant_kit import HUB, NODE, NOW_S, UID, grant, job
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.receipts.receipt_kit import OTHER, changed, history

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
GRANT_PATH = WORKGRANT.path("hansa-node-tartu", "aij-0-e1")


class Clock:
    """Later than anything in the receipts."""

    def now(self) -> float:
        return NOW_S + 1000.0

    def monotonic(self) -> float:
        return 0.0


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
    terms = Terms(NODE.key_id, "EE", "nvidia-rtx-4090", SPEC, NOW_S)
    work = work_of(WorkGrantSpec.model_validate(granted()["spec"]), terms)
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


class Ledger:
    """The ledger's intake over a database, a small hub and a log on disk."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.hub = SmallCluster(NOW_S - 60)
        self.hub.put(GRANT_PATH, granted())
        self.evidence, self.reader = Evidence(engine), LedgerReader(engine)
        self.engine = engine
        own = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
        policy = Policy.parse(f"log {own.key}\nquorum none\n".encode())
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

    async def show(self, outbox: list[Any]) -> None:
        """Have the node show receipts, and the ledger hear of it."""
        self.hub.put(TARTU, tartu(outbox))
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


@pytest.fixture
def ledger(engine: Engine, tmp_path: Path) -> Ledger:
    return Ledger(engine, tmp_path)


async def test_a_run_is_paid_for_to_the_second_and_once(ledger: Ledger):
    outbox = shown()
    for _ in range(3):
        await ledger.step(outbox)

    # Two GPUs at 3.60 an hour for 300, 300 and 50 seconds.
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.disputes == set()
    usage = ledger.reader.lines(UID)[0].usage
    assert (usage.provider, usage.institution) == ("clinic", grant(job())["institution"])
    assert all(len(envelope.signatures) == 2 for _, envelope, _ in ledger.evidence.of_job(UID))


async def test_the_member_believes_how_far_it_was_taken(ledger: Ledger):
    outbox = shown()
    await ledger.step(outbox[:2])
    assert (ledger.taken.sequence, ledger.taken.signature.keyid) == (2, HUB.key_id)
    await ledger.step(outbox[2:])
    assert ledger.taken.sequence == 3


async def test_every_receipt_is_in_the_log_with_a_proof(ledger: Ledger):
    await ledger.step(shown())
    digests = [digest for digest, *_ in ledger.evidence.of_job(UID)]
    assert [ledger.logbook.prove(digest).index for digest in digests] == [0, 1, 2]


async def test_a_ledger_that_was_killed_goes_on_where_it_was(engine: Engine, tmp_path: Path):
    """Evidence is kept first: what the books and the log have not seen they get from there."""
    first = Ledger(engine, tmp_path)
    await first.show(shown())
    await first.source.take()
    assert first.amounts == []

    second = Ledger(engine, tmp_path)
    await second.step([])
    assert sorted(second.amounts) == [100_000, 600_000, 600_000]


async def test_a_grant_that_is_gone_by_now_was_seen(ledger: Ledger):
    await ledger.step([])
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_grant_that_lived_between_two_looks_was_seen(ledger: Ledger):
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step([])
    ledger.hub.put(GRANT_PATH, granted())
    await heard(ledger.view)
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_grant_that_the_watch_has_not_told_yet_is_asked_for(ledger: Ledger):
    """Two watches are not in step: what a node shows may be heard before what it was granted."""
    await ledger.hub.delete(GRANT_PATH)
    await ledger.step([])
    ledger.hub._watches.clear()
    ledger.hub.put(GRANT_PATH, granted())
    ledger.view._nodes.put(ledger.hub.put(TARTU, tartu(shown())))
    await ledger.intake.step()
    assert len(ledger.amounts) == 3
    assert ledger.disputes == set()


async def test_a_grant_is_read_once_and_the_hub_is_not_listed_again(ledger: Ledger, monkeypatch):
    read, listed = [], []
    parse, list_ = hub_view.read_grant, ledger.hub.list
    monkeypatch.setattr(hub_view, "read_grant", lambda thing: read.append(thing) or parse(thing))
    monkeypatch.setattr(ledger.hub, "list", lambda path, **_: listed.append(path) or list_(path))
    for accepted in range(4):
        ledger.hub.put(GRANT_PATH, granted() | {"status": {"receipts": accepted}})
        await ledger.step(shown())
    assert (len(read), len(listed)) == (1, 2)


async def test_receipts_of_a_node_that_left_are_booked_and_hold_up_no_others(ledger: Ledger):
    await ledger.show(shown())
    await ledger.source.take()
    await ledger.hub.delete(TARTU)
    await heard(ledger.view)
    await ledger.intake.step()
    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.evidence.unbooked() == []


async def test_a_job_that_names_no_project_is_booked_to_the_one_that_was_granted(ledger: Ledger):
    ledger.hub.put(GRANT_PATH, charged())
    await ledger.step(shown(receipts(project="screening")))
    assert {line.usage.project for line in ledger.reader.lines(UID)} == {"hospital/screening"}
    assert ledger.disputes == set()


LIES = {
    "another institution": ({"institution": "lab"}, ("Differs", "institution")),
    "more GPUs than were granted": ({"gpus": 8}, ("Differs", "gpus")),
    "another country": ({"jurisdiction": "LV"}, ("Differs", "jurisdiction")),
    "other data": ({"data_sets": ()}, ("Differs", "dataSets")),
    "another hub's work": ({"league": OTHER.key_id}, ("Differs", "league")),
    "another purpose": ({"purpose": "anything"}, ("Differs", "purpose")),
    "another spec": ({"spec_digest": "sha256:" + "b" * 64}, ("NeverGranted", "receipt")),
    "a run that was never granted": ({"epoch": 2}, ("NeverGranted", "receipt")),
}


@pytest.mark.parametrize(("lie", "dispute"), LIES.values(), ids=LIES)
async def test_what_differs_is_kept_in_both_versions_and_not_paid(ledger: Ledger, lie, dispute):
    await ledger.step(shown(receipts(**lie)))
    assert ledger.amounts == []
    assert dispute in ledger.disputes
    kept = list(ledger.evidence.of_job(UID))
    assert all(len(envelope.signatures) == 1 for _, envelope, _ in kept)
    # It holds up nothing: the member may let go of it, and what follows is taken.
    assert ledger.taken.sequence == 3


async def test_a_price_that_was_not_valid_is_a_difference_of_the_books(ledger: Ledger):
    dear = receipts()[0].work.price.model_copy(update={"gpu_hour": "99"})
    await ledger.step(shown(receipts(price=dear)))
    assert ledger.amounts == []
    assert ("WrongPrice", "unitPrice") in ledger.disputes


def _gap(found):
    return [found[0], found[2]]


def _second_version(found):
    other = changed(found[1], usage=found[1].usage.model_dump() | {"gpu_seconds": 1})
    return [found[0], other, found[2]]


def _double_sale(found):
    held = HeldGpu(gpu="a" * 16, start=found[1].start, end=found[1].end)
    twice = (held, held)
    return [found[0], changed(found[1], held=twice)]


WHOLE = {
    "a gap": (_gap, 1),
    "a receipt changed afterwards": (_second_version, 2),
    "a GPU twice in one receipt": (_double_sale, 1),
}


@pytest.mark.parametrize(("spoil", "paid"), WHOLE.values(), ids=WHOLE)
async def test_a_chain_is_taken_up_to_where_it_breaks(ledger: Ledger, spoil, paid):
    await ledger.step(shown(spoil(receipts())))
    assert len(ledger.amounts) == paid


STRANGE = {
    "no list": 7,
    "numbers": [1, 2],
    "another's key": shown(signer=OTHER),
    "cut": [{**shown()[0], "payload": "AAAA"}],
}


@pytest.mark.parametrize("outbox", STRANGE.values(), ids=STRANGE)
async def test_what_a_member_writes_ends_nothing(ledger: Ledger, outbox):
    await ledger.step(copy.deepcopy(outbox))
    assert ledger.amounts == []
    ledger.hub.put(SOVEREIGNNODE.path(name="narva"), {"metadata": {"name": "narva"}, "spec": {}})
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


def test_the_moment_of_a_grant_is_the_hub_s():
    assert granted()["spec"]["notBefore"] == rfc3339(NOW_S - 60)
