"""The agent's part in the draw: what it hears on the hub, and what it then says in its own status."""

from __future__ import annotations

import pytest

from hansa.api.sovereignnode import AssuranceWord, AuditCall, ClosedEpoch
from hansa.member.witness.auditor import NAME, Auditor
from hansa.model.times import rfc3339
from hansa.verification.course.signed_words import say
from tests.unit.member.witness.map_server import Server
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, OTHER

KEYS = {HUB.key_id: HUB.public_key}
ROOT, OTHER_ROOT = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def node(by=HUB, *, level: str = "L1", epoch: int = 3, root: str = ROOT):
    closed = ClosedEpoch(epoch=epoch - 1, size=1, root=root)
    call = say(by, AuditCall, node_key=NODE.key_id, epoch=epoch, closed=closed)
    word = say(
        by,
        AssuranceWord,
        node_key=NODE.key_id,
        level=level,
        since=rfc3339(NOW_S),
        until=rfc3339(NOW_S + 60),
        why="",
    )
    wires = (one.model_dump(by_alias=True, mode="json") for one in (call, word))
    return {"status": {"audits": {"call": next(wires)}, "assurance": next(wires)}}


@pytest.fixture
def own() -> Server:
    """The member's own cluster."""
    return Server()


def auditor_in(own: Server) -> Auditor:
    return Auditor(NODE, own, "here")


async def test_it_answers_once_and_keeps_saying_it(own: Server):
    auditor = auditor_in(own)
    assert auditor.wire == {}
    assert await auditor.hear(node(), KEYS)
    assert not await auditor.hear(node(), KEYS)
    assert (auditor.wire["commitment"]["epoch"], auditor.wire["reveal"]["epoch"]) == (4, 2)
    assert auditor.level == "L1"


async def test_a_stranger_is_not_answered_and_lifts_nobody(own: Server):
    auditor = auditor_in(own)
    assert not await auditor.hear(node(OTHER), KEYS)
    assert auditor.wire == {}
    assert auditor.level == "L0"


@pytest.mark.parametrize(
    "said", [{}, {"status": 7}, {"status": {"audits": 7}}, {"status": {"audits": {"call": []}}}]
)
async def test_a_hub_may_show_anything(own: Server, said):
    auditor = auditor_in(own)
    assert not await auditor.hear(said, KEYS)
    assert auditor.wire == {}


async def test_an_agent_that_starts_again_reveals_no_key_for_another_root(own: Server):
    first = auditor_in(own)
    await first.hear(node(), KEYS)
    again = auditor_in(own)
    await again.hear(node(root=OTHER_ROOT), KEYS)
    assert "reveal" not in again.wire
    await again.hear(node(), KEYS)
    assert again.wire == first.wire


async def test_an_agent_that_starts_again_commits_to_no_key_that_is_out(own: Server):
    await auditor_in(own).hear(node(epoch=9), KEYS)
    again = auditor_in(own)
    await again.hear(node(epoch=7), KEYS)
    assert again.wire == {}


async def test_what_cannot_be_written_is_not_said_yet(own: Server):
    auditor = auditor_in(own)
    own.is_away = True
    assert not await auditor.hear(node(), KEYS)
    assert auditor.wire == {}
    own.is_away = False
    assert await auditor.hear(node(), KEYS)


async def test_of_two_agents_the_second_holds_to_what_the_first_revealed(own: Server):
    first, second = auditor_in(own), auditor_in(own)
    await first.hear(node(epoch=2), KEYS)
    await second.hear(node(epoch=2), KEYS)
    await first.hear(node(epoch=3), KEYS)
    assert not await second.hear(node(epoch=3, root=OTHER_ROOT), KEYS)
    await second.hear(node(epoch=3, root=OTHER_ROOT), KEYS)
    assert "reveal" not in second.wire


async def test_an_agent_whose_notes_are_deleted_reveals_no_second_root(own: Server):
    auditor = auditor_in(own)
    await auditor.hear(node(epoch=3), KEYS)
    own.maps.clear()
    for _ in range(3):
        await auditor.hear(node(epoch=4), KEYS)
    await auditor.hear(node(epoch=4, root=OTHER_ROOT), KEYS)
    assert "reveal" not in auditor.wire
    ((_, kept),) = own.maps.items()
    assert kept["data"] == {"2": ROOT, "3": ROOT}


async def test_so_many_roots_are_kept_and_no_more(own: Server):
    auditor = auditor_in(own)
    for epoch in range(1, 200):
        await auditor.hear(node(epoch=epoch), KEYS)
    ((path, kept),) = own.maps.items()
    assert path.endswith(NAME)
    assert len(kept["data"]) <= 66
    assert kept["data"]["198"] == ROOT
