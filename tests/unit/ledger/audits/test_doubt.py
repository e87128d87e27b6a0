"""Owners are told on which runs not to rely, once a node was found to have cheated."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hansa.ledger.audits.book import Word, epoch
from hansa.verification.course.progress import Wait
from tests.unit.ledger.audits.small_league import SmallLeague


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


async def test_a_run_whose_own_audit_proves_nothing_is_doubtful_once_its_node_was_found_to_cheat(
    league: SmallLeague,
):
    """Its pay is void with the others': that its audit was under way meanwhile keeps nothing from its owner."""
    league.members["tartu"].result = "0.99"
    league.submit("faked", "tartu", comparator={"absolute": "0.001"})
    league.submit("other", "tartu")
    await league.until(lambda: league.told("other").get("audit") == "Due")
    course, book = league.audits._parts.course, league.audits._parts.book
    step, hold = course.step, [True]

    async def held(subject: str, now_s: float, **how: bool) -> Any:
        is_other = (await asyncio.to_thread(course.case, subject)).spec["job"].endswith("/other")
        return Wait() if is_other and hold[0] else await step(subject, now_s, **how)

    course.step = held
    await league.until(lambda: league.told("faked").get("audit") == "Failed")
    assert league.told("other")["audit"] == "Due"
    hold[0], league.refusing = False, {"riga", "lisbon", "oslo", "tartu"}
    await league.until(lambda: not book.open("Due", "Verdict"))
    await league.tick()
    told = league.told("other")
    assert (told["audit"], told["doubtful"]) == ("Doubtful", [1])
    assert "tartu was found to have cheated in run" in told["message"]


async def test_an_owner_sees_all_doubtful_runs_of_a_job_also_after_a_later_one(league: SmallLeague):
    uid = league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert league.told("study")["doubtful"] == []
    words = [Word(f"run/{uid}.{epoch}", "Doubtful", {"why": "w"}) for epoch in (3, 2)]
    book = league.audits._parts.book
    book.add([*words, Word(f"run/{uid}.4", "Spec", book.of(f"run/{uid}.1")["Spec"])], 1)
    drawn = {"runs": {}, "unfit": {f"{uid}.4": "not fit"}}
    book.add([Word(epoch(77), "Drawn", drawn)], 1)
    await league.tick()
    told = league.told("study")
    assert (told["epoch"], told["audit"]) == (4, "Inconclusive")
    assert told["doubtful"] == [2, 3]
