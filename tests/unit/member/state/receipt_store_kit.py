"""An API server that fails at any write, and what the tests of receipts on disk ask of a store."""

from __future__ import annotations

from typing import Any

import numpy as np

from hansa.errors import Conflict, NotFound, Retryable
from hansa.member.state.receipt_store import ReceiptStore
from hansa.model.times import rfc3339
from hansa.ports import Manifest
from hansa.receipts.envelope import Opened, unseal
from hansa.receipts.metering import MeteredRun
from hansa.receipts.watermark import acknowledge
from tests.unit.receipts.receipt_kit import (
    HUB,
    KEYS,
    NODE,
    NOW_S,
    work,
)

FAULTS = ("fails", "answer_lost", "dies_before", "dies_after")


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
