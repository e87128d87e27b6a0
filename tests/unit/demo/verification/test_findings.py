"""The chapter on verification ends badly where an audit did not come about, or found something else."""

from __future__ import annotations

from fractions import Fraction

import pytest

from e2e.demo.verification.findings import Change, audited, faults, in_words
from tests.unit.demo.verification.kit import MADE_UP, RIGHT, audit, job, seen


def test_nothing_speaks_against_what_the_story_says():
    assert list(faults(seen())) == []


EQUAL = audit(1, "audited", "tartu", RIGHT)
WRONG = {
    "the honest job was never decided": (
        {"honest": job("audited", "riga", RIGHT)},
        "its audit is to be Passed",
    ),
    "nobody found the cheat": (
        {"faked": job("made-up", "lisbon", MADE_UP, audit="Passed")},
        "its audit is to be Failed",
    ),
    "no audit ran": ({"audits": []}, "again at no node"),
    "the provider audited itself": (
        {"audits": [audit(1, "audited", "riga", RIGHT), *seen().audits[1:]]},
        r"audited ran at riga, and again at \['riga'\]",
    ),
    "one auditor was enough for a verdict": (
        {"audits": seen().audits[:2]},
        r"made-up ran at lisbon, and again at \['riga'\]",
    ),
    "it passed with another result": (
        {"audits": [audit(1, "audited", "tartu", MADE_UP), *seen().audits[1:]]},
        "the results are not equal",
    ),
    "it failed with the auditors' result": (
        {"faked": job("made-up", "lisbon", RIGHT, audit="Failed")},
        "an auditor has the same result",
    ),
    "the auditors differ": (
        {"audits": [*seen().audits[:2], audit(3, "made-up", "tartu", {"accuracy": 0.5})]},
        "do not agree with each other",
    ),
    "it kept its level": ({"level": Change("L1", "L1")}, "level was L1 and is L1"),
    "it had no level to lose": ({"level": Change("L0", "L0")}, "level was L0 and is L0"),
    "it kept what was held back": (
        {"held": Change(Fraction("0.00007"), Fraction("0.00007"))},
        "are 0.000070",
    ),
    "it had nothing to lose": (
        {"held": Change(Fraction(), Fraction()), "kitty": Change(Fraction(), Fraction())},
        "were 0.000000 EUR",
    ),
    "the kitty did not get it": (
        {"kitty": Change(Fraction(), Fraction("0.00001"))},
        "the kitty has 0.000010 more",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_named_what_did_not_come_about(case):
    changes, said = WRONG[case]
    with pytest.raises(AssertionError, match=said):
        raise AssertionError("; ".join(faults(seen(**changes))))


def test_it_is_told_in_plain_words():
    told = in_words(seen())
    assert "tartu, of another institution, ran it again" in told
    assert "lisbon has cheated: 0.000070 EUR" in told
    assert "was at L1 and is at L0" in told


def test_the_report_names_who_ran_it_again_and_what_was_taken():
    equal, cheat = audited(seen())
    assert (equal.node, equal.auditors, equal.seized) == ("riga", ("tartu",), "0")
    assert (cheat.node, cheat.auditors, cheat.seized) == ("lisbon", ("riga", "tartu"), "0.000070")
