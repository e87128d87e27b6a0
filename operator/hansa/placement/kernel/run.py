"""Runs the kernel: compiled for who plans on and on and has the ``fast`` extra, else interpreted.

The interpreter is three times faster on lists than on arrays, so columns are turned into lists for
a run and what changed is written back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from hansa.placement.kernel import loop
from hansa.placement.kernel.tables import (
    Accounts,
    Caps,
    Decided,
    Jobs,
    Kinds,
    Moves,
    Outcome,
    Supply,
)


class Tables(NamedTuple):
    """Everything one run reads and writes."""

    supply: Supply
    kinds: Kinds
    jobs: Jobs
    accounts: Accounts
    caps: Caps
    moves: Moves


SLOTTED: dict[type, type] = {
    table: type(table.__name__, (), {"__slots__": table._fields})
    for table in (Supply, Kinds, Jobs, Accounts, Caps, Moves)
}


@cache
def compiled() -> Callable[..., tuple[Outcome, Outcome, Outcome]] | None:
    """The compiled kernel, or None without the ``fast`` extra.

    The first call of a process loads it, or compiles it for up to minutes where no cache has it.
    """
    try:
        from hansa.placement.kernel import compiled  # noqa: PLC0415  # a single plan must not wait for it
    except ImportError:
        return None
    return compiled.run


def run(tables: Tables, *, is_priced: bool, is_compiled: bool, is_small: bool = False) -> Decided:
    """Run the kernel on columns of int64; supply, accounts, caps and jobs are updated in place.

    ``is_compiled``: take the compiled kernel where there is one. ``is_small``: few jobs in a large
    league, not worth turning columns into lists.
    """
    heads = np.zeros(len(tables.jobs.queue_lo), np.int64)
    fast = compiled() if is_compiled else None
    if fast is not None:
        return Decided(*fast(*tables, heads, is_priced))
    if is_small:
        return Decided(*loop.run(*tables, heads, is_priced))
    listed = [[column.tolist() for column in table] for table in tables]
    before = [list(map(list, lists)) for lists in listed]
    arguments: list[Any] = [*map(_attributes, tables, listed), heads.tolist(), is_priced]
    decided = loop.run(*arguments)
    for table, lists, olds in zip(tables, listed, before, strict=True):
        for column, values, old in zip(table, lists, olds, strict=True):
            # To compare lists of the same objects costs a tenth of making a column of one.
            if values != old:
                column[:] = values
    return Decided(*decided)


def _attributes(table: Any, lists: list[list[int]]) -> Any:
    """A table over lists in slots: the interpreter reads these much faster than a named tuple."""
    slotted = SLOTTED[type(table)]()
    for name, values in zip(table._fields, lists, strict=True):
        setattr(slotted, name, values)
    return slotted
