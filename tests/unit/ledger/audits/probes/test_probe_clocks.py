"""Capacity probes where a clock was wrong for a while, a node has left, or another ledger was at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import AIJOB
from hansa.errors import Retryable, Terminal
from hansa.ledger.audits import book as b
from hansa.ledger.audits.book import Word
from hansa.ledger.audits.nodes import league_nodes
from hansa.ledger.audits.probes.order import name_of
from hansa.verification.verdict import Verdict
from tests.unit.grants.grant_kit import job
from tests.unit.ledger.audits.probes.probe_answers import (
    DAY_S,
    PROBING,
    closed,
    forged,
    is_probed,
    probes_of,
    why,
)
from tests.unit.ledger.audits.small_league import SmallLeague

YEAR_S = 365 * DAY_S


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path, probing=PROBING)


async def test_a_wrong_answer_costs_the_level_also_after_a_clock_that_ran_ahead(
    league: SmallLeague,
):
    """What is recorded behind what was read last counts without a restart, probes and verdicts alike."""
    book = league.audits._parts.book
    await is_probed(league, "tartu")
    ahead_ms = int(league.clock.seconds + YEAR_S) * 1000
    body = {"node": "oslo", "outcome": "Lost", "why": "", "backend": "", "atS": 0}
    book.add([Word(b.probe("sha256:elsewhere", 1), b.PROBED, body)], ahead_ms)
    await league.tick()
    league.members["tartu"].answer = forged
    league.clock.seconds += 20 * DAY_S
    assert (await is_probed(league, "tartu", 2))["outcome"] == "Failed"
    assert league.level("tartu") == "L0"
    assert league.audits.figures.probes["Failed"] == 1


def test_words_are_followed_through_a_clock_that_is_put_back(engine: Engine):
    book = b.AuditBook(engine)
    following = b.Following(book, b.PROBED)
    hour_ms = 3_600_000
    for now_ms in (hour_ms, 9 * hour_ms, 2 * hour_ms, 3 * hour_ms):
        book.add([Word(b.probe("sha256:tartu", now_ms), b.PROBED, {})], now_ms)
        assert now_ms in {b.number(word.subject) for word in following.new(now_ms)}
    assert len(following.new(9 * hour_ms)) == 2, "what was read long ago is not read again"


async def test_verdicts_count_also_after_a_clock_that_ran_ahead(league: SmallLeague):
    book = league.audits._parts.book
    body = {"nodeKey": "sha256:elsewhere", "verdict": Verdict.INCONCLUSIVE.value, "node": "oslo"}
    body |= {"independence": "Self", "run": "x.1", "why": "", "doubtful": [], "atS": 0}
    ahead_ms = int(league.clock.seconds + YEAR_S) * 1000
    word = [Word(b.audit("sha256:elsewhere"), b.VERDICT, body)]
    book.add([*word, Word(b.audit("sha256:elsewhere"), b.DONE, {})], ahead_ms)
    await league.tick()
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    assert league.audits.figures.verdicts == {"Inconclusive": 1, "Passed": 1}


async def test_a_probe_of_a_key_that_is_gone_holds_nothing(league: SmallLeague):
    league.away = {"tartu"}
    await league.until(lambda: bool(probes_of(league, "tartu")))
    (sent,) = probes_of(league, "tartu")
    league.members["tartu"].signer = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    league.move("tartu")
    await league.ticks(2)
    (said,) = closed(league, "tartu")
    assert (said["outcome"], said["why"]) == (
        "Lost",
        "the league has no node with its key any more",
    )
    assert sent not in probes_of(league, "tartu")
    league.away = set()
    assert (await is_probed(league, "tartu", 2))["outcome"] == "Passed"


async def test_a_second_ledger_sends_what_the_first_has_noted(league: SmallLeague):
    """Else a node answers another challenge than the one that it is judged by."""
    await league.until(lambda: bool(probes_of(league, "tartu")))
    (sent,) = probes_of(league, "tartu")
    league.forget(sent)
    probes, now_s = league.opened()._parts.probes, int(league.clock.seconds)
    book, node = league.audits._parts.book, next(league_nodes(league.view.nodes()))
    (subject,) = [one for one in book.open(b.PLANNED, b.PROBED) if node.key in one]
    await probes._send(node, subject, now_s)
    (again,) = probes_of(league, node.name)
    assert again["spec"]["entrypoint"] == sent["spec"]["entrypoint"]


async def test_a_league_that_sends_none_says_so(engine: Engine, tmp_path: Path):
    league = SmallLeague(engine, tmp_path)
    league.submit("before", "tartu")
    await league.ticks(12)
    assert league.level("tartu") == "L1"
    assert why(league, "tartu").endswith(
        "this league sends none: ledger.settings.probes is not set"
    )


async def test_what_a_probe_waits_for_is_said_of_the_whole_job_too(league: SmallLeague):
    """A project without money, a pool that is not there: no verdict on the node names it."""
    league.away = {"tartu"}
    await league.until(lambda: bool(probes_of(league, "tartu")))
    row = {"type": "Placed", "status": "False", "reason": "ProjectOverBudget"}
    league._say(probes_of(league, "tartu")[0], conditions=[row | {"message": "0 EUR are left"}])
    said = await is_probed(league, "tartu")
    assert said["outcome"] == "Lost"
    assert said["why"] == "no answer in 300 s: ProjectOverBudget: 0 EUR are left"


async def test_a_ledger_that_did_not_see_the_grant_says_so(league: SmallLeague):
    league.view.keep_notes(None)
    said = await is_probed(league, "tartu")
    assert said["outcome"] == "Lost"
    assert said["why"].startswith("the ledger was away while its grant was there")


async def test_runs_are_drawn_after_a_clock_that_ran_ahead_was_put_back(
    engine: Engine, tmp_path: Path
):
    """Else no epoch would end before that clock's time has come, and nothing be audited until then."""
    league = SmallLeague(engine, tmp_path)
    league.submit("before", "tartu")
    await league.until(lambda: league.told("before").get("audit") == "Passed")
    league.clock.seconds += YEAR_S
    await league.ticks(2)
    league.submit("ahead", "tartu")
    await league.ticks(8)
    # Of the node's own clock it is asked elsewhere: tartu's receipts are disputed from here on.
    league.clock.seconds -= YEAR_S
    league.submit("study", "riga")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    await league.until(lambda: league.told("ahead").get("audit", "Due") != "Due")
    drawn = [word.body["runs"] for _, word in league.audits._parts.book.words("Drawn")]
    assert sum(map(len, drawn)) == len({run for runs in drawn for run in runs}) == 3
    assert league.told("before")["audit"] == "Passed"


