# mypy: disable-error-code="no-untyped-call, untyped-decorator"
"""Tables as the compiled kernel sees them: the place where a table stands, and nothing counted.

A function that takes a tuple of arrays, or takes a tuple out of a tuple, counts a reference to every
array in it, twice: in functions as small as the kernel's that is most of their time, and most of the
time it takes to compile them. A run owns what it works on from its begin to its end, so it hands out
one address for a table. A column is looked up there when it is asked for.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
    type_callable,
)

_emit: Any = cgutils


class Column(types.Type):
    """Address and size of an array of int64."""


class Entries(types.List):
    """A list of integers that somebody else owns. Not to be sliced: nobody would own the slice."""

    def copy(self, *_: Any, **__: Any) -> Entries:
        """Whatever is asked of it, it stays one."""
        return self


COLUMN = Column("Column")
ENTRIES = Entries(types.int64)
WHOLE = (types.Array(types.int64, 1, "C"), types.Array(types.int64, 1, "C", readonly=True))
"""What a column may be looked up in: its entries stand one after the other."""


class Table(types.Type):
    """The address of a named tuple of columns, lists or further tables."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.fields = {
            name: _seen_as(type_, f"{record.instance_class.__name__}.{name}")
            for name, type_ in zip(record.fields, record.types, strict=True)
        }
        super().__init__(f"Table({record.name})")

    def at(self, name: str) -> tuple[int, Any]:
        """Where a field stands in the tuple, and its type there."""
        index = self.record.fields.index(name)
        return index, self.record.types[index]


def _seen_as(type_: Any, name: str) -> Any:
    if isinstance(type_, types.BaseNamedTuple):
        return Table(type_)
    if isinstance(type_, types.List) and type_.dtype == types.int64:
        return ENTRIES
    if type_ in WHOLE:
        return COLUMN
    raise errors.TypingError(f"{name} is {type_}; a column is an array of int64 without gaps")


@register_model(Table)
class _TableModel(models.PrimitiveModel):
    def __init__(self, manager: Any, table: Table) -> None:
        super().__init__(manager, table, manager[table.record].get_value_type().as_pointer())


@register_model(Column)
class _ColumnModel(models.StructModel):
    def __init__(self, manager: Any, column: Column) -> None:
        super().__init__(
            manager, column, [("data", types.CPointer(types.int64)), ("size", types.intp)]
        )


@register_model(Entries)
class _EntriesModel(models.StructModel):
    """As numba's own, but for an owner to count."""

    def __init__(self, manager: Any, entries: Entries) -> None:
        super().__init__(manager, entries, [("meminfo", types.voidptr), ("parent", types.voidptr)])


@infer_getattr
class _Fields(AttributeTemplate):
    key = Table

    def generic_resolve(self, table: Table, name: str) -> Any:  # type: ignore[override]
        return table.fields.get(name)


@lower_getattr_generic(Table)
def _field(context: Any, builder: Any, table: Table, address: Any, name: str) -> Any:
    index, type_ = table.at(name)
    place = _emit.gep_inbounds(builder, address, 0, index)
    if isinstance(type_, types.Array):
        array = context.make_array(type_)(context, builder, ref=place)
        column = context.make_helper(builder, COLUMN)
        column.data, column.size = array.data, array.nitems
        return column._getvalue()  # noqa: SLF001  # numba has no public name for it
    if isinstance(type_, types.List):
        owned = context.make_helper(builder, type_, ref=place)
        entries = context.make_helper(builder, ENTRIES)
        entries.meminfo = owned.meminfo
        return entries._getvalue()  # noqa: SLF001
    return place


def _table(_typing: Any, record: Any) -> Any:
    """The table that a tuple is; good as long as who makes it runs and has the tuple."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _emit.alloca_once_value(builder, arguments[0])

    return Table(record)(record), generate


table: Any = intrinsic(_table)


def _place_of(context: Any, builder: Any, column: Any, at: Any, at_type: Any) -> Any:
    """Address of an entry, counted from the end below 0 as everywhere."""
    column = context.make_helper(builder, COLUMN, column)
    at = context.cast(builder, at, at_type, types.intp)
    is_below = builder.icmp_signed("<", at, ir.Constant(at.type, 0))
    at = builder.select(is_below, builder.add(at, column.size), at)
    return builder.gep(column.data, [at])


@type_callable(operator.getitem)
def _get_type(_context: Any) -> Any:
    def typer(column: Any, at: Any) -> Any:
        is_ours = isinstance(column, Column) and isinstance(at, types.Integer)
        return types.int64 if is_ours else None

    return typer


@type_callable(operator.setitem)
def _set_type(_context: Any) -> Any:
    def typer(column: Any, at: Any, _value: Any) -> Any:
        is_ours = isinstance(column, Column) and isinstance(at, types.Integer)
        return types.none if is_ours else None

    return typer


@type_callable(len)
def _len_type(_context: Any) -> Any:
    def typer(column: Any) -> Any:
        return types.intp if isinstance(column, Column) else None

    return typer


@lower_builtin(operator.getitem, Column, types.Integer)
def _get(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    column, at = arguments
    return builder.load(_place_of(context, builder, column, at, signature.args[1]))


@lower_builtin(operator.setitem, Column, types.Integer, types.Integer)
def _set(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    column, at, value = arguments
    value = context.cast(builder, value, signature.args[2], types.int64)
    builder.store(value, _place_of(context, builder, column, at, signature.args[1]))
    return context.get_dummy_value()


@lower_builtin(len, Column)
def _len(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    return context.make_helper(builder, COLUMN, arguments[0]).size
