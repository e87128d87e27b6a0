"""Hardware evidence from a ConfigMap at the member to the level that the league reads, and back down when it is stale."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.unit.ledger.audits.probe_answers import DAY_S, PROBING, is_probed, why

from hansa.member.witness.hardware import NAME
from tests.unit.ledger.audits.small_league import SmallLeague
from tests.unit.ledger.audits.small_members import Member
from tests.unit.verification.course.devices import RECORDED, VENDOR, Device, Vendor

MADE = Vendor()
PATH = "/api/v1/namespaces/hansa/configmaps"


@pytest.fixture
async def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    """One in which tartu has shown all but its hardware."""
    roots = f"{MADE.root.decode()}\n{VENDOR.decode()}"
    league = SmallLeague(engine, tmp_path, probing=PROBING, device_roots=roots)
    await is_probed(league, "tartu")
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    await league.tick()
    assert league.level("tartu") == "L3"
    return league


async def put(member: Member, **lines: str) -> dict[str, str]:
    """Have somebody at the member write into its ConfigMap, which is made where there is none; return what stands there."""
    path = f"{PATH}/{NAME}"
    if path not in member.own.objects:
        await member.own.create(PATH, {"metadata": {"name": NAME}, "data": {}})
    await member.own.merge(path, {"data": lines})
    return dict((await member.own.get(path))["data"])


async def answered(league: SmallLeague, name: str, device: Device) -> None:
    """Have a device answer the nonce that the member's agent has written down."""
    await put(league.members[name])
    await league.ticks(2)
    nonce = (await put(league.members[name]))["nonce"]
    said = device.says(bytes.fromhex(nonce))
    await put(league.members[name], report=said.report, chain=said.chain)
    await league.ticks(2)


async def test_an_answer_lifts_a_node_to_l4_until_it_is_stale(league: SmallLeague):
    await answered(league, "tartu", Device(MADE))
    assert league.level("tartu") == "L4"
    assert "all is shown; a device's report of" in why(league, "tartu")
    assert "recorded, not attested here" in why(league, "tartu")
    await league.tick(8 * DAY_S)
    assert league.level("tartu") == "L3"
    assert "L4 needs a fresh Hardware: its last one is of" in why(league, "tartu")


async def test_what_is_taken_away_counts_no_more(league: SmallLeague):
    await answered(league, "tartu", Device(MADE))
    await put(league.members["tartu"], report="", chain="")
    await league.ticks(2)
    assert league.level("tartu") == "L3"


async def test_a_real_report_that_somebody_recorded_is_read_and_lifts_nobody(league: SmallLeague):
    await put(league.members["tartu"], report=RECORDED.report, chain=RECORDED.chain)
    await league.ticks(2)
    assert league.level("tartu") == "L3"
    assert "its report (driver 550.90.07) answers no nonce" in why(league, "tartu")
    assert "recorded, not attested here" in why(league, "tartu")


async def test_a_report_that_was_changed_says_so(league: SmallLeague):
    said = Device(Vendor()).says(bytes(32))
    await put(league.members["tartu"], report=said.report, chain=said.chain)
    await league.ticks(2)
    assert league.level("tartu") == "L3"
    assert "what it shows counts for nothing: chain: " in why(league, "tartu")


async def test_hardware_alone_lifts_nobody(league: SmallLeague):
    """riga was neither probed nor audited."""
    await answered(league, "riga", Device(MADE))
    assert league.level("riga") in {"L0", "L1", "L2"}


async def test_one_device_lifts_no_two_nodes(league: SmallLeague):
    device = Device(MADE)
    await answered(league, "tartu", device)
    assert league.level("tartu") == "L4"
    await answered(league, "riga", device)
    assert league.level("tartu") == "L3"
    assert "answers for another node, too" in why(league, "tartu")


async def test_what_is_no_evidence_is_not_shown_at_all(league: SmallLeague):
    await put(league.members["tartu"], report="%", chain="x")
    await league.ticks(2)
    assert league.members["tartu"].hardware.wire == {}
