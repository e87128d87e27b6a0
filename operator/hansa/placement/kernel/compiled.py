"""The kernel compiled: the text of its modules loaded a second time and given to numba.

Integers only, no reordering: the results are those of the interpreted kernel to the byte, which a
differential test proves. Importing this raises ``ImportError`` without the ``fast`` extra, and where
numba is told not to compile.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType
from typing import Any

import numba
import numpy as np

from hansa.placement.kernel import (
    compiled_tables,
    exchange,
    fit,
    loop,
    packing,
    quota,
    tables,
    transaction,
)
from hansa.placement.kernel.compiled_tables import table
from hansa.placement.kernel.tables import Outcome, State, Transaction

if getattr(numba.config, "DISABLE_JIT", 0):
    raise ImportError("NUMBA_DISABLE_JIT is set")
MODULES = (packing, quota, fit, transaction, exchange, loop)
"""Later ones call earlier ones."""
SOURCES = (compiled_tables, tables, *MODULES)
"""All that is compiled into the entry, constants too."""


def _compiled() -> dict[str, Any]:
    """Every function of the kernel by name, to be compiled when a compiled one calls it."""
    done: dict[str, Any] = {}
    for module in MODULES:
        twin = _second_copy(module)
        for name, function in inspect.getmembers(twin, inspect.isfunction):
            if function.__module__ == module.__name__:
                done[name] = numba.njit(function)
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


def _empty() -> list[int]:
    return [0 for _ in range(0)]


_none: Any = numba.njit(_empty)
_run = _compiled()["run"]


def _entry(state: State, is_priced: bool) -> tuple[Outcome, ...]:  # noqa: FBT001  # numba
    tx = Transaction(
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
        _none(),
    )
    growth = _none()
    _run(table(state), table(tx), growth, is_priced)
    return (
        np.array(tx.job, dtype=np.int64),
        np.array(tx.cell, dtype=np.int64),
        np.array(tx.workers, dtype=np.int64),
        np.array(tx.end, dtype=np.int64),
        np.array(tx.log, dtype=np.int64),
        np.array(growth, dtype=np.int64),
    )


def _cached() -> tuple[Any, bool]:
    """The entry with numba's cache on disk, under the digest of every source that it holds.

    And whether there is a cache. While it runs, other threads do: it touches no object of Python's.
    """
    sources = "".join(map(inspect.getsource, (sys.modules[__name__], *SOURCES)))
    _entry.__qualname__ = f"run_{sha256(sources.encode()).hexdigest()[:16]}"
    try:
        return numba.njit(cache=True, nogil=True)(_entry), True
    except RuntimeError:
        # No writable cache folder (read-only image): compile in every process instead.
        return numba.njit(nogil=True)(_entry), False


run: Callable[[State, bool], tuple[Outcome, ...]]
run, IS_KEPT = _cached()
