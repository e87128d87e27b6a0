"""A ledger whose database was put back from yesterday, or is empty: it is shown again what it lacks."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from hansa.errors import Retryable
from hansa.ledger.store.engine import migrate, open_engine
from hansa.receipts.envelope import unseal
from hansa.receipts.watermark import NOTHING
from tests.unit.grants.grant_kit import NODE
from tests.unit.ledger.receipts.ledger_kit import (
    GRANT_PATH,
    TARTU,
    Jumping,
    Ledger,
    heard,
    shown,
    tartu,
)


@pytest.fixture
def backup(tmp_path) -> Any:
    engine = open_engine(f"sqlite:///{tmp_path}/yesterday.db")
    migrate(engine)
    yield engine
    engine.dispose()


def digest(envelope: Any) -> str:
    return unseal(envelope, {NODE.key_id: NODE.public_key}).digest


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_what_a_backup_lacks_is_asked_for_again_and_paid_once(
    engine: Engine, backup: Engine, tmp_path, kept: int
):
    outbox = shown()
    before = Ledger(backup, tmp_path)
    await before.step(outbox[:kept])
    today = Ledger(engine, tmp_path)
    await today.step(outbox)
    said = today.hub.objects[TARTU]["status"]["receipts"]["taken"]

    # The member shows nothing: all it had was taken.
    node = tartu([])
    node["status"]["receipts"]["taken"] = said
    before.hub.put(TARTU, node)
    await heard(before.view)
    await before.intake.step()
    assert before.taken.sequence == kept
    assert before.taken.digest == (digest(outbox[kept - 1]) if kept else NOTHING)

    node["status"]["receipts"] |= {"outbox": outbox[kept:]}
    before.hub.put(TARTU, node)
    await heard(before.view)
    await before.intake.step()
    assert before.taken.sequence == 3
    assert sorted(before.amounts) == [100_000, 600_000, 600_000]


async def test_a_new_node_is_not_told_that_nothing_was_taken(engine: Engine, tmp_path):
    ledger = Ledger(engine, tmp_path)
    await ledger.step([])
    assert "taken" not in ledger.hub.objects[TARTU]["status"]["receipts"]


async def test_a_ledger_that_lost_all_says_so_once(engine: Engine, tmp_path):
    ledger = Ledger(engine, tmp_path)
    node = tartu([])
    node["status"]["receipts"]["taken"] = {"digest": "sha256:" + "a" * 64}
    ledger.hub.put(TARTU, node)
    await heard(ledger.view)
    await ledger.intake.step()
    await heard(ledger.view)
    assert ledger.taken.digest == NOTHING
    writes: list[str] = []
    ledger.hub.merge = lambda path, _: writes.append(path)
    await ledger.intake.step()
    assert writes == []


async def test_a_grant_that_came_and_went_while_the_database_was_away_is_known(
    engine: Engine, tmp_path, monkeypatch
):
    ledger = Ledger(engine, tmp_path)
    remember = ledger.evidence.remember

    def away(*_: Any) -> None:
        raise Retryable("the ledger's database: gone")

    monkeypatch.setattr(ledger.evidence, "remember", away)
    with pytest.raises(Retryable):
        await ledger.step([])
    del ledger.hub.objects[GRANT_PATH]
    monkeypatch.setattr(ledger.evidence, "remember", remember)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_what_came_before_a_clock_was_put_back_and_after_it_is_logged(
    engine: Engine, tmp_path
):
    """The ledger's own clock was a year ahead for one pass."""
    ledger, outbox = Ledger(engine, tmp_path), shown()
    clock = ledger.source._clock = ledger.logbook._clock = Jumping()
    clock.seconds += 365 * 86_400
    await ledger.step(outbox[:1])
    clock.seconds -= 365 * 86_400
    for so_far in (2, 3):
        clock.seconds += 600
        await ledger.step(outbox[:so_far])
    digests = [digest(envelope) for envelope in outbox]
    assert [ledger.logbook.prove(each).index for each in digests] == [0, 1, 2]
