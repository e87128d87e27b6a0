"""What comes next in one audit, by what was answered so far."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hansa.verification.auditors import Independence
from hansa.verification.comparison import HardwareClass, Outcome
from hansa.verification.course.progress import (
    MOST_ASKED,
    MOST_BARRED,
    Ask,
    Audit,
    Auditor,
    Close,
    Reply,
    Wait,
    next_step,
)
from hansa.verification.verdict import Verdict

TARTU = Auditor("tartu", "university")
RIGA, LISBON, OSLO = (Auditor(*one) for one in (("riga", "t"), ("lisbon", "m"), ("oslo", "l")))
HERE = HardwareClass("i", "gpu", 0, "", "")


def gave(auditor: Auditor, digest: str) -> Reply:
    return Reply(auditor, outcome=Outcome(HERE, digest))


def could_not(auditor: Auditor) -> Reply:
    return Reply(auditor, why="no room")


def may_not(auditor: Auditor) -> Reply:
    return Reply(auditor, why="ResidencyDenied: no", is_unlawful=True)


def step(*replies: Reply, ranking: tuple[Auditor, ...] = (RIGA, LISBON, OSLO)):
    return next_step(Audit(TARTU, Outcome(HERE, "a"), ranking, replies))


NEXT = {
    "nobody was asked": ((), Ask(RIGA)),
    "one was asked": ((Reply(RIGA, is_open=True),), Wait()),
    "one could not": ((could_not(RIGA),), Ask(LISBON)),
    "one differs": ((gave(RIGA, "b"),), Ask(LISBON)),
    "one differs, one does not": ((gave(RIGA, "b"), gave(LISBON, "a")), Ask(OSLO)),
    "none may": ((may_not(RIGA), may_not(LISBON), may_not(OSLO)), Ask(TARTU)),
    "none may, itself is at it": (
        (may_not(RIGA), may_not(LISBON), may_not(OSLO), Reply(TARTU, is_open=True)),
        Wait(),
    ),
}


@pytest.mark.parametrize("case", NEXT.values(), ids=NEXT)
def test_who_is_asked_next(case):
    replies, expected = case
    assert step(*replies) == expected


ALONE = tuple(map(may_not, (RIGA, LISBON, OSLO)))
CLOSED = {
    "one got the same": ((gave(RIGA, "a"),), Verdict.PASSED, Independence.INDEPENDENT),
    "two agree against it": (
        (gave(RIGA, "b"), gave(LISBON, "b")),
        Verdict.FAILED,
        Independence.INDEPENDENT,
    ),
    "one differs, and nobody is left": (
        (gave(RIGA, "b"), could_not(LISBON), could_not(OSLO)),
        Verdict.INCONCLUSIVE,
        Independence.INDEPENDENT,
    ),
    "all differ from each other": (
        (gave(RIGA, "b"), gave(LISBON, "c"), gave(OSLO, "d")),
        Verdict.INCONCLUSIVE,
        Independence.INDEPENDENT,
    ),
    "itself got the same": ((*ALONE, gave(TARTU, "a")), Verdict.PASSED, Independence.SELF),
    "itself got something else": (
        (*ALONE, gave(TARTU, "b")),
        Verdict.INCONCLUSIVE,
        Independence.SELF,
    ),
    "nobody could, not even itself": (
        (*ALONE, could_not(TARTU)),
        Verdict.INCONCLUSIVE,
        Independence.NONE,
    ),
}


@pytest.mark.parametrize("case", CLOSED.values(), ids=CLOSED)
def test_how_it_ends(case):
    replies, verdict, independence = case
    closed = step(*replies)
    assert isinstance(closed, Close)
    assert (closed.decision.verdict, closed.independence) == (verdict, independence)
    assert closed.decision.why


LAWFUL_ELSEWHERE = {
    "all others could not": (tuple(map(could_not, (RIGA, LISBON, OSLO))), (RIGA, LISBON, OSLO)),
    "one other could not": ((may_not(RIGA), could_not(LISBON)), (RIGA, LISBON)),
    "there is no other": ((), ()),
}


@pytest.mark.parametrize("case", LAWFUL_ELSEWHERE.values(), ids=LAWFUL_ELSEWHERE)
def test_the_provider_is_not_its_own_auditor_where_no_law_keeps_the_data_at_home(case):
    replies, ranking = case
    closed = step(*replies, ranking=ranking)
    assert isinstance(closed, Close)
    assert closed.decision.verdict is Verdict.INCONCLUSIVE
    assert closed.independence is Independence.NONE


def test_a_failure_is_not_confirmed_by_the_one_who_claims_it():
    audit = Audit(TARTU, Outcome(HERE, "", failed=True), (RIGA, LISBON, OSLO), ALONE)
    closed = next_step(audit)
    assert isinstance(closed, Close)
    assert closed.decision.verdict is Verdict.INCONCLUSIVE


def test_two_institutions_of_one_owner_group_are_not_two_auditors():
    riga, lisbon = (replace(one, owner_group="holding") for one in (RIGA, LISBON))
    assert step(gave(riga, "b"), ranking=(riga, lisbon, OSLO)) == Ask(OSLO)


def test_two_nodes_of_one_institution_are_not_two_auditors():
    twin = Auditor("riga-2", RIGA.institution)
    assert step(gave(RIGA, "b"), ranking=(RIGA, twin, LISBON)) == Ask(LISBON)
    assert step(could_not(RIGA), ranking=(RIGA, twin, LISBON)) == Ask(twin)


def test_only_so_many_are_asked():
    many = tuple(Auditor(f"n{number}", f"i{number}") for number in range(MOST_ASKED + 5))
    replies = tuple(could_not(one) for one in many[:MOST_ASKED])
    assert isinstance(step(*replies, ranking=many), Close)
    assert isinstance(step(*replies[1:], ranking=many), Ask)


def test_in_a_large_league_the_few_that_may_have_the_data_are_found():
    many = tuple(Auditor(f"n{number}", f"i{number}") for number in range(2 * MOST_BARRED))
    replies = tuple(may_not(one) for one in many[: MOST_BARRED - 1])
    assert step(*replies, ranking=many) == Ask(many[MOST_BARRED - 1])
    # Nobody knows whether the law leaves others, so it is no case for the provider itself either.
    all_asked = (*replies, may_not(many[MOST_BARRED - 1]))
    assert isinstance(step(*all_asked, ranking=many), Close)
