"""Plans are made beside the event loop: what others do meanwhile, and what then becomes of the plan."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from hansa.hub.executor import BatchResult
from hansa.hub.object_key import ObjectKey
from hansa.hub.planner import kept_planner
from hansa.model.plan import Placement, Stop
from hansa.process.workqueue import WorkQueue
from tests.residency_kit import stands_in
from tests.unit.hub import kit
from tests.unit.hub.driving import driven, here
from tests.unit.reconcile.hub.hub_objects import ACCEPTED

GPUS = 8


@pytest.fixture
def hub(clock):
    store = kit.Store(clock)
    kit.namespace(store)
    kit.pool(store)
    kit.node(store, "tartu", kit.lent(machines=1, each=GPUS))
    hub = kit.led(store, clock)
    hub.plan()
    return hub


class Held:
    """A place beside the loop where a plan is held up until the test lets it go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, function):
        self.begun.set()
        await self.go.wait()
        return function()


async def planned_while(hub, happens):
    """Plan; while that goes on, have something happen; return what was decided."""
    held = Held()
    hub.plans._kept._beside = held
    task = asyncio.create_task(hub.plans.replan())
    await held.begun.wait()
    assert not hub.plans.at_rest.is_set()
    happens()
    held.go.set()
    told = await task
    assert hub.plans.at_rest.is_set()
    hub.plans._kept._beside = here
    return told


def due(hub):
    hub.clock.now_s = max(hub.clock.now_s, hub.plans._full.from_s) + 1
    hub.plans.full_due()


def suspend(hub, name):
    path = kit.job_path(name)
    job = hub.store.objects[path]
    job["spec"]["suspend"] = True
    job["metadata"]["generation"] += 1
    hub.store.put(path, job)
    hub.hear()


def delete(hub, name):
    job = hub.store.objects.pop(kit.job_path(name))
    hub.caches.jobs.drop(job)
    hub.controller.on_change("job", "DELETED", job)


MEANWHILE = {"it is suspended": suspend, "it is deleted": delete}


@pytest.mark.parametrize("case", MEANWHILE)
async def test_what_changed_while_it_was_planned_is_not_granted(hub, case):
    uid = kit.submit(hub.store, "a", **kit.gpus(1))
    hub.hear()
    due(hub)
    told = await planned_while(hub, lambda: MEANWHILE[case](hub, "a"))
    assert uid not in dict(told)
    assert not isinstance(hub.plans.decision(uid), Placement)
    hub.settle_down()
    assert not [*hub.caches.grants_of(uid)]


async def test_its_room_goes_to_the_next_who_asks(hub):
    """The planner has booked the job that is gone; it hears of that with the next plan."""
    kit.submit(hub.store, "gone", **kit.gpus(GPUS))
    hub.hear()
    due(hub)
    await planned_while(hub, lambda: delete(hub, "gone"))
    uid = kit.submit(hub.store, "next", **kit.gpus(GPUS))
    kit.later(hub, 5)
    assert [grant.node for grant in hub.caches.grants_of(uid)] == ["tartu"]


async def test_a_plan_of_an_earlier_term_decides_nothing(hub):
    uid = kit.submit(hub.store, "a", **kit.gpus(1))
    hub.hear()
    due(hub)

    def reelected():
        hub.step_down()
        hub.lead()

    assert await planned_while(hub, reelected) == []
    assert hub.plans.decision(uid) is None
    kit.later(hub, 5)
    assert [grant.node for grant in hub.caches.grants_of(uid)] == ["tartu"]


def test_a_plan_that_an_election_overtakes_before_it_begins_books_nothing(hub):
    """Booked by a planner of the new term and told to nobody, the job would wait for ever."""
    uid = kit.submit(hub.store, "a", **kit.gpus(1))
    hub.hear()
    due(hub)
    hub.plans.league_changed()
    work = hub.plans.replan()
    work.send(None)
    hub.step_down()
    hub.lead()
    assert driven(work) == []
    kit.later(hub, 5)
    assert [grant.node for grant in hub.caches.grants_of(uid)] == ["tartu"]


async def test_a_look_meanwhile_sees_the_league_of_before(hub):
    kit.submit(hub.store, "a", **kit.gpus(1))
    hub.hear()
    due(hub)
    before, seen = hub.plans.snapshot, []
    await planned_while(hub, lambda: seen.append(hub.plans.snapshot))
    assert seen == [before]
    assert len(hub.plans.snapshot.jobs) == 1


