"""Receipts tile each run exactly once, whichever write an agent dies at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from hansa.errors import HansaError
from hansa.member.state import receipt_store
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.receipts.chain import Grant, Known, Moment, follow, next_problem
from hansa.receipts.envelope import Opened, unseal
from hansa.receipts.metering import MeteredRun, Sight
from hansa.receipts.work_receipt import WorkReceipt
from tests.unit.member.state.receipt_store_kit import AgentDied, Maps, mark_of, metered, store_on
from tests.unit.receipts.receipt_kit import (
    DIGEST,
    KEYS,
    NODE,
    NOW_S,
    PRICE,
    START,
)

HISTORIES_A_SEED = 25
SEEDS = range(48)


def soaked(seed: int) -> Any:
    return pytest.param(seed, marks=pytest.mark.soak)


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
            await self.store.take(mark_of(self.last), KEYS)

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
        self.last = opened

    async def _drain(self) -> None:
        while outbox := await self.store.outbox():
            for opened in self._opened(outbox):
                self._post(opened)
            await self.store.take(mark_of(self.last), KEYS)


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
