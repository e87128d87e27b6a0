"""Fine-tuning audited by segments: a deterministic trainer, honest and not, and the dispute down to one step."""

from __future__ import annotations

import hashlib
from collections import Counter
from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.segments import (
    Party,
    Trail,
    answer,
    dispute,
    loser,
    segment,
)

STEPS, EVERY = 40, 8


class Trainer:
    """Least squares by stochastic gradients, bit for bit the same each time."""

    def __init__(self, seed=1, *, skips=()):
        random = np.random.default_rng(seed)
        self.x, self.y = random.normal(size=(STEPS, 16, 4)), random.normal(size=(STEPS, 16))
        self.skips = set(skips)

    def step(self, weights, number):
        if number in self.skips:
            return weights
        x, y = self.x[number], self.y[number]
        return weights - 0.05 * x.T @ (x @ weights - y) / len(y)

    def states(self, weights=None, first=0, last=STEPS):
        weights = np.zeros(4) if weights is None else weights
        yield weights
        for number in range(first, last):
            weights = self.step(weights, number)
            yield weights


def digest(weights):
    return hashlib.sha256(weights.tobytes()).hexdigest()


HONEST = Trainer()


def trail(trainer):
    steps = tuple(range(0, STEPS + 1, EVERY))
    states = list(trainer.states())
    return Trail(steps, tuple(digest(states[step]) for step in steps)), states


def again(audited, states):
    """What an honest auditor finds at the end, and its digests between, from the provider's own checkpoint."""
    found = list(HONEST.states(states[audited.first], audited.first, audited.last))
    return {audited.first + i: digest(state) for i, state in enumerate(found)}


def resolve(case, provider, auditor):
    while case.question is not None:
        case = answer(case, provider.get(case.question), auditor.get(case.question))
    return case


def test_honest_training_is_the_same_bit_for_bit():
    committed, states = trail(HONEST)
    for ticket in range(50):
        audited = segment(committed, ticket)
        assert again(audited, states)[audited.last] == audited.to_digest


@pytest.mark.parametrize("skipped", range(STEPS))
def test_a_skipped_step_is_found_by_halving(skipped):
    cheat = Trainer(skips=[skipped])
    committed, states = trail(cheat)
    audited = next(
        s for s in (segment(committed, t) for t in range(1_000)) if s.first <= skipped < s.last
    )
    own = {step: digest(states[step]) for step in range(audited.first, audited.last + 1)}
    found = again(audited, states)
    case = resolve(dispute(audited, found[audited.last]), own, found)
    assert case.step == skipped
    assert case.rounds <= ceil(log2(EVERY))
    referee = digest(HONEST.step(states[skipped], skipped))
    assert digest(states[skipped]) == case.agreed_digest
    assert loser(case, referee) == (Party.PROVIDER,)


def test_an_auditor_that_lies_is_found_too():
    committed, states = trail(HONEST)
    audited = segment(committed, 3)
    own = again(audited, states)
    lies = {step: said if step < audited.first + 5 else "f" * 64 for step, said in own.items()}
    case = resolve(dispute(audited, "f" * 64), own, lies)
    assert case.step == audited.first + 4
    assert loser(case, own[case.disputed]) == (Party.AUDITOR,)
    assert loser(case, "0" * 64) == (Party.PROVIDER, Party.AUDITOR)


SILENCE = {
    "the provider": (None, "a", (Party.PROVIDER,)),
    "the auditor": ("a", None, (Party.AUDITOR,)),
    "both: the provider has to show": (None, None, (Party.PROVIDER,)),
}


@pytest.mark.parametrize("case", SILENCE.values(), ids=SILENCE)
def test_silence_loses(case):
    provider, auditor, lost = case
    committed, _ = trail(HONEST)
    silent = answer(dispute(segment(committed, 1), "other"), provider, auditor)
    assert silent.question is None
    assert silent.step is None
    assert loser(silent, "anything") == lost


@given(st.integers(1, 5_000), st.data())
def test_halving_ends_in_time_whatever_is_said(length, data):
    committed = Trail((0, length), ("start", "mine"))
    case = dispute(segment(committed, 0), "yours")
    while case.question is not None:
        case = answer(case, data.draw(st.sampled_from("ab")), "b")
    assert case.disputed - case.agreed == 1
    assert case.rounds <= ceil(log2(length)) if length > 1 else case.rounds == 0


def test_each_step_is_as_likely_as_any_other():
    uneven = Trail((0, 30, 40), ("a", "b", "c"))
    drawn = Counter(segment(uneven, ticket).first for ticket in range(4_000))
    assert 2_850 < drawn[0] < 3_150


BAD = {
    "one state": lambda: Trail((0,), ("a",)),
    "digests missing": lambda: Trail((0, 1, 2), ("a", "b")),
    "not from the beginning": lambda: Trail((1, 2), ("a", "b")),
    "not in order": lambda: Trail((0, 2, 2), ("a", "b", "c")),
    "no dispute": lambda: dispute(segment(Trail((0, 1), ("a", "b")), 0), "b"),
    "no question": lambda: answer(dispute(segment(Trail((0, 1), ("a", "b")), 0), "c"), "x", "y"),
    "too early": lambda: loser(dispute(segment(Trail((0, 9), ("a", "b")), 0), "c"), "x"),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match=r"trail|dispute"):
        call()
