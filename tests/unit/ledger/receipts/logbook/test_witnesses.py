"""Members cosign the ledger's log through their own statuses; whoever lies there holds nobody up."""

from __future__ import annotations

import pytest

from hansa.errors import Retryable
from hansa.translog.note import Note
from hansa.translog.signatures import verified
from tests.unit.ledger.receipts.logbook import witness_kit
from tests.unit.ledger.receipts.logbook.witness_kit import League, witness
from tests.unit.translog.small_log import ORIGIN, SetClock, appender, ed25519, entries, ml_dsa

TWO = "group both all tartu lyon\nquorum both"


async def enrolled(*names, rules=TWO):
    league = League(rules, [witness(name) for name in names])
    for member in league.members:
        await member.enrol()
        await member.look(league.hub)
    return league


async def test_receipts_get_proofs_that_the_policy_believes():
    league = await enrolled("tartu", "lyon")
    for count in (3, 0, 300, 1):
        league.grow(count)
        await league.turn()
        assert league.proved() == len(league.logged)


async def test_a_log_that_grows_faster_than_agents_look_is_witnessed_all_the_same():
    league = await enrolled("tartu", "lyon")
    league.grow(5)
    for turn in range(1, 6):
        before = len(league.logged)
        await league.turn(grows=70)
        assert league.proved() == before, turn


async def test_one_that_is_away_holds_up_a_quorum_of_others_not_at_all_and_comes_back():
    rules = "group some 2 tartu lyon vilnius\nquorum some"
    league = await enrolled("tartu", "lyon", "vilnius", rules=rules)
    *there, away = league.members
    league.members = there
    league.grow()
    await league.turn()
    assert league.proved() == 3
    league.members = [away, there[0]]
    league.grow()
    await league.turn()
    assert league.proved() == 6


async def test_without_its_quorum_the_log_proves_nothing_and_asks_again_for_the_newest():
    league = await enrolled("tartu", "lyon")
    (tartu, lyon), league.members = league.members, league.members[:1]
    league.grow()
    await league.turn()
    league.grow()
    await league.turn()
    assert league.proved() == 0
    league.clock.at += 91
    league.members = [lyon, tartu]
    await league.turn()
    assert league.proved() == 6


async def test_who_is_not_enrolled_is_not_asked_and_says_why():
    league = League(TWO, [witness("tartu"), witness("lyon")])
    await league.members[0].enrol()
    league.grow()
    await league.turn()
    await league.turn()
    assert league.said("lyon")["refused"].startswith("NoMemory: ")
    assert "request" not in league.said("lyon")
    assert league.proved() == 0


async def test_who_is_no_witness_says_nothing():
    league = League(TWO, [witness("tartu"), witness_kit.Member("lyon", ())])
    league.grow()
    await league.turn()
    assert league.said("lyon") == {}


async def test_an_agent_that_starts_again_stands_by_what_it_cosigned():
    league = await enrolled("tartu", "lyon")
    league.grow()
    await league.turn()
    before = league.said("tartu")
    league.members[0].start()
    await league.members[0].look(league.hub)
    assert league.said("tartu") == before
    league.grow()
    await league.turn()
    assert league.proved() == 6


async def test_both_keys_of_a_witness_count():
    tartu = witness("tartu", ml_dsa("tartu"))
    keys = {"tartu": tartu.signers[0], "tartu-pq": tartu.signers[1]}
    league = League("group both all tartu tartu-pq\nquorum both", [tartu], keys)
    await tartu.enrol()
    await tartu.look(league.hub)
    league.grow()
    await league.turn()
    assert league.proved() == 3
    proof = league.log.prove(entry(league)).checkpoint
    assert len(list(verified(proof, league.rules.witnesses.values()))) == 2


def entry(league):
    return witness_kit.log_entry(league.logged[0])


def lies(league):
    """Yield what a node may show in place of what it cosigned."""
    head = league.log.head
    forged = ed25519("tartu", seed=7).sign(head.text, 1_700_000_000)
    wrong = type(forged)(ed25519("tartu").key.name, ed25519("tartu").key.id, forged.body)
    many = [ed25519(f"nobody-{n}").sign(head.text, 5) for n in range(97)]
    huge = head.text.replace("\n3\n", "\n9000000000\n")
    yield from ("", "words", "\ud800", 7, None, {"a": 1}, "old 0\n\n" + "x" * 20_000)
    yield Note(head.text, (wrong,)).encode().decode()
    yield Note(head.text, tuple(many)).encode().decode()
    yield Note(huge, (wrong,)).encode().decode()
    yield Note(head.text.replace(ORIGIN, "another.example/log"), (wrong,)).encode().decode()


@pytest.mark.parametrize("number", range(11))
async def test_a_node_that_lies_holds_up_no_other(number):
    league = await enrolled("tartu", "vilnius", rules="group b all tartu vilnius\nquorum b")
    league.grow()
    await league.step()
    lie = list(lies(league))[number]
    path = witness_kit.SOVEREIGNNODE.path(name="lyon")
    league.hub.put(path, witness_kit.node("lyon", {"cosigned": lie, "refused": 5, "request": []}))
    await league.turn()
    assert league.proved() == 3


async def test_a_fork_is_not_cosigned_and_said():
    league = await enrolled("tartu", "lyon")
    league.grow()
    await league.turn()
    fork = appender(rules=league.rules)
    fork.append(entries(50, 53))
    fork.checkpoint(SetClock())
    path = witness_kit.SOVEREIGNNODE.path(name="tartu")
    asked = fork.request(3).encode().decode()
    kept = league.said("tartu")["cosigned"]
    league.hub.put(path, witness_kit.node("tartu", {"cosigned": kept, "request": asked}))
    await league.members[0].look(league.hub)
    assert league.said("tartu")["refused"].startswith("SplitView: ")
    assert league.said("tartu")["cosigned"] == kept


async def test_another_hubs_log_is_not_cosigned(monkeypatch):
    league = await enrolled("tartu", "lyon")
    league.grow()
    monkeypatch.setattr(witness_kit, "HUB_KEYS", witness_kit.another_hub())
    await league.turn()
    assert league.said("tartu")["refused"].startswith("Unsigned: ")
    assert league.proved() == 0


async def test_a_member_whose_memory_cannot_be_kept_signs_nothing_and_tries_again():
    league = await enrolled("tartu", "lyon")
    league.grow()
    await league.step()
    league.members[0].own.is_away = True
    await league.turn()
    assert league.proved() == 0
    league.members[0].own.is_away = False
    await league.turn()
    assert league.proved() == 3


async def test_a_log_put_back_is_known_by_its_own_signature(caplog):
    league = await enrolled("tartu", "lyon")
    league.grow(9)
    await league.turn()
    older = League(TWO, league.members)
    older.hub, older.view = league.hub, league.view
    older.witnesses._hub, older.witnesses._cluster = league.view, league.hub
    older.grow(4)
    await older.step()
    assert "TurnedBack" in "".join(str(vars(record)) for record in caplog.records)
    with pytest.raises(Retryable):
        older.log.prove(entry(older))
