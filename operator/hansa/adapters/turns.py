"""Long work on an event loop, cut into turns: whoever else is ready goes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
MOST_IN_A_TURN = 100
"""A look at a job takes a tenth of a millisecond, so that a turn lasts about ten."""


async def in_turns(items: Iterable[Item], most: int = MOST_IN_A_TURN) -> AsyncIterator[Item]:
    """Yield every item, and let other tasks run after each ``most`` of them.

    Give it what stays as it is meanwhile: others may change whatever a live view shows.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % most == 0:
            await asyncio.sleep(0)
