"""A verdict that an older ledger wrote, and had not followed when it was replaced by this one, is followed by this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import Word
from hansa.ledger.audits.course import Case
from tests.unit.ledger.audits.long_runs import pay
from tests.unit.ledger.audits.small_league import SmallLeague

FOUND = {
    "in order": ("0.97", "Passed", {"holdback": 12_000, "receivable": 108_000}),
    "made up": ("0.99", "Failed", {}),
}


@pytest.mark.parametrize(("result", "audit", "paid"), FOUND.values(), ids=FOUND)
async def test_what_was_found_and_not_followed_is_followed(
    engine: Engine, tmp_path: Path, result: str, audit: str, paid: dict[str, int]
):
    league = SmallLeague(engine, tmp_path)
    verdicts = league.audits._parts.verdicts

    def alone(case: Case, close: Any, now_s: int) -> None:
        word = Word(case.subject, b.VERDICT, verdicts._found(case, close, now_s))
        verdicts._book.add([word], now_s * 1000)

    verdicts.write = alone
    league.members["tartu"].result = result
    league.submit("study", "tartu", comparator={})
    await league.until(lambda: league.told("study").get("audit", "Due") != "Due")
    pay(league)
    mine = {
        kind: micros for (who, kind), micros in league.accounts().items() if who == "university"
    }
    assert (league.told("study")["audit"], mine) == (audit, paid)
