"""Runs the kernel: compiled for who plans on and on and has the ``fast`` extra, else interpreted.

The interpreter is three times faster on lists than on arrays, so columns are turned into lists for
a run and what changed is written back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from hansa.placement.kernel import loop
from hansa.placement.kernel.tables import (
    Accounts,
    Caps,
    Decided,
    Exchange,
    Jobs,
    Kinds,
    Outcome,
    Placed,
    State,
    Supply,
    Transaction,
)

SLOTTED: dict[type, Any] = {
    table: type(table.__name__, (), {"__slots__": table._fields})
    for table in (State, Supply, Kinds, Jobs, Accounts, Caps, Exchange, Transaction)
}


@cache
def compiled() -> Callable[[State, bool], Sequence[Outcome]] | None:
    """The compiled kernel, or None without the ``fast`` extra.

    The first call of a process loads it, or compiles it for half a minute where no cache has it.
    """
    try:
        from hansa.placement.kernel import compiled  # noqa: PLC0415  # a single plan must not wait for it
    except ImportError:
        return None
    return compiled.run


def has_cache() -> bool:
    """Tell whether the compiled kernel is kept on disk for the next process."""
    if compiled() is None:
        return False
    from hansa.placement.kernel import compiled as loaded  # noqa: PLC0415  # see above

    return loaded.IS_KEPT


def run(state: State, *, is_priced: bool, is_compiled: bool, is_small: bool = False) -> Decided:
    """Run the kernel on columns of int64; supply, accounts, caps and jobs are updated in place.

    ``is_compiled``: take the compiled kernel where there is one. ``is_small``: few jobs in a large
    league, not worth turning columns into lists.
    """
    fast = compiled() if is_compiled else None
    if fast is not None:
        return _decided(fast(state, is_priced))
    return (
        _interpreted(state, is_priced=is_priced)
        if is_small
        else _listed(state, is_priced=is_priced)
    )


def transaction() -> Transaction:
    """One in which nothing has been decided yet."""
    return Transaction(*([] for _ in Transaction._fields))


def _decided(found: Sequence[Outcome]) -> Decided:
    *placed, log, growth = found
    return Decided(Placed(*placed), log, growth)


def _interpreted(state: State, *, is_priced: bool) -> Decided:
    tx, growth = _slotted(Transaction, transaction()), list[int]()
    loop.run(state, tx, growth, is_priced)
    found = tx.job, tx.cell, tx.workers, tx.end, tx.log, growth
    return _decided([np.array(column, np.int64) for column in found])


def _listed(state: State, *, is_priced: bool) -> Decided:
    """The same on lists; what changed is written back."""
    listed = [[column.tolist() for column in table] for table in state]
    before = [list(map(list, lists)) for lists in listed]
    tables = (_slotted(type(table), lists) for table, lists in zip(state, listed, strict=True))
    decided = _interpreted(_slotted(State, tables), is_priced=is_priced)
    for table, lists, olds in zip(state, listed, before, strict=True):
        for column, values, old in zip(table, lists, olds, strict=True):
            # To compare lists of the same objects costs a tenth of making a column of one.
            if values != old:
                column[:] = values
    return decided


def _slotted(table: type, values: Iterable[Any]) -> Any:
    """A named tuple's fields in slots: the interpreter reads these much faster."""
    slotted = SLOTTED[table]()
    for name, value in zip(slotted.__slots__, values, strict=True):
        setattr(slotted, name, value)
    return slotted
