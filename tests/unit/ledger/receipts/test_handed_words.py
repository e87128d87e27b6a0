"""Members are handed the proof that their receipts are logged, and what is disputed of them: bounded, and once."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from hansa.api.node.receipts import MOST_PROOF, Receipts
from hansa.errors import Retryable, Terminal
from hansa.ledger.handed_words import MOST_DISPUTED, handed_words_of
from hansa.ledger.store.writer import LedgerWriter
from hansa.receipts.bundle import log_entry
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.proof import LogProof
from hansa.translog.signatures import NoteSigner
from tests.unit.grants.grant_kit import HUB
from tests.unit.ledger.receipts.ledger_kit import TARTU, Ledger, heard, receipts, shown
from tests.unit.receipts.receipt_kit import changed, head_after

OWN = NoteSigner.of("example.org/receipts", KeyType.ED25519, HUB)
POLICY = Policy.of_logs([OWN.key])


async def handed(ledger: Ledger) -> dict[str, Any]:
    """Have the ledger hand out what there is; return what the node is shown."""
    await heard(ledger.view)
    handing = handed_words_of(ledger.source, ledger.engine)
    assert handing is not None
    await handing.step()
    await heard(ledger.view)
    said: dict[str, Any] = ledger.hub.objects[TARTU]["status"]["receipts"]
    told = {name: said[name] for name in ("proved", "disputed") if name in said}
    Receipts.model_validate(told)
    return told


async def test_the_newest_receipt_is_proved_and_with_it_those_before(ledger: Ledger) -> None:
    await ledger.step(shown())
    told = (await handed(ledger))["proved"]
    assert (told["sequence"], told["digest"]) == (3, head_after(receipts()[2]).digest)
    LogProof.parse(told["proof"].encode()).verify(log_entry(told["digest"]), POLICY)


async def test_it_is_told_once_and_again_when_there_is_more(ledger: Ledger, monkeypatch) -> None:
    writes: list[Any] = []
    merge = ledger.hub.merge

    async def counted(path: str, body: Any) -> Any:
        writes.append(body)
        return await merge(path, body)

    await ledger.step(shown()[:2])
    monkeypatch.setattr(ledger.hub, "merge", counted)
    assert [(await handed(ledger))["proved"]["sequence"] for _ in range(3)] == [2, 2, 2]
    assert len(writes) == 1
    monkeypatch.setattr(ledger.hub, "merge", merge)
    before = ledger.hub.objects[TARTU]["status"]["receipts"]
    ledger.status = {"receipts": {**before, "outbox": shown()}}
    await ledger.step([])
    assert (await handed(ledger))["proved"]["sequence"] == 3


async def test_while_the_newest_waits_for_witnesses_the_newest_that_proves_is_handed_out(
    ledger: Ledger, monkeypatch
) -> None:
    """A busy member's newest receipt is never witnessed: by then there is a newer one."""
    digests = [head_after(one).digest for one in receipts()]
    witnessed: set[str] = set()
    prove = ledger.logbook.prove

    def only_witnessed(digest: str) -> LogProof:
        if digest not in witnessed:
            raise Retryable("not witnessed yet")
        return prove(digest)

    monkeypatch.setattr(ledger.logbook, "prove", only_witnessed)
    await ledger.step(shown())
    assert "proved" not in await handed(ledger)
    for at, digest in enumerate(digests, 1):
        witnessed.add(digest)
        told = (await handed(ledger))["proved"]
        assert (told["sequence"], told["digest"]) == (at, digest)
        LogProof.parse(told["proof"].encode()).verify(log_entry(digest), POLICY)
    witnessed = {digests[0]}
    assert (await handed(ledger))["proved"]["sequence"] == 3


