"""Audits from the draw to what follows, over real books: found equal, found cheating, and all that is neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.accounting.postings import Event
from tests.unit.ledger.audits.small_league import SmallLeague


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


async def test_a_run_is_audited_elsewhere_and_found_equal(league: SmallLeague):
    league.submit("study", "tartu")
    await league.ticks(12)
    assert league.told("study")["audit"] == "Due"
    (audit,) = league.audit_jobs()
    assert audit["spec"]["audit"]["node"] in {"riga", "lisbon", "oslo"}
    assert audit["spec"]["audit"] | {"node": ""} == {"of": "study", "epoch": 1, "node": ""}
    await league.ticks(8)
    told = league.told("study")
    assert (told["audit"], told["reached"]) == ("Passed", "L1")
    assert told["message"].endswith("got the same")
    assert len(league.audit_jobs()) == 1
    assert league.level("tartu") == "L1"
