"""Planning reads the books; booking a decision is what changes them, once, and as it was decided."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from hansa.model.history import RunTimes, groups_of
from hansa.model.snapshot import ShadowPrices
from hansa.placement.backfill import event_plan
from hansa.placement.incremental import IncrementalPlanner
from hansa.placement.planner import replan
from hansa.placement.state.league import League
from tests.unit.placement.books_oracle import written
from tests.unit.placement.leagues.crowded_leagues import crowded_job, crowded_snapshot
from tests.unit.placement.leagues.random_leagues import NOW_S

SEEDS = range(16)


def busy(seed: int) -> League:
    """A league in which work runs, gangs wait for room that is held, and more has come."""
    rng = np.random.default_rng(seed)
    planner = IncrementalPlanner(crowded_snapshot(rng, jobs=25))
    for number in range(3):
        planner.replan(NOW_S + 700 * number)
        for at in range(10):
            planner.league.add(crowded_job(rng, f"new-{number}-{at}"))
    return planner.league


@pytest.mark.parametrize("seed", SEEDS)
def test_planning_twice_gives_the_same_decision_and_changes_nothing(seed):
    league = busy(seed)
    before = written(league)
    first, second = replan(league), replan(league)
    assert written(league) == before
    assert second.plan == first.plan
    assert second.starts == first.starts
    assert second.held.ranks == first.held.ranks
    assert second.passed_over.tolist() == first.passed_over.tolist()


def test_leagues_drawn_here_start_hold_and_stop_something():
    """Else the tests around this one would compare nothing with nothing."""
    decided = [replan(busy(seed)) for seed in SEEDS]
    assert sum(len(decision.starts) for decision in decided) > 10
    assert sum(len(decision.plan.stops) for decision in decided) > 1
    assert sum(len(decision.held.ranks) for decision in decided) > 5
    assert any(decision.held.gains for decision in decided)


def between_plans(league: League) -> Iterator[object]:
    """What events ask for, each decided on the league as it is."""
    waiting = [record for record in league.records.values() if record.row >= 0]
    cells = np.flatnonzero(league.supply.cell_open == 1)
    is_held_up = event_plan.held_up(league)
    yield event_plan.for_new(league, waiting, is_compiled=False)
    yield event_plan.for_waiting(league, cells, is_held_up, events=2, is_compiled=False)
    yield event_plan.room_for_new(league, waiting, is_compiled=False)
    for cell in league.held.gains:
        yield event_plan.for_gaining(league, cell, is_compiled=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_an_event_makes_possible_is_decided_without_writing(seed):
    league = busy(seed)
    league.book(replan(league))
    before = written(league)
    for _ in between_plans(league):
        assert written(league) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_a_booked_decision_is_what_the_books_say(seed):
    league = busy(seed)
    decision = replan(league)
    league.book(decision)
    held = {(uid, h.holding.site) for uid, r in league.records.items() for h in r.held}
    stopping = {(r.job.uid, h.holding.site) for r, h in league.stopping.values()}
    assert {(placed.job_uid, placed.site) for placed in decision.plan.placements} <= held
    assert {(stop.job_uid, stop.site) for stop in decision.plan.stops} <= stopping
    for start in decision.starts:
        record = league.records[start.placement.job_uid]
        assert record.row < 0
        assert record.held[-1].log == start.log
    again = replan(league)
    assert {p.job_uid for p in again.plan.placements}.isdisjoint(uid for uid, _ in held)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_decision_stays_as_it_was_made_while_the_books_go_on(seed):
    league = busy(seed)
    league.book(replan(league))
    waiting = [record for record in league.records.values() if record.row >= 0]
    decided = event_plan.for_new(league, waiting, is_compiled=False), replan(league)
    columns = [
        column
        for decision in decided
        for column in (*decision.room.supply[:3], decision.room.supply.cell_free)
    ]
    columns += [column for d in decided for column in (d.held.key, d.held.until, d.held.spare)]
    before = [column.tolist() for column in columns]
    league.advance(league.now_s + 50)
    for uid in [uid for uid, record in league.records.items() if record.held]:
        league.remove(uid)
    league.book(replan(league))
    assert [column.tolist() for column in columns] == before


def test_costs_are_worked_out_anew_only_for_other_prices():
    league = busy(1)
    league.prices = ShadowPrices({("site-0", "nvidia-h100"): 1.0})
    tariff = league.tariff
    league.prices = league.prices
    assert league.tariff is tariff
    league.prices = ShadowPrices()
    assert league.tariff is not tariff


def test_other_run_times_are_expected_once_they_are_learned():
    league = busy(1)
    job = next(iter(league.records.values())).job
    asked = RunTimes(1, math.log(job.max_runtime_s), 0.0)
    assert league.run_time(job) == asked
    group = groups_of(job.institution, gpus=job.shape.total_gpus, max_runtime_s=job.max_runtime_s)
    seen = RunTimes(100, 5.0, 0.5)
    league.learn({group[0]: seen})
    assert league.run_time(job) == seen
    league.learn({})
    assert league.run_time(job) == asked


def test_a_decision_is_booked_once_and_only_on_the_books_it_was_made_on():
    league = busy(1)
    decision, other = replan(league), replan(league)
    league.book(decision)
    with pytest.raises(ValueError, match="decide anew"):
        league.book(other)
    late = replan(league)
    league.add(crowded_job(np.random.default_rng(5), "late"))
    with pytest.raises(ValueError, match="decide anew"):
        league.book(late)
