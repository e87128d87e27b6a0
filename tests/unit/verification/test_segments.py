"""Fine-tuning by segments: what is drawn, what of an answer counts, and a dispute halved down to one step."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.segments import (
    MOST_SAID,
    Claimed,
    Grid,
    Stretch,
    answered,
    draw,
    halve,
    read_states,
)
from tests.unit.verification.course.trainer import EVERY, STEPS, Trainer, digest

HONEST, START = Trainer(), "a" * 64
ALL = Grid(STEPS, EVERY)


def committed(trainer, kept=None):
    return read_states(trainer.run(None, {} if kept is None else kept))


def again(stretch, kept, trainer=HONEST):
    asked = {"first": stretch.first, "last": stretch.last, "state": stretch.state}
    return answered(stretch, trainer.run(asked | {"say": stretch.say}, kept))


def test_honest_training_is_the_same_bit_for_bit():
    kept = {}
    said = committed(HONEST, kept)
    for ticket in range(50):
        drawn = draw(ALL, said, ticket)
        assert again(drawn.stretch, kept)[drawn.stretch.last] == drawn.digest


@pytest.mark.parametrize("skipped", range(STEPS))
def test_a_skipped_step_is_found_by_halving(skipped):
    kept, cheat = {}, Trainer(skips=[skipped])
    said = committed(cheat, kept)
    drawn = (draw(ALL, said, ticket) for ticket in range(1_000))
    found = next(one for one in drawn if one.stretch.first <= skipped < one.stretch.last)
    stretch = found.stretch
    left = halve(found, again(stretch, kept, cheat), again(stretch, kept))
    assert (left.stretch.first, left.stretch.last) == (skipped, skipped + 1)
    assert (
        left.digest == left.stretch.state != digest(HONEST.step(kept[left.stretch.state], skipped))
    )


@given(st.integers(2, 5_000), st.data())
def test_halving_ends_where_they_agree_and_then_do_not_whatever_is_said(length, data):
    stretch = Stretch(0, length, START)
    words = st.sampled_from("ab")
    provider = {step: data.draw(words) for step in stretch.say} | {0: START, length: "a"}
    auditor = {step: data.draw(words) for step in stretch.say} | {0: START, length: "b"}
    left = halve(Claimed(stretch, "a"), provider, auditor)
    first, last = left.stretch.first, left.stretch.last
    assert provider[first] == auditor[first] == left.stretch.state
    assert provider[last] == left.digest != auditor[last]
    between = [step for step in stretch.say if first < step < last]
    assert not between
    assert last - first <= -(-length // (min(length - 1, MOST_SAID) + 1))


def test_whoever_says_nothing_between_leaves_it_as_it_is():
    whole = Claimed(Stretch(0, 8, START), "a")
    assert halve(whole, {0: START, 8: "a"}, {0: START, 8: "b", 4: "c"}) == whole


def test_all_steps_of_a_short_stretch_are_asked_for_and_some_of_a_long_one():
    assert Stretch(8, 9, START).say == ()
    assert Stretch(8, 12, START).say == (9, 10, 11)
    long = Stretch(0, 1_000_000, START).say
    assert len(long) == MOST_SAID == len(set(long))
    assert 0 < long[0] < long[-1] < 1_000_000


def test_each_step_is_as_likely_as_any_other():
    uneven = Grid(40, 30)
    said = dict.fromkeys(uneven.at, START)
    drawn = Counter(draw(uneven, said, ticket).stretch.first for ticket in range(4_000))
    assert 2_850 < drawn[0] < 3_150
    assert drawn.keys() == {0, 30}


NOT_COMMITTED = {
    "nothing": (),
    "fewer": ALL.at[:-1],
    "more": (*ALL.at, 41),
    "steps of its own": (0, 1, 40),
}


@pytest.mark.parametrize("steps", NOT_COMMITTED.values(), ids=NOT_COMMITTED)
def test_the_spec_says_which_steps_are_committed_and_no_provider(steps):
    """Or it would do a little, and commit all of that and nothing of the rest."""
    assert draw(ALL, dict.fromkeys(steps, START), 1) is None


NO_STATES = {
    "no JSON": ("{", "Expecting"),
    "too deep": ("[" * 100_000, "nested too deeply"),
    "a number": ("1", "checkpoints: an object"),
    "no checkpoints": ("{}", "checkpoints: an object"),
    "a list": ('{"checkpoints": []}', "checkpoints: an object"),
    "no step": ('{"checkpoints": {"-1": "x"}}', "'-1' is no step"),
    "a step twice in other words": ('{"checkpoints": {"01": "x"}}', "'01' is no step"),
    "no digest": ('{"checkpoints": {"1": 2}}', "checkpoints.1: 64 hexadecimal"),
    "a short one": ('{"checkpoints": {"1": "ab"}}', "checkpoints.1: 64 hexadecimal"),
}


@pytest.mark.parametrize("case", NO_STATES.values(), ids=NO_STATES)
def test_what_says_no_states(case):
    text, why = case
    with pytest.raises(ValueError, match=why):
        read_states(text)


STRETCH = Stretch(8, 16, START)
UNANSWERED = {
    "no text": "",
    "another beginning": {"8": "b" * 64, "16": START},
    "no beginning": {"16": START},
    "no end": {"8": START},
}


@pytest.mark.parametrize("said", UNANSWERED.values(), ids=UNANSWERED)
def test_what_answers_nothing(said):
    assert answered(STRETCH, json.dumps({"checkpoints": said})) is None
    assert answered(STRETCH, json.dumps({"checkpoints": {"8": START, "16": START}}))


@pytest.mark.parametrize("steps", [(0, 1), (1, 0)])
def test_a_grid_without_steps(steps):
    with pytest.raises(ValueError, match="grid: give at least"):
        Grid(*steps)
