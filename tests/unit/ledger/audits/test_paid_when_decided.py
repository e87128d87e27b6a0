"""Nothing of a run is due before it was drawn and found in order, whatever its member signs, tells, or keeps to itself."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hansa.receipts.metering import Sight
from tests.unit.ledger.audits.long_runs import PART_S, LongRun, pay
from tests.unit.ledger.audits.small_league import SmallLeague

DAYS = 86_400
MADE_UP = "0.99"
DIGEST = f"sha256:{hashlib.sha256(MADE_UP.encode()).hexdigest()}"


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


def earned(league: SmallLeague) -> dict[str, int]:
    """Account → micros of tartu's institution."""
    found = league.accounts()
    return {kind: micros for (name, kind), micros in found.items() if name == "university"}


def pending(league: SmallLeague) -> int:
    """Micros that hospital may still have to pay."""
    return -league.accounts().get(("hospital", "pending"), 0)


class Idle:
    """Audits of which no pass was made yet."""

    async def step(self) -> None:
        """Do nothing."""


async def is_closed(league: SmallLeague, name: str = "study") -> str:
    """Have an audit come to its end, paying all the while; returns what was found."""
    for _ in range(120):
        await league.tick()
        pay(league)
        found = league.told(name).get("audit", "")
        if found not in {"", "Due"}:
            return str(found)
    return "nothing"


async def made_up(league: SmallLeague) -> LongRun:
    """Begin half an hour of a run that computes nothing."""
    run = LongRun(league, "study", "tartu")
    run.member.result = MADE_UP
    await run.go_on(6)
    await league.tick(30)
    return run


async def all_in_order(run: LongRun) -> None:
    run.tell()
    run.end(digest=DIGEST)


async def last_receipt_spoilt(run: LongRun) -> None:
    run.tell()
    run.end()


async def last_receipt_of_a_gpu_too_many(run: LongRun) -> None:
    run.tell()
    usage = run.metered.work.gpus * 10_000
    run.end(digest=DIGEST, usage={"gpu_seconds": usage, "cpu_milliseconds": 0})


async def last_receipt_spoilt_and_told_later(run: LongRun) -> None:
    run.end(end="AppFailed", usage={"gpu_seconds": 1 << 40, "cpu_milliseconds": 0})
    await run.league.ticks(40)
    run.tell()


async def no_last_receipt(run: LongRun) -> None:
    run.tell()
    await run.league.tick()
    await run.release()
    await run.league.tick(7 * DAYS)


FAKED: dict[Callable[[LongRun], Awaitable[None]], str] = {
    all_in_order: "Failed",
    last_receipt_spoilt: "Failed",
    last_receipt_of_a_gpu_too_many: "Failed",
    last_receipt_spoilt_and_told_later: "Failed",
    no_last_receipt: "Failed",
}


@pytest.mark.parametrize(("ends", "found"), FAKED.items(), ids=[one.__name__ for one in FAKED])
async def test_no_part_of_a_run_that_was_made_up_is_ever_due(
    league: SmallLeague, ends: Callable[[LongRun], Awaitable[None]], found: str
):
    run = await made_up(league)
    assert pay(league) == 0
    await ends(run)
    await league.tick()
    if run.is_granted:
        await run.release()
    assert await is_closed(league) == found
    assert earned(league) == {}


async def test_who_says_that_it_was_stopped_and_tells_the_hub_after_the_draw_is_not_paid(
    league: SmallLeague,
):
    run = await made_up(league)
    run.member.end = "Cancelled"
    run.end(end="Cancelled")
    await league.ticks(40)
    assert league.told("study") == {}
    assert pay(league) == 0
    run.tell()
    await league.tick()
    await run.release()
    assert await is_closed(league) == "Lost"
    assert earned(league) == {}


DROPPED: dict[str, dict[str, Any]] = {
    "taken and released": {},
    "refused as stale and released": {"accepted": "False", "reason": "StaleEpoch"},
    "refused": {"accepted": "False", "reason": "PolicyDenied", "signs": False},
}


@pytest.mark.parametrize("said", DROPPED.values(), ids=DROPPED)
async def test_who_lets_go_of_a_run_without_a_word_of_its_end_is_not_paid(
    league: SmallLeague, said: dict[str, Any]
):
    run = await made_up(league)
    run.end(end="Cancelled")
    run.let_go(**said)
    await league.tick()
    await run.release()
    assert await is_closed(league) == "Lost"
    assert earned(league) == {}


UNTOLD = ("nothing", "an end without the result after it", "an end without the result before it")


