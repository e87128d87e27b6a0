"""What one member does wrong, or suffers, costs it that receipt: not the next ones, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hansa.api.kinds import SOVEREIGNNODE
from hansa.errors import Retryable, Terminal
from hansa.ledger.receipts import recorded, source
from hansa.ledger.store.sides import disputed
from hansa.ledger.store.writer import LedgerWriter
from hansa.model.times import rfc3339
from tests.unit.grants.grant_kit import NOW_S, UID
from tests.unit.ledger.receipts.ledger_kit import (
    SPEC,
    Jumping,
    Ledger,
    absurd,
    receipts,
    rechained,
    shown,
    tartu,
)
from tests.unit.receipts.receipt_kit import OTHER, changed


async def test_a_disputed_receipt_costs_itself_alone_however_late_the_next_one_comes(
    ledger: Ledger,
):
    found = receipts()
    outbox = shown(rechained(found, 1, **absurd(found[1])))
    for so_far in (1, 2, 3):
        await ledger.step(outbox[:so_far])
    assert ledger.disputes == {("BadAmount", "receipt")}
    assert sorted(ledger.amounts) == [100_000, 600_000]


async def test_a_first_receipt_that_is_disputed_does_not_make_the_next_one_the_first(
    ledger: Ledger,
):
    found = receipts()
    outbox = shown(rechained(found, 0, **absurd(found[0])))
    for so_far in (1, 2, 3):
        await ledger.step(outbox[:so_far])
    assert ledger.disputes == {("BadAmount", "receipt")}
    assert sorted(ledger.amounts) == [100_000, 600_000]


async def test_a_clock_that_was_ahead_for_a_moment_costs_one_receipt(ledger: Ledger):
    found = receipts()
    ahead = rfc3339(NOW_S + 1_000_000)
    outbox = shown(rechained(found, 0, issued=ahead))
    for so_far in (1, 2, 3):
        await ledger.step(outbox[:so_far])
    assert ledger.disputes == {("ClockJump", "receipt")}
    assert sorted(ledger.amounts) == [100_000, 600_000]


async def test_a_second_version_of_a_receipt_that_was_taken_is_kept_and_named(ledger: Ledger):
    """It comes when the first was acknowledged, paid and forgotten at home."""
    found = receipts()
    await ledger.step(shown(found))
    dearer = rechained(found, 1, usage=found[1].usage.model_dump() | {"gpu_seconds": 599})
    await ledger.step(shown(dearer[1:2]))

    assert sorted(ledger.amounts) == [100_000, 600_000, 600_000]
    assert ledger.disputes == {("TwoVersions", "receipt")}
    assert ledger.kept("TwoVersions") == shown(dearer[1:2])
    assert ledger.reader.standing().differences == 1


async def test_two_nodes_with_one_key_are_one_chain_also_in_one_pass(ledger: Ledger):
    found = receipts()
    dearer = rechained(found, 1, usage=found[1].usage.model_dump() | {"gpu_seconds": 599})
    ledger.hub.put(BEFORE, {**tartu(shown(dearer)), "metadata": {"name": "aaa"}})
    await ledger.step(shown(found))
    assert len(ledger.amounts) == 3
    assert ledger.disputes == {("TwoVersions", "receipt")}


@pytest.mark.parametrize(
    "refusal", [Terminal("no such letter"), ValueError("no such letter")], ids=["refused", "a bug"]
)
async def test_a_receipt_that_the_database_refuses_holds_up_no_other_node(
    ledger: Ledger, monkeypatch, caplog, refusal
):
    other = SPEC | {"releaseKey": OTHER.public_key}
    first = receipts()[0]
    strange = shown(
        [changed(first, work=first.work.model_dump() | {"node_key": OTHER.key_id})], OTHER
    )
    ledger.hub.put(BEFORE, {**tartu(strange), "metadata": {"name": "aaa"}, "spec": other})
    add, refused = ledger.evidence.add, []

    def refusing(taken: Any, recorded_ms: int) -> None:
        if any(one.opened.receipt.work.node_key == OTHER.key_id for one in taken):
            refused.append(len(taken))
            raise refusal
        add(taken, recorded_ms)

    monkeypatch.setattr(ledger.evidence, "add", refusing)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3
    assert refused == [4, 1]
    assert "no such letter" in caplog.text


async def test_what_was_taken_and_is_shown_again_is_no_second_version(ledger: Ledger):
    for _ in range(2):
        await ledger.step(shown())
    assert ledger.disputes == set()


async def test_more_receipts_at_once_than_are_looked_at_are_not_believed(
    ledger: Ledger, monkeypatch
):
    monkeypatch.setattr(recorded, "MOST_MEETING", 0)
    found = receipts()
    for so_far in (1, 2, 3):
        await ledger.step(shown(found)[:so_far])
    assert ledger.disputes == {("GpuSoldTwice", "receipt")}


NARVA = SOVEREIGNNODE.path(name="narva")
BEFORE = SOVEREIGNNODE.path(name="aaa")


async def test_a_node_that_cannot_be_told_holds_up_no_other(ledger: Ledger, monkeypatch):
    """Its status has grown so large, or so wrong, that the hub takes no more of it."""
    ledger.hub.put(BEFORE, {**tartu(shown()), "metadata": {"name": "aaa"}})
    merge = ledger.hub.merge

    async def refusing(path: str, body: Any) -> Any:
        if path.startswith(BEFORE):
            raise Terminal("etcdserver: request is too large", status=413)
        return await merge(path, body)

    monkeypatch.setattr(ledger.hub, "merge", refusing)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_node_whose_evidence_cannot_be_read_holds_up_no_other(ledger: Ledger, monkeypatch):
    other = SPEC | {"releaseKey": OTHER.public_key}
    ledger.hub.put(BEFORE, {**tartu(shown()), "metadata": {"name": "aaa"}, "spec": other})
    read = ledger.evidence.recorded

    def spoilt(windows: Any) -> Any:
        if OTHER.key_id in windows:
            raise ValueError("evidence cannot be read: the database was changed")
        return read(windows)

    monkeypatch.setattr(ledger.evidence, "recorded", spoilt)
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_database_that_is_away_is_not_asked_again_for_each_node(
    ledger: Ledger, monkeypatch
):
    asked = []

    def away(windows: Any) -> Any:
        asked.append(windows)
        raise Retryable("the ledger's database: gone")

    monkeypatch.setattr(ledger.evidence, "recorded", away)
    ledger.hub.put(BEFORE, {**tartu(shown()), "metadata": {"name": "aaa"}})
    with pytest.raises(Retryable):
        await ledger.step(shown())
    assert len(asked) == 1


async def test_a_receipt_that_was_right_after_all_is_posted_once_the_price_is_put_back(
    ledger: Ledger, caplog
):
    valid = ledger.tariffs["tartu"]
    ledger.tariffs["tartu"] = replace(valid, rates=())
    for _ in range(3):
        await ledger.step(shown())
    assert (ledger.amounts, len(ledger.kept("WrongPrice"))) == ([], 3)
    assert caplog.text.count("receipt not posted") == 3

    ledger.tariffs["tartu"] = valid
    await ledger.step(shown())
    assert len(ledger.amounts) == 3
    assert ledger.reader.standing().differences == 0


async def test_what_was_explained_stays_unpaid(ledger: Ledger):
    valid = ledger.tariffs["tartu"]
    ledger.tariffs["tartu"] = replace(valid, rates=())
    await ledger.step(shown())
    for digest, *_ in ledger.evidence.of_job(UID):
        LedgerWriter(ledger.engine).explain(digest, "agreed to be free", 1)
    ledger.tariffs["tartu"] = valid
    await ledger.step(shown())
    assert ledger.amounts == []


async def test_refused_receipts_are_looked_at_again_in_turns(ledger: Ledger, monkeypatch):
    monkeypatch.setattr(source, "AGAIN_AT_ONCE", 2)
    valid = ledger.tariffs["tartu"]
    ledger.tariffs["tartu"] = replace(valid, rates=())
    await ledger.step(shown())
    ledger.tariffs["tartu"] = valid
    await ledger.step(shown())
    assert len(ledger.amounts) == 2
    await ledger.step(shown())
    assert len(ledger.amounts) == 3


async def test_a_receipt_whose_time_is_to_come_waits_for_it_and_is_paid(ledger: Ledger):
    """It may be the ledger's clock that is behind: no honest member loses by that."""
    clock = ledger.source._clock = ledger.intake._clock = Jumping()
    clock.seconds = NOW_S + 300.0
    await ledger.step(shown())
    assert (len(ledger.amounts), ledger.disputes) == (1, set())
    clock.seconds = NOW_S + 1000.0
    await ledger.step(shown())
    assert (len(ledger.amounts), ledger.disputes) == (3, set())


async def test_who_names_another_node_is_disputed_itself(ledger: Ledger):
    """Or one member could have another called a cheat, and fill what that one is told with its own nonsense."""
    await ledger.step(shown(receipts(node="riga")))
    assert {fault for fault, _ in ledger.disputes} == {"Differs"}
    assert disputed(ledger.engine, 16).keys() == {"tartu"}
