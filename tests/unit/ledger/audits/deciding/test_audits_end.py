"""Every audit ends, and its job says by when, however its auditors dawdle and however patient its ledger is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hansa.api.kinds import COMPUTEPOOL
from hansa.errors import Retryable
from hansa.ledger.audits import epochs
from hansa.ledger.audits.book import Word
from hansa.model.times import from_rfc3339
from tests.unit.ledger.audits.small_league import POOL, SmallLeague

DAY_S, HOUR_S = 86_400, 3600
OTHERS = {"riga", "lisbon", "oslo"}


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    """One whose pool gives audits a day, whose jobs may run for an hour, and whose auditors do nothing."""
    league = SmallLeague(engine, tmp_path)
    said = POOL["verification"] | {"auditDays": 1}
    body = {"metadata": {"name": "league"}, "spec": POOL | {"verification": said}}
    league.hub.put(COMPUTEPOOL.path(name="league"), body)
    league.audits._parts.course._patience_s = 90 * DAY_S
    league.away = set(OTHERS)
    return league


async def drawn(league: SmallLeague) -> float:
    """Have a run drawn; returns until when its job says that the audit is awaited."""
    league.submit("study", "tartu", maxRuntimeSeconds=HOUR_S)
    await league.until(lambda: league.told("study").get("audit") == "Due")
    since_s, said = league.clock.seconds, league.told("study")["message"]
    until_s = from_rfc3339(said.partition("awaited until ")[2][:20])
    assert until_s is not None
    assert until_s - since_s == pytest.approx(DAY_S + 8 * HOUR_S, abs=10)
    return until_s


def unreadable(league: SmallLeague) -> Callable[[str], Awaitable[Any]]:
    """Return what reads of the hub all but the jobs that audits are."""
    get = league.hub.get

    async def read(path: str) -> Any:
        if "/aijobs/audit-" in path:
            raise Retryable("nobody answers", after_s=1.0)
        return await get(path)

    return read


async def test_an_audit_whose_course_cannot_be_read_ends_when_its_job_says(league: SmallLeague):
    until_s = await drawn(league)
    league.hub.get = unreadable(league)  # type: ignore[method-assign]
    found: dict[bool, set[Any]] = {True: set(), False: set()}
    while league.clock.seconds < until_s + HOUR_S:
        await league.tick(HOUR_S)
        found[league.clock.seconds >= until_s].add(league.told("study")["audit"])
    assert found == {True: {"Inconclusive"}, False: {"Due"}}
    assert "had no verdict by" in league.told("study")["message"]


async def test_who_still_runs_it_when_its_time_is_over_is_stopped(league: SmallLeague):
    until_s = await drawn(league)
    await league.tick(until_s - HOUR_S - league.clock.seconds)
    await league.tick(HOUR_S)
    assert league.clock.seconds == until_s
    assert league.told("study")["audit"] == "Inconclusive"
    assert league.told("study")["message"].endswith("not in 3600 s")
    assert league.audit_jobs() == []


async def test_an_audit_that_an_older_ledger_drew_ends_too(
    league: SmallLeague, monkeypatch: pytest.MonkeyPatch
):
    """It did not say how long one may take: as long as it may in a pool that says nothing of that."""
    due, new = epochs._due, {"withinS", "unheard", "lacks"}

    def older(*asked: Any) -> Word:
        word = due(*asked)
        return word._replace(body={name: one for name, one in word.body.items() if name not in new})

    monkeypatch.setattr(epochs, "_due", older)
    await drawn(league)
    league.hub.get = unreadable(league)  # type: ignore[method-assign]
    await league.tick(7 * DAY_S)
    assert league.told("study")["audit"] == "Due"
    await league.tick(8 * HOUR_S)
    assert league.told("study")["audit"] == "Inconclusive"


async def test_each_that_is_asked_has_a_twelfth_of_it_and_the_jobs_own_time(league: SmallLeague):
    await drawn(league)
    for name in OTHERS:
        asked = [one["spec"]["audit"]["node"] for one in league.audit_jobs()]
        assert len(asked) == 1, name
        await league.tick(DAY_S // 12 + HOUR_S + 10)
        await league.tick()
    assert league.told("study")["audit"] == "Inconclusive"


async def test_a_clock_that_jumps_ends_no_audit(league: SmallLeague):
    await drawn(league)
    now = league.clock.now
    league.clock.now = lambda: now() + 40 * DAY_S  # type: ignore[method-assign]
    await league.ticks(5)
    assert league.told("study")["audit"] == "Due"
