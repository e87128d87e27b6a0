"""No stop in vain: who gains by it starts, and what was stopped does not start again in its place.

Every plan here is made from a snapshot alone, as by a hub that has just taken over.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hansa.model.plan import Plan
from hansa.model.snapshot import Holding, Job, Pool, PreemptionRule, Share, Site, Snapshot, Yielded
from hansa.placement.planner import plan
from tests.seeds import seeds
from tests.unit.placement.leagues.crowded_leagues import crowded_job, crowded_snapshot
from tests.unit.placement.leagues.small_leagues import held, job, league

RANKS = PreemptionRule(lower_priority=True)
BORROWERS = PreemptionRule(borrowers=True)
ROUNDS = 40
"""Far more than any of the drawn leagues needs to come to rest."""


def after(snapshot: Snapshot, decided: Plan, *, gone: frozenset[str], later_s: int) -> Snapshot:
    """What the members made of a plan: its jobs run, those of ``gone`` have stopped or shrunk."""
    placed = {one.job_uid: one for one in decided.placements}
    now_s = snapshot.now_s + later_s

    def standing(one: Job) -> Job:
        if one.uid in placed:
            p = placed[one.uid]
            holding = Holding(p.site, 1, p.workers, snapshot.now_s, gpu_class=p.gpu_class)
            return replace(one, holdings=(holding,))
        mine = [stop for stop in decided.stops if stop.job_uid == one.uid]
        stops = {stop.site: stop.workers for stop in mine}
        for stop in mine:
            if stop.in_favour_of:
                yielded = Yielded(stop.in_favour_of, stop.site, snapshot.now_s)
                one = replace(one, yielded=yielded)
        return replace(
            one, holdings=tuple(_left(h, stops, is_gone=one.uid in gone) for h in one.holdings)
        )

    jobs = tuple(standing(one) for one in snapshot.jobs)
    jobs = tuple(replace(j, holdings=tuple(h for h in j.holdings if h.workers)) for j in jobs)
    return replace(snapshot, now_s=now_s, jobs=jobs)


def _left(holding: Holding, stops: dict[str, int], *, is_gone: bool) -> Holding:
    to = stops.get(holding.site, holding.stopping_to if holding.stopping else -1)
    if to < 0:
        return holding
    if is_gone:
        return replace(holding, workers=to, stopping=False, stopping_to=0)
    return replace(holding, stopping=True, stopping_to=to)


def of_one_machine(site: Site) -> Site:
    """A site where room is room: on several machines a new leader's books may cut it up otherwise."""
    machines = max(site.machines, key=lambda some: some.gpus)
    whole = replace(machines, count=1, gpus=3 * machines.gpus, cpu_millis=128_000)
    return replace(site, machines=(replace(whole, memory_bytes=1 << 40),), lent_gpus={})


def stopping(snapshot: Snapshot) -> list[str]:
    return [one.uid for one in snapshot.jobs if any(h.stopping for h in one.holdings)]


TURNS = {
    "rank against share": (
        Pool("p", preemption=RANKS),
        [
            held("x", gpus=4, institution="clinic", priority=50),
            held("y", gpus=4, institution="lab"),
            job("z", gpus=4, institution="clinic", priority=50),
        ],
    ),
    "rank against a third that waits": (
        Pool("p", preemption=RANKS),
        [
            held("x", gpus=4, institution="clinic", priority=50),
            held("y", gpus=4, institution="clinic"),
            job("z", gpus=4, institution="clinic", priority=50),
            job("w", gpus=4, institution="lab"),
        ],
    ),
}


@pytest.mark.parametrize(("pool", "jobs"), TURNS.values(), ids=TURNS)
def test_nobody_is_stopped_where_the_order_gives_the_room_to_others(pool, jobs):
    assert plan(league(*jobs, pool=pool)).stops == ()


def test_who_yields_what_it_borrowed_does_not_take_it_back_before_its_owner():
    """Without ``v``, its institution is below its share: the same job would still borrow."""
    shares = Pool("p", shares=(Share("ut", nominal_gpus=4), Share("ua", nominal_gpus=4)))
    runs = (job("v", priority=9), job("j", gpus=4, institution="ua"))
    assert [p.job_uid for p in plan(league(*runs, pool=shares)).placements] == ["j"]


@pytest.mark.parametrize("seed", seeds(60))
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "one by one"])
def test_stops_come_to_an_end_and_each_brings_what_it_was_made_for(seed, is_at_once):
    rng = np.random.default_rng(9000 + seed)
    league = crowded_snapshot(rng, jobs=12)
    league = replace(league, sites=tuple(map(of_one_machine, league.sites)))
    league = after(league, plan(league), gone=frozenset(), later_s=5000)
    news = tuple(
        replace(crowded_job(rng, f"new-{n:02d}"), submitted_s=league.now_s) for n in range(15)
    )
    league = replace(league, jobs=league.jobs + news)
    for _ in range(ROUNDS):
        decided = plan(league)
        if not decided.stops and not decided.placements:
            return
        league = after(league, decided, gone=frozenset(), later_s=1)
        while left := stopping(league):
            gone = frozenset(left if is_at_once else left[:1])
            league = after(league, Plan(), gone=gone, later_s=1)
            league = after(league, plan(league), gone=frozenset(), later_s=1)
        where = {one.uid: one.holdings[0].site for one in league.jobs if one.holdings}
        # Where one goes before the other, the league may have changed before the second has gone.
        for stop in decided.stops if is_at_once else ():
            assert not stop.in_favour_of or stop.in_favour_of in where, stop
            in_vain = where.get(stop.job_uid) == stop.site != where.get(stop.in_favour_of)
            assert stop.workers or not stop.in_favour_of or not in_vain, stop
        league = replace(league, now_s=league.now_s + 5000)
    pytest.fail(f"still stopping after {ROUNDS} rounds: {decided.stops}")
