"""The audit of a run that committed checkpoints, played to its end by parties that train, lie, or stay silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.verification.auditors import Independence
from hansa.verification.comparison import HardwareClass, Outcome
from hansa.verification.course import progress, segmented
from hansa.verification.course.progress import Ask, Audit, Auditor, Close, Reply, Wait
from hansa.verification.segments import Claimed, Grid, Stretch, answered, draw, read_states
from hansa.verification.verdict import Verdict
from tests.unit.verification.course.trainer import EVERY, STEPS, Trainer

TARTU = Auditor("tartu", "university")
RIGA, LISBON, OSLO = (Auditor(*one) for one in (("riga", "t"), ("lisbon", "m"), ("oslo", "l")))
HERE = HardwareClass("i", "gpu", 0, "", "")
SKIPPED = 20
HONEST, LAZY, LIAR = Trainer(), Trainer(skips=[SKIPPED]), Trainer(skips=[SKIPPED + 1])
TELLS_ENDS = "says nothing between"
SILENT = "does not answer"
CANNOT = "cannot begin"
CONTRADICTS = "says something else when asked again"


class Play:
    """One audit: the provider's checkpoints are at hand, and what each party does is told beforehand."""

    def __init__(self, provider=HONEST, **does):
        self.kept, self.does, self.asked = {}, {"tartu": provider, **does}, []
        self.text = provider.run(None, self.kept)
        states = read_states(self.text)
        tickets = (draw(Grid(STEPS, EVERY), states, ticket) for ticket in range(1_000))
        self.drawn = next(t for t in tickets if t.stretch.first <= SKIPPED < t.stretch.last)
        claimed = Outcome(HERE, self.text, result=self.text.encode())
        self.audit = Audit(TARTU, claimed, (RIGA, LISBON, OSLO))

    def end(self):
        for _ in range(40):
            step = segmented.next_step(self.audit, self.drawn)
            if isinstance(step, Close):
                return step.decision.verdict, step.independence, step.decision
            assert isinstance(step, Ask)
            opened = replace(
                self.audit, replies=(*self.audit.replies, Reply(step.auditor, is_open=True))
            )
            assert segmented.next_step(opened, self.drawn) == Wait()
            self.asked.append((step.auditor.node, step.stretch))
            reply = self.reply(step.auditor, step.stretch)
            self.audit = replace(self.audit, replies=(*self.audit.replies, reply))
        raise AssertionError("it has no end")

    def reply(self, auditor, stretch):
        does = self.does.get(auditor.node, HONEST)
        if does == SILENT or (does == CANNOT and stretch):
            return Reply(auditor, why="no", stretch=stretch, has_run=does == CANNOT)
        if does in {TELLS_ENDS, CONTRADICTS}:
            does = self.by_halves(auditor, does)
        if stretch is None:
            text = (HONEST if does == CANNOT else does).run(None, {})
            return Reply(auditor, outcome=Outcome(HERE, text), has_run=True)
        said = {"first": stretch.first, "last": stretch.last, "state": stretch.state}
        text = does.run(said | {"say": stretch.say}, self.kept)
        return Reply(auditor, stretch=stretch, states=answered(stretch, text), has_run=True)

    def by_halves(self, auditor, does):
        if does == TELLS_ENDS:
            return TellsEnds(skips=LAZY.skips)
        is_again = [node for node, _ in self.asked].count(auditor.node) > 1
        return HONEST if is_again else LIAR

    @property
    def steps(self):
        """How many steps each one had to run, whom it was asked of."""
        return [(node, stretch.last - stretch.first) for node, stretch in self.asked if stretch]


class TellsEnds(Trainer):
    def run(self, segment, kept):
        return super().run(segment and segment | {"say": ()}, kept)


ONE = (Verdict.PASSED, Independence.INDEPENDENT)
FOUND = (Verdict.FAILED, Independence.INDEPENDENT)


def test_an_honest_run_costs_one_segment():
    play = Play()
    verdict, independence, decision = play.end()
    assert (verdict, independence) == ONE
    assert play.steps == [("riga", EVERY)]
    assert decision.why == "of steps 16 to 24: riga got the same"


def test_a_skipped_step_is_found_by_two_and_the_second_runs_that_step_alone():
    play = Play(LAZY)
    verdict, independence, decision = play.end()
    assert (verdict, independence) == FOUND
    assert play.steps == [("riga", EVERY), ("tartu", EVERY), ("lisbon", 1)]
    assert f"of steps {SKIPPED} to {SKIPPED + 1}: riga and lisbon agree against it" in decision.why


