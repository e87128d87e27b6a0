"""Audits from the draw to what follows, over real books: found equal, found cheating, and all that is neither."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib import dsse
from sqlalchemy import Engine, event

from hansa.accounting.postings import Event
from hansa.api.kinds import AIJOB
from hansa.errors import Retryable
from hansa.ledger.audits.book import Word, epoch
from hansa.ledger.audits.orders import name_of
from tests.unit.grants.grant_kit import HUB, job
from tests.unit.ledger.audits.small_league import CPU_ONLY, SmallLeague


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path)


async def test_a_run_is_audited_elsewhere_and_found_equal(league: SmallLeague):
    league.submit("study", "tartu")
    await league.ticks(12)
    assert league.told("study")["audit"] == "Due"
    (audit,) = league.audit_jobs()
    assert audit["spec"]["audit"]["node"] in {"riga", "lisbon", "oslo"}
    assert audit["spec"]["audit"] | {"node": ""} == {"of": "study", "epoch": 1, "node": ""}
    await league.ticks(8)
    told = league.told("study")
    assert (told["audit"], told["reached"]) == ("Passed", "L1")
    assert said(league) == [
        ("AIJob", "study", "AuditPassed", "Normal"),
        ("SovereignNode", "tartu", "AuditPassed", "Normal"),
    ]
    assert told["message"].endswith("got the same")
    assert len(league.audit_jobs()) == 1
    assert league.level("tartu") == "L1"


async def test_a_run_whose_grant_is_gone_before_the_next_pass_is_audited_too(league: SmallLeague):
    await league.tick()
    await league.flash("study", "tartu")
    await league.until(lambda: bool(league.told("study")))
    assert league.told("study")["audit"] == "Due"
    await league.until(lambda: league.told("study")["audit"] == "Passed")


async def test_a_cheat_is_found_by_two_and_loses_what_was_held_back_and_its_level(
    league: SmallLeague,
):
    league.submit("before", "tartu")
    await league.ticks(9)
    league.writer.move_on(Event.POST, 1, before_ms=1 << 60)
    league.members["tartu"].result = "0.99"
    league.submit("faked", "tartu", comparator={"absolute": "0.001"})
    await league.until(lambda: len(league.audit_jobs()) == 3)
    league.members["tartu"].tells_result = False
    league.submit("lately", "tartu")
    await league.until(lambda: league.told("faked")["audit"] == "Failed")

    told = league.told("faked")
    assert (told["audit"], told["reached"]) == ("Failed", "L0")
    assert "agree against it: result: 0.99 and 0.97" in told["message"]
    asked = [one for one in league.audit_jobs() if one["spec"]["audit"]["of"] == "faked"]
    assert len({one["spec"]["audit"]["node"] for one in asked}) == 2
    assert league.told("before")["audit"] == "Passed"
    assert league.told("lately")["audit"] == "Doubtful"
    assert "tartu was found to have cheated" in league.told("lately")["message"]
    assert [league.told(name)["doubtful"] for name in ("faked", "lately", "before")] == [
        [1],
        [1],
        [],
    ]
    assert league.level("tartu") == "L0"
    events = said(league)
    assert ("AIJob", "before", "AuditPassed", "Normal") in events
    assert ("AIJob", "faked", "AuditFailed", "Warning") in events
    assert ("AIJob", "lately", "AuditDoubtful", "Warning") in events
    assert ("SovereignNode", "tartu", "AuditFailed", "Warning") in events
    (fell,) = (event for event in league.events if event.reason == "AssuranceFell")
    assert (fell.subject.name, fell.type) == ("tartu", "Warning")
    assert fell.note.startswith("It was at L1 and is at L0: ")
    # 0.12 EUR a run: what was posted loses its tenth to the kitty, what was pending goes back.
    assert league.accounts()["university", "kitty"] == 12_000
    assert ("university", "holdback") not in league.accounts()
    assert ("university", "pending") not in league.accounts()
    # Nobody can look at what it did lately, and the doubt stays.
    await league.until(lambda: has_told_unfit(league))
    assert league.told("lately")["audit"] == "Doubtful"


def said(league: SmallLeague) -> list[tuple[str, str, str, str]]:
    """Return the events that were written, of whom and what."""
    return [(e.subject.kind, e.subject.name, e.reason, e.type) for e in league.events]


def has_told_unfit(league: SmallLeague) -> bool:
    """Whether a draw had a run that cannot be audited, and has told so."""
    book = league.audits._parts.book
    return any(word.body["unfit"] for _, word in book.words("Drawn")) and not book.open(
        "Drawn", "Done"
    )


async def test_where_the_data_may_be_nowhere_else_the_provider_repeats_itself(league: SmallLeague):
    league.refusing = {"riga", "lisbon", "oslo"}
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert "the provider itself got the same" in league.told("study")["message"]
    assert [one["spec"]["audit"]["node"] for one in league.audit_jobs()] == ["tartu"]


async def test_an_auditor_that_does_not_run_it_is_passed_over_and_nobody_is_blamed(
    league: SmallLeague,
):
    league.submit("study", "tartu", maxRuntimeSeconds=100)
    await league.until(lambda: bool(league.audit_jobs()))
    first = league.audit_jobs()[0]["spec"]["audit"]["node"]
    league.away = {first}
    await league.ticks(55)
    assert league.told("study")["audit"] == "Due"
    await league.until(lambda: league.told("study")["audit"] == "Passed")
    (second,) = league.audit_jobs()
    assert second["spec"]["audit"]["node"] != first
    assert league.level(first) == "L0"  # it has shown nothing yet, and nothing against it
    assert ("university", "kitty") not in league.accounts()


NOBODY_IS_ACCUSED = {
    "work without GPUs and without a comparator": {"ray": CPU_ONLY},
    "work on GPUs whose driver nobody tells, without a comparator": {},
    "work that comes out otherwise every time": {"comparator": {}, "varies": True},
}


@pytest.mark.parametrize("changes", NOBODY_IS_ACCUSED.values(), ids=NOBODY_IS_ACCUSED)
async def test_a_difference_that_proves_nothing_accuses_nobody(league: SmallLeague, changes):
    changes = dict(changes)
    if changes.pop("varies", False):
        for number, member in enumerate(league.members.values()):
            member.result = f"0.{number + 1}"
    league.members["tartu"].result = "0.99"
    league.submit("study", "tartu", **changes)
    await league.until(lambda: league.told("study").get("audit") == "Inconclusive")
    assert ("university", "kitty") not in league.accounts()
    assert len(league.audit_jobs()) == 3


async def test_a_run_without_a_digest_is_said_to_be_beyond_audits(league: SmallLeague):
    league.members["tartu"].tells_result = False
    league.submit("study", "tartu")
    await league.until(lambda: bool(league.told("study")))
    assert league.told("study")["audit"] == "Inconclusive"
    assert "no digest of a result" in league.told("study")["message"]
    assert league.audit_jobs() == []


async def test_the_payer_audits_nothing_that_it_pays_for(league: SmallLeague):
    for name in ("riga", "lisbon", "oslo"):
        league.move(name, institution="hospital")
    await nobody_audits(league)


async def nobody_audits(league: SmallLeague) -> None:
    """Have a run of tartu's drawn: no law keeps its data at home, so it is not its own auditor either."""
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Inconclusive")
    assert league.audit_jobs() == []
    assert "none of 0 independent nodes" in league.told("study")["message"]


