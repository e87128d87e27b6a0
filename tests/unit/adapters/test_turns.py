"""Long work in turns: others run in between, and nothing is left out."""

import asyncio

from hansa.adapters.turns import MOST_IN_A_TURN, in_turns
from hansa.process.workqueue import WorkQueue


async def test_others_run_between_the_turns_of_long_work() -> None:
    seen = list[int]()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for item in in_turns(range(10_000)):
        seen.append(item)
    task.cancel()
    assert seen == [*range(10_000)]
    assert turns >= 10_000 // MOST_IN_A_TURN


async def test_ten_thousand_keys_let_another_task_run_after_each() -> None:
    """Keys that bring no I/O: the queue alone has to let go of the loop."""
    queue: WorkQueue[int] = WorkQueue()
    for key in range(10_000):
        queue.add(key)
    turns, longest = 0, 0

    async def worker() -> None:
        nonlocal longest, turns
        for done in range(10_000):
            queue.done(await queue.take())
            longest, turns = max(longest, turns), turns + 1
            assert done < 10_000

    async def other() -> None:
        nonlocal turns
        while True:
            turns = 0
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await worker()
    task.cancel()
    assert longest <= 1
