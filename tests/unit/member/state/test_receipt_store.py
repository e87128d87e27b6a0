"""Receipts tile each run exactly once, whichever write an agent dies at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from hansa.errors import Conflict, HansaError, NotFound, Retryable
from hansa.member.state import receipt_store
from hansa.member.state.receipt_store import ReceiptStore
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.receipts.chain import Grant, Known, Moment, follow, next_problem
from hansa.receipts.envelope import Opened, unseal
from hansa.receipts.tiling import MeteredRun, Sight
from hansa.receipts.watermark import acknowledge
from hansa.receipts.work_receipt import HeldGpu, WorkReceipt
from tests.unit.receipts.receipt_kit import (
    DIGEST,
    HUB,
    KEYS,
    NODE,
    NOW_S,
    OTHER,
    PRICE,
    START,
    UID,
    work,
)

HISTORIES_A_SEED = 25
SEEDS = range(48)
FAULTS = ("fails", "answer_lost", "dies_before", "dies_after")


def soaked(seed: int) -> Any:
    return pytest.param(seed, marks=pytest.mark.soak)


class AgentDied(BaseException):
    """The process is gone, at once and without a word."""


class Maps:
    """ConfigMaps under versions, on an API server that fails as it is told."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.objects: dict[str, Manifest] = {}
        self.fault_rate = 0.0
        self.writes = 0
        self._draw = draw
        self._version = 0

    async def get(self, path: str) -> Manifest:
        if self._draw.random() < self.fault_rate / 4:
            raise Retryable("no answer")
        if path not in self.objects:
            raise NotFound(path)
        return self.objects[path]

    async def create(self, path: str, body: Manifest) -> Manifest:
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise Conflict(where)
        return self._put(where, body.get("data") or {})

    async def merge(self, path: str, body: Manifest) -> Manifest:
        if path not in self.objects:
            raise NotFound(path)
        old = self.objects[path]
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Conflict(path)
        merged = {k: v for k, v in {**old["data"], **body["data"]}.items() if v is not None}
        return self._put(path, merged)

    def _put(self, where: str, data: dict[str, Any]) -> Manifest:
        self.writes += 1
        fault = None
        if self._draw.random() < self.fault_rate:
            fault = FAULTS[self._draw.integers(len(FAULTS))]
        if fault == "fails":
            raise Retryable("refused")
        if fault == "dies_before":
            raise AgentDied
        self._version += 1
        self.objects[where] = {
            "metadata": {"resourceVersion": str(self._version)},
            "data": dict(data),
        }
        if fault == "dies_after":
            raise AgentDied
        if fault == "answer_lost":
            raise Retryable("no answer")
        return self.objects[where]

    @property
    def largest(self) -> int:
        return max(sum(map(len, one["data"].values())) for one in self.objects.values())


def maps(seed: int = 0) -> Maps:
    return Maps(np.random.default_rng(seed))


def store_on(where: Maps) -> ReceiptStore:
    return ReceiptStore(where, "hansa-system", NODE)


def metered(epoch: int = 1, at_s: int = NOW_S, **changes: Any) -> MeteredRun:
    return MeteredRun(work=work(epoch=epoch, **changes), until=rfc3339(at_s))


async def drained(store: ReceiptStore) -> list[Opened]:
    """Return all that waits, as a ledger takes it."""
    taken: list[Opened] = []
    while outbox := await store.outbox():
        for envelope in outbox:
            found = unseal(envelope, KEYS)
            assert isinstance(found, Opened)
            taken.append(found)
        last = taken[-1]
        assert await store.take(mark_of(last), KEYS) == ""
    return taken


def mark_of(opened: Opened, **changes: Any) -> Manifest:
    said = {
        "node_key": NODE.key_id,
        "sequence": opened.receipt.sequence,
        "digest": opened.digest,
        "at": "2027-01-15T08:00:00Z",
    } | changes
    return acknowledge(HUB, **said).model_dump(by_alias=True, mode="json")


@dataclass
class Truth:
    """What really happened to one run, and what of it is durable elsewhere than in receipts."""

    run: MeteredRun
    accepted_s: int
    finished_s: int | None = None
    ended_s: int | None = None
    gone: bool = False


