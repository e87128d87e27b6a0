"""A network between ledger and witnesses that fails for a while says nothing about a node that works on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.errors import Retryable
from hansa.ledger.audits import facts
from hansa.translog.proof import LogProof
from tests.unit.ledger.audits.small_league import SmallLeague


@pytest.fixture
def league(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallLeague:
    monkeypatch.setattr(facts, "MOST_LOOKED_AT", 2)
    return SmallLeague(engine, tmp_path)


async def works(league: SmallLeague, first: int, runs: int) -> None:
    for number in range(first, first + runs):
        league.submit(f"work-{number}", "tartu")
    await league.ticks(12)


async def test_a_level_stays_however_much_waits_for_witnesses(
    league: SmallLeague, monkeypatch: pytest.MonkeyPatch
):
    key = league.members["tartu"].signer.key_id
    await works(league, 0, 1)
    assert league.level("tartu") == "L1"
    witnessed = {digest for digest, _ in league.audits._parts.course._facts.newest(key)}
    prove = league.logbook.prove

    def only_before(digest: str) -> LogProof:
        if digest not in witnessed:
            raise Retryable("not witnessed yet")
        return prove(digest)

    monkeypatch.setattr(league.logbook, "prove", only_before)
    await works(league, 1, 8)
    assert league.level("tartu") == "L1"
    witnessed.clear()
    await league.tick()
    assert league.level("tartu") == "L0"
