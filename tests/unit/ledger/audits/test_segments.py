"""Fine-tuning audited by segments through the ledger's duties: jobs, receipts, verdicts and money."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from hansa.api.aijob import AIJobSpec
from tests.unit.ledger.audits.small_league import SmallLeague
from tests.unit.verification.course.trainer import EVERY, GRID, STEPS, Trainer

CHECKPOINTS = {"comparator": {"checkpoints": GRID}, "result": {"maxBytes": 4096}}
LAZY = range(0, STEPS, EVERY)
"""Steps that a cheat skips: one in every segment, so each ticket draws one of them."""


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    league, kept = SmallLeague(engine, tmp_path), {}
    for member in league.members.values():
        member.trainer, member.kept = Trainer(), kept
    return league


def segments(league: SmallLeague) -> list[tuple[str, int]]:
    """Return whom each audit was asked of, and how many steps it was."""
    audits = [job["spec"]["audit"] for job in league.audit_jobs()]
    parts = [(one["node"], one.get("segment", {"first": 0, "last": STEPS})) for one in audits]
    return [(node, part["last"] - part["first"]) for node, part in parts]


async def test_one_segment_is_run_again_elsewhere_and_not_the_whole(league: SmallLeague):
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: league.told("tuning").get("audit") == "Passed")
    (job,) = league.audit_jobs()
    spec = AIJobSpec.model_validate(job["spec"])
    segment = spec.audit.segment
    assert segment.last - segment.first == EVERY
    assert segment.state in league.members["tartu"].trainer.run(None, {})
    assert f"of steps {segment.first} to {segment.last}" in league.told("tuning")["message"]
    assert ("university", "pending") in league.accounts()


async def test_no_auditor_is_told_what_it_has_to_find(league: SmallLeague):
    """Or it could repeat that without any work."""
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: bool(league.audit_jobs()))
    segment = league.audit_jobs()[0]["spec"]["audit"]["segment"]
    assert segment.keys() == {"first", "last", "state", "say"}


async def test_a_skipped_step_is_halved_down_and_costs_the_provider_its_pay_and_level(
    league: SmallLeague,
):
    league.members["tartu"].trainer = Trainer(skips=LAZY)
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: league.told("tuning").get("audit") == "Failed")
    (first, again, last) = segments(league)
    assert (first[1], again, last[1]) == (EVERY, ("tartu", EVERY), 1)
    assert len({"tartu", first[0], last[0]}) == 3
    assert "agree against it" in league.told("tuning")["message"]
    assert league.level("tartu") == "L0"
    assert ("university", "pending") not in league.accounts()


async def test_an_auditor_that_lies_costs_an_honest_provider_nothing(league: SmallLeague):
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: bool(league.audit_jobs()))
    liar = league.audit_jobs()[0]["spec"]["audit"]["node"]
    league.members[liar].trainer = Trainer(skips=LAZY)
    await league.until(lambda: league.told("tuning").get("audit") == "Passed")
    assert [steps for _, steps in segments(league)] == [EVERY, EVERY, 1, 1]
    assert ("university", "pending") in league.accounts()


async def test_where_the_checkpoints_are_nowhere_to_be_found_the_whole_run_is_audited(
    league: SmallLeague,
):
    cheat = league.members["tartu"]
    cheat.trainer, cheat.kept = Trainer(skips=LAZY), {}
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: league.told("tuning").get("audit") == "Failed")
    assert [steps for _, steps in segments(league)] == [EVERY, STEPS, STEPS]


async def test_an_auditor_that_lost_it_is_passed_over_and_the_next_runs_the_segment(
    league: SmallLeague,
):
    """That its machine was lost says nothing of the state that it had to begin with."""
    league.submit("tuning", "tartu", **CHECKPOINTS, maxRuntimeSeconds=100)
    await league.until(lambda: bool(league.audit_jobs()))
    league.members[league.audit_jobs()[0]["spec"]["audit"]["node"]].end = "MachineLost"
    await league.until(lambda: league.told("tuning").get("audit") == "Passed", at_most=200)
    assert all("segment" in job["spec"]["audit"] for job in league.audit_jobs())
    assert len({node for node, _ in segments(league)}) == 2


async def test_a_provider_that_commits_other_steps_than_the_job_says_is_audited_whole(
    league: SmallLeague,
):
    class Fewer(Trainer):
        def run(self, segment, kept):
            return super().run(segment, kept).replace('"40"', '"39"')

    league.members["tartu"].trainer = Fewer()
    league.submit("tuning", "tartu", **CHECKPOINTS)
    await league.until(lambda: league.told("tuning").get("audit") == "Failed")
    assert [steps for _, steps in segments(league)] == [STEPS, STEPS]


async def test_a_ledger_that_is_killed_at_every_step_asks_for_the_same_segments(
    league: SmallLeague,
):
    league.members["tartu"].trainer = Trainer(skips=LAZY)
    league.submit("tuning", "tartu", **CHECKPOINTS)
    for _ in range(90):
        league.audits = league.opened()
        league.crash_after = league.crash_after % 7 + 1
        await league.tick()
        if league.told("tuning").get("audit") == "Failed":
            break
    assert [steps for _, steps in segments(league)] == [EVERY, EVERY, 1]
    assert ("university", "pending") not in league.accounts()
