"""Two auditors that agree are needed against a provider, and for a failure; one suffices for a result."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.verification.comparison import HardwareClass, Outcome
from hansa.verification.verdict import MAX_AUDITORS, Rerun, Verdict, decide

CLASS = HardwareClass("sha256:image", "nvidia-l40s", 580, "bfloat16", "1x1")
OTHER_CLASS = replace(CLASS, accelerator="nvidia-h100")
CLAIMED = Outcome(CLASS, "sha256:claimed")


def reruns(*answers, institution=None):
    """``=``: the same; a letter: that other result; ``~``: other hardware; ``-``: none."""
    found = []
    for index, said in enumerate(answers):
        outcome = {
            "=": CLAIMED,
            "~": Outcome(OTHER_CLASS, "sha256:other"),
            "-": None,
            "f": FAILED,
        }.get(said, Outcome(CLASS, f"sha256:{said}"))
        found.append(Rerun(f"n{index}", institution or f"i{index}", outcome))
    return found


CASES = {
    "nobody yet": ("", Verdict.OPEN, ()),
    "equal": ("=", Verdict.PASSED, ()),
    "different": ("x", Verdict.OPEN, ()),
    "two against it": ("xx", Verdict.FAILED, ()),
    "one for, one against": ("x=", Verdict.OPEN, ()),
    "the third for it": ("x==", Verdict.PASSED, ("n0",)),
    "the third against it": ("x=x", Verdict.FAILED, ("n1",)),
    "two against it that do not agree": ("xy", Verdict.OPEN, ()),
    "then one of them is confirmed": ("xyx", Verdict.FAILED, ()),
    "every time another": ("vwxyz", Verdict.INCONCLUSIVE, ()),
    "an auditor that did not answer": ("-", Verdict.OPEN, ()),
    "silence is no voice against it": ("-x-", Verdict.OPEN, ()),
    "other hardware is no voice": ("~~", Verdict.OPEN, ()),
    "other hardware, then equal": ("~=", Verdict.PASSED, ()),
    "nobody can": ("-----", Verdict.INCONCLUSIVE, ()),
    "an equal one beside a broken one and silence": ("x-==", Verdict.PASSED, ("n0",)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_decided(case):
    answers, verdict, outvoted = case
    found = decide(CLAIMED, reruns(*answers))
    assert (found.verdict, found.outvoted) == (verdict, outvoted)
    assert found.why


FAILED = Outcome(CLASS, "", failed=True)
FAILURES = {
    "one fails there, too, and may be a friend": ("f", Verdict.OPEN, ()),
    "two fail, too": ("ff", Verdict.PASSED, ()),
    "one fails, too, and silence": ("f-", Verdict.OPEN, ()),
    "one gets through": ("x", Verdict.OPEN, ()),
    "two get through, each otherwise": ("xy", Verdict.LOST, ()),
    "two get through on other hardware": ("~~", Verdict.LOST, ()),
    "a third decides that it fails": ("xff", Verdict.PASSED, ("n0",)),
    "a third decides that it does not": ("xfy", Verdict.LOST, ("n1",)),
    "nobody answers": ("--", Verdict.OPEN, ()),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
def test_what_is_decided_of_a_run_that_failed(case):
    answers, verdict, outvoted = case
    found = decide(FAILED, reruns(*answers))
    assert (found.verdict, found.outvoted) == (verdict, outvoted)


def test_a_result_is_not_confirmed_by_failures():
    assert decide(CLAIMED, reruns("f", "=")).verdict is Verdict.OPEN


def test_two_nodes_of_one_institution_are_one_voice():
    assert decide(CLAIMED, reruns("x", "x", institution="same")).verdict is Verdict.OPEN


def test_two_institutions_of_one_owner_group_are_one_voice():
    """Whether they speak against a provider, or confirm that a job fails."""
    for claimed, said in ((CLAIMED, "xx"), (FAILED, "ff"), (FAILED, "xx")):
        group = [replace(one, owner_group="holding") for one in reruns(*said)]
        assert decide(claimed, group).verdict is Verdict.OPEN
        # An institution may stand for the group that it owns.
        owner = [replace(group[0], institution="holding", owner_group=""), group[1]]
        assert decide(claimed, owner).verdict is Verdict.OPEN
        third = Rerun("n9", "i9", reruns(said[0])[0].outcome)
        assert decide(claimed, [*group, third]).verdict is not Verdict.OPEN


@given(st.text("=xyz~-", max_size=MAX_AUDITORS))
def test_one_broken_or_lying_auditor_fails_nobody(answers):
    """However the answers come: a failure needs two that agree, and a closed audit has its majority."""
    found = decide(CLAIMED, reruns(*answers))
    against = max((answers.count(x) for x in "xyz"), default=0)
    if found.verdict is Verdict.FAILED:
        assert against >= 2
        assert answers.count("=") < 2
    if "=" in answers and not set("xyz") & set(answers):
        assert found.verdict is Verdict.PASSED
    if len(answers) == MAX_AUDITORS:
        assert found.verdict is not Verdict.OPEN
