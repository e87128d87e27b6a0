"""The epoch memory: what is durable, what is told to whom, and how few writes that takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from hansa.errors import Conflict, NotFound, Retryable
from hansa.grants.epochs import EpochRecord, Outcome
from hansa.member.state.epoch_store import PAGES, EpochStore

UIDS = [f"{number:08x}-7c1c-4f7b-9d9a-5d2f1e8a7b60" for number in range(100)]


@dataclass
class ConfigMaps:
    """ConfigMaps behind the two calls the memory makes; each write waits until let through."""

    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False

    async def get(self, path):
        name = path.rsplit("/", 1)[1]
        if name not in self.maps:
            raise NotFound(name)
        return {"data": dict(self.maps[name])}

    async def create(self, path, body):
        assert path == "/api/v1/namespaces/here/configmaps"
        self.maps[body["metadata"]["name"]] = dict(body.get("data") or {})
        return body

    async def merge(self, path, body):
        self.writes += 1
        await self.open.wait()
        name = path.rsplit("/", 1)[1]
        if self.broken:
            raise Retryable("no answer")
        if name not in self.maps:
            raise NotFound(name)
        for uid, line in body["data"].items():
            if line is None:
                del self.maps[name][uid]
            else:
                self.maps[name][uid] = line


def record(epoch: int, outcome: Outcome = Outcome.ACCEPTED, keep_until_s: int = 50) -> EpochRecord:
    return EpochRecord(epoch, "ab" * 8, outcome, keep_until_s)


async def loaded(cluster: ConfigMaps) -> EpochStore:
    memory = EpochStore(cluster, "here")
    await memory.load()
    return memory


async def test_a_burst_takes_two_writes_and_each_waits_for_its_own():
    cluster = ConfigMaps()
    memory = await loaded(cluster)
    puts = [asyncio.ensure_future(memory.put({uid: record(1)})) for uid in UIDS]
    await asyncio.sleep(0)
    assert not any(put.done() for put in puts)
    assert memory.get(UIDS[0]) is None  # not durable, so not remembered
    cluster.open.set()
    await asyncio.gather(*puts)
    assert cluster.writes <= 2
    assert {uid for uid, _ in (await loaded(cluster)).items()} == set(UIDS)


async def test_a_record_is_replaced_where_it_stands():
    cluster = ConfigMaps()
    cluster.open.set()
    memory = await loaded(cluster)
    for uid in UIDS[: 2 * PAGES]:
        await memory.put({uid: record(1)})
    assert all(len(lines) == 2 for lines in cluster.maps.values())  # the emptiest page is next
    memory = await loaded(cluster)
    await memory.put({uid: record(2, Outcome.ENDED) for uid in UIDS[: 2 * PAGES]})
    kept = [uid for lines in cluster.maps.values() for uid in lines]
    assert sorted(kept) == UIDS[: 2 * PAGES]
    assert {one.epoch for _, one in (await loaded(cluster)).items()} == {2}


async def test_a_failed_write_is_told_to_everybody_and_remembered_by_nobody():
    cluster = ConfigMaps(broken=True)
    memory = await loaded(cluster)
    cluster.open.set()
    puts = (memory.put({uid: record(1)}) for uid in UIDS)
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert all(isinstance(error, Retryable) for error in told)
    assert memory.items() == []
    cluster.broken = False
    await memory.put({UIDS[0]: record(1)})
    assert memory.get(UIDS[0]) == record(1)


async def test_who_waits_for_a_cancelled_writer_does_not_take_it_for_done():
    cluster = ConfigMaps()
    memory = await loaded(cluster)
    blocks = asyncio.ensure_future(memory.put({UIDS[0]: record(1)}))
    await asyncio.sleep(0)
    writes = asyncio.ensure_future(memory.put({UIDS[1]: record(1)}))
    waits = asyncio.ensure_future(memory.put({UIDS[2]: record(1)}))
    await asyncio.sleep(0)
    cluster.open.set()
    await blocks
    cluster.open.clear()
    for _ in range(9):
        await asyncio.sleep(0)
    assert cluster.writes == 2
    writes.cancel()
    with pytest.raises(Retryable, match="tried again"):
        await waits
    assert memory.get(UIDS[2]) is None


async def test_a_page_that_somebody_deleted_is_put_back():
    cluster = ConfigMaps()
    cluster.open.set()
    memory = await loaded(cluster)
    await memory.put({UIDS[0]: record(1), UIDS[1]: record(1)})
    cluster.maps.clear()
    await memory.put({UIDS[0]: record(2)})
    found = dict((await loaded(cluster)).items())
    assert (found[UIDS[0]].epoch, found[UIDS[1]].epoch) == (2, 1)


class Rivals(ConfigMaps):
    """Another agent is always the quicker to make a page, and writes on it at once."""

    async def create(self, path, body):
        await super().create(path, body | {"data": {UIDS[0]: record(2).line()}})
        raise Conflict(body["metadata"]["name"])


async def test_pages_that_another_makes_meanwhile_are_read():
    memory = await loaded(Rivals())
    assert memory.get(UIDS[0]) == record(2)


async def test_what_no_grant_can_refer_to_any_more_is_forgotten_on_disk_too():
    cluster = ConfigMaps()
    cluster.open.set()
    memory = await loaded(cluster)
    await memory.put({UIDS[0]: record(1), UIDS[1]: record(1), UIDS[2]: record(1, keep_until_s=999)})
    assert await memory.forget(100.0, lambda uid, _: uid == UIDS[1]) == 1
    assert {uid for uid, _ in (await loaded(cluster)).items()} == {UIDS[1], UIDS[2]}
    assert memory.get(UIDS[0]) is None


async def test_of_two_lines_the_higher_epoch_counts_and_spoilt_ones_do_not():
    old, new = record(1).line(), record(3).line()
    cluster = ConfigMaps(
        {
            "hansa-epochs-0": {UIDS[0]: new, UIDS[1]: "spoilt"},
            "hansa-epochs-1": {UIDS[0]: old, UIDS[1]: old},
        }
    )
    memory = await loaded(cluster)
    assert (memory.get(UIDS[0]), memory.get(UIDS[1])) == (record(3), record(1))
