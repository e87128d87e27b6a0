"""A look at everything is cut into turns of the event loop, and ends when the term does."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise

import pytest

from hansa.hub import controller, league_cache
from tests.unit.hub import kit

JOBS, MOST = 35, 10


@pytest.fixture
def hub(clock, monkeypatch):
    monkeypatch.setattr(controller, "MOST_QUEUED", MOST)
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(machines=4))
    for number in range(JOBS):
        kit.submit(store, f"j{number}", **kit.gpus(1))
    hub = kit.led(store, clock)
    hub.settle_down()
    hub.queue.clear()
    return hub


def turns(hub, work):
    """Jobs that each turn of the loop queues until the work is done."""
    counts, before = [], 0
    while True:
        try:
            work.send(None)
        except StopIteration:
            is_done = True
        else:
            is_done = False
        now = sum(key.kind == "job" for lane in hub.queue.lanes for key in lane)
        counts.append(now - before)
        before = now
        if is_done:
            return counts


def test_no_turn_of_the_loop_queues_more_jobs_than_its_bound(hub):
    counts = turns(hub, hub.controller.resync())

    assert sum(counts) == JOBS
    assert max(counts) == MOST


def test_nor_does_one_that_looks_for_jobs_of_nodes_that_fell_silent(hub):
    hub.clock.now_s += 3600

    counts = turns(hub, hub.controller.tick())

    held = [job for job in hub.store.objects.values() if (job.get("status") or {}).get("node")]
    assert len(held) > 2 * MOST
    assert sum(counts) >= len(held)
    assert 0 < max(counts) <= MOST  # of the jobs in a turn, some are held by nobody


@pytest.mark.parametrize("by", ["tick", "plan"])
def test_no_turn_looks_at_more_nodes_than_its_bound(hub, monkeypatch, by):
    for number in range(JOBS):
        kit.node(hub.store, f"n{number}", kit.lent())
    hub.hear()
    monkeypatch.setattr(league_cache, "MOST_LOOKED_AT", MOST)
    seen, view = list[str](), hub.league.look_at
    monkeypatch.setattr(
        hub.league, "look_at", lambda name, now_s: seen.append(name) or view(name, now_s)
    )
    work, counts = (hub.controller.tick() if by == "tick" else hub.plans.replan()), [0]
    with contextlib.suppress(StopIteration):
        while True:
            work.send(None)
            counts.append(len(seen))

    assert len(seen) == len(hub.league.view.nodes) == JOBS + 1
    assert max(after - before for before, after in pairwise(counts)) == MOST


@pytest.mark.parametrize("is_back", [False, True], ids=["deposed", "elected again"])
def test_a_look_at_everything_ends_with_its_term(hub, is_back):
    work = hub.controller.resync()
    work.send(None)
    hub.step_down()
    if is_back:
        hub.leads = True
        hub.controller.on_leadership(leading=True)
    assert not any(turns(hub, work))


async def test_every_election_is_followed_by_a_look_at_everything(hub):
    task = asyncio.create_task(hub.controller.begin_terms())
    for _ in range(2):
        hub.step_down()
        await asyncio.sleep(0.01)
        assert not len(hub.queue)
        hub.leads = True
        hub.controller.on_leadership(leading=True)
        await asyncio.sleep(0.05)
        assert sum(key.kind == "job" for lane in hub.queue.lanes for key in lane) == JOBS
    task.cancel()
