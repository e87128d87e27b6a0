"""No garbage collection in the middle of a plan: a full one takes longer than the plan itself.

Unless collections are short: in a process that sets survivors aside they are, and to put them off would
hold up every other thread for what a plan has made, all at once, a third of a second for fifty thousand jobs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_are_short = False


def collections_are_short() -> None:
    """Leave collections alone from now on, for the whole process."""
    global _are_short  # noqa: PLW0603  # there is one collector
    _are_short = True


@contextmanager
def quiet() -> Iterator[None]:
    """Put collections off. Reference counts free what a plan leaves behind: it makes no cycles.

    What it made is looked over before collections are due again. Left to themselves they would find
    so much that is new that every few plans they went over the whole league, still in the plan's time.
    """
    if _are_short:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.collect(0)
            gc.enable()
