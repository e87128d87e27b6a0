"""Evaluates the FinOps Foundation's published rules of FOCUS over a CSV export.

The foundation's own validator reads the same model, and needs another Python and another numpy than the
project's; so the model is taken from its package, pinned by its digest, and evaluated here. Rules that the
model marks as not machine-checkable (``Dynamic``) or as no demand (``SHOULD``, ``MAY``) are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

ROOT = "CostAndUsage-D-000-M"
DEMANDS = frozenset({"MUST", "MUST NOT"})
NEAR = Decimal("1e-9")
"""So far may a product of price and quantity be off, of the result or of one: as in the foundation's validator."""
NUMBER = re.compile(r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$", re.ASCII)
TIME = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", re.ASCII)
CURRENCY = re.compile(r"^[A-Z]{3}$", re.ASCII)
Row = Mapping[str, str]
Check = Mapping[str, Any]


@dataclass(frozen=True)
class Export:
    """A CSV: an empty cell is null."""

    columns: Sequence[str]
    rows: Sequence[Row]


def violations(
    rules: Mapping[str, Any], export: Export, supported: frozenset[str]
) -> tuple[list[str], int]:
    """Return what does not conform, and how many rules were evaluated.

    ``supported``: applicability criteria that the provider claims: rules of others do not bind it.
    """
    runner = _Runner(rules, export, supported)
    return list(runner.walk(ROOT, ())), len(runner.evaluated)


class _Runner:
    def __init__(self, rules: Mapping[str, Any], export: Export, supported: frozenset[str]) -> None:
        self._rules, self._export, self._supported = rules, export, supported
        self.evaluated: set[str] = set()

    def walk(self, name: str, conditions: tuple[Check, ...]) -> Iterator[str]:
        """Yield what violates a rule, or those it is made of; a composite's condition is its parts' too."""
        rule = self._rules[name]
        said = rule["ValidationCriteria"]
        if rule["Status"] != "Active" or not self._supported.issuperset(
            rule["ApplicabilityCriteria"]
        ):
            return
        if said["Condition"]:
            conditions = (*conditions, said["Condition"])
        if rule["Function"] == "Composite":
            yield from self._parts(said["Requirement"], conditions)
        elif rule["Type"] == "Static" and said["Keyword"] in DEMANDS:
            self.evaluated.add(name)
            yield from (
                f"{name}: {said['MustSatisfy']} {why}" for why in self._judge(said, conditions)
            )

    def _parts(self, check: Check, conditions: tuple[Check, ...]) -> Iterator[str]:
        if check["CheckFunction"] == "CheckModelRule":
            yield from self.walk(check["ModelRuleId"], conditions)
        elif check["CheckFunction"] == "AND":
            for item in check["Items"]:
                yield from self._parts(item, conditions)
        else:
            ways = [list(self._parts(item, conditions)) for item in check["Items"]]
            if all(ways):
                yield from ways[0]

    def _judge(self, said: Mapping[str, Any], conditions: tuple[Check, ...]) -> Iterator[str]:
        check, columns = said["Requirement"], self._export.columns
        if check["CheckFunction"] == "ColumnPresent":
            if check["ColumnName"] not in columns:
                yield "(it is missing)"
            return
        if any(name not in columns for name in _columns(check)):
            return
        rows = [row for row in self._export.rows if all(_holds(each, row) for each in conditions)]
        if check["CheckFunction"] == "CheckDistinctCount":
            yield from _miscounted(check, rows)
            return
        bad = [row for row in rows if not _holds(check, row)]
        if bad:
            yield f"({len(bad)} of {len(rows)} rows, first: {_shown(check, bad[0])})"


def _columns(check: Check) -> Iterator[str]:
    for item in check.get("Items", ()):
        yield from _columns(item)
    yield from (value for key, value in check.items() if key.endswith("ColumnName"))
    yield from (check[key] for key in ("ColumnAName", "ColumnBName") if key in check)


def _shown(check: Check, row: Row) -> str:
    return ", ".join(f"{name}={row.get(name)!r}" for name in sorted(set(_columns(check))))


def _miscounted(check: Check, rows: Sequence[Row]) -> Iterator[str]:
    found: dict[str, set[str]] = {}
    for row in rows:
        if row[check["ColumnAName"]]:
            found.setdefault(row[check["ColumnAName"]], set()).add(row[check["ColumnBName"]])
    for name, others in found.items():
        if len(others) != check["ExpectedCount"]:
            yield f"({name} has {len(others)} of {check['ColumnBName']})"


def _holds(check: Check, row: Row) -> bool:
    return FUNCTIONS[check["CheckFunction"]](check, row)


def _value(check: Check, row: Row) -> str:
    return row.get(check.get("ColumnName") or check["CheckCondition"], "")


def _is(check: Check, row: Row) -> bool:
    wanted, found = check["Value"], _value(check, row)
    if wanted is None:
        return not found
    if isinstance(wanted, int | float):
        return bool(found) and _number(found) == Decimal(str(wanted))
    return found == str(wanted)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if NUMBER.match(text) else None
    except InvalidOperation:
        return None


def _product(check: Check, row: Row) -> bool:
    names = (check["ColumnAName"], check["ColumnBName"], check["ResultColumnName"])
    first, second, result = (_number(row.get(name, "")) for name in names)
    if first is None or second is None or result is None:
        return False
    return abs(first * second - result) <= NEAR * max(abs(result), Decimal(1))


def _time(text: str) -> bool:
    try:
        return bool(TIME.match(text)) and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _keyed(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    plain = str | int | float | bool | None
    return isinstance(found, dict) and all(isinstance(value, plain) for value in found.values())


def _same(check: Check, row: Row) -> bool:
    return row.get(check["ColumnAName"], "") == row.get(check["ColumnBName"], "")


def _told(test: Callable[[str], bool]) -> Callable[[Check, Row], bool]:
    """A test of values: whether null is allowed is said by other rules."""
    return lambda check, row: not _value(check, row) or test(_value(check, row))


_is_number = _told(lambda text: _number(text) is not None)
_is_time = _told(_time)
_is_currency = _told(lambda text: bool(CURRENCY.match(text)))
_is_text = _told(lambda text: text == text.strip() and text.isprintable())
FUNCTIONS: Mapping[str, Callable[[Check, Row], bool]] = {
    "AND": lambda check, row: all(_holds(item, row) for item in check["Items"]),
    "OR": lambda check, row: any(_holds(item, row) for item in check["Items"]),
    "CheckValue": _is,
    "CheckNotValue": lambda check, row: not _is(check, row),
    "CheckSameValue": _same,
    "CheckNotSameValue": lambda check, row: not _same(check, row),
    "CheckGreaterOrEqualThanValue": _told(lambda text: (_number(text) or Decimal(-1)) >= 0),
    "CheckDecimalValue": _is_number,
    "CheckNationalCurrency": _is_currency,
    "ColumnByColumnEqualsColumnValue": _product,
    "FormatCurrency": _is_currency,
    "FormatDateTime": _is_time,
    "FormatKeyValue": _told(_keyed),
    "FormatNumeric": _is_number,
    "FormatString": _is_text,
    "TypeDateTime": _is_time,
    "TypeDecimal": _is_number,
    "TypeString": _is_text,
}
