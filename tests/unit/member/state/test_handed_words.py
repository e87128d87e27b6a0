"""What the ledger hands out is checked and kept at home: a hub that takes it back takes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hansa.adapters.files import FileStore
from hansa.adapters.leaf_index import SqliteLeafIndex
from hansa.api.kinds import SOVEREIGNNODE
from hansa.member import wiring
from hansa.member.state.handed_words import MOST_KEPT, NAME, PROVED, HandedWords
from hansa.member.state.receipt_lines import key_of
from hansa.receipts.bundle import log_entry
from hansa.receipts.envelope import seal, wire
from hansa.translog.log.appender import Appender
from hansa.translog.note import KeyType
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner
from tests.unit.member.runs.plain_job import PlainJob, Running, working
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, OTHER, history, opened

SPACE = "/api/v1/namespaces/hansa-system/configmaps"
DIGESTS = [opened(one).digest for one in history()]
KEYS = (HUB.public_key,)


@pytest.fixture
def own() -> SmallCluster:
    """A member's cluster with the three receipts of its chain."""
    made = SmallCluster(NOW_S)
    lines = {key_of(at): json.dumps(wire(seal(one, NODE))) for at, one in enumerate(history(), 1)}
    made.put(f"{SPACE}/hansa-receipts-0", {"metadata": {"name": "hansa-receipts-0"}, "data": lines})
    return made


def words(own: SmallCluster) -> HandedWords:
    return HandedWords(own, "hansa-system", NODE.key_id)


def kept(own: SmallCluster) -> dict[str, str]:
    return dict((own.objects.get(f"{SPACE}/{NAME}") or {}).get("data") or {})


def proof(folder: Path, sequence: int, *, signer=HUB, logged: str = "") -> dict[str, Any]:
    """Return what a ledger shows whose log has a receipt."""
    digest = DIGESTS[sequence - 1]
    log_signer = NoteSigner.of("example.org/receipts", KeyType.ED25519, signer)
    policy = Policy.of_logs([log_signer.key])
    place = folder / f"{sequence}-{len(list(folder.iterdir()))}"
    place.mkdir()
    index = SqliteLeafIndex(place / "leaves.db")
    log = Appender(FileStore(place / "log"), index, [log_signer], policy)
    log.append([log_entry(logged or digest)])
    log.checkpoint(SimpleNamespace(now=lambda: NOW_S + 700.0))  # type: ignore[arg-type]
    text = log.prove(log_entry(logged or digest)).encode().decode()
    index.close()
    return {"sequence": sequence, "digest": digest, "proof": text}


async def test_a_proof_is_kept_and_a_hub_that_takes_it_back_takes_nothing(own, tmp_path) -> None:
    shown = proof(tmp_path, 2)
    assert await words(own).take({"proved": shown}, KEYS) == []
    for said in ({}, {"proved": None}, {"disputed": []}):
        assert await words(own).take(said, KEYS) == []
    assert json.loads(kept(own)[PROVED]) == shown


async def test_a_newer_proof_takes_the_place_of_the_last(own, tmp_path) -> None:
    said = words(own)
    for sequence in (1, 3):
        assert await said.take({"proved": proof(tmp_path, sequence)}, KEYS) == []
    assert json.loads(kept(own)[PROVED])["sequence"] == 3
    (trouble,) = await said.take({"proved": proof(tmp_path, 2)}, KEYS)
    assert "it is of receipt 2, and 3 is proved" in trouble


FALSE = {
    "another key's log": (lambda p: proof(p, 2, signer=OTHER), "proof not taken"),
    "a proof of something else": (lambda p: proof(p, 2, logged=DIGESTS[0]), "proof not taken"),
    "another place": (lambda p: proof(p, 2) | {"sequence": 3}, "receipt 3 is not"),
    "a place that is not there": (lambda p: proof(p, 2) | {"sequence": 9}, "receipt 9 is not"),
    "no proof": (lambda _: {"sequence": 2, "digest": DIGESTS[1], "proof": "x"}, "proof not taken"),
    "nothing of the kind": (lambda _: 7, "proof not taken"),
}


@pytest.mark.parametrize(("make", "says"), FALSE.values(), ids=FALSE)
async def test_what_proves_nothing_of_ours_is_not_kept(own, tmp_path, make, says: str) -> None:
    (trouble,) = await words(own).take({"proved": make(tmp_path)}, KEYS)
    assert says in trouble
    assert kept(own) == {}


def dispute(number: int, **changes: Any) -> dict[str, Any]:
    said = {"digest": f"sha256:{number:064x}", "fault": "Differs", "field": "gpus", "message": "x"}
    return said | changes


async def test_disputes_are_kept_once_each(own) -> None:
    said = words(own)
    for _ in range(2):
        assert await said.take({"disputed": [dispute(1), dispute(1, field="node")]}, KEYS) == []
    assert len(kept(own)) == 2
    assert await words(own).take({"disputed": [dispute(2)]}, KEYS) == []
    assert len(kept(own)) == 3


async def test_of_two_agents_the_second_reads_again(own) -> None:
    first, second = words(own), words(own)
    for said in (first, second):
        await said.take({}, KEYS)
    assert await first.take({"disputed": [dispute(1)]}, KEYS) == []
    (trouble,) = await second.take({"disputed": [dispute(2)]}, KEYS)
    assert "is read again" in trouble
    assert await second.take({"disputed": [dispute(2)]}, KEYS) == []
    assert len(kept(own)) == 2


async def test_disputes_do_not_fill_the_map(own) -> None:
    said = words(own)
    for number in range(0, 2 * MOST_KEPT, 16):
        await said.take({"disputed": [dispute(number + n) for n in range(40)]}, KEYS)
    assert len(kept(own)) <= MOST_KEPT


@pytest.mark.parametrize("odd", [7, {"a": 1}, [7], [dispute(1, message="x" * 301)]])
async def test_what_cannot_be_read_ends_nothing(own, odd) -> None:
    await words(own).take({"disputed": odd}, KEYS)
    assert kept(own) == {}


async def test_the_agent_takes_what_its_own_node_shows(monkeypatch) -> None:
    monkeypatch.setattr(wiring, "WORKLOADS", (PlainJob(),))
    agent, path = Running(), SOVEREIGNNODE.path(name="tartu")
    receipts = {"disputed": [dispute(1)]}
    agent.hub.put(
        path, {"metadata": {"name": "tartu"}, "spec": {}, "status": {"receipts": receipts}}
    )
    async with working(agent):
        await agent.parts.metering.ask_hub()
    (told,) = [one for name, one in agent.own.objects.items() if name.endswith(f"/{NAME}")]
    assert [json.loads(line) for line in told["data"].values()] == [dispute(1)]
