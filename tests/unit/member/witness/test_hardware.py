"""The agent's part in hardware evidence: what it has a device asked, and what it shows of the answer."""

from __future__ import annotations

import pytest

from hansa.api.kinds import SOVEREIGNNODE
from hansa.api.sovereignnode import AuditCall, ClosedEpoch
from hansa.member.publisher import Publisher
from hansa.member.witness.hardware import NAME, HardwareShower
from hansa.verification.course.attesting import nonce
from hansa.verification.course.signed_words import say
from tests.unit.grants.grant_kit import FOREIGN, HUB, NODE
from tests.unit.member.runs.plain_job import Running
from tests.unit.member.witness.map_server import Server
from tests.unit.verification.course.devices import RECORDED

KEYS = {HUB.key_id: HUB.public_key}
ROOT = "sha256:" + "a" * 64
WANTED = nonce(NODE.key_id, 2, ROOT).hex()
MAPS = "/api/v1/namespaces/{}/configmaps"
NODE_PATH = SOVEREIGNNODE.path(name="tartu")


def node(by=HUB):
    closed = ClosedEpoch(epoch=2, size=1, root=ROOT)
    call = say(by, AuditCall, node_key=NODE.key_id, epoch=3, closed=closed)
    return {"status": {"audits": {"call": call.model_dump(by_alias=True, mode="json")}}}


def kept(**lines: str) -> Server:
    own = Server()
    own.maps[f"{MAPS.format('here')}/{NAME}"] = {"version": 1, "data": lines}
    return own


def lines_of(own: Server) -> dict[str, str]:
    return own.maps[f"{MAPS.format('here')}/{NAME}"]["data"]


async def test_it_writes_down_what_the_league_asks_and_shows_what_is_put_beside_it():
    own = kept()
    shower = HardwareShower(NODE.key_id, own, "here")
    assert not await shower.hear(node(), KEYS)
    assert lines_of(own) == {"nonce": WANTED}
    lines_of(own).update(report=RECORDED.report + "\n", chain=RECORDED.chain)
    assert await shower.hear(node(), KEYS)
    assert not await shower.hear(node(), KEYS)
    assert shower.wire == {"report": RECORDED.report, "chain": RECORDED.chain.strip()}
    own.is_away = True
    assert not await shower.hear(node(), KEYS)
    assert shower.wire, "what was shown stays while the API server is away"


async def test_a_stranger_has_no_device_asked():
    own = kept()
    await HardwareShower(NODE.key_id, own, "here").hear(node(FOREIGN), KEYS)
    assert lines_of(own) == {}


async def test_an_institution_that_made_no_place_for_it_is_left_alone():
    own = Server()
    assert not await HardwareShower(NODE.key_id, own, "here").hear(node(), KEYS)
    assert own.maps == {}


NO_EVIDENCE = {
    "no chain": {"report": RECORDED.report},
    "no base64": {"report": "%", "chain": "x"},
    "too long": {"report": "A" * 16_388, "chain": "x"},
}


@pytest.mark.parametrize("lines", NO_EVIDENCE.values(), ids=NO_EVIDENCE)
async def test_what_the_hub_would_not_take_is_not_shown_and_named(lines, caplog):
    shower = HardwareShower(NODE.key_id, kept(**lines), "here")
    assert not await shower.hear(node(), KEYS)
    assert shower.wire == {}
    assert "ConfigMap hansa-hardware is not shown" in caplog.records[-1].why


async def test_an_agent_shows_it_in_its_nodes_status():
    agent = Running()
    context, maps = agent.parts.context, MAPS.format("hansa-system")
    said = {"report": RECORDED.report, "chain": RECORDED.chain}
    await agent.own.create(maps, {"metadata": {"name": NAME}, "data": said})
    agent.hub.put(NODE_PATH, {**agent.hub.objects[NODE_PATH], **node()})
    context.dirty.clear()
    await agent.parts.metering.ask_hub()
    assert context.dirty.is_set()
    told = Publisher(context, release_key="", token_end_s=lambda: None)._node_body()["status"]
    assert told["hardware"]["report"] == RECORDED.report
    assert (await agent.own.get(f"{maps}/{NAME}"))["data"]["nonce"] == WANTED
