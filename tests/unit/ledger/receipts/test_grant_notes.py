"""What runs have to do and what they told is heard of once, waits for the book, and takes so much room."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.ledger.receipts.grant_notes import GrantNote, GrantNotes
from hansa.ledger.receipts.hub_view import HubView
from tests.unit.grants.grant_kit import NOW_S, UID, job
from tests.unit.ledger.receipts.ledger_kit import (
    GRANT_PATH,
    TARTU,
    Clock,
    granted,
    heard,
    tartu,
)
from tests.unit.member.small_cluster import SmallCluster

RUN = f"{UID}.3"


@pytest.fixture
def hub() -> SmallCluster:
    return SmallCluster(NOW_S - 60)


def view_of(hub: SmallCluster, most_bytes: int = 1 << 20) -> HubView:
    view = HubView(hub, Clock())
    view.keep_notes(GrantNotes(most_bytes))
    return view


async def noted(view: HubView) -> list[GrantNote]:
    """Return what a pass over the notes finds, which the book then has."""
    found: list[GrantNote] = []
    async for notes in view.notes():
        found += notes.values()
        view.noted(notes)
    return found


def told(result: str, **status: Any) -> dict[str, Any]:
    return granted() | {"status": {"result": result, **status}}


async def test_a_grant_that_is_gone_again_is_noted(hub: SmallCluster):
    view = view_of(hub)
    await heard(view)
    hub.put(GRANT_PATH, granted())
    await hub.delete(GRANT_PATH)
    await heard(view)
    (note,) = await noted(view)
    assert (note.run, note.job, note.node) == (RUN, "hospital/study", "tartu")
    assert note.spec == job()
    assert await noted(view) == []


async def test_a_result_that_comes_later_is_noted_and_the_first_one_counts(hub: SmallCluster):
    view = view_of(hub)
    hub.put(GRANT_PATH, granted())
    await heard(view)
    assert [note.result for note in await noted(view)] == [None]
    hub.put(GRANT_PATH, told("0.97"))
    hub.put(GRANT_PATH, told("0.99"))
    await heard(view)
    assert [note.result for note in await noted(view)] == ["0.97"]
    hub.put(GRANT_PATH, told("0.98", phase="Released"))
    await heard(view)
    assert await noted(view) == []


async def test_what_is_heard_while_the_book_is_written_waits_on(hub: SmallCluster):
    view = view_of(hub)
    hub.put(GRANT_PATH, granted())
    await heard(view)
    async for notes in view.notes():
        hub.put(GRANT_PATH, told("0.97"))
        await heard(view)
        view.noted(notes)
    assert [note.result for note in await noted(view)] == ["0.97"]


async def test_what_there_was_no_room_for_is_read_where_it_is(hub: SmallCluster):
    view = view_of(hub, most_bytes=8)
    hub.put(GRANT_PATH, told("0.97"))
    await heard(view)
    assert [(note.run, note.result) for note in await noted(view)] == [(RUN, "0.97")]
    assert await noted(view) == []


def test_room_that_was_given_back_is_taken_again():
    notes = GrantNotes(most_bytes=30)
    first, second = (GrantNote(name, "a/b", "tartu", b"{}" * 10, None) for name in "ab")
    notes.hear("1", first)
    notes.hear("2", second)
    assert (notes.waiting(), notes.passed_over) == ({"1": first}, 1)
    notes.kept(notes.waiting())
    notes.hear("2", second)
    assert (notes.waiting(), notes.passed_over) == ({"2": second}, 1)


async def test_a_grant_that_the_watch_has_not_told_of_yet_is_noted_where_it_is_looked_for(
    hub: SmallCluster,
):
    view = view_of(hub)
    await heard(view)
    node = hub.put(TARTU, tartu([]))
    hub.objects[GRANT_PATH] = hub.put("/elsewhere/unwatched", granted())
    assert [one.run for one in await view.look_again(node)] == [RUN]
    assert [note.run for note in await noted(view)] == [RUN]


async def test_nothing_is_kept_where_nobody_audits(hub: SmallCluster):
    view = HubView(hub, Clock())
    hub.put(GRANT_PATH, granted())
    await heard(view)
    assert await noted(view) == []
