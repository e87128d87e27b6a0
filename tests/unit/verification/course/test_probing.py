"""What comes next in one capacity probe, by what is known so far."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from hansa.verification.course.probing import (
    Answer,
    Closed,
    Outcome,
    Probe,
    Send,
    Sent,
    Times,
    Wait,
    due_s,
    next_probing,
)
from hansa.verification.probe.prover import commit
from hansa.verification.probe.verifier import Challenge

TIMES = Times(every_s=1_000, retry_s=100, within_s=10, patience_s=50)
SENT = Sent(1_000, "sha256:tartu", Challenge(b"s" * 16, b"n" * 16, 64, 64))


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


RIGHT = json.dumps(commit(SENT.challenge.seed, 64))
WRONG = json.dumps(commit(b"other" * 4, 64))
SHORT = json.dumps(commit(SENT.challenge.seed, 64) | {"tags": "AAAA"})
ANSWER = Answer(
    SENT.node_key, is_same_work=True, digest=digest(RIGHT), result=RIGHT, took_ms=10_000
)


def step(now_s=1_010, **known):
    return next_probing(Probe(900, SENT, **known), now_s, TIMES)


@pytest.mark.parametrize(
    ("last", "within_s"),
    [(None, 100), (Outcome.LOST, 100), (Outcome.PASSED, 1_000), (Outcome.FAILED, 1_000)],
)
def test_the_time_is_drawn_anew_after_each(last, within_s):
    times = [due_s(5, last, TIMES, chance) for chance in (0, 0.5, 1 - 2**-48)]
    assert times == [5, 5 + within_s // 2, 5 + within_s - 1]


def test_nothing_is_sent_before_its_time():
    assert next_probing(Probe(900), 899, TIMES) == Wait()
    assert next_probing(Probe(900), 900, TIMES) == Send()


def test_it_waits_for_an_answer_and_not_for_ever():
    assert step(1_050) == Wait()
    assert step(1_051) == Closed(Outcome.LOST, "no answer in 50 s")
    late = step(1_051, waits_for="WaitingForCapacity: full")
    assert late == Closed(Outcome.LOST, "no answer in 50 s: WaitingForCapacity: full")
    assert step(1_001, obstacle="NodeRefused: Paused") == Closed(
        Outcome.LOST, "NodeRefused: Paused"
    )


def test_what_a_clock_drew_that_ran_ahead_is_not_waited_for():
    """Nothing that is drawn now comes later than the longest wait."""
    assert next_probing(Probe(2_000), 1_000, TIMES) == Wait()
    assert next_probing(Probe(2_001), 1_000, TIMES) == Send()
    ahead = Probe(900, replace(SENT, at_s=10_000))
    assert next_probing(ahead, 9_950, TIMES) == Wait()
    assert next_probing(ahead, 9_949, TIMES) == Closed(
        Outcome.LOST, "it was sent by a clock that ran ahead"
    )


def test_a_signed_answer_waits_for_the_text_that_it_signs():
    """Receipt and result come by two ways, and either may be first."""
    untold = replace(ANSWER, result=None)
    assert step(1_050, answer=untold) == Wait()
    assert step(1_051, answer=untold) == Closed(Outcome.LOST, "it told no result")
    assert step(answer=replace(untold, node_key="sha256:riga")).outcome is Outcome.LOST


ANSWERS = {
    "right": ({}, Outcome.PASSED, "64 rows of 64 are exact"),
    "wrong and signed": (
        {"result": WRONG, "digest": digest(WRONG)},
        Outcome.FAILED,
        "not of the product",
    ),
    "wrong, signed and late": (
        {"result": WRONG, "digest": digest(WRONG), "took_ms": 10_001},
        Outcome.FAILED,
        "not of the product",
    ),
    "wrong and not what was signed": ({"result": WRONG}, Outcome.LOST, "is not the one"),
    "another node's": ({"node_key": "sha256:riga"}, Outcome.LOST, "sha256:riga has answered"),
    "to something else": ({"is_same_work": False}, Outcome.LOST, "something else"),
    "late": ({"took_ms": 10_001}, Outcome.LOST, "took 10001 ms, 10000 ms were allowed"),
    "without a digest": ({"digest": None}, Outcome.LOST, "no digest of a result"),
    "unreadable": ({"result": "7", "digest": digest("7")}, Outcome.LOST, "cannot be read: tags"),
    "too short": (
        {"result": SHORT, "digest": digest(SHORT)},
        Outcome.LOST,
        "3 tags, 64 are needed",
    ),
}


@pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS)
def test_what_an_answer_comes_to(case):
    changes, outcome, words = case
    found = step(answer=replace(ANSWER, **changes))
    assert found.outcome is outcome
    assert words in found.why
    assert bool(found.backend) or outcome is Outcome.LOST


def test_an_answer_counts_before_what_speaks_against_one():
    """The job may be gone or stalled by the time that the receipt is there."""
    assert step(9_999, answer=ANSWER, obstacle="Failed: gone").outcome is Outcome.PASSED