async def test_neither_does_who_owns_the_provider(league: SmallLeague):
    for name in ("riga", "lisbon", "oslo"):
        league.move(name, operator="university")
    await nobody_audits(league)


async def test_a_provider_is_not_its_own_auditor_where_others_only_did_not_answer(
    league: SmallLeague,
):
    """Two may not have the data; the third may, and does not run it in time."""
    league.refusing, league.away = {"riga", "lisbon"}, {"oslo"}
    await league.ticks(1)
    league.submit("study", "tartu", maxRuntimeSeconds=100)
    await league.until(lambda: league.told("study").get("audit") == "Inconclusive", at_most=200)
    assert "not in 600 s" in league.told("study")["message"]
    assert [one["spec"]["audit"]["node"] for one in league.audit_jobs()] == []


async def test_what_somebody_deletes_is_made_again(league: SmallLeague):
    league.submit("study", "tartu")
    await league.until(lambda: bool(league.audit_jobs()))
    league.forget(league.audit_jobs()[0])
    await league.until(lambda: league.told("study")["audit"] == "Passed")


async def test_work_that_was_changed_under_way_is_no_audit(league: SmallLeague):
    league.submit("study", "tartu")
    await league.until(lambda: bool(league.audit_jobs()))
    first = league.audit_jobs()[0]
    league.tamper(first, entrypoint=["python3", "easy.py"])
    league.members[first["spec"]["audit"]["node"]].result = "easy"
    await league.until(lambda: league.told("study")["audit"] == "Passed")
    assert len(league.audit_jobs()) == 2


async def test_a_ledger_that_is_killed_at_every_step_does_the_same(league: SmallLeague):
    league.members["tartu"].result = "0.99"
    league.submit("faked", "tartu", comparator={"absolute": "0.001"})
    for _ in range(60):
        league.audits = league.opened()
        league.crash_after = league.crash_after % 7 + 1
        await league.tick()
        if league.told("faked").get("audit") == "Failed":
            break
    assert league.told("faked")["audit"] == "Failed"
    assert len(league.audit_jobs()) == 2
    assert ("university", "pending") not in league.accounts()


