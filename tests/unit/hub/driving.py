"""Runs what the hub does beside its event loop, or in turns of it, here and now."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def here(function: Callable[[], Any]) -> Any:
    """Run it at once, on the loop."""
    return function()


def driven(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing but its turn; return its result."""
    while True:
        try:
            work.send(None)
        except StopIteration as end:
            return cast("T", end.value)


class Elected:
    """A candidacy that is won."""

    leases, others = ("hansa-hub",), ()

    def still_leader(self) -> bool:
        return True
