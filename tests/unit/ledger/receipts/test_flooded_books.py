"""A member that signs without end fills the books with so much and no more, and loses nothing that is in order."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from hansa.ledger.receipts import judge
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from hansa.model.times import rfc3339
from hansa.receipts.chain import Head
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.receipts.work_receipt import WorkReceipt
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.ledger.receipts.ledger_kit import Clock, Ledger, receipts, shown
from tests.unit.receipts.receipt_kit import changed, head_after

ROOM, FLOOD = 5, 12


class Going(Clock):
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(ledger: Ledger, monkeypatch) -> Going:
    monkeypatch.setattr(judge, "MOST_DISPUTED", ROOM)
    ledger.source._clock = clock = Going()
    return clock


def rows(ledger: Ledger) -> dict[str, int]:
    """Table → how many rows a member has made in it."""
    with reading(ledger.engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (schema.EVIDENCE, schema.DIFFERENCE)
        }


def never_granted(head: Head) -> list[WorkReceipt]:
    """Return receipts of runs that nobody asked for, behind a chain's head."""
    found = []
    for epoch in range(2, 2 + FLOOD):
        work = receipts()[0].work.model_copy(update={"epoch": epoch})
        run = MeteredRun(work=work, until=rfc3339(NOW_S))
        sight = Sight(int(NOW_S) + 660, over=True, end_reason="Succeeded")
        found += [draw(head, run, sight, stretch) for stretch in due(run, sight)]
        head = head_after(found[-1])
    return found


async def test_runs_that_were_never_granted_take_so_much_room_and_wait_then(
    ledger: Ledger, clock: Going
):
    sound = receipts()
    outbox = shown([*sound, *never_granted(head_after(sound[-1]))])
    for _ in range(5):
        await ledger.step(outbox)
        assert rows(ledger) == {"evidence": len(sound) + ROOM, "difference": ROOM}
    assert ledger.taken.sequence == len(sound) + ROOM
    assert len(ledger.amounts) == len(sound)
    clock.seconds += judge.WINDOW_S + 1
    await ledger.step(outbox)
    assert rows(ledger) == {"evidence": len(sound) + 2 * ROOM, "difference": 2 * ROOM}


async def test_a_second_version_that_stays_in_the_window_takes_room_once(
    ledger: Ledger, clock: Going
):
    first = receipts()[0]
    other = changed(first, usage=first.usage.model_dump() | {"energy_joules": 1})
    await ledger.step(shown([first]))
    for _ in range(FLOOD):
        await ledger.step(shown([other]))
    (node_key,) = ledger.source._disputes._at_s
    assert ledger.source._disputes.left(node_key, clock.seconds) == ROOM - 1


@pytest.mark.usefixtures("clock")
async def test_ever_new_versions_of_a_receipt_take_so_much_room_and_no_more(ledger: Ledger):
    first = receipts()[0]
    await ledger.step(shown([first]))
    for at in range(FLOOD):
        other = changed(first, usage=first.usage.model_dump() | {"energy_joules": at})
        await ledger.step(shown([other]))
    assert rows(ledger) == {"evidence": 1, "difference": ROOM}
