"""The kernel compiled: the text of its modules loaded a second time and given to numba.

Integers only, no reordering: the results are those of the interpreted kernel to the byte, which a
differential test proves. Importing this without the ``fast`` extra raises ``ImportError``.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numba

from hansa.placement import kernel, packing, shares


def _compiled(*modules: ModuleType) -> dict[str, Any]:
    """Every function of the modules by name, compiled; later modules call earlier ones."""
    done: dict[str, Any] = {}
    for module in modules:
        twin = _second_copy(module)
        for name, function in inspect.getmembers(twin, inspect.isfunction):
            if function.__module__ == module.__name__:
                done[name] = _jit(function)
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


def _jit(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:
        # No writable cache folder (read-only image): compile in every process instead.
        return numba.njit(function)


run = _compiled(packing, shares, kernel)["run"]
