"""When everything is planned anew."""

from __future__ import annotations

import asyncio

import pytest

from hansa.hub.planner.loop import FULL_EVERY_S, FULL_SHARE
from tests.unit.hub import kit


@pytest.fixture
def store(clock):
    store = kit.Store(clock)
    kit.node(store, "tartu", kit.lent(machines=1, each=4))
    kit.namespace(store)
    kit.pool(store)
    return store


def test_a_machine_that_stalls_once_does_not_put_off_full_plans(hub, monkeypatch):
    plan_all = hub.plans._plan_all

    def held_up():
        hub.clock.now_s += 10
        return plan_all()

    monkeypatch.setattr(hub.plans, "_plan_all", held_up)
    pauses = []
    for number in range(2):
        hub.clock.now_s = hub.plans._full_from_s
        kit.submit(hub.store, f"job-{number}", **kit.gpus(1))
        hub.hear()
        started_s = hub.clock.now_s
        hub.plans.replan()
        pauses.append(hub.plans._full_from_s - started_s)

    assert pauses == [FULL_EVERY_S, 10 / FULL_SHARE]


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
    assert not hub.plans._book.changed