@dataclass
class World:
    """One member's life: runs come and go, an agent meters them and dies, a ledger takes what it is told."""

    draw: np.random.Generator
    now_s: int = NOW_S
    runs: dict[str, Truth] = field(default_factory=dict)
    known: Known = START
    told: dict[int, str] = field(default_factory=dict)
    taken: list[WorkReceipt] = field(default_factory=list)
    deaths: int = 0

    def __post_init__(self) -> None:
        self.maps = Maps(self.draw)
        self.store = store_on(self.maps)

    async def live(self, steps: int) -> None:
        self.maps.fault_rate = float(self.draw.choice([0.05, 0.2, 0.5]))
        for _ in range(steps):
            self.now_s += int(
                self.draw.choice([1, 7, 60, 290, 900, 100_000], p=[0.3, 0.2, 0.2, 0.15, 0.13, 0.02])
            )
            await self._surviving(self._step)
        self.maps.fault_rate = 0.0
        for truth in self.runs.values():
            truth.gone = True
        for _ in range(3):
            await self._surviving(self._end_all)
            await self._surviving(self._tick)
            await self._surviving(self._ledger)
        await self._surviving(self._drain)

    async def _surviving(self, what: Any) -> None:
        try:
            await what()
        except HansaError:
            pass
        except AgentDied:
            self.deaths += 1
            self.store = store_on(self.maps)

    async def _step(self) -> None:
        if len(self.runs) < 4 and self.draw.random() < 0.3:
            run = metered(len(self.runs) + 1, self.now_s)
            self.runs[run.run] = Truth(run, self.now_s)
        for truth in list(self.runs.values()):
            if self.draw.random() < 0.15:
                await self._end(truth)
            elif truth.ended_s is not None and self.draw.random() < 0.4:
                truth.gone = True
        if self.draw.random() < 0.6:
            await self._tick()
        if self.draw.random() < 0.4:
            await self._ledger()

    async def _end(self, truth: Truth) -> None:
        """End a run as the controller does: what only its objects tell first, then the durable end."""
        if truth.ended_s is not None:
            return
        if truth.finished_s is None and self.draw.random() < 0.5:
            truth.finished_s = self.now_s
        if truth.finished_s is not None:
            news = {"finished": rfc3339(truth.finished_s), "result_digest": DIGEST}
            await self.store.note(truth.run.model_copy(update=news))
        else:
            await self.store.note(truth.run)
        truth.ended_s = self.now_s

    async def _end_all(self) -> None:
        for truth in self.runs.values():
            await self._end(truth)

    async def _tick(self) -> None:
        for name, truth in self.runs.items():
            if name not in self.store.runs and truth.ended_s is None:
                await self.store.note(truth.run)
        await self.store.issue(
            {
                name: Sight(
                    self.now_s,
                    over=self.runs[name].ended_s is not None and self.runs[name].gone,
                    # While its objects are there they say that it has finished, noted or not.
                    ended_s=self.runs[name].ended_s or self.runs[name].finished_s,
                    end_reason="Succeeded",
                )
                for name in self.store.runs
            }
        )

    async def _ledger(self) -> None:
        """Take some of what travels; the watermark may be kept back, and is then shown later."""
        for opened in self._opened(await self.store.outbox()):
            self._post(opened)
            if self.draw.random() < 0.2:
                break
        if self.taken and self.draw.random() < 0.7:
            said = mark_of(Opened(self.taken[-1], self.known.head.digest, frozenset()))
            await self.store.take(said, KEYS)

    def _opened(self, outbox: list[Manifest]) -> Iterator[Opened]:
        for envelope in outbox:
            found = unseal(envelope, KEYS)
            assert isinstance(found, Opened)
            at = found.receipt.sequence
            assert self.told.setdefault(at, found.digest) == found.digest, (
                "two versions of one receipt"
            )
            if at > self.known.head.sequence:
                yield found

    def _post(self, opened: Opened) -> None:
        truth = self.runs[opened.receipt.run]
        grant = Grant(truth.accepted_s, DIGEST, NODE.key_id, PRICE)
        problem = next_problem(opened, self.known, grant, Moment(self.now_s, 0.0))
        assert problem is None, problem
        self.known = follow(self.known, opened)
        self.taken.append(opened.receipt)

    async def _drain(self) -> None:
        while outbox := await self.store.outbox():
            for opened in self._opened(outbox):
                self._post(opened)
            await self.store.take(
                mark_of(Opened(self.taken[-1], self.known.head.digest, frozenset())), KEYS
            )