async def test_the_job_of_a_lost_probe_is_gone_also_where_the_hub_fails_to_delete_it_at_once(
    league: SmallLeague, monkeypatch: pytest.MonkeyPatch
):
    """Else it waits for its node for ever, and runs there when nobody wants to know any more."""
    delete, failures = league.hub.delete, iter([Retryable("the hub is away")])

    async def fails_once(path: str, *, uid: str = "") -> None:
        for failure in failures:
            raise failure
        await delete(path, uid=uid)

    monkeypatch.setattr(league.hub, "delete", fails_once)
    league.away = set(league.members)
    await league.until(lambda: bool(probes_of(league, "tartu")))
    (sent,) = probes_of(league, "tartu")
    await league.until(lambda: all(closed(league, node) for node in league.members))
    names = {one["metadata"]["name"] for node in league.members for one in probes_of(league, node)}
    first = {name_of(b.probe(one.signer.key_id, 1)) for one in league.members.values()}
    assert sent["metadata"]["name"] in first
    assert not names & first


async def test_a_job_that_somebody_called_like_a_probe_holds_up_none(
    league: SmallLeague, monkeypatch: pytest.MonkeyPatch
):
    """The ledger may delete audits alone; the name follows from the node's public key."""
    delete, name = league.hub.delete, name_of(b.probe(league.members["tartu"].signer.key_id, 1))
    body = {"metadata": {"name": name, "namespace": "hospital"}, "spec": job()}
    league.hub.put(AIJOB.path("hospital", name), body)

    async def forbids(path: str, *, uid: str = "") -> None:
        if "audit" not in league.hub.objects[path]["spec"]:
            raise Terminal("the ledger makes and deletes audits, and no other jobs")
        await delete(path, uid=uid)

    monkeypatch.setattr(league.hub, "delete", forbids)
    assert (await is_probed(league, "tartu"))["outcome"] == "Lost"
    assert (await is_probed(league, "tartu", 2))["outcome"] == "Passed"
