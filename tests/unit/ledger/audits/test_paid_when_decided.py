"""Nothing of a run is due before it was drawn and found in order, whatever its member signs, tells, or keeps to itself."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.unit.ledger.audits.long_runs import LongRun, pay
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


async def test_who_lets_go_of_a_run_without_a_word_of_its_end_is_not_paid(league: SmallLeague):
    run = await made_up(league)
    run.end(end="Cancelled")
    run.let_go()
    await league.tick()
    await run.release()
    assert await is_closed(league) == "Lost"
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
    await run.release()
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