@pytest.mark.parametrize("untold", UNTOLD)
async def test_a_digest_that_only_the_receipt_tells_is_not_drawn_before_the_result_is_told(
    league: SmallLeague, untold: str
):
    run = await made_up(league)
    run.end(digest=DIGEST)
    if "after it" in untold:
        await league.tick()
    if "end" in untold:
        run.tell(result=False)
    await league.ticks(30)
    if "before it" in untold:
        await league.tick(7 * DAYS)
        await league.ticks(20)
    assert league.told("study").get("audit", "Inconclusive") == "Inconclusive"
    run.tell()
    await league.until(lambda: league.told("study").get("audit") == "Due")
    await league.tick()
    await run.release()
    assert await is_closed(league) == "Failed"
    assert earned(league) == {}


async def test_what_ended_before_the_first_epoch_is_drawn_with_it(league: SmallLeague):
    audits, league.audits = league.audits, Idle()
    run = await made_up(league)
    run.tell()
    run.end(digest=DIGEST)
    await league.tick()
    await run.release()
    league.audits = audits
    assert await is_closed(league) == "Failed"
    assert earned(league) == {}


async def test_a_run_that_vanished_is_decided_after_a_week(league: SmallLeague):
    """Its project's budget is charged for it meanwhile."""
    run = await made_up(league)
    await run.release()
    await league.tick(6 * DAYS)
    await league.ticks(15)
    assert pending(league) > 0
    await league.tick(2 * DAYS)
    assert await is_closed(league) == "Lost"
    assert pending(league) == 0


async def withholding(league: SmallLeague, parts: int, digest: str) -> tuple[LongRun, list[Any]]:
    """Show one receipt of a run and keep the others, until it is drawn; returns these."""
    run = LongRun(league, "study", "tartu")
    await run.go_on(1)
    await league.tick(30)
    shown = list(run.member.outbox)
    for _ in range(parts):
        league.clock.seconds += PART_S
        run.sign(Sight(int(league.clock.seconds)))
    run.end(digest=digest)
    run.member.outbox, kept = shown, list(run.member.outbox)
    run.tell()
    await league.tick()
    await run.release()
    await league.tick(7 * DAYS)
    return run, kept


@pytest.mark.parametrize(("result", "found"), {"0.99": "Failed", "0.97": "Passed"}.items())
async def test_what_comes_after_a_run_was_drawn_goes_the_way_of_its_audit(
    league: SmallLeague, result: str, found: str
):
    """However little was booked of it when it was drawn, and whatever its node has at stake."""
    league.hold(400)
    league.members["tartu"].result = result
    digest = f"sha256:{hashlib.sha256(result.encode()).hexdigest()}"
    run, kept = await withholding(league, 6, digest)
    assert await is_closed(league) == found
    before = earned(league)
    run.member.outbox = kept
    await league.ticks(5)
    pay(league)
    if found == "Passed":
        assert earned(league)["receivable"] > before["receivable"]
    else:
        assert earned(league) == before == {}


async def test_what_the_books_take_only_after_a_run_was_found_lost_is_given_back(
    league: SmallLeague,
):
    """Until then they refused it, so that there was nothing to void."""
    agreed = league.intake._terms
    league.intake._terms = lambda now_ms: replace(agreed(now_ms), currencies=frozenset())
    run = await made_up(league)
    run.member.end = "Cancelled"
    run.end(end="Cancelled")
    run.tell()
    await league.tick()
    await run.release()
    await league.ticks(40)
    assert pending(league) == 0
    league.intake._terms = agreed
    await league.ticks(5)
    await league.tick(2 * DAYS)
    pay(league)
    assert league.accounts().get(("university", "receivable"), 0) == 0
    assert earned(league) == {}


async def test_what_is_in_order_is_due_once_it_was_drawn(league: SmallLeague):
    """Also the audits themselves, which nobody draws."""
    run = await made_up(league)
    run.member.result = "0.97"
    run.tell()
    run.end(digest=f"sha256:{hashlib.sha256(b'0.97').hexdigest()}")
    await league.tick()
    await run.release()
    assert pay(league) == 0
    assert await is_closed(league) == "Passed"
    await league.ticks(60)
    pay(league)
    assert {kind for _, kind in league.accounts()} == {"receivable", "holdback", "payable"}


async def test_a_run_is_decided_without_its_end_once_its_grant_is_gone(league: SmallLeague):
    """The ledger was away when it was told: nobody blames the member for that."""
    run = await made_up(league)
    run.end(end="Cancelled")
    await league.tick()
    run.vanish()
    assert await is_closed(league) == "Inconclusive"
    pay(league)
    assert earned(league)["receivable"] > 0


async def test_what_was_decided_is_not_due_while_a_result_that_was_told_later_is_audited(
    league: SmallLeague,
):
    run = await made_up(league)
    run.end()
    status = run.tell(result=False)
    await league.tick()
    await league.until(lambda: league.told("study").get("audit") == "Inconclusive")
    assert "result" not in status
    run.tell()
    await league.until(lambda: league.told("study").get("audit") == "Due")
    assert pay(league) == 0
    assert await is_closed(league) == "Failed"
    assert earned(league) == {}