@pytest.fixture
def full(hub):
    """A job of least priority fills the node, and one of more asks for its place."""
    kit.pool(hub.store, preemption={"policy": "LowerPriority", "minRuntimeSeconds": 0})
    low = kit.submit(hub.store, "low", **kit.gpus(GPUS))
    kit.later(hub)
    (path,) = kit.grants(hub.store)
    kit.answer(hub.store, path, ACCEPTED)
    kit.later(hub)
    kit.submit(hub.store, "high", priority=100, **kit.gpus(GPUS))
    hub.hear()
    due(hub)
    return low, path


def writes(hub, path):
    """The member sends a piece of the log that the job's owner follows."""
    piece = {"log": {"start": 0, "text": "epoch 1\n"}}
    kit.answer(hub.store, path, hub.store.objects[path]["status"] | piece)
    hub.hear()


async def test_a_job_whose_log_is_followed_is_stopped_like_any_other(hub, full):
    low, path = full
    told = await planned_while(hub, lambda: writes(hub, path))

    assert low in dict(told)
    assert isinstance(hub.plans.decision(low), Stop)


async def test_one_that_changed_meanwhile_is_not_stopped_for_what_it_was(hub, full):
    low, _ = full
    told = await planned_while(hub, lambda: suspend(hub, "low"))

    assert low not in dict(told)
    assert not isinstance(hub.plans.decision(low), Stop)


async def test_what_a_plan_decides_is_done_before_all_that_waited_for_it(hub, monkeypatch):
    """A worker that took something before would do that first: a thousand nodes are looked at every few seconds."""
    uid = kit.submit(hub.store, "a", **kit.gpus(1))
    hub.hear()
    due(hub)
    queue, done = WorkQueue(), []
    monkeypatch.setattr(hub.controller, "_queue", queue)

    async def note(_, key):
        done.append(key)
        return BatchResult(ok=True)

    monkeypatch.setattr(hub.controller, "_process", note)
    workers = [asyncio.create_task(hub.controller.work(hub.executor)) for _ in range(4)]

    held = Held()
    hub.plans._kept._beside = held
    plan = asyncio.create_task(hub.plans.replan())
    await held.begun.wait()
    for number in range(20):
        queue.add(ObjectKey("node", f"n{number}"))
    await asyncio.sleep(0.02)
    assert not done
    held.go.set()
    hub.controller.queue_decisions(iter(await plan))
    await asyncio.sleep(0.05)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert done[0] == ObjectKey("job", uid)
    assert len(done) == 21


def of_a_new_institution(store):
    """The first in a pool without shares: the tree of shares is another."""
    kit.namespace(store, "lab", "university")
    kit.submit(store, "first", space="lab", **kit.gpus(1))


ANEW = {
    "a pool": lambda store: kit.pool(store, residency=stands_in("LV")),
    "a node": lambda store: kit.node(store, "tartu", kit.lent(2, GPUS)),
    "a guest": of_a_new_institution,
}


@pytest.mark.parametrize("change", ANEW.values(), ids=ANEW)
async def test_after_news_of_places_or_of_a_first_guest_it_is_never_planned_on_the_loop(
    hub, monkeypatch, change
):
    """However few they are: everything is planned anew, half a second's work for fifty thousand jobs."""
    change(hub.store)
    hub.hear()
    monkeypatch.setattr(hub.plans, "_someone_asks", lambda: False)
    assert hub.plans._clock.monotonic() < hub.plans._full.from_s
    held = Held()
    hub.plans._kept._beside = held
    task = asyncio.create_task(hub.plans.replan())
    begun = asyncio.create_task(held.begun.wait())
    done, _ = await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    held.go.set()
    await task
    assert done == {begun}


async def test_only_the_plan_that_reads_everything_puts_collections_off(hub, monkeypatch):
    """A planner that is kept makes little that stays; one that begins makes a record of each job."""
    entered = []

    @contextmanager
    def noted():
        entered.append(hub.plans._kept.planner)
        yield

    monkeypatch.setattr(kept_planner, "much_comes_to_stay", noted)
    due(hub)
    await hub.plans.replan()
    assert not entered
    hub.step_down()
    hub.lead()
    await hub.plans.replan()
    assert entered == [None]
