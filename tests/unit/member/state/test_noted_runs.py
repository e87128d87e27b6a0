"""What is noted of runs: together in few writes, once, and never after the end."""

from __future__ import annotations

import asyncio

from hansa.member.state import receipt_store
from hansa.model.times import rfc3339
from hansa.receipts.metering import Sight
from tests.unit.member.state.receipt_store_kit import maps, metered, store_on
from tests.unit.receipts.receipt_kit import NOW_S


async def test_what_is_noted_while_a_write_is_under_way_goes_with_the_next(monkeypatch):
    monkeypatch.setattr(receipt_store, "RUN_PAGES", 1)
    where = maps()
    store = store_on(where)
    await store.outbox()
    merge, before = where.merge, where.writes

    async def slow(path, body):
        await asyncio.sleep(0)
        return await merge(path, body)

    where.merge = slow
    await asyncio.gather(*(store.note(metered(epoch)) for epoch in range(1, 17)))
    assert where.writes - before <= 2
    await store.note(metered(1))
    assert where.writes - before <= 2, "what is known is written once more"
    again = store_on(where)
    await again.outbox()
    assert again.runs == store.runs
    assert len(again.runs) == 16


async def test_a_row_is_durable_only_when_it_is_written():
    where = maps()
    store = store_on(where)
    merge, seen = where.merge, []

    async def asked(path, body):
        seen.append(store.is_durable(metered().run))
        return await merge(path, body)

    where.merge = asked
    await store.note(metered())
    assert (seen, store.is_durable(metered().run)) == ([False], True)


async def test_what_was_noted_before_a_last_receipt_opens_no_run_again():
    """A run's finish is noted while its end is signed: the note waits for the pages, and comes too late."""
    where = maps()
    store = store_on(where)
    await store.note(metered())
    over = Sight(NOW_S + 10, over=True, ended_s=NOW_S + 9, end_reason="Stopped")
    late = metered().model_copy(update={"finished": rfc3339(NOW_S + 8)})
    create, notes = where.create, []

    async def meanwhile(path, body):
        if "hansa-receipts" in body["metadata"]["name"]:
            notes.append(asyncio.create_task(store.note(late)))
            await asyncio.sleep(0)
        return await create(path, body)

    where.create = meanwhile
    await store.issue({metered().run: over})
    await asyncio.gather(*notes)
    assert (len(notes), store.runs, store.head.sequence) == (1, {}, 1)