@pytest.mark.parametrize("seed", [*SEEDS[:5], *map(soaked, SEEDS[5:])])
async def test_receipts_tile_each_run_once_over_death_at_every_write(seed: int, monkeypatch):
    """125 histories always, 1,200 in the long runs; in every other page by page, receipt by receipt."""
    monkeypatch.setattr(receipt_store, "A_PAGE", 1 if seed % 2 else receipt_store.A_PAGE)
    monkeypatch.setattr(receipt_store, "PAGES", 200)
    deaths = receipts = 0
    for number in range(HISTORIES_A_SEED):
        world = World(np.random.default_rng((seed, number)))
        await world.live(40)
        deaths, receipts = deaths + world.deaths, receipts + len(world.taken)
        for name, truth in world.runs.items():
            mine = [receipt for receipt in world.taken if receipt.run == name]
            at = truth.accepted_s
            for receipt in mine:
                assert receipt.start_s == at
                at = receipt.end_s
            assert [receipt.last for receipt in mine] == [False] * (len(mine) - 1) + [True], name
            until_s = min(end for end in (truth.finished_s, truth.ended_s) if end is not None)
            used = sum(receipt.usage.gpu_seconds for receipt in mine)
            assert used == 2 * (until_s - truth.accepted_s)
            assert (mine[-1].result_digest is not None) == (truth.finished_s is not None)
        assert world.store.runs == {}
    assert deaths > 20
    assert receipts > 50


async def test_a_dead_agents_receipts_are_told_word_for_word():
    where = maps()
    store = store_on(where)
    await store.note(metered())
    await store.issue({metered().run: Sight(NOW_S + 300)})
    before = await store.outbox()
    again = store_on(where)
    assert await again.outbox() == before
    assert again.head == store.head
    assert again.runs == store.runs


async def test_a_ring_of_pages_is_written_over_only_where_the_ledger_took_it(monkeypatch):
    monkeypatch.setattr(receipt_store, "PAGES", 3)
    monkeypatch.setattr(receipt_store, "A_PAGE", 4)
    monkeypatch.setattr(receipt_store, "ROOM", 8)
    where = maps()
    store = store_on(where)
    taken: list[Opened] = []
    for epoch in range(1, 41):
        run = metered(epoch)
        await store.note(run)
        await store.issue(
            {run.run: Sight(NOW_S + 10, over=True, ended_s=NOW_S + 9, end_reason="Stopped")}
        )
        assert store.waiting <= 8
        if epoch % 13 == 0:
            taken += await drained(store)
        if epoch % 7 == 0:
            store = store_on(where)
    for _ in range(9):
        sights = {
            name: Sight(NOW_S + 99, over=True, ended_s=NOW_S + 9, end_reason="Stopped")
            for name in store.runs
        }
        await store.issue(sights)
        taken += await drained(store)
    assert [one.receipt.sequence for one in taken] == list(range(1, 41))
    assert {one.receipt.work.epoch for one in taken} == set(range(1, 41))
    kept = [key for name, one in where.objects.items() if "receipts" in name for key in one["data"]]
    assert len(kept) <= 12


async def test_what_waits_too_long_makes_receipts_longer_and_loses_no_second(monkeypatch):
    monkeypatch.setattr(receipt_store, "ROOM", 8)
    store = store_on(maps())
    await store.note(metered())
    for minute in range(60 * 24 * 5):
        if minute % 30 == 0:
            await store.issue({metered().run: Sight(NOW_S + 60 * minute)})
    spans = [o.receipt.end_s - o.receipt.start_s for o in await drained(store)]
    assert spans == [1800, 1800, 1800, 1800, 3600, 3600, 86_400, 86_400]
    await store.issue({metered().run: Sight(NOW_S + 86_400 * 6)})
    rest = await drained(store)
    assert rest[-1].receipt.end_s == NOW_S + 86_400 * 6


async def test_a_rush_is_signed_in_turns(monkeypatch):
    monkeypatch.setattr(receipt_store, "MOST_AT_ONCE", 2)
    store = store_on(maps())
    for epoch in range(1, 6):
        await store.note(metered(epoch))
    counts = []
    for _ in range(3):
        await store.issue({name: Sight(NOW_S + 300) for name in store.runs})
        counts.append(store.waiting)
    assert counts == [2, 4, 5]
    assert len({one.receipt.run for one in await drained(store)}) == 5


async def _told() -> tuple[ReceiptStore, list[Opened]]:
    store = store_on(maps())
    for epoch in (1, 2, 3):
        await store.note(metered(epoch))
    await store.issue({metered(e).run: Sight(NOW_S + 300) for e in (1, 2, 3)})
    found = [unseal(envelope, KEYS) for envelope in await store.outbox()]
    return store, [one for one in found if isinstance(one, Opened)]


