"""The hub's queue: lanes in order, one worker a key, tidying never takes all workers."""

import asyncio

from hansa.process.workqueue import LATER, MOST_TIDYING, NORMAL, URGENT, Key, KeyQueue


def key(name):
    return Key("job", name)


async def taken(queue):
    """Return what a worker gets without waiting; None when it would wait."""
    try:
        async with asyncio.timeout(0.01):
            return (await queue.take()).name
    except TimeoutError:
        return None


async def test_lanes_go_in_order_and_a_better_lane_moves_a_key_up():
    queue = KeyQueue()
    for name, lane in (("c", LATER), ("b", NORMAL), ("a", URGENT), ("d", LATER), ("d", URGENT)):
        queue.add(key(name), lane)

    assert [await taken(queue) for _ in range(5)] == ["a", "d", "b", "c", None]


async def test_a_key_that_comes_back_while_it_is_worked_on_is_worked_on_once_more():
    queue = KeyQueue()
    queue.add(key("a"))
    assert await taken(queue) == "a"
    queue.add(key("a"))
    queue.add(key("a"))
    assert await taken(queue) is None

    queue.done(key("a"))

    assert [await taken(queue) for _ in range(2)] == ["a", None]


async def test_tidying_rests_the_longer_the_slower_it_was():
    queue = KeyQueue(rest=1e6)
    for number in range(MOST_TIDYING + 1):
        queue.add(key(number), LATER)
    for number in range(MOST_TIDYING):
        assert await taken(queue) == number
        await asyncio.sleep(0.001)
        queue.done(key(number))

    assert await taken(queue) is None
    queue.add(key(MOST_TIDYING), NORMAL)
    assert await taken(queue) == MOST_TIDYING


async def test_tidying_leaves_workers_for_what_is_more_urgent():
    queue = KeyQueue(rest=0.0)
    names = [f"tidy-{number}" for number in range(MOST_TIDYING + 1)]
    for name in names:
        queue.add(key(name), LATER)
    assert [await taken(queue) for _ in names] == [*names[:-1], None]
    queue.add(key("grant"), URGENT)
    assert [await taken(queue) for _ in range(2)] == ["grant", None]

    waiting = asyncio.ensure_future(queue.take())
    await asyncio.sleep(0)
    queue.done(key(names[0]))

    assert (await asyncio.wait_for(waiting, 5)).name == names[-1]
