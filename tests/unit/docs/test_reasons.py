"""The page of reasons lists every reason, once, in order of gravity, with the remedy of the CLI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansa.cli.jobs.remedies import MEMBER_REMEDIES, REMEDIES
from hansa.grants.reasons import COURSES, Course, MemberReason
from hansa.model.reasons import Reason
from hansa.reconcile.member.end_reasons import EndReason

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "reference" / "reasons.md"
TABLES = {"reasons-hub": Reason, "reasons-member": MemberReason, "reasons-end": EndReason}


def rows(anchor):
    section = PAGE.read_text(encoding="utf-8").split(f"({anchor})=")[1].split("\n(")[0]
    lines = re.findall(r"^\| (`\w+` \|.*) \|$", section, re.MULTILINE)
    return [[cell.strip(" `") for cell in line.split("|")] for line in lines]


@pytest.mark.parametrize("anchor", TABLES)
def test_every_reason_is_explained_in_order_of_gravity(anchor):
    assert [row[0] for row in rows(anchor)] == [reason.value for reason in TABLES[anchor]]


ENDS_AS = re.compile(r"\b(?:runs?|jobs?) (?:ends? |fails? )?as `([A-Z][A-Za-z]+)`")


@pytest.mark.parametrize(
    "path", sorted(DOCS.rglob("*.md")), ids=lambda path: str(path.relative_to(DOCS))
)
def test_a_run_ends_as_something_that_exists(path):
    named = set(ENDS_AS.findall(" ".join(path.read_text(encoding="utf-8").split())))
    assert named <= {reason.value for reason in EndReason}


def test_whoever_uninstalls_is_told_of_every_kind():
    kinds = {f"{path.stem}.hansa.dev" for path in DOCS.parent.glob("crds/*.yaml")}
    page = (DOCS / "how-to" / "uninstall.md").read_text(encoding="utf-8")
    assert {kind for kind in kinds if kind not in page} == set()
    assert len(kinds) >= 6


def test_remedies_are_those_of_the_command_line():
    shown = {row[0]: row[2] for row in rows("reasons-hub")}
    assert shown == {reason.value: text for reason, text in REMEDIES.items()}
    shown = {row[0]: row[2] for row in rows("reasons-member")}
    assert shown == {reason.value: text for reason, text in MEMBER_REMEDIES.items()}


def test_passing_reasons_are_marked():
    marked = {row[0] for row in rows("reasons-member") if row[3] == "yes"}
    assert marked == {reason.value for reason in MemberReason if reason.transient}


def test_interrupted_runs_may_run_again():
    said = {row[0] for row in rows("reasons-end") if row[2] == "may run again"}
    assert said == {reason.value for reason in EndReason if reason.verdict == "Interrupted"}


def test_what_follows_from_a_cause_is_what_hub_and_member_go_by():
    words = {Course.GIVE_UP: "no", Course.ANYWHERE: "anywhere", Course.ELSEWHERE: "elsewhere"}
    said = {row[0]: row[3] for row in rows("reasons-end") if row[3] in words.values()}
    assert said == {cause.value: words[course] for cause, course in COURSES.items()}
