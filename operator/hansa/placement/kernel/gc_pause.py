"""No garbage collection in the middle of a plan: a full one takes longer than the plan itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Put collections off. Reference counts free what a plan leaves behind: it makes no cycles.

    What it made is looked over before collections are due again. Left to themselves they would find
    so much that is new that every few plans they went over the whole league, still in the plan's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.collect(0)
            gc.enable()
