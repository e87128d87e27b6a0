"""The agent's part in the draw: what it hears on the hub, and what it then says in its own status."""

from __future__ import annotations

import pytest

from hansa.api.sovereignnode import AssuranceWord, AuditCall, ClosedEpoch
from hansa.member.witness.auditor import Auditor
from hansa.model.times import rfc3339
from hansa.verification.course.words import say
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, OTHER

KEYS = {HUB.key_id: HUB.public_key}
ROOT = "sha256:" + "a" * 64


def node(by=HUB, *, level: str = "L1", epoch: int = 3):
    closed = ClosedEpoch(epoch=epoch - 1, size=1, root=ROOT)
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


def test_it_answers_once_and_keeps_saying_it():
    auditor = Auditor(NODE)
    assert auditor.wire == {}
    assert auditor.hear(node(), KEYS)
    assert not auditor.hear(node(), KEYS)
    assert (auditor.wire["commitment"]["epoch"], auditor.wire["reveal"]["epoch"]) == (4, 2)
    assert auditor.level == "L1"


def test_a_stranger_is_not_answered_and_lifts_nobody():
    auditor = Auditor(NODE)
    assert not auditor.hear(node(OTHER), KEYS)
    assert auditor.wire == {}
    assert auditor.level == "L0"


@pytest.mark.parametrize(
    "said", [{}, {"status": 7}, {"status": {"audits": 7}}, {"status": {"audits": {"call": []}}}]
)
def test_a_hub_may_show_anything(said):
    auditor = Auditor(NODE)
    assert not auditor.hear(said, KEYS)
    assert auditor.wire == {}