async def test_after_an_epoch_tickets_are_drawn_with_the_auditors_keys(league: SmallLeague):
    await league.ticks(25)
    league.members["oslo"].takes_part = False
    league.submit("study", "tartu")
    await league.until(lambda: bool(league.told("study")))
    drawn = {word.subject: word.body for _, word in league.audits._parts.book.words("Drawn")}
    first, before, *_, now = (drawn[name] for name in sorted(drawn))
    assert [one["withKeys"] for one in (first, before, now)] == [False, True, True]
    assert before["spoilt"] == {}
    assert now["spoilt"] == {league.members["oslo"].signer.key_id: "NotRevealed"}


async def test_with_much_at_stake_few_are_drawn(league: SmallLeague):
    """Two hundred runs are held back: the next ones are drawn with one in a hundred, as tickets fall."""
    await league.ticks(25)
    league.hold(200)
    await league.ticks(10)
    for number in range(10):
        league.submit(f"study-{number}", "tartu")
    await league.until(lambda: all(league.told(f"study-{n}") for n in range(10)))
    told = [league.told(f"study-{n}") for n in range(10)]
    assert [one["audit"] for one in told].count("NotDrawn") >= 8
    assert {one["reached"] for one in told} == {"L1"}


async def test_the_book_is_read_as_often_for_many_runs_as_for_few(league: SmallLeague):
    await league.tick()
    reads: list[str] = []
    event.listen(league.engine, "before_cursor_execute", lambda *call: reads.append(call[2]))

    async def reads_of(count: int) -> int:
        runs = {f"{league.submit(f'job-{count}-{n}', 'tartu')}.1": f"{n}" for n in range(count)}
        league.audits._parts.book.add([Word(epoch(count), "Drawn", {"runs": runs, "unfit": {}})], 1)
        reads.clear()
        await league.audits._tell_drawn({}, 1)
        assert league.told(f"job-{count}-0") == {}  # nobody has noted its spec yet
        return sum(said.startswith("SELECT") for said in reads)

    assert await reads_of(40) == await reads_of(2) > 0


async def test_while_the_hub_is_away_no_epoch_goes_by(league: SmallLeague):
    await league.ticks(2)
    before = league.audits._parts.book.open("Opened", "Closed")
    league.hub.is_away = True
    league.clock.seconds += 1000
    with pytest.raises(Retryable):
        await league.audits.step()
    assert league.audits._parts.book.open("Opened", "Closed") == before


async def test_a_key_that_is_revealed_for_another_root_does_not_count(league: SmallLeague):
    await league.ticks(15)
    liar = league.members["oslo"]
    liar.root = "sha256:" + "0" * 64
    await league.ticks(15)
    drawn = {word.subject: word.body for _, word in league.audits._parts.book.words("Drawn")}
    last = drawn[max(drawn)]
    assert last["spoilt"] == {liar.signer.key_id: "NotRevealed"}


async def test_one_job_that_cannot_be_told_holds_up_no_other(league: SmallLeague):
    league.hub.refused = "/aijobs/silent"
    for name in ("silent", "study"):
        league.submit(name, "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert league.told("silent") == {}


async def test_a_namespace_that_is_gone_ends_its_audits(league: SmallLeague):
    league.submit("study", "tartu")
    await league.ticks(9)
    league.hub.gone = "hospital"
    await league.until(lambda: league.audits.figures.verdicts == {"Inconclusive": 1})
    assert league.audits.figures.due == 0


async def test_figures_are_those_of_the_book(league: SmallLeague):
    league.submit("study", "tartu")
    await league.until(lambda: league.audits.figures.due == 1)
    league.clock.seconds += 8 * 86_400
    await league.tick()
    assert league.audits.figures.overdue == 1
    await league.until(lambda: league.audits.figures.verdicts == {"Passed": 1})
    assert (league.audits.figures.due, league.audits.figures.overdue) == (0, 0)


async def test_the_verdict_is_a_signed_statement_about_the_receipt(league: SmallLeague):
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    ((_, word),) = league.audits._parts.book.words("Verdict")
    said = word.body["statement"]
    pae = dsse.Envelope(base64.b64decode(said["payload"]), said["payloadType"], {}).pae()
    (signature,) = said["signatures"]
    assert signature["keyid"] == HUB.key_id
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(HUB.public_key))
    key.verify(base64.b64decode(signature["sig"]), pae)
    statement = json.loads(base64.b64decode(said["payload"]))
    assert statement["predicate"]["properties"] == ["HANSA_AUDITED", "HANSA_RESULT_REPRODUCED"]
    assert f"audit/sha256:{statement['subject'][0]['digest']['sha256']}" == word.subject


async def test_a_job_that_its_owner_called_like_the_audit_holds_up_none(league: SmallLeague):
    """Its name follows from the receipt, which the provider signs, and owners make jobs in their namespaces."""
    league.submit("study", "tartu")
    await league.until(lambda: bool(league.members["tartu"].outbox))
    name = name_of(league.members["tartu"].head.digest, 1)
    body = {"metadata": {"name": name, "namespace": "hospital"}, "spec": job()}
    league.hub.put(AIJOB.path("hospital", name), body)
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert AIJOB.path("hospital", name) in league.hub.objects