def test_an_auditor_that_lies_is_outvoted_by_two():
    play = Play(riga=LIAR)
    verdict, independence, decision = play.end()
    assert (verdict, independence) == ONE
    assert decision.outvoted == ("riga",)
    assert play.steps == [("riga", 8), ("tartu", 8), ("lisbon", 1), ("oslo", 1)]


def test_two_lies_that_are_not_the_same_fail_nobody():
    play = Play(riga=LIAR, lisbon=Trainer(seed=2))
    assert play.end()[0] is Verdict.INCONCLUSIVE


def test_one_auditor_cannot_fail_a_provider():
    play = Play(riga=LIAR, lisbon=SILENT, oslo=SILENT)
    verdict, _, decision = play.end()
    assert verdict is Verdict.INCONCLUSIVE
    assert "nobody is left to ask" in decision.why


def test_two_of_one_owner_group_cannot_either():
    play = Play(riga=LIAR, lisbon=LIAR, oslo=SILENT)
    group = [replace(one, owner_group="holding") for one in (RIGA, LISBON)]
    play.audit = replace(play.audit, ranking=(*group, OSLO))
    assert play.end()[0] is Verdict.INCONCLUSIVE


UNHELPFUL = {
    "the provider is silent": (LAZY, SILENT, HONEST, FOUND),
    "the provider says nothing between": (TellsEnds(skips=[SKIPPED]), None, HONEST, FOUND),
    "the provider does not stand by its word": (LAZY, HONEST, HONEST, FOUND),
    "the auditor does not stand by its word": (HONEST, None, CONTRADICTS, ONE),
}


@pytest.mark.parametrize("case", UNHELPFUL.values(), ids=UNHELPFUL)
def test_whoever_does_not_help_to_halve_a_dispute_gains_nothing(case):
    provider, then, auditor, expected = case
    play = Play(provider, riga=auditor)
    if then is not None:
        play.does["tartu"] = then
    assert play.end()[:2] == expected
    assert ("lisbon", EVERY) in play.steps or ("lisbon", 1) in play.steps


WHOLE = {"a cheat that keeps its checkpoints": (LAZY, FOUND), "an honest one": (HONEST, ONE)}


@pytest.mark.parametrize("case", WHOLE.values(), ids=WHOLE)
def test_where_no_segment_can_be_begun_the_whole_run_is_audited(case):
    provider, expected = case
    play = Play(provider, riga=CANNOT, lisbon=CANNOT, oslo=CANNOT)
    assert play.end()[:2] == expected
    assert play.steps == [("riga", EVERY)]
    assert ("riga", None) in play.asked


def test_where_nobody_answers_nothing_is_known():
    play = Play(LAZY, riga=SILENT, lisbon=SILENT, oslo=SILENT)
    assert play.end()[:2] == (Verdict.INCONCLUSIVE, Independence.NONE)
    assert all(node != "tartu" for node, _ in play.asked)


def test_a_long_segment_is_halved_in_several_rounds():
    """A million steps, of which each says its state by number; they differ from step 777,777 on."""
    length, wrong = 1_000_000, 777_777

    def states(name, stretch):
        steps = (stretch.first, *stretch.say, stretch.last)
        lies = name == "tartu"
        return {step: f"{step if step < wrong or not lies else -step:064x}" for step in steps}

    drawn = Claimed(Stretch(0, length, f"{0:064x}"), f"{-length:064x}")
    audit, asked = Audit(TARTU, Outcome(HERE, "x"), (RIGA, LISBON, OSLO)), []
    step = segmented.next_step(audit, drawn)
    while isinstance(step, Ask):
        asked.append((step.auditor.node, step.stretch.last - step.stretch.first))
        said = states(step.auditor.node, step.stretch)
        reply = Reply(step.auditor, stretch=step.stretch, states=said, has_run=True)
        audit = replace(audit, replies=(*audit.replies, reply))
        step = segmented.next_step(audit, drawn)
    assert step.decision.verdict is Verdict.FAILED
    assert asked[-1] == ("lisbon", 1)
    assert len(asked) <= 10
    assert len({node for node, _ in asked}) < progress.MOST_ASKED
