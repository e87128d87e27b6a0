"""When everything is planned anew."""

from __future__ import annotations

import asyncio

from hansa.hub.planner.full_plans import AGAIN_S, EVERY_S, SHARE, FullPlans
from tests.unit.hub import kit
from tests.unit.hub.driving import driven


def test_full_plans_are_made_anew_after_a_while_without_events():
    full = FullPlans()
    assert full.is_outdated(0.0)
    full.note(100.0, took_s=2.0)
    assert [full.is_outdated(100.0 + s) for s in (0, AGAIN_S - 1, AGAIN_S)] == [False, False, True]


def test_a_machine_that_stalls_once_does_not_put_off_full_plans(hub, monkeypatch):
    plan_all = hub.plans._plan_all

    async def held_up():
        hub.clock.now_s += 10
        return await plan_all()

    monkeypatch.setattr(hub.plans, "_plan_all", held_up)
    pauses = []
    for number in range(2):
        hub.clock.now_s = hub.plans._full.from_s
        kit.submit(hub.store, f"job-{number}", **kit.gpus(1))
        hub.hear()
        started_s = hub.clock.now_s
        driven(hub.plans.replan())
        pauses.append(hub.plans._full.from_s - started_s)

    assert pauses == [EVERY_S, 10 / SHARE]


def test_only_a_leader_plans_and_full_plans_follow_by_themselves(hub, store):
    """The loop as it runs: a waiting job is told within a full plan's pause, nobody asking."""
    told = []

    async def run():
        task = asyncio.create_task(hub.plans.run(told.extend))
        kit.submit(store, "a", **kit.gpus(5))
        hub.hear()
        while not told:
            await asyncio.sleep(0)
            hub.clock.now_s += 0.2
        hub.step_down()
        kit.submit(store, "b", **kit.gpus(1))
        hub.hear()
        for _ in range(9):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert told == [("uid-of-clinic-a", False)]
    assert not hub.plans._job_index.changed
