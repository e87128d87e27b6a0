"""The queue: lanes in order, one worker a key, failures later and later, and the loop left to others."""

import asyncio

from e2e.testbed.host.clock import PATIENCE_S
from hansa.process import workqueue
from hansa.process.workqueue import (
    LATER,
    LONGEST_RETRY_S,
    MOST_TIDYING,
    NORMAL,
    URGENT,
    WorkQueue,
)


async def taken(queue):
    """Return what a worker gets without waiting; None when it would wait."""
    try:
        async with asyncio.timeout(0.01):
            return await queue.take()
    except TimeoutError:
        return None


async def test_lanes_go_in_order_and_a_better_lane_moves_a_key_up():
    queue = WorkQueue()
    for name, lane in (("c", LATER), ("b", NORMAL), ("a", URGENT), ("d", LATER), ("d", URGENT)):
        queue.add(name, lane)

    assert [await taken(queue) for _ in range(5)] == ["a", "d", "b", "c", None]


async def test_a_key_that_comes_back_while_it_is_worked_on_is_worked_on_once_more():
    queue = WorkQueue()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    queue.add("a")
    assert await taken(queue) is None

    queue.done("a")

    assert [await taken(queue) for _ in range(2)] == ["a", None]


async def test_every_key_yields_to_the_loop():
    queue, count, turn, turns = WorkQueue(), 2000, 0, []
    for number in range(count):
        queue.add(number)

    def tick():
        nonlocal turn
        turn += 1
        if len(turns) < count:
            asyncio.get_running_loop().call_soon(tick)

    async def work():
        while len(turns) < count:
            key = await queue.take()
            turns.append(turn)
            queue.done(key)

    tick()
    await work()

    assert len(set(turns)) == count


async def test_a_worker_cancelled_while_it_takes_loses_no_key():
    queue = WorkQueue()
    queue.add("a")
    taking = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)

    assert await taken(queue) == "a"


async def test_waiting_and_unfinished_are_counted_apart():
    queue = WorkQueue()
    queue.add("a")
    queue.add("b")
    assert (len(queue), queue.unfinished) == (2, 2)
    await queue.take()
    assert (len(queue), queue.unfinished) == (1, 2)
    queue.add("a")
    assert (len(queue), queue.unfinished) == (2, 2)


async def test_a_key_that_is_put_back_waits_in_its_lane_behind_what_is_better():
    queue = WorkQueue()
    for name, lane in (("a", NORMAL), ("tidy", LATER)):
        queue.add(name, lane)
    for name in ("a", "tidy"):
        assert await taken(queue) == name
    queue.add("tidy", NORMAL)
    queue.add("grant", URGENT)

    for name in ("tidy", "a"):
        queue.put_back(name)

    assert [await taken(queue) for _ in range(4)] == ["grant", "tidy", "a", None]
    assert not queue.tidies("tidy")


async def test_a_key_that_is_put_back_gains_no_lane_by_it():
    queue = WorkQueue()
    queue.add("a", NORMAL)
    assert await taken(queue) == "a"

    queue.put_back("a")
    queue.add("grant", URGENT)

    assert [await taken(queue) for _ in range(3)] == ["grant", "a", None]


async def test_a_failed_key_comes_back_later_each_time_until_it_is_done(monkeypatch):
    queue, pauses = WorkQueue(first_retry_s=1.0), []
    monkeypatch.setattr(queue, "add_later", lambda key, pause_s: pauses.append((key, pause_s)))

    for after_s in (0, 0, 30, 0, 0, 0, 0, 0):
        queue.failed("a", after_s=after_s)
    assert [pause for _, pause in pauses] == [1, 2, 30, 8, 16, 32, LONGEST_RETRY_S, LONGEST_RETRY_S]
    assert queue.failures("a") == len(pauses)

    queue.done("a")
    queue.failed("a")
    assert pauses[-1] == ("a", 1)


async def test_a_failed_key_is_taken_again():
    queue = WorkQueue(first_retry_s=0.001)
    queue.add("a")
    queue.failed(await queue.take())

    assert await asyncio.wait_for(queue.take(), PATIENCE_S) == "a"


async def test_a_later_wish_replaces_an_earlier_one():
    queue = WorkQueue()
    queue.add_later("a", 1e6)
    queue.add_later("a", 0.0)
    assert await asyncio.wait_for(queue.take(), PATIENCE_S) == "a"

    queue.done("a")
    queue.add_later("a", 0.0)
    queue.add_later("a", 1e6)
    assert await taken(queue) is None


async def test_a_cleared_queue_has_forgotten_what_waits_and_what_was_to_come():
    queue = WorkQueue()
    queue.add("a")
    queue.failed("b")
    queue.add_later("c", 0.0)

    queue.clear()

    assert (await taken(queue), len(queue), queue.failures("b")) == (None, 0, 0)


async def test_tidying_rests_the_longer_the_slower_it_was_while_there_is_better_to_do():
    queue = WorkQueue(rest=1e6)
    queue.add("grant", URGENT)
    queue.done(await queue.take())
    for number in range(MOST_TIDYING + 1):
        queue.add(number, LATER)
    for number in range(MOST_TIDYING):
        assert await taken(queue) == number
        assert queue.tidies(number)
        await asyncio.sleep(0.001)
        queue.done(number)

    assert await taken(queue) is None
    queue.add(MOST_TIDYING, NORMAL)
    assert await taken(queue) == MOST_TIDYING
    assert not queue.tidies(MOST_TIDYING)


async def test_tidying_hardly_rests_once_there_has_been_nothing_better_to_do(monkeypatch):
    queue = WorkQueue(rest=1e6)
    queue.add("grant", URGENT)
    queue.done(await queue.take())
    monkeypatch.setattr(workqueue, "CALM_S", 0.0)
    for number in range(20):
        queue.add(number, LATER)

    for number in range(20):
        assert await asyncio.wait_for(queue.take(), PATIENCE_S) == number
        await asyncio.sleep(0.001)
        queue.done(number)


async def test_tidying_leaves_workers_for_what_is_more_urgent():
    queue = WorkQueue(rest=0.0)
    names = [f"tidy-{number}" for number in range(MOST_TIDYING + 1)]
    for name in names:
        queue.add(name, LATER)
    assert [await taken(queue) for _ in names] == [*names[:-1], None]
    queue.add("grant", URGENT)
    assert [await taken(queue) for _ in range(2)] == ["grant", None]

    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.done(names[0])

    assert await asyncio.wait_for(waiting, PATIENCE_S) == names[-1]
