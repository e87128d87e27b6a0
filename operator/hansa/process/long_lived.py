"""Full garbage collections look only at what came since the last one.

A hub keeps millions of objects that refer to each other and never make garbage. To look them all over
takes a second or more, in the middle of whatever runs, again with every quarter that comes. What has
survived one full collection is set aside instead. A cycle that dies later is found by ``look_at_all``.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

FULL = 2
"""The generation that holds all there is."""
FULL_EVERY = 1
"""Collections of the generation below for each full one: the rarer those are the longer they take, and
they take longest after much has come at once. All together take the same."""
FEW_COLLECTIONS, NONE_FURTHER = 50_000, 1_000_000
"""While much comes to stay: objects made, and not freed again, between two collections, some 5 ms each; and
those, between two that look at what has survived one."""


def set_survivors_aside() -> None:
    """Do so from now on, for the whole process. Twice is as good as once."""
    if _after not in gc.callbacks:
        gc.callbacks.append(_after)
        first, second, _ = gc.get_threshold()
        gc.set_threshold(first, second, FULL_EVERY)


@contextmanager
def much_comes_to_stay() -> Iterator[None]:
    """Hardly look for garbage during a block, and set all that is there at its end aside unseen.

    Of fifty thousand jobs that are read nothing is garbage, and looking for it takes a quarter of the time.
    Without ``set_survivors_aside`` nothing is done: who has not asked for it keeps what is usual.
    """
    if _after not in gc.callbacks:
        yield
        return
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], FEW_COLLECTIONS), NONE_FURTHER, before[2])
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*before)


def look_at_all() -> None:
    """Have the next full collection look at everything again. Rarely: it holds up all else."""
    gc.unfreeze()


def _after(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == FULL:
        gc.freeze()
