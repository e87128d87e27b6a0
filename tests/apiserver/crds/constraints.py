"""Walks the generated schemas: every constraint the API server enforces, as a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hansa.api.generate.schema import custom_resource_definition
from hansa.api.kinds import KINDS
from hansa.api.meta import PATTERN_ADVICE

ADVISED = {
    f"{text}.matches(r'{pattern}')": pattern
    for text in ("self", "string(self)")
    for pattern in PATTERN_ADVICE
}
"""Patterns that were generated as CEL rules for the sake of their message."""
BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "enum")


@dataclass(frozen=True)
class Constraint:
    """One thing the API server refuses."""

    kind: str
    path: str
    """``.spec.env[].name``; the field the constraint sits on (for ``required``: the one missing)."""
    keyword: str
    value: Any = field(hash=False)
    node: dict = field(hash=False, repr=False)
    """The schema of the field."""

    def __str__(self) -> str:
        shown = self.value
        if self.keyword == "rule":
            shown = self.value.get("fieldPath", "") + " " + self.value["message"][:40]
        return f"{self.kind}{self.path}:{self.keyword}={str(shown)[:60]}"


def schema_of(kind: str) -> dict:
    """Return the structural schema of a kind by name."""
    row = next(row for row in KINDS if row.name == kind)
    version = custom_resource_definition(row)["spec"]["versions"][0]
    return version["schema"]["openAPIV3Schema"]


def constraints() -> list[Constraint]:
    """Return every constraint of every kind."""
    return [found for row in KINDS for found in _walk(row.name, "", schema_of(row.name))]


def _walk(kind: str, path: str, node: dict) -> Iterator[Constraint]:
    yield from (Constraint(kind, path, key, node[key], node) for key in BOUNDS if key in node)
    if node.get("format") == "date-time":
        yield Constraint(kind, path, "format", "date-time", node)
    if "pattern" in node:
        yield Constraint(kind, path, "pattern", node["pattern"], node)
    for rule in node.get("x-kubernetes-validations", ()):
        pattern = ADVISED.get(rule["rule"])
        if pattern:
            yield Constraint(kind, path, "advised", pattern, node)
        else:
            yield Constraint(kind, path, "rule", rule, node)
    if node.get("x-kubernetes-list-type", "atomic") != "atomic":
        yield Constraint(kind, path, "unique", node["x-kubernetes-list-type"], node)
    for name in node.get("required", ()):
        yield Constraint(kind, f"{path}.{name}", "required", name, node)
    for name, child in node.get("properties", {}).items():
        if name != "metadata" or path:
            yield from _walk(kind, f"{path}.{name}", child)
    if "items" in node:
        yield from _walk(kind, f"{path}[]", node["items"])
