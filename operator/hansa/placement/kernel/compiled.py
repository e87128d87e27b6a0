"""The kernel compiled: the text of its modules loaded a second time and given to numba.

Integers only, no reordering: the results are those of the interpreted kernel to the byte, which a
differential test proves. Importing this raises ``ImportError`` without the ``fast`` extra, and where
numba is told not to compile.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic

from hansa.placement.kernel import exchange, fit, loop, packing, quota, transaction
from hansa.placement.kernel.tables import Outcome, State, Transaction

if getattr(numba.config, "DISABLE_JIT", 0):
    raise ImportError("NUMBA_DISABLE_JIT is set")
MODULES = (packing, quota, fit, transaction, exchange, loop)
"""Later ones call earlier ones."""
RARE = (transaction, exchange)
"""Called seldom: not worth the time of compiling them into every caller."""
_emit: Any = cgutils


def _compiled() -> dict[str, Any]:
    """Every function of the kernel by name, all but the rare ones to be compiled into the entry.

    ``run`` too: only where the entry's tables are made does numba see that their arrays have no owner.
    """
    done: dict[str, Any] = {}
    for module in MODULES:
        twin = _second_copy(module)
        for name, function in inspect.getmembers(twin, inspect.isfunction):
            if function.__module__ == module.__name__:
                done[name] = numba.njit(forceinline=module not in RARE)(function)
            if name in done:
                setattr(twin, name, done[name])
    return done


def _second_copy(module: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the source of {module.__name__} a second time")
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    return twin


def _without_owner(_typing: Any, table: Any) -> Any:
    """A table whose arrays have no owner: counting references to them took most of a run."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        columns = []
        for item in _emit.unpack_tuple(builder, arguments[0], table.count):
            column = context.make_array(table.dtype)(context, builder, item)
            column.meminfo = _emit.get_null_value(column.meminfo.type)
            column.parent = _emit.get_null_value(column.parent.type)
            columns.append(column._getvalue())  # noqa: SLF001  # numba has no public name for it
        return context.make_tuple(builder, table, columns)

    return table(table), generate


_borrowed: Any = intrinsic(_without_owner)
_run = _compiled()["run"]


def _entry(state: State, is_priced: bool) -> tuple[Outcome, ...]:  # noqa: FBT001  # numba
    tx = Transaction(
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
        [0 for _ in range(0)],
    )
    growth = [0 for _ in range(0)]
    borrowed = State(
        _borrowed(state.supply),
        _borrowed(state.kinds),
        _borrowed(state.jobs),
        _borrowed(state.accounts),
        _borrowed(state.caps),
        _borrowed(state.exchange),
    )
    _run(borrowed, tx, growth, is_priced)
    return (
        np.array(tx.job, dtype=np.int64),
        np.array(tx.cell, dtype=np.int64),
        np.array(tx.workers, dtype=np.int64),
        np.array(tx.end, dtype=np.int64),
        np.array(tx.log, dtype=np.int64),
        np.array(growth, dtype=np.int64),
    )


def _cached() -> Any:
    """The entry with numba's cache on disk, under the digest of every source that it holds."""
    sources = "".join(inspect.getsource(module) for module in MODULES)
    _entry.__qualname__ = f"run_{sha256(sources.encode()).hexdigest()[:16]}"
    try:
        return numba.njit(cache=True)(_entry)
    except RuntimeError:
        # No writable cache folder (read-only image): compile in every process instead.
        return numba.njit(_entry)


run: Callable[[State, bool], tuple[Outcome, ...]] = _cached()
