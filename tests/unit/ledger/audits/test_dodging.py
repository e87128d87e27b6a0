"""No word of a member's own decides whether its run is looked at: the ledger goes by what the hub saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from hansa.api.kinds import WORKGRANT
from hansa.ledger.store import schema
from hansa.ledger.store.engine import reading
from tests.unit.ledger.audits.long_runs import pay
from tests.unit.ledger.audits.small_league import SmallLeague
from tests.unit.ledger.audits.small_members import Member


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


CLOSED = {"Passed", "Inconclusive", "Lost"}


def disputes(league: SmallLeague) -> list[tuple[str, str, str]]:
    """Return what speaks against receipts: fault, field and message."""
    table = schema.DIFFERENCE
    with reading(league.engine) as connection:
        rows = connection.execute(select(table.c.fault, table.c.field, table.c.message))
        return [tuple(row) for row in rows]


def hides_digest(member: Member) -> None:
    member.hides_digest = True


def signs_a_failure(member: Member) -> None:
    member.signed_end, member.hides_digest = "AppFailed", True


def signs_a_success(member: Member) -> None:
    member.end, member.signed_end = "AppFailed", "Succeeded"


def signs_a_result_that_it_never_told(member: Member) -> None:
    member.tell = lambda granted, end_s: {  # type: ignore[method-assign]
        name: value
        for name, value in Member.tell(member, granted, end_s).items()
        if name != "result"
    }


NOT_AS_TOLD = {
    hides_digest: {"resultDigest"},
    signs_a_failure: {"endReason", "resultDigest"},
    signs_a_success: {"endReason"},
    signs_a_result_that_it_never_told: {"resultDigest"},
}


@pytest.mark.parametrize(
    ("cheats", "fields"), NOT_AS_TOLD.items(), ids=[one.__name__ for one in NOT_AS_TOLD]
)
async def test_a_receipt_that_says_otherwise_than_the_hub_was_told_is_disputed_and_not_paid(
    league: SmallLeague, cheats, fields
):
    cheats(league.members["tartu"])
    league.submit("study", "tartu")
    await league.ticks(12)
    found = disputes(league)
    assert {(fault, field) for fault, field, _ in found} == {("Differs", one) for one in fields}
    assert all("the member says" in message for _, _, message in found)
    assert league.accounts() == {}


async def test_whoever_tells_the_hub_after_its_receipt_was_taken_is_drawn_by_what_it_told(
    league: SmallLeague,
):
    cheat = league.members["tartu"]
    cheat.hides_digest = cheat.tells_late = True
    cheat.result = "0.99"
    league.submit("study", "tartu", comparator={})
    await league.until(lambda: league.told("study").get("audit") == "Failed")
    assert disputes(league) == []
    assert len(league.audit_jobs()) == 2
    assert ("university", "pending") not in league.accounts()


async def test_a_result_that_is_told_after_the_draw_is_drawn_then(league: SmallLeague):
    cheat = league.members["tartu"]
    cheat.tells_late = cheat.hides_digest = True
    cheat.result = "0.99"
    uid = league.submit("study", "tartu", comparator={})
    grant = WORKGRANT.path("hansa-node-tartu", f"{uid}-e1")
    for _ in range(7):
        await league.tick()
    league.away = {"tartu"}
    await league.ticks(30)
    assert grant in league.hub.objects
    assert league.told("study") == {}
    league.away = set()
    await league.until(lambda: league.told("study").get("audit") == "Failed")


async def test_a_run_that_fails_here_alone_is_lost_work_that_is_not_paid(league: SmallLeague):
    """However much else is at stake, its own pay is all that a failure can cost: so each is looked at."""
    league.hold(40)
    before = league.accounts()
    league.members["tartu"].end = "AppFailed"
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Due")
    await league.until(lambda: league.told("study").get("audit") == "Lost")
    assert "got through" in league.told("study")["message"]
    asked = [one["spec"]["audit"]["node"] for one in league.audit_jobs()]
    assert len(asked) == 2
    paid = {key: micros for key, micros in league.accounts().items() if key[0] == "university"}
    assert paid == {key: micros for key, micros in before.items() if key[0] == "university"}
    assert league.told("study")["doubtful"] == []
    assert league.level("tartu") == "L1"
    assert not [event for event in league.events if event.reason == "AssuranceFell"]


async def test_failures_that_nobody_found_are_lost_with_one_that_others_get_through(
    league: SmallLeague,
):
    everybody = set(league.members)
    for name, (failing, refusing) in {
        "found": (everybody, set()),
        "unseen": ({"tartu"}, everybody),
        "made-up": ({"tartu"}, set()),
    }.items():
        for who, member in league.members.items():
            member.end = "OutOfMemory" if who in failing else "Succeeded"
        league.refusing = refusing
        league.submit(name, "tartu")
        await league.until(lambda name=name: league.told(name).get("audit") in CLOSED)
    found = [league.told(name)["audit"] for name in ("found", "unseen", "made-up")]
    assert found == ["Passed", "Inconclusive", "Lost"]
    assert league.accounts()["university", "pending"] == 120_000


async def test_of_failures_that_were_paid_what_is_held_back_is_lost_with_them(league: SmallLeague):
    tartu, everybody = league.members["tartu"], set(league.members)
    tartu.end, league.refusing = "OutOfMemory", everybody
    league.submit("unseen", "tartu")
    await league.until(lambda: league.told("unseen").get("audit") == "Inconclusive")
    assert pay(league) == 1
    assert league.accounts()["university", "holdback"] == 12_000
    league.refusing = set()
    league.submit("made-up", "tartu")
    await league.until(lambda: league.told("made-up").get("audit") == "Lost")
    accounts = league.accounts()
    assert ("university", "holdback") not in accounts
    assert accounts["university", "kitty"] == 12_000


async def test_a_run_that_fails_everywhere_is_paid(league: SmallLeague):
    for member in league.members.values():
        member.end = "AppFailed"
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert "failed, too" in league.told("study")["message"]
    assert league.accounts()["university", "pending"] == 120_000
    assert league.level("tartu") == "L1"


async def test_no_friend_alone_confirms_a_failure(league: SmallLeague):
    """Nor do two, of one owner group: tartu's failure is a lie, and only oslo says so."""
    for name in ("riga", "lisbon"):
        league.move(name, operator="holding")
    for name in ("tartu", "riga", "lisbon"):
        league.members[name].end = "AppFailed"
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") in CLOSED)
    assert league.told("study")["audit"] == "Inconclusive"
    assert len(league.audit_jobs()) == 2
    league.move("lisbon")
    league.members["lisbon"].end = "Succeeded"
    league.submit("again", "tartu")
    await league.until(lambda: league.told("again").get("audit") == "Lost")


async def test_what_a_member_lost_by_its_own_word_is_not_paid_and_nobody_runs_it_again(
    league: SmallLeague,
):
    league.members["tartu"].end = "MachineLost"
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Lost")
    assert "MachineLost" in league.told("study")["message"]
    assert league.audit_jobs() == []
    assert ("university", "pending") not in league.accounts()
    assert league.level("tartu") == "L1"


@pytest.mark.parametrize(("cancel", "audit"), [("Stop", "Inconclusive"), ("None", "Lost")])
async def test_what_the_hub_stopped_is_paid_and_not_what_a_member_says_that_it_stopped(
    league: SmallLeague, cancel: str, audit: str
):
    league.members["tartu"].end = "Cancelled"
    uid = league.submit("study", "tartu")
    path = WORKGRANT.path("hansa-node-tartu", f"{uid}-e1")
    league.hub.objects[path]["spec"]["cancel"] = cancel
    await league.until(lambda: league.told("study").get("audit") == audit)
    assert (("university", "pending") in league.accounts()) is (cancel == "Stop")