FORGED = {
    "of_a_receipt_not_told": {"sequence": 9},
    "of_another_receipt": {"digest": "sha256:" + "0" * 64},
    "of_another_node": {"node_key": HUB.key_id},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_watermark_moves_nothing(changes: dict[str, Any]):
    store, told = await _told()
    assert await store.take(mark_of(told[2], **changes), KEYS)
    assert store.waiting == 3
    assert len(await store.outbox()) == 3


async def test_a_watermark_by_a_key_that_is_not_trusted_moves_nothing():
    store, told = await _told()
    mark = acknowledge(
        OTHER,
        node_key=NODE.key_id,
        sequence=3,
        digest=told[2].digest,
        at="2027-01-15T08:00:00Z",
    )
    assert "not trusted" in await store.take(mark.model_dump(by_alias=True, mode="json"), KEYS)
    assert store.waiting == 3


async def test_an_older_watermark_takes_nothing_back():
    store, told = await _told()
    assert await store.take(mark_of(told[1]), KEYS) == ""
    assert await store.take(mark_of(told[0]), KEYS) == ""
    assert store.waiting == 1


async def test_a_hub_that_keeps_its_watermark_back_makes_nobody_forget():
    where = maps()
    store = store_on(where)
    for epoch in range(1, 101):
        await store.note(metered(epoch))
        await store.issue({metered(epoch).run: Sight(NOW_S + 9, over=True, end_reason="Stopped")})
    again = store_on(where)
    assert len(await again.outbox()) == 32
    assert again.waiting == 100
    assert len(await drained(again)) == 100


async def test_the_longest_rows_and_receipts_fill_a_page_and_no_more():
    gpus = [f"{number:016x}" for number in range(32)]
    sight = Sight(
        NOW_S + 300,
        held=tuple(
            HeldGpu(gpu=gpu, start=rfc3339(NOW_S), end=rfc3339(NOW_S + 300)) for gpu in gpus
        ),
        energy_joules=2**40,
    )
    long = {
        "purpose": "\U0001f600" * 256,
        "data_sets": tuple(f"{n:02d}" + "d" * 61 for n in range(16)),
        "institution": "i" * 63,
        "project": "p" * 63,
        "node": "n" * 63,
        "gpu_class": "g" * 63,
        "gpus": 1_000_000,
    }
    where = maps()
    store = store_on(where)
    run = metered(999_999_999, **long)
    await store.note(run)
    row = max(sum(map(len, one["data"].values())) for one in where.objects.values())
    await store.issue({run.run: sight})
    (envelope,) = await store.outbox()
    assert len(envelope["payload"]) <= 10_240
    assert receipt_store.A_PAGE * (where.largest + 20) < 1 << 20
    assert receipt_store.MOST_RUNS * (row + 60) < 1 << 20


async def test_a_full_page_of_runs_says_so_and_goes_on(monkeypatch, caplog):
    monkeypatch.setattr(receipt_store, "MOST_RUNS", 1)
    store = store_on(maps())
    told = [await store.note(metered(epoch)) for epoch in range(1, 30)]
    assert sum(told) == len(store.runs) == len({receipt_store._run_page(r) for r in store.runs})
    assert "no room" in caplog.text


SPOILT = ("{}", "no json", '{"payloadType": 7}')


@pytest.mark.parametrize("text", SPOILT)
async def test_a_spoilt_line_ends_no_agent(text: str):
    where = maps()
    store = store_on(where)
    await store.note(metered())
    await store.issue({metered().run: Sight(NOW_S + 300)})
    for one in where.objects.values():
        one["data"] |= {f"{UID}.7": text, "0000000000000099": text}
    again = store_on(where)
    await again.issue({metered().run: Sight(NOW_S + 600)})
    assert again.head.sequence == 2


async def test_pages_that_were_deleted_give_no_place_twice():
    where = maps()
    store = store_on(where)
    await store.note(metered())
    await store.issue({metered().run: Sight(NOW_S + 300)})
    for name in [name for name in where.objects if "hansa-receipts" in name]:
        del where.objects[name]
    again = store_on(where)
    await again.issue({metered().run: Sight(NOW_S + 600)})
    assert (again.head.sequence, again.runs[metered().run].parts) == (2, 2)
