"""What is paid of a run whose last receipt is disputed or missing, or of whose end the hub has never heard."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.unit.ledger.audits.long_runs import LongRun, pay
from tests.unit.ledger.audits.small_league import SmallLeague

DAYS = 86_400
PARTS = 3
A_PART = 600_000
"""Micros for five minutes of two GPUs."""
RIGHT, MADE_UP = "0.97", "0.99"


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path, holdback_bp=0)


def digest(result: str) -> str:
    return f"sha256:{hashlib.sha256(result.encode()).hexdigest()}"


async def disputed(run: LongRun) -> None:
    run.tell_its_job_alone()
    run.end(digest=digest(run.member.result), usage={"gpu_seconds": 1 << 40, "cpu_milliseconds": 0})
    run.vanish()


async def disputed_and_lost(run: LongRun) -> None:
    run.end(end="MachineLost", usage={"gpu_seconds": 1 << 40, "cpu_milliseconds": 0})
    run.vanish()


async def missing(run: LongRun) -> None:
    run.vanish()
    await run.league.tick(7 * DAYS)


async def kept_from_the_hub(run: LongRun) -> None:
    run.end(digest=digest(run.member.result))
    await run.release()


async def stopped_as_it_says_alone(run: LongRun) -> None:
    run.end(end="Cancelled")
    await run.release()


async def stopped_as_the_hub_asked(run: LongRun) -> None:
    run.ask_to_stop()
    run.end(end="Cancelled")
    await run.release()


async def given_up(run: LongRun, *, end: str) -> None:
    run.member.end = end
    run.give_up()
    run.end(end=end, digest=digest(run.member.result) if end == "Succeeded" else None)
    await run.league.tick()
    run.tell()
    await run.league.tick()
    await run.release()


async def given_up_and_never_heard(run: LongRun) -> None:
    run.give_up()
    await run.league.tick()
    await stopped_as_it_says_alone(run)


async def without_a_digest_as_it_says_alone(run: LongRun) -> None:
    run.end()
    await run.release()


LAST: dict[str, tuple[Callable[[LongRun], Awaitable[None]], str, tuple[str, int], str]] = {
    "disputed, and its result is right": (disputed, RIGHT, ("Passed", PARTS), "is disputed"),
    "disputed, and its result is made up": (disputed, MADE_UP, ("Failed", 0), "is disputed"),
    "disputed, and its machine was lost": (disputed_and_lost, RIGHT, ("Lost", 0), "MachineLost"),
    "missing": (missing, RIGHT, ("Lost", 0), "has not come"),
    "unheard, and its result is right": (kept_from_the_hub, RIGHT, ("Passed", PARTS), ""),
    "unheard, and its result is made up": (
        *(kept_from_the_hub, MADE_UP, ("Lost", 0)),
        "the hub was told nothing",
    ),
    "unheard, and only it says that it was stopped": (
        *(stopped_as_it_says_alone, MADE_UP, ("Lost", 0)),
        "the hub was told nothing",
    ),
    "unheard, and the hub had asked it to stop": (
        *(stopped_as_the_hub_asked, RIGHT, ("Inconclusive", PARTS)),
        "stopped as the hub asked",
    ),
    "given up after a silence, and its result is right": (
        *(partial(given_up, end="Succeeded"), RIGHT, ("Passed", PARTS), ""),
    ),
    "given up after a silence, and it says that it was stopped": (
        *(partial(given_up, end="Cancelled"), MADE_UP, ("Lost", 0), "by itself"),
    ),
    "given up after a silence, and it says what broke": (
        *(partial(given_up, end="HeadLost"), MADE_UP, ("Lost", 0), "by itself"),
    ),
    "given up after a silence, and never heard of again": (
        *(given_up_and_never_heard, MADE_UP, ("Lost", 0)),
        "the hub was told nothing",
    ),
    "unheard, and it has nothing to compare": (
        *(without_a_digest_as_it_says_alone, MADE_UP, ("Lost", 0)),
        "the hub was told nothing",
    ),
}


@pytest.mark.parametrize(("ends", "result", "found", "words"), LAST.values(), ids=LAST)
async def test_what_is_sound_is_paid_for_what_can_be_looked_at_and_nothing_else(
    league: SmallLeague,
    ends: Callable[[LongRun], Awaitable[None]],
    result: str,
    found: tuple[str, int],
    words: str,
):
    run = LongRun(league, "study", "tartu")
    run.member.result = result
    await run.go_on(PARTS)
    await league.tick(30)
    await ends(run)
    await league.until(lambda: league.told("study").get("audit", "Due") != "Due", at_most=120)
    pay(league)
    earned = league.accounts().get(("university", "receivable"), 0)
    told = league.told("study")
    assert (told["audit"], earned // A_PART) == found
    assert words in told["message"]


async def test_a_draw_goes_by_what_was_heard_a_moment_ago(league: SmallLeague):
    """And not by what the intake, which has a rhythm of its own, has kept of that."""
    run = LongRun(league, "study", "tartu")
    await run.go_on(PARTS)
    run.end(end="Cancelled")
    await league.tick()
    league.intake.step = nothing  # type: ignore[method-assign]
    await run.release()
    await league.until(lambda: "audit" in league.told("study"))
    await league.until(lambda: league.told("study")["audit"] != "Due")
    assert league.told("study")["audit"] == "Lost"


async def test_an_unheard_failure_that_nobody_confirms_costs_its_own_pay_alone(
    league: SmallLeague,
):
    """Others that failed are lost with it only where somebody got through."""
    league.members["tartu"].end, league.refusing = "AppFailed", set(league.members)
    league.submit("unseen", "tartu")
    await league.until(lambda: league.told("unseen").get("audit") == "Inconclusive")
    before = league.accounts()
    assert ("university", "pending") in before
    run = LongRun(league, "study", "tartu")
    await run.go_on(1)
    run.end(end="AppFailed")
    await league.tick()
    assert league.accounts() != before
    await run.release()
    await league.until(lambda: league.told("study").get("audit", "Due") != "Due")
    assert league.told("study")["audit"] == "Lost"
    assert league.accounts() == before


async def nothing() -> None:
    """Take nothing in."""
