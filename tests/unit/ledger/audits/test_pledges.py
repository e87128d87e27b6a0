"""What an institution has pledged is at stake: its runs are looked at less often, and a cheat of its node's loses it all."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.accounting.postings import KITTY, Claim, Event
from tests.unit.ledger.audits.long_runs import LongRun
from tests.unit.ledger.audits.small_league import SmallLeague

MUCH = 1_000_000_000


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


def pledge(
    league: SmallLeague, name: str, institution: str = "university", currency: str = "EUR"
) -> None:
    claim = Claim(name, institution, KITTY, MUCH, currency)
    league.writer.begin(Event.PLEDGE, [claim], int(league.clock.seconds * 1000))


async def is_drawn(league: SmallLeague) -> bool:
    """Whether tartu's first run is audited; it ends in an epoch that has just begun."""
    await league.until(lambda: bool(league.told("study")))
    return league.told("study")["audit"] != "NotDrawn"


async def begin_epoch(league: SmallLeague) -> None:
    """Let time pass until an epoch with keys has just begun."""
    await league.ticks(25)
    epochs = league.audits._parts.epochs
    before = epochs.now_open(0)
    await league.until(lambda: epochs.now_open(0) > before)


@pytest.mark.parametrize(
    ("institution", "currency", "counts"),
    [("university", "EUR", True), ("telecom", "EUR", False), ("university", "JPY", False)],
)
async def test_a_new_members_runs_are_audited_less_often_for_what_it_has_pledged_itself(
    league: SmallLeague, institution: str, currency: str, *, counts: bool
):
    """In the league's currency: micros of another are worth who knows what."""
    pledge(league, "bond", institution, currency)
    await begin_epoch(league)
    league.submit("study", "tartu")
    assert await is_drawn(league) is not counts


async def test_what_the_hub_gave_up_is_looked_at_however_much_is_pledged(league: SmallLeague):
    """To be found out costs it that run alone: nothing else is at stake, and it would be drawn as if all were."""
    pledge(league, "bond")
    await begin_epoch(league)
    run = LongRun(league, "study", "tartu")
    run.end(digest=f"sha256:{'0' * 64}")
    await league.tick()
    await run.release()
    assert await is_drawn(league)


async def test_what_was_pledged_after_the_epoch_began_does_not_count_in_it(league: SmallLeague):
    """Or a member could pledge when it has cheated, and take it back."""
    await begin_epoch(league)
    league.submit("study", "tartu")
    await league.tick()
    pledge(league, "bond")
    assert await is_drawn(league)


async def test_a_cheat_loses_all_that_stands_and_no_other_institutions(league: SmallLeague):
    for name in ("bond", "second", "returned"):
        pledge(league, name)
    pledge(league, "riga's", institution="telecom")
    league.writer.happen(Event.RETURN_PLEDGE, ["returned"], 1)
    league.members["tartu"].result = "0.99"
    league.submit("faked", "tartu", comparator={"absolute": "0.001"})
    await league.until(lambda: league.told("faked").get("audit") == "Failed")
    accounts = league.accounts()
    assert accounts["university", "kitty"] == 2 * MUCH
    assert ("university", "bond") not in accounts
    assert accounts["telecom", "bond"] == MUCH
