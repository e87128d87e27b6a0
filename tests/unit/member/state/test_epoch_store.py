"""The epoch memory on disk: what is durable, what is told to whom, and how few writes that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from hansa.errors import Conflict, NotFound, Retryable
from hansa.grants.epochs import BEGUN, EpochRecord, Outcome
from hansa.member.state import epoch_store
from hansa.member.state.epoch_store import PAGES, EpochStore

UIDS = [f"{number:08x}-7c1c-4f7b-9d9a-5d2f1e8a7b60" for number in range(100)]


@dataclass
class ConfigMaps:
    """ConfigMaps as an API server keeps them; each write waits until let through."""

    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    writes: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False

    def _answer(self, name):
        version = str(self.versions.setdefault(name, 1))
        return {"metadata": {"resourceVersion": version}, "data": dict(self.maps[name])}

    async def get(self, path):
        name = path.rsplit("/", 1)[1]
        if name not in self.maps:
            raise NotFound(name)
        return self._answer(name)

    async def create(self, path, body):
        assert path == "/api/v1/namespaces/here/configmaps"
        name = body["metadata"]["name"]
        if name in self.maps:
            raise Conflict(name)
        self.maps[name] = dict(body.get("data") or {})
        return self._answer(name)

    async def merge(self, path, body):
        self.writes += 1
        await self.open.wait()
        name = path.rsplit("/", 1)[1]
        if self.broken:
            raise Retryable("no answer")
        if name not in self.maps:
            raise NotFound(name)
        if body["metadata"]["resourceVersion"] != str(self.versions.setdefault(name, 1)):
            raise Conflict(name)
        self.versions[name] += 1
        for uid, line in body["data"].items():
            if line is None:
                self.maps[name].pop(uid, None)
            else:
                self.maps[name][uid] = line
        return self._answer(name)


def ready(**parts) -> ConfigMaps:
    """Return ConfigMaps that answer at once."""
    cluster = ConfigMaps(**parts)
    cluster.open.set()
    return cluster


def record(uid: str, epoch: int = 1, outcome: Outcome = Outcome.ACCEPTED, **more) -> EpochRecord:
    return EpochRecord(uid, epoch, "ab" * 8, outcome, **{"seen_s": 1, "keep_until_s": 50} | more)


def records(uids: Iterable[str], *args) -> list[EpochRecord]:
    return [record(uid, *args) for uid in uids]


async def loaded(cluster: ConfigMaps) -> EpochStore:
    store = EpochStore(cluster, "here")
    store.is_live = lambda _: False
    await store.load()
    return store


async def uids_of(cluster: ConfigMaps) -> set[str]:
    return {one.job_uid for one in (await loaded(cluster)).records}


async def test_a_burst_takes_two_writes_and_each_waits_for_its_own():
    cluster = ConfigMaps()
    store = await loaded(cluster)
    puts = [asyncio.ensure_future(store.put((record(uid),))) for uid in UIDS]
    await asyncio.sleep(0)
    assert not any(put.done() for put in puts)
    assert store.records.highest(UIDS[0]) is None  # not durable, so not remembered
    cluster.open.set()
    await asyncio.gather(*puts)
    assert cluster.writes <= 2
    assert await uids_of(cluster) == set(UIDS)


async def test_the_epochs_of_a_job_stand_together():
    cluster = ready()
    store = await loaded(cluster)
    for uid in UIDS[: 2 * PAGES]:
        await store.put((record(uid),))
    assert all(len(lines) == 2 for lines in cluster.maps.values())  # the emptiest page is next
    store = await loaded(cluster)
    await store.put(records(UIDS[: 2 * PAGES], 2))
    assert all(len(lines) == 4 for lines in cluster.maps.values())
    assert {one.epoch for one in (await loaded(cluster)).records} == {1, 2}


async def test_a_failed_write_is_told_to_everybody_and_remembered_by_nobody():
    cluster = ready(broken=False)
    store = await loaded(cluster)
    cluster.broken = True
    puts = (store.put((record(uid),)) for uid in UIDS)
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert all(isinstance(error, Retryable) for error in told)
    assert list(store.records) == []
    cluster.broken = False
    await store.put((record(UIDS[0]),))
    assert store.records.get(UIDS[0], 1) == record(UIDS[0])


async def test_who_waits_for_a_cancelled_writer_does_not_take_it_for_done():
    cluster = ConfigMaps()
    store = await loaded(cluster)
    blocks = asyncio.ensure_future(store.put((record(UIDS[0]),)))
    await asyncio.sleep(0)
    writes = asyncio.ensure_future(store.put((record(UIDS[1]),)))
    waits = asyncio.ensure_future(store.put((record(UIDS[2]),)))
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
    assert store.records.get(UIDS[2], 1) is None


async def test_a_page_that_somebody_deleted_is_put_back():
    cluster = ready()
    store = await loaded(cluster)
    await store.put(records(UIDS[:2]))
    cluster.maps.clear()
    await store.put((record(UIDS[0], 2),))
    found = (await loaded(cluster)).records
    assert (found.highest(UIDS[0]).epoch, found.highest(UIDS[1]).epoch) == (2, 1)


class Rivals(ConfigMaps):
    """Another agent is always the quicker to make a page, and writes on it at once."""

    async def create(self, path, body):
        rival = record(UIDS[0], 2)
        await super().create(path, body | {"data": {rival.key: rival.line()}})
        raise Conflict(body["metadata"]["name"])


async def test_pages_that_another_makes_meanwhile_are_read():
    store = await loaded(Rivals())
    assert store.records.highest(UIDS[0]) == record(UIDS[0], 2)


async def test_two_agents_at_once_lose_nothing_and_turn_nothing_back():
    cluster = ready()
    ours, theirs = await loaded(cluster), await loaded(cluster)
    await theirs.put((record(UIDS[0], 1, Outcome.ENDED), record(UIDS[1])))

    await ours.put((record(UIDS[0], 1, Outcome.ACCEPTED), record(UIDS[2])))

    found = (await loaded(cluster)).records
    assert found.get(UIDS[0], 1).outcome is Outcome.ENDED
    assert {one.job_uid for one in found} == set(UIDS[:3])
    assert ours.records.get(UIDS[0], 1).outcome is Outcome.ENDED


async def test_what_is_put_while_it_is_forgotten_stays():
    cluster = ready()
    store = await loaded(cluster)
    await store.put((record(UIDS[0]),))
    newer = record(UIDS[0], 2, Outcome.ACCEPTED, keep_until_s=999)
    await asyncio.gather(store.forget(100.0), store.put((newer,)))
    assert (await loaded(cluster)).records.highest(UIDS[0]) == newer


async def test_what_no_grant_can_refer_to_any_more_is_forgotten_on_disk_too():
    cluster = ready()
    store = await loaded(cluster)
    await store.put((*records(UIDS[:2]), record(UIDS[2], keep_until_s=999)))
    store.is_live = lambda one: one.job_uid == UIDS[1]
    assert await store.forget(100.0) == 1
    assert await uids_of(cluster) == {UIDS[1], UIDS[2]}
    assert store.records.highest(UIDS[0]) is None


async def test_refusals_without_end_fill_no_page_and_are_remembered_as_a_time(monkeypatch):
    """A hub may have any number of grants refused: memory stays bounded, and nothing old runs."""
    monkeypatch.setattr(epoch_store, "MOST_A_PAGE", 20)
    cluster = ready()
    store = await loaded(cluster)
    for number in range(1, 3 * PAGES * 20):
        uid = f"{number:08x}{UIDS[0][8:]}"
        await store.put((record(uid, 1, Outcome.REFUSED, seen_s=number),))
    assert all(len(lines) <= 21 for lines in cluster.maps.values())
    again = await loaded(cluster)
    kept = {one.seen_s for one in again.records}
    assert 0 < again.records.floor_s == store.records.floor_s
    assert {*range(again.records.floor_s + 1, 3 * PAGES * 20)} <= kept


async def test_spoilt_lines_are_passed_over():
    one = record(UIDS[0], 3)
    cluster = ready(maps={"hansa-epochs-0": {one.key: one.line(), f"{UIDS[1]}.1": "spoilt"}})
    assert list((await loaded(cluster)).records) == [one]


async def test_what_is_put_together_does_not_turn_back():
    """An end and a beginning of the same epoch wait for the same write."""
    cluster = ConfigMaps()
    store = await loaded(cluster)
    puts = [asyncio.ensure_future(store.put((record(UIDS[1]),)))]
    await asyncio.sleep(0)
    for one in (record(UIDS[0], 1, Outcome.ENDED), record(UIDS[0], reason=BEGUN)):
        puts.append(asyncio.ensure_future(store.put((one,))))
        await asyncio.sleep(0)
    cluster.open.set()
    await asyncio.gather(*puts)
    assert cluster.writes == 2
    assert (await loaded(cluster)).records.get(UIDS[0], 1).outcome is Outcome.ENDED
    assert store.records.get(UIDS[0], 1).outcome is Outcome.ENDED
