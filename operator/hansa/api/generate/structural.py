"""Turns a pydantic model into the structural schema that a CustomResourceDefinition needs.

Kubernetes accepts a subset of JSON Schema: no references, no unions, no closed objects. What cannot
be said in that subset raises here rather than being dropped, so a constraint is never lost quietly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from hansa.api.meta import INT_OR_STRING, LIST_KEYS, OPAQUE, PATTERN_ADVICE

Schema = dict[str, Any]

_RULES = "x-kubernetes-validations"
_COPIED = (
    "type", "format", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", _RULES, "x-kubernetes-list-type",
)  # fmt: skip
_DROPPED = {
    "title", "additionalProperties", "description", "default", "$defs", "$ref", "properties",
    "required", "items", "pattern", "anyOf", LIST_KEYS,
    INT_OR_STRING,
}  # fmt: skip
_CEL_BUDGET = 1_000_000
"""Most estimated cost units one pattern may take as a CEL rule; the API server refuses at 10 million."""


class UnsupportedSchemaError(TypeError):
    """A model says something that a structural schema cannot."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the schema we are, and what that allows."""

    path: str
    times: int = 1
    """How often this may occur in one object: the product of the enclosing ``maxItems``."""
    defaults: bool = True
    advice: bool = True
    """Whether patterns become CEL rules whose message tells a person what would be right."""

    def child(self, name: str) -> _Place:
        return replace(self, path=f"{self.path}.{name}")

    def item(self, most: int) -> _Place:
        return replace(self, path=f"{self.path}[]", times=self.times * most)


def structural_schema(
    model: type[BaseModel],
    *,
    without_defaults: frozenset[str] = frozenset(),
    for_people: bool = True,
) -> Schema:
    """Return the structural schema of ``model``.

    Args:
        model: the root of a kind.
        without_defaults: paths (``.spec.overlays``) below which the API server must add nothing.
        for_people: whether patterns become CEL rules, which cost the API server more and say more.

    Raises:
        UnsupportedSchemaError: for unions, open objects and patterns without advice.
    """
    document = model.model_json_schema(by_alias=True)
    root = _Place("", advice=for_people)
    return _Converter(document.get("$defs", {}), without_defaults).convert(document, root)


@dataclass(frozen=True, slots=True)
class _Converter:
    definitions: Schema
    without_defaults: frozenset[str]

    def convert(self, raw: Schema, place: _Place) -> Schema:
        """Return the structural form of one schema node."""
        place = self._entering(place)
        node = self._resolved(raw, place)
        if OPAQUE.items() <= node.items():
            return {k: node[k] for k in ("description", "type", *OPAQUE)}
        if unknown := set(node) - set(_COPIED) - _DROPPED:
            raise UnsupportedSchemaError(f"{place.path}: {sorted(unknown)} has no structural form")
        out: Schema = {key: node[key] for key in ("description",) if key in node}
        out |= {key: node[key] for key in _COPIED if key in node}
        if place.defaults and node.get("default") is not None:
            out["default"] = _without_nulls(node["default"])
        if node.get("type") == "integer":
            out["format"] = "int64"
        if node.get("type") == "array":
            out |= self._array(node, place)
        if node.get("type") == "object":
            out |= self._object(node, place)
        if INT_OR_STRING in node and place.advice:
            # People write numbers; what processes write into a status has one spelling.
            del out["type"]
            out[INT_OR_STRING] = True
        if "pattern" in node:
            _add_pattern(out, node, place)
        return out

    def _entering(self, place: _Place) -> _Place:
        # Facts have no defaults: an absent status field means that nobody has looked yet.
        if place.path == ".status":
            return replace(place, defaults=False, advice=False)
        return replace(place, defaults=False) if place.path in self.without_defaults else place

    def _resolved(self, raw: Schema, place: _Place) -> Schema:
        node = dict(raw)
        if "anyOf" in node:
            branches = [branch for branch in node.pop("anyOf") if branch.get("type") != "null"]
            if len(branches) != 1:
                raise UnsupportedSchemaError(f"{place.path}: a union has no structural form")
            node = {**branches[0], **node}
        if "$ref" in node:
            target = self.definitions[node.pop("$ref").removeprefix("#/$defs/")]
            both = [*target.get(_RULES, ()), *node.get(_RULES, ())]
            node = {**target, **node} | ({_RULES: both} if both else {})
        return node

    def _object(self, node: Schema, place: _Place) -> Schema:
        if "properties" not in node:
            raise UnsupportedSchemaError(f"{place.path}: an object without named fields")
        out: Schema = {"required": node["required"]} if node.get("required") else {}
        out["properties"] = {
            name: self.convert(child, place.child(name))
            for name, child in node["properties"].items()
        }
        return out

    def _array(self, node: Schema, place: _Place) -> Schema:
        item = self._resolved(node["items"], place)
        keys = item.get(LIST_KEYS)
        out: Schema = {"items": self.convert(node["items"], place.item(node.get("maxItems", 1)))}
        if keys:
            out |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        else:
            kind = "atomic" if item["type"] == "object" else "set"
            out["x-kubernetes-list-type"] = node.get("x-kubernetes-list-type", kind)
        out["items"].pop("description", None)
        return out


def _add_pattern(out: Schema, node: Schema, place: _Place) -> None:
    # A bare pattern fails with "should match '^[a-z0-9]([-a-z…'": true, and of no help.
    pattern, longest = node["pattern"], node["maxLength"]
    if pattern not in PATTERN_ADVICE:
        raise UnsupportedSchemaError(f"{place.path}: no advice for the pattern {pattern}")
    cost = math.ceil(longest * 0.4) * math.ceil(len(pattern) * 0.25) * place.times
    # To CEL a date-time is a moment, whose text is gone.
    if not place.advice or cost > _CEL_BUDGET or out.get("format") == "date-time":
        out["pattern"] = pattern
        out |= {"minimum": 0} if INT_OR_STRING in out else {}
        return
    text = "string(self)" if INT_OR_STRING in out else "self"
    rule = {"rule": f"{text}.matches(r'{pattern}')", "message": PATTERN_ADVICE[pattern]}
    out[_RULES] = [rule, *out.get(_RULES, [])]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
