"""Compiled code that is given a table by its address does what Python does, and counts nothing."""

from __future__ import annotations

import ast
import inspect
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from hansa.placement.kernel import compiled
from hansa.placement.kernel.compiled_tables import table
from hansa.placement.kernel.tables import (
    Accounts,
    Caps,
    Exchange,
    Jobs,
    Kinds,
    State,
    Supply,
    Transaction,
)


class Inner(NamedTuple):
    first: Any
    second: Any


class Outer(NamedTuple):
    left: Inner
    right: Inner


class Lists(NamedTuple):
    some: Any
    log: Any


def read_and_write(outer: Outer, lists: Lists) -> int:
    left, second = outer.left, outer.right.second
    left.first[0] += 5
    left.first[-1] = second[1] * 2
    second[len(second) - 1] |= 8
    for at in range(len(left.second)):
        left.second[at], second[at] = second[at], left.second[at]
    return left.first[0] + outer.left.first[-2] + len(lists.log)


def push_and_pop(outer: Outer, lists: Lists) -> int:
    log, kept = lists.log, 0
    for number in range(100):  # beyond what a list has room for at first
        log.append(number + outer.right.first[0])
    while len(log) > 40:
        kept += log.pop()
    log[-1] = 7
    lists.some.extend(log)
    for number in lists.some:
        kept += number
    log.clear()
    return kept + len(lists.some) + lists.some[3]


PROGRAMS = {"columns": read_and_write, "lists": push_and_pop}


def outer_of(columns):
    return Outer(Inner(*columns[:2]), Inner(*columns[2:]))


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_compiled_code_does_what_python_does(program):
    columns = np.random.default_rng(1).integers(0, 1000, (4, 5))
    ours, theirs, lists = columns.copy(), columns.copy(), Lists([], [])
    function = numba.njit(program)

    @numba.njit
    def entry(outer):
        owned = Lists([0 for _ in range(0)], [0 for _ in range(0)])
        said = function(table(outer), table(owned))
        return said, np.array(owned.some, dtype=np.int64), len(owned.log)

    said, some, left = entry(outer_of(ours))

    assert said == program(outer_of(theirs), lists)
    assert ours.tolist() == theirs.tolist()
    assert (some.tolist(), left) == (lists.some, len(lists.log))


ODD = {
    "every other entry": (np.arange(6)[::2], "int64, 1d, A"),
    "smaller numbers": (np.arange(3, dtype=np.int32), "int32"),
    "two dimensions": (np.zeros((2, 2), np.int64), "2d"),
}


@pytest.mark.parametrize(("column", "words"), ODD.values(), ids=ODD)
def test_a_column_of_another_form_is_refused_by_name(column, words):
    @numba.njit
    def entry(outer):
        return table(outer).left.first[1]

    good = np.arange(3)

    with pytest.raises(numba.TypingError, match=rf"Inner\.second is .*{words}"):
        entry(Outer(Inner(good, column), Inner(good, good)))


def test_no_reference_is_counted_where_gangs_move():
    """Where they were, exchanges took ten times as long, and compiling the kernel four times."""
    leave = compiled._compiled()["leave"]
    columns = [
        kind(*(np.zeros(1, np.int64) for _ in kind._fields))
        for kind in (Supply, Kinds, Jobs, Accounts, Caps, Exchange)
    ]

    @numba.njit
    def entry(state, tx):
        leave(table(state), table(tx), 0)

    tx = Transaction(*([0] for _ in Transaction._fields))
    signature = numba.typeof(State(*columns)), numba.typeof(tx)
    entry.compile(signature)
    (text,) = leave.inspect_llvm().values()

    assert "transaction4lift" in text
    assert "call void @NRT_incref" not in text
    assert "call void @NRT_decref" not in text


@pytest.mark.parametrize("module", compiled.MODULES, ids=lambda module: module.__name__)
def test_what_is_cached_is_named_by_every_source_it_holds(module):
    """Constants, too: a kernel compiled from others must not be found."""
    named = {source.__name__ for source in compiled.SOURCES}
    read = {
        node.module
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hansa")
    }

    assert read
    assert read <= named


@pytest.mark.parametrize("module", compiled.MODULES, ids=lambda module: module.__name__)
def test_no_list_is_cut_out_of_another(module):
    """Compiled, nobody would own what is cut out of a list of the transaction, and nobody free it."""
    assert not [
        ast.unparse(node)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Slice)
    ]
