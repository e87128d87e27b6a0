"""What a witness cosigns, and all that it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.errors import Terminal
from hansa.translog.judgement import Window, judge
from hansa.translog.note import Note, Signature
from hansa.translog.witness.beginning import enrolled, remembered, restored
from hansa.translog.witness.decision import Charge, Cosign, Refuse, decide
from hansa.translog.witness.request import WitnessRequest
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

NOW = 1_700_000_000
ME = ed25519("tartu")
OTHER_WAY = ml_dsa("tartu-pq")
CHARGE = Charge((log_signer().key,), (ME.key, OTHER_WAY.key))


def log_of(count, first=b"receipt 0"):
    log = appender(rules=policy("quorum none"))
    log.append([first, *entries(1, count)] if count else [])
    log.checkpoint(SetClock())
    return log


def memory_of(log, time_s=NOW):
    return remembered(log.head, [ME, OTHER_WAY], time_s)


def grown(log, count):
    log.append(entries(0, count))
    log.checkpoint(SetClock())
    return log


@pytest.mark.parametrize("old", [0, 1, 100, 255, 256, 300])
def test_what_continues_is_cosigned(old):
    log = log_of(old)
    memory = memory_of(log) if old else enrolled(ORIGIN, [ME], NOW, [])
    decision = decide(grown(log, 300).request(old), memory, CHARGE, NOW)
    assert decision == Cosign(log.head)


def test_the_same_tree_is_cosigned_again_later():
    log = log_of(7)
    assert decide(log.request(7), memory_of(log), CHARGE, NOW + 60) == Cosign(log.head)


def test_only_the_log_s_lines_are_kept():
    """And one a key: what a witness remembers is short whatever it is sent."""
    log = published(7)
    lines = [ed25519("bremen").sign(log.head.text, second) for second in range(50)]
    request = replace(log.request(7), checkpoint=log.head.signed(lines))
    decision = decide(request, memory_of(log), CHARGE, NOW)
    assert isinstance(decision, Cosign)
    assert [line.name for line in decision.note.signatures] == [ORIGIN]


def refusal(request, memory, now_s=NOW, **more):
    decision = decide(request, memory, CHARGE, now_s, **more)
    assert isinstance(decision, Refuse), decision
    return decision


def test_a_split_view_convicts_the_log():
    mine, other = log_of(10), log_of(10, b"something else")
    refused = refusal(other.request(10), memory_of(mine))
    assert refused.fault == "SplitView"
    roots = {judge(note, policy("quorum none")).checkpoint.root for note in refused.evidence}
    assert len(roots) == 2


def test_a_fork_that_grew_has_no_proof():
    mine, other = log_of(10), log_of(20, b"something else")
    for proof_from in range(1, 20):
        request = replace(other.request(proof_from), old_size=10)
        assert refusal(request, memory_of(mine)).fault == "BadProof"


@pytest.mark.parametrize("size", range(1, 40))
def test_a_smaller_tree_is_never_cosigned(size):
    refused = refusal(log_of(size).request(size), memory_of(log_of(40)))
    assert (refused.fault, refused.remembered_size) == ("BackDated", 40)


def test_a_proof_from_another_size_is_sent_back():
    log = log_of(10)
    memory = memory_of(log)
    refused = refusal(grown(log, 20).request(5), memory)
    assert (refused.fault, refused.remembered_size) == ("OldSize", 10)


REFUSED = {
    "a log of another name": (
        lambda log: Note.parse(log.head.encode().replace(b"log.hansa", b"lag.hansa")),
        "UnknownLog",
    ),
    "unsigned": (
        lambda log: Note(log.head.text, (ed25519("bremen").sign(log.head.text, 1),)),
        "Unsigned",
    ),
    "signed by another key of that name": (
        lambda log: Note(log.head.text, (log_signer(seed=5).sign(log.head.text, 1),)),
        "Unsigned",
    ),
    "a signature of something else": (
        lambda log: Note(log.head.text.replace("\n20\n", "\n21\n"), log.head.signatures),
        "BadSignature",
    ),
    "no checkpoint": (lambda log: Note("words\n", log.head.signatures), "Malformed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_believed_log_signed_is_refused(case):
    change, fault = REFUSED[case]
    log = log_of(20)
    request = replace(log.request(20), checkpoint=change(log))
    assert refusal(request, memory_of(log)).fault == fault


def test_a_false_line_of_its_own_on_a_larger_tree_is_refused():
    log = log_of(10)
    memory = memory_of(log)
    request = grown(log, 20).request(10)
    false = Signature(ME.key.name, ME.key.id, b"x" * 72)
    request = replace(request, checkpoint=request.checkpoint.signed([false]))
    assert refusal(request, memory).fault == "BadSignature"


def test_a_witness_without_memory_cosigns_nothing():
    for count in (0, 1, 300):
        refused = refusal(log_of(count).request(0), None)
        assert refused.fault == "NoMemory"
        assert "enrol the witness, or restore its memory" in refused.message


FOREIGN = {
    "cosigned by another": lambda log: remembered(log.head, [ed25519("lyon")], NOW),
    "not cosigned": lambda log: log.head,
    "of another log": lambda _: enrolled("another.example", [ME], NOW, []),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_memory_that_is_not_its_own_is_none(case):
    log = log_of(20)
    assert refusal(log.request(20), FOREIGN[case](log)).fault == "NoMemory"


def test_a_memory_that_was_damaged_is_none():
    log = log_of(20)
    memory = memory_of(log)
    damaged = replace(memory, text=memory.text.replace("20", "19"))
    assert refusal(log.request(19), damaged).fault == "BadSignature"


def test_a_memory_from_a_backup_is_noticed_by_an_own_later_signature():
    log = log_of(10)
    old = memory_of(log)
    new = memory_of(grown(log, 20))
    assert refusal(log.request(10), old, seen=[new]).fault == "Forgotten"
    request = replace(log.request(10), checkpoint=new)
    assert refusal(request, old).fault == "Forgotten"
    assert isinstance(decide(log.request(20), new, CHARGE, NOW, seen=[new]), Cosign)


def test_a_clock_that_went_back_signs_nothing():
    log = log_of(10)
    assert refusal(log.request(10), memory_of(log, NOW), NOW - 1).fault == "ClockWentBack"


def test_a_request_is_read_as_it_is_written():
    log = grown(log_of(10), 700)
    request = log.request(10)
    assert request.proof
    assert WitnessRequest.parse(request.encode()) == request


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_changed_request_is_cosigned(data):
    log = log_of(10)
    memory = memory_of(log)
    body = grown(log, 30).request(10).encode()
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    try:
        decision = decide(WitnessRequest.parse(changed), memory, CHARGE, NOW)
    except Terminal:
        return
    assert isinstance(decision, Refuse)


BAD_REQUESTS = {
    "nothing": b"",
    "no old size": b"\n\ntext\n\n",
    "a wrong size": b"old -1\n\n",
    "no hash": b"old 1\nAAAA\n\n",
    "too many": b"old 1\n" + b"A" * 43 + b"=\n" * 64 + b"\n",
    "no note": b"old 1\n\n",
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_wrong_request_is_refused(case):
    with pytest.raises(Terminal) as refused:
        WitnessRequest.parse(BAD_REQUESTS[case])
    assert refused.value.reason == "Malformed"


def test_enrolling_twice_is_noticed_by_an_own_signature():
    enrolled(ORIGIN, [ME], NOW, [log_of(3).head, published(3, signers=[ed25519("lyon")]).head])
    with pytest.raises(Terminal, match="has cosigned") as refused:
        enrolled(ORIGIN, [ME], NOW, [memory_of(log_of(3))])
    assert refused.value.reason == "Forgotten"


def all_three(text=""):
    return policy(text or "group two 2 tartu lyon vilnius\nquorum two")


def test_a_lost_memory_comes_back_from_what_the_others_vouch_for():
    log = published(50, signers=[ed25519(name) for name in NAMES])
    memory = restored(log.head, all_three(), [ME], Window(NOW - 600, NOW))
    decision = decide(grown(log, 60).request(50), memory, Charge(CHARGE.logs, (ME.key,)), NOW)
    assert isinstance(decision, Cosign)
    assert refusal(log_of(40).request(0), memory).fault == "BackDated"


NOT_RESTORED = {
    "its own word counts": (["tartu", "lyon"], all_three(), Window(NOW - 600, NOW)),
    "long ago": (NAMES, all_three(), Window(NOW + 1, NOW + 600)),
    "later than now": (NAMES, all_three(), Window(NOW - 600, NOW - 1)),
    "nobody is asked": ([], all_three("quorum none"), Window(NOW - 600, NOW)),
    "only itself is asked": (NAMES, all_three("quorum tartu"), Window(NOW - 600, NOW)),
}


@pytest.mark.parametrize("case", NOT_RESTORED)
def test_a_lost_memory_does_not_come_back_from_less(case):
    names, rules, window = NOT_RESTORED[case]
    log = published(50, signers=[ed25519(name) for name in NAMES if name in names])
    if not names:
        log = log_of(50)
    with pytest.raises(Terminal):
        restored(log.head, rules, [ME], window)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=14))
def test_of_two_views_at_most_one_gets_a_quorum(asks):
    """Honest witnesses, two of three: whatever order a lying log asks them in."""
    views = {False: log_of(10), True: log_of(10, b"something else")}
    memories = {name: enrolled(ORIGIN, [ed25519(name)], NOW, []) for name in NAMES}
    sizes = dict.fromkeys(NAMES, 0)
    for name, view in asks:
        me = ed25519(name)
        charge = Charge(CHARGE.logs, (me.key,))
        request = views[view].request(sizes[name])
        decision = decide(request, memories[name], charge, NOW)
        if isinstance(decision, Cosign):
            memories[name] = remembered(decision.note, [me], NOW)
            sizes[name] = 10
            views[view].cosign(f"{me.sign(decision.note.text, NOW)}\n")
    met = [
        all_three().quorum.missing({n for n, m in memories.items() if m.text == v.head.text}) == ()
        for v in views.values()
    ]
    assert sum(met) <= 1
    for view in views.values():
        cosigned = [
            ed25519(n).sign(view.head.text, NOW)
            for n, m in memories.items()
            if m.text == view.head.text
        ]
        missing = judge(view.head.signed(cosigned), all_three()).missing
        assert (missing == ()) is (len(cosigned) >= 2)
