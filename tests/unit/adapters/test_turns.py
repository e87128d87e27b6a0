"""Long work in turns: others run in between, and nothing is left out."""

import asyncio

from hansa.adapters.turns import MOST_IN_A_TURN, in_turns


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