async def test_nothing_older_takes_the_place_of_what_is_proved(ledger: Ledger, monkeypatch) -> None:
    await ledger.step(shown()[:2])
    assert (await handed(ledger))["proved"]["sequence"] == 2
    prove, first = ledger.logbook.prove, head_after(receipts()[0]).digest

    def only_the_first(digest: str) -> LogProof:
        if digest != first:
            raise Retryable("not witnessed yet")
        return prove(digest)

    monkeypatch.setattr(ledger.logbook, "prove", only_the_first)
    before = ledger.hub.objects[TARTU]["status"]["receipts"]
    ledger.status = {"receipts": {**before, "outbox": shown()}}
    await ledger.step([])
    assert (await handed(ledger))["proved"]["sequence"] == 2


@pytest.mark.parametrize("lie", [{"gpus": 8}, {"institution": "lab"}, {"jurisdiction": "LV"}])
async def test_what_is_disputed_is_named_to_who_signed_it(ledger: Ledger, lie) -> None:
    found = receipts(**lie)
    await ledger.step(shown(found))
    rows = (await handed(ledger))["disputed"]
    assert {row["digest"] for row in rows} == {head_after(one).digest for one in found}
    assert all(row["message"].startswith("the member says") for row in rows)


async def test_what_a_person_has_explained_is_disputed_no_more(ledger: Ledger) -> None:
    await ledger.step(shown(receipts(gpus=8)))
    rows = (await handed(ledger))["disputed"]
    for row in rows:
        LedgerWriter(ledger.engine).explain(row["digest"], "it was ours", 1)
    assert (await handed(ledger))["disputed"] == []


async def test_so_many_and_no_more_are_told(ledger: Ledger) -> None:
    chain, before = [], ""
    for number in range(30):
        one = changed(
            receipts(gpus=8)[0], sequence=number + 1, previous=before or None, part=number + 1
        )
        before = head_after(one).digest
        chain.append(one)
    await ledger.step(shown(chain))
    assert len((await handed(ledger))["disputed"]) == MOST_DISPUTED


def lengthened(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, characters: int) -> None:
    """Have each proof of the log be so long, as cosignatures make it."""
    prove = ledger.logbook.prove

    def long(digest: str) -> LogProof:
        short = prove(digest)
        room = characters - len(replace(short, extra=b"x" * 3).encode()) + 4
        found = replace(short, extra=b"x" * (room // 4 * 3))
        assert abs(len(found.encode()) - characters) < 4
        return found

    monkeypatch.setattr(ledger.logbook, "prove", long)


@pytest.mark.parametrize("characters", [18_181, MOST_PROOF - 4])
async def test_many_cosignatures_are_handed_out(ledger: Ledger, monkeypatch, characters) -> None:
    lengthened(ledger, monkeypatch, characters)
    await ledger.step(shown())
    assert (await handed(ledger))["proved"]["sequence"] == 3


async def test_a_proof_that_is_too_long_is_left_out_with_a_word_and_holds_up_no_dispute(
    ledger: Ledger, monkeypatch, caplog
) -> None:
    lengthened(ledger, monkeypatch, MOST_PROOF + 4)
    await ledger.step(shown(receipts(gpus=8)))
    with caplog.at_level(logging.WARNING):
        told = await handed(ledger)
    assert "proved" not in told
    assert len(told["disputed"]) == 3
    (said,) = [one for one in caplog.records if one.name == "hansa.ledger.handed_words"]
    assert said.node == "tartu"
    assert str(MOST_PROOF) in said.error


@pytest.mark.parametrize(("refused", "written"), [("proved", "disputed"), ("disputed", "proved")])
async def test_what_a_hub_refuses_holds_up_nothing_else(
    ledger: Ledger, monkeypatch, refused: str, written: str
) -> None:
    merge = ledger.hub.merge

    async def strict(path: str, body: Any) -> Any:
        if refused in body["status"]["receipts"]:
            raise Terminal(f"{refused} is refused")
        return await merge(path, body)

    await ledger.step(shown(receipts(gpus=8)))
    monkeypatch.setattr(ledger.hub, "merge", strict)
    assert set(await handed(ledger)) == {written}
