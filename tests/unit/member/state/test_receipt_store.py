"""What is kept of receipts, what travels, and what a watermark moves."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.errors import Retryable
from hansa.member.state import receipt_store
from hansa.member.state.receipt_store import ReceiptStore
from hansa.model.times import rfc3339
from hansa.receipts.envelope import Opened, unseal
from hansa.receipts.metering import Sight
from hansa.receipts.watermark import NOTHING, acknowledge
from hansa.receipts.work_receipt import HeldGpu
from tests.unit.member.state.receipt_store_kit import drained, maps, mark_of, metered, store_on
from tests.unit.receipts.receipt_kit import (
    HUB,
    KEYS,
    NODE,
    NOW_S,
    OTHER,
    UID,
)


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


async def test_a_run_whose_row_outlived_its_last_receipt_does_not_begin_again(monkeypatch):
    """Its agent died between the two; then another run on the same page says that the page is up to date."""
    monkeypatch.setattr(receipt_store, "RUN_PAGES", 1)
    where, over = maps(), Sight(NOW_S + 10, over=True, ended_s=NOW_S + 9, end_reason="Stopped")
    first = store_on(where)
    await first.note(metered(1))

    async def dies() -> None:
        raise Retryable("connection reset")

    flushes = iter([first._flush, dies])

    async def flush() -> None:
        await next(flushes)()

    first._flush = flush
    with pytest.raises(Retryable):
        await first.issue({metered(1).run: over})

    second = store_on(where)
    await second.note(metered(2))
    assert set(second.runs) == {metered(2).run}
    third = store_on(where)
    await third.outbox()
    assert set(third.runs) == {metered(2).run}
    assert third.head.sequence == 1


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


async def drained_later(store: ReceiptStore) -> list[Opened]:
    taken: list[Opened] = []
    while outbox := await store.outbox():
        taken += [unseal(envelope, KEYS) for envelope in outbox]
        assert await store.take(mark_of(taken[-1], at="2027-01-15T10:00:00Z"), KEYS) == ""
    return taken


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


LATER = {"at": "2027-01-15T09:00:00Z"}


async def test_a_ledger_that_was_put_back_from_a_backup_is_shown_again_what_it_lacks():
    where = maps()
    store = store_on(where)
    for epoch in range(1, 51):
        await store.note(metered(epoch))
        await store.issue({metered(epoch).run: Sight(NOW_S + 9, over=True, end_reason="Stopped")})
    told = await drained(store)
    assert (store.waiting, await store.outbox()) == (0, [])

    assert await store.take(mark_of(told[9], **LATER), KEYS) == ""
    assert store.waiting == 40
    for again in (store, store_on(where)):
        shown = unseal((await again.outbox())[0], KEYS)
        assert shown.digest == told[10].digest
    assert [one.digest for one in await drained_later(store)] == [o.digest for o in told[10:]]


async def test_a_ledger_that_lost_all_is_shown_all():
    store, told = await _told()
    assert await store.take(mark_of(told[2]), KEYS) == ""
    nothing = {"sequence": 0, "digest": NOTHING}
    assert await store.take(mark_of(told[0], **nothing, **LATER), KEYS) == ""
    assert store.waiting == 3


async def test_what_is_not_kept_any_more_cannot_be_shown_again(monkeypatch):
    monkeypatch.setattr(receipt_store, "PAGES", 3)
    monkeypatch.setattr(receipt_store, "A_PAGE", 4)
    monkeypatch.setattr(receipt_store, "ROOM", 8)
    store, told = store_on(maps()), []
    for epoch in range(1, 41):
        await store.note(metered(epoch))
        await store.issue({metered(epoch).run: Sight(NOW_S + 9, over=True, end_reason="Stopped")})
        told += await drained(store)
    for mark in ({}, {"sequence": 0, "digest": NOTHING}):
        said = await store.take(mark_of(told[0], **mark, **LATER), KEYS)
        assert "not kept any more" in said
    assert store.waiting == 0


async def test_a_mark_that_goes_back_names_what_stands_there():
    store, told = await _told()
    assert await store.take(mark_of(told[2]), KEYS) == ""
    other = mark_of(told[0], digest=told[1].digest, **LATER)
    assert "which was not told" in await store.take(other, KEYS)
    assert store.waiting == 0


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


async def test_under_another_key_a_chain_of_its_own_begins(monkeypatch, caplog):
    """A member joins again with new keys, as after a restored API server or a theft."""
    monkeypatch.setattr(receipt_store, "A_PAGE", 4)
    where = maps()
    before = store_on(where)
    for epoch in range(1, 9):
        await before.note(metered(epoch))
    await before.issue({name: Sight(NOW_S + 300) for name in before.runs})
    told = [unseal(envelope, KEYS) for envelope in await before.outbox()]
    assert await before.take(mark_of(told[1]), KEYS) == ""

    keys = {OTHER.key_id: OTHER.public_key, **KEYS}
    for _ in range(2):
        store = ReceiptStore(where, "hansa-system", OTHER)
        assert await store.outbox() == []
        assert (store.runs, store.taken, store.head.sequence) == ({}, None, 0)
    run = metered(20, node_key=OTHER.key_id)
    await store.note(run)
    await store.issue({run.run: Sight(NOW_S + 300)})
    assert [name for one in where.objects.values() for name in one["data"] if UID in name] == [
        run.run
    ]
    for again in (store, ReceiptStore(where, "hansa-system", OTHER)):
        [only] = [unseal(envelope, keys) for envelope in await again.outbox()]
        assert (only.receipt.sequence, only.receipt.previous) == (1, None)
        assert (again.waiting, list(again.runs)) == (1, [run.run])
    assert "another key took it on" in caplog.text
    first_page = where.objects["/api/v1/namespaces/hansa-system/configmaps/hansa-receipts-0"]
    assert len(first_page["data"]) == 1
