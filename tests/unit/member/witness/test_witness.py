"""The member's witness over its ConfigMap: durable first, one answer at a time, never anew by itself."""

from __future__ import annotations

import pytest

from hansa.errors import Conflict, Retryable, Terminal
from hansa.member.witness.memory import NAME, WitnessMemory
from hansa.member.witness.witness import Witness
from hansa.translog.note import Note, parse_signatures
from hansa.translog.signatures import verified
from tests.unit.member.witness.map_server import Server
from tests.unit.translog.small_log import (
    NAMES,
    ORIGIN,
    SetClock,
    appender,
    ed25519,
    entries,
    log_signer,
    ml_dsa,
    policy,
    published,
)

SIGNERS = [ed25519("tartu"), ml_dsa("tartu")]
KEYS = [signer.key for signer in SIGNERS]


PATH = f"/api/v1/namespaces/here/configmaps/{NAME}"


def witness(server, clock=None):
    memory = WitnessMemory(server, "here")
    return Witness(memory, SIGNERS, [log_signer().key], clock or SetClock())


def log_of(count):
    log = appender(rules=policy("quorum none"))
    log.append(entries(0, count))
    log.checkpoint(SetClock())
    return log


async def remembered_text(server):
    return (await WitnessMemory(server, "here").read(ORIGIN)).note.text


async def test_an_enrolled_witness_follows_a_log():
    server, log = Server(), log_of(5)
    me = witness(server)
    await me.enrol(ORIGIN, [log.head.encode()])
    for known, count in ((0, 5), (5, 5), (5, 300)):
        log.append(entries(0, count))
        note = log.checkpoint(SetClock())
        lines = await me.answer(log.request(known).encode())
        signed = verified(Note(note.text, parse_signatures(lines)), KEYS)
        assert [each.key for each in signed] == KEYS
        assert await remembered_text(server) == note.text


async def test_without_enrolment_nothing_is_signed_and_nothing_begun():
    server = Server()
    refused = await witness(server).answer(log_of(5).request(0).encode())
    assert refused.fault == "NoMemory"
    assert server.maps == {}


async def test_a_lost_memory_is_noticed_and_restored_by_hand_only():
    server, log = Server(), log_of(5)
    me = witness(server)
    await me.enrol(ORIGIN, [])
    answered = log.head.signed(parse_signatures(await me.answer(log.request(0).encode())))
    del server.maps[PATH]
    assert (await me.answer(log.request(0).encode())).fault == "NoMemory"
    with pytest.raises(Terminal, match="has cosigned"):
        await me.enrol(ORIGIN, [answered.encode()])
    rules = policy("group others 2 tartu lyon vilnius\nquorum others")
    vouched = published(5, rules, [ed25519(name) for name in NAMES]).head
    with pytest.raises(Terminal):
        await witness(server, SetClock(SetClock().at + 601)).restore(vouched.encode(), rules, 600)
    await me.restore(vouched.encode(), rules, 600)
    assert "— " in await me.answer(log.request(5).encode())


async def test_a_memory_is_not_begun_over_another():
    server = Server()
    me = witness(server)
    await me.enrol(ORIGIN, [])
    with pytest.raises(Conflict):
        await me.enrol(ORIGIN, [])
    await me.enrol("another.example/log", [])
    assert len(server.maps[PATH]["data"]) == 2


async def test_of_two_replicas_at_once_one_answers():
    """The second asks with what it read before the first wrote: no tree goes back."""
    server, log = Server(), log_of(5)
    await witness(server).enrol(ORIGIN, [])
    older = log.request(0).encode()
    memory = WitnessMemory(server, "here")
    before = await memory.read(ORIGIN)
    log.append(entries(0, 9))
    log.checkpoint(SetClock())
    await witness(server).answer(log.request(0).encode())
    with pytest.raises(Conflict):
        await memory.advance(ORIGIN, before.note, before)
    refused = await witness(server).answer(older)
    assert (refused.fault, refused.remembered_size) == ("BackDated", 9)


async def test_what_cannot_be_remembered_is_not_signed():
    server, log = Server(), log_of(5)
    me = witness(server)
    await me.enrol(ORIGIN, [])
    server.is_away = True
    with pytest.raises(Retryable):
        await me.answer(log.request(0).encode())

    async def full(path, body):
        raise Retryable(f"cannot write {path}: {len(body)}")

    server.is_away, server.merge = False, full
    with pytest.raises(Retryable):
        await me.answer(log.request(0).encode())
    assert (await remembered_text(server)).split("\n")[1] == "0"


DAMAGE = {
    "no note": "words",
    "nothing": "",
    "another's": ed25519("lyon"),
}


@pytest.mark.parametrize("case", DAMAGE)
async def test_a_damaged_memory_signs_nothing(case):
    server, log = Server(), log_of(5)
    me = witness(server)
    await me.enrol(ORIGIN, [])
    data = server.maps[PATH]["data"]
    kept = DAMAGE[case]
    if not isinstance(kept, str):
        kept = Note(log.head.text, (kept.sign(log.head.text, 1),)).encode().decode()
    data.update(dict.fromkeys(data, kept))
    assert (await me.answer(log.request(5).encode())).fault in {"Malformed", "NoMemory"}


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"old 1\n\nwords\n\n", b"old 0\n\n" + b"x" * 600_000]
)
async def test_no_request_ends_the_process(body):
    assert (await witness(Server()).answer(body)).fault == "Malformed"
    good = log_of(1).request(0).encode()
    assert (await witness(Server()).answer(good, [body])).fault == "Malformed"
