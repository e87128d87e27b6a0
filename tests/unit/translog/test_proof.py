"""A proof that a user can check alone, and that nobody can bend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.errors import Terminal
from hansa.translog.judgement import Window, judge
from hansa.translog.note import Note
from hansa.translog.proof import LogProof
from hansa.translog.signatures import verified
from tests.unit.translog.small_log import (
    NAMES,
    POLICY,
    SetClock,
    ed25519,
    entries,
    log_signer,
    ml_dsa,
    policy,
    published,
)

NOW = int(SetClock().now())
LOG = published(300)
ENTRY = b"receipt 137"
PROOF = LOG.prove(ENTRY).encode()


def test_a_proof_holds_offline():
    judgement = LogProof.parse(PROOF).verify(ENTRY, policy())
    assert judgement.checkpoint.size == 300
    assert judgement.cosigned_s == dict.fromkeys(NAMES, NOW)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_every_entry_has_one(index):
    entry = entries(index, index + 1)[0]
    proof = LogProof.parse(LOG.prove(entry).encode())
    assert proof.index == index
    proof.verify(entry, policy())
    with pytest.raises(Terminal, match="does not lead"):
        proof.verify(entry + b"0", policy())


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_no_byte_of_a_proof_can_be_changed(mask):
    """Of three witnesses the policy of this test wants all, so no line is to spare."""
    rules = policy("group all-three all tartu lyon vilnius\nquorum all-three")
    LogProof.parse(PROOF).verify(ENTRY, rules)
    for at in range(len(PROOF)):
        changed = PROOF[:at] + bytes([PROOF[at] ^ mask]) + PROOF[at + 1 :]
        with pytest.raises(Terminal):
            LogProof.parse(changed).verify(ENTRY, rules)


def test_no_byte_of_a_proof_can_be_left_out_or_be_there_twice():
    rules = policy("group all-three all tartu lyon vilnius\nquorum all-three")
    for at in range(len(PROOF)):
        for changed in (PROOF[:at] + PROOF[at + 1 :], PROOF[: at + 1] + PROOF[at:], PROOF[:at]):
            with pytest.raises(Terminal):
                LogProof.parse(changed).verify(ENTRY, rules)


LINES = PROOF.decode().split("\n")
SPLICES = {
    "a line less": lambda at: LINES[:at] + LINES[at + 1 :],
    "a line twice": lambda at: LINES[: at + 1] + LINES[at:],
    "two turned round": lambda at: [
        *LINES[:at],
        *LINES[at : at + 2][::-1],
        *LINES[at + 2 :],
    ],
}


@pytest.mark.parametrize("splice", SPLICES)
@pytest.mark.parametrize("at", range(len(LINES) - 5))
def test_no_line_of_a_proof_can_be_moved(splice, at):
    """The last lines are signatures, whose order and number mean nothing."""
    with pytest.raises(Terminal):
        LogProof.parse("\n".join(SPLICES[splice](at)).encode()).verify(ENTRY, policy())


def test_extra_data_proves_nothing_and_changes_nothing():
    proof = LogProof.parse(PROOF)
    with_extra = LogProof(proof.index, proof.hashes, proof.checkpoint, b"more")
    read = LogProof.parse(with_extra.encode())
    assert read.extra == b"more"
    read.verify(ENTRY, policy())


@pytest.mark.parametrize("extra", ["****", "", "YQ", "YR==", "YQ== "])
def test_extra_data_has_one_spelling_too(extra):
    with pytest.raises(Terminal, match="spelled"):
        LogProof.parse(PROOF.replace(b"index", f"extra {extra}\nindex".encode(), 1))


@given(st.binary(max_size=300))
def test_no_bytes_end_the_process(body):
    with pytest.raises(Terminal):
        LogProof.parse(body)
    with pytest.raises(Terminal):
        LogProof.parse(b"c2sp.org/tlog-proof@v1\nindex 0\n" + body)


def test_a_stranger_to_the_policy_counts_for_nothing():
    stranger = ed25519("bremen")
    note = LOG.head.signed([stranger.sign(LOG.head.text, NOW)])
    assert "bremen" not in judge(note, policy()).cosigned_s


REFUSED = {
    "one of two institutions": (("tartu", "vilnius"), Window(), "NoQuorum"),
    "no regulator": (("tartu", "lyon"), Window(), "NoQuorum"),
    "nobody": ((), Window(), "NoQuorum"),
    "cosigned later than now": (NAMES, Window(not_after_s=NOW - 1), "FromTheFuture"),
    "cosigned long ago": (NAMES, Window(not_before_s=NOW + 1), "BackDated"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_policy_does_not_believe(case):
    names, window, reason = REFUSED[case]
    lines = [ed25519(name).sign(LOG.head.text, NOW) for name in names]
    note = Note(LOG.head.text, (log_signer().sign(LOG.head.text, NOW), *lines))
    with pytest.raises(Terminal) as refusal:
        judge(note, policy(), window).believed()
    assert refusal.value.reason == reason


def test_a_cosignature_without_a_time_does_not_count():
    note = Note(
        LOG.head.text,
        (
            log_signer().sign(LOG.head.text, NOW),
            *(ed25519(n).sign(LOG.head.text, 0) for n in NAMES),
        ),
    )
    with pytest.raises(Terminal, match="tartu: Untimed"):
        judge(note, policy()).believed()


def test_the_newest_of_two_cosignatures_counts():
    lines = [ed25519(n).sign(LOG.head.text, t) for n in NAMES for t in (NOW - 999, NOW, NOW - 5)]
    note = Note(LOG.head.text, (log_signer().sign(LOG.head.text, NOW), *lines))
    judgement = judge(note, policy(), Window(NOW - 10, NOW))
    assert (judgement.cosigned_s, judgement.objections) == (dict.fromkeys(NAMES, NOW), {})


UNBELIEVED = {
    "another log": (log_signer(origin="log.other.example"), "UnknownLog"),
    "another key of that name": (log_signer(seed=9), "Unsigned"),
}


@pytest.mark.parametrize("case", UNBELIEVED)
def test_only_the_league_s_log_is_believed(case):
    signer, reason = UNBELIEVED[case]
    text = LOG.head.text.replace(log_signer().key.name, signer.key.name)
    note = Note(text, (signer.sign(text, NOW), *(ed25519(n).sign(text, NOW) for n in NAMES)))
    with pytest.raises(Terminal) as refusal:
        judge(note, policy())
    assert refusal.value.reason == reason


def test_a_false_line_of_a_known_witness_spoils_the_note():
    body = LOG.head.text.replace("300", "301")
    note = LOG.head.signed([ed25519("tartu").sign(body, NOW)])
    with pytest.raises(Terminal, match=r"signature of tartu\+\w+ does not hold"):
        judge(note, policy())


def test_ml_dsa_beside_ed25519():
    signers = {"tartu": ml_dsa("tartu"), "lyon": ed25519("lyon"), "vilnius": ml_dsa("vilnius")}
    rules = policy(POLICY, signers)
    log = published(40, rules, list(signers.values()))
    proof = LogProof.parse(log.prove(b"receipt 3").encode())
    assert set(proof.verify(b"receipt 3", rules).cosigned_s) == set(NAMES)
    assert len(list(verified(log.head, [s.key for s in signers.values()]))) == 3
