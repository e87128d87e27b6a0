"""Every constraint of every kind, on a real API server: one manifest accepted, one refused.

The list of constraints comes from the schemas, so a constraint without a case fails here. Nothing
is stored but one object per kind: all tries are dry runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hansa.api.kinds import KINDS, Kind
from hansa.model.quantities import units
from tests.apiserver.crds.api_kit import CHANGES, NAMESPACE, Api, collection_of
from tests.apiserver.crds.bases import BASES
from tests.apiserver.crds.cases import RESERVED, ROOT_RULES, RULES, SAMPLES, Case
from tests.apiserver.crds.constraints import ADVISED, Constraint, constraints
from tests.apiserver.crds.prepared import prepared

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
BY_NAME = {kind.name: kind for kind in KINDS}
CONSTRAINTS = {str(constraint): constraint for constraint in constraints()}
TIME_SAMPLE = "2050-01-01T00:00:00.123456789+00:00"


@pytest.fixture(scope="module")
def stored(api: Api) -> dict[str, dict]:
    """The base object of each kind, as stored: with status."""
    return {kind.name: _store(api, kind, BASES[kind.name]) for kind in KINDS}


def _store(api: Api, kind: Kind, base: dict, *, namespace: str = NAMESPACE) -> dict:
    code, made = api.call("POST", collection_of(kind, namespace=namespace), base)
    assert code == 201, made
    whole = {**made, "status": base["status"]}
    code, whole = api.call("PUT", collection_of(kind, base, namespace=namespace) + "/status", whole)
    assert code == 200, whole
    return whole


@pytest.mark.parametrize("constraint", CONSTRAINTS.values(), ids=CONSTRAINTS)
def test_constraint(api: Api, stored: dict[str, dict], constraint: Constraint):
    for accepted in ACCEPTED[constraint.keyword](constraint):
        code, answer = _try(api, stored, constraint, accepted)
        assert code in {200, 201}, answer.get("message")
    for rejected in REJECTED[constraint.keyword](constraint):
        code, answer = _try(api, stored, constraint, rejected)
        assert code == 422, f"was accepted: {rejected}"
        _assert_names(answer, constraint)


def _assert_names(answer: dict, constraint: Constraint) -> None:
    field, causes = _blamed(constraint), answer["details"]["causes"]
    named = [cause for cause in causes if cause["field"] == field]
    assert named, f"no cause names {field}: {causes}"
    if constraint.keyword == "rule":
        assert any(constraint.value["message"] in cause["message"] for cause in named)
    if constraint.keyword == "advised":
        assert any("must be" in c["message"] or "must name" in c["message"] for c in named), named


def _enough(constraint: Constraint) -> list[Any]:
    return [_items(constraint, max(constraint.value, 1))]


def _samples(constraint: Constraint) -> list[Any]:
    rules = [row["rule"] for row in constraint.node.get("x-kubernetes-validations", ())]
    either = "x-kubernetes-int-or-string" in constraint.node
    good = [one for one in SAMPLES[constraint.value].good if either or isinstance(one, str)]
    if any("compareTo(quantity('1Mi'))" in row for row in rules):
        return [one for one in good if units(str(one)) >= 1 << 20]
    return [one for one in good if one != "0" or "string(self).matches('[1-9]')" not in rules]


ACCEPTED: dict[str, Callable[[Constraint], list[Any]]] = {
    "enum": lambda c: [word for word in c.value if (c.path, word) not in RESERVED],
    "minimum": lambda c: [c.value],
    "maximum": lambda c: [c.value],
    "minLength": lambda c: [_longest(c.node)],
    "maxLength": lambda c: [_longest(c.node)],
    "pattern": _samples,
    "advised": _samples,
    "minItems": _enough,
    "maxItems": _enough,
    "unique": lambda c: [_items(c, 2)],
    "format": lambda _: [TIME_SAMPLE],
    "required": lambda c: [_value(BASES[c.kind], c.path)],
    "rule": lambda c: [_case(c).accepted],
}
"""Keyword → values that must be accepted."""
REJECTED: dict[str, Callable[[Constraint], list[Any]]] = {
    "enum": lambda _: ["NotOneOfThese"],
    "minimum": lambda c: [c.value - 1],
    "maximum": lambda c: [c.value + 1],
    "minLength": lambda _: [""],
    "maxLength": lambda c: ["x" * (c.value + 1)],
    "pattern": lambda c: list(SAMPLES[c.value].bad),
    "advised": lambda c: list(SAMPLES[c.value].bad),
    "minItems": lambda _: [[]],
    "maxItems": lambda c: [_items(c, c.value + 1)],
    "unique": lambda c: [_items(c, 1) * 2],
    "format": lambda _: ["yesterday"],
    "required": lambda _: [None],
    "rule": lambda c: [_case(c).rejected],
}
"""Keyword → values that must be refused."""


def _blamed(constraint: Constraint) -> str:
    """Return the field that the refusal must name."""
    field = constraint.path.replace("[]", "[0]")
    if constraint.keyword == "unique":
        field += "[1]"
    if constraint.keyword == "rule":
        field += constraint.value.get("fieldPath", "")
    return field.removeprefix(".") or "<nil>"


def _case(constraint: Constraint) -> Case:
    rule = constraint.value
    if not constraint.path:
        return ROOT_RULES[constraint.kind, rule.get("fieldPath", "")]
    found = [case for start, case in RULES.items() if rule["message"].startswith(start)]
    assert len(found) == 1, f"{len(found)} cases for the rule: {rule['message']}"
    return found[0]


def _longest(node: dict) -> str:
    if "enum" in node:
        return node["enum"][0]
    if node.get("format") == "date-time":
        return TIME_SAMPLE
    if pattern := _pattern(node):
        return max((one for one in SAMPLES[pattern].good if isinstance(one, str)), key=len)
    return "x" * node["maxLength"]


def _pattern(node: dict) -> str | None:
    rules = (rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    return node.get("pattern") or next((ADVISED[rule] for rule in rules if rule in ADVISED), None)


def _items(constraint: Constraint, count: int) -> list[Any]:
    """Return ``count`` items that differ in whatever makes items of this list different."""
    item, keys = constraint.node["items"], constraint.node.get("x-kubernetes-list-map-keys")
    if "properties" not in item:
        return [_nth(item, n) for n in range(count)]
    base = prepared(BASES[constraint.kind], constraint.path, None)
    first = _value(base, constraint.path)[0]
    varying = keys[-1] if keys else None
    return [
        first | ({varying: _nth(item["properties"][varying], n)} if varying and n else {})
        for n in range(count)
    ]


def _nth(node: dict, n: int) -> Any:
    if "enum" in node:
        return node["enum"][n % len(node["enum"])]
    if node.get("type") == "integer":
        return node["minimum"] + n
    if node.get("format") == "date-time":
        return f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z"
    pattern = _pattern(node)
    return SAMPLES[pattern].nth(n) if pattern else f"T{n}"


def _value(manifest: Any, path: str) -> Any:
    for step in _steps(path):
        manifest = manifest[step]
    return manifest


def _steps(path: str) -> list[str | int]:
    return [0 if step == "[]" else step for step in path.replace("[]", ".[]").split(".")[1:]]


def _put(manifest: Any, path: str, value: Any) -> dict:
    steps = _steps(path)
    here, last = manifest, steps[-1]
    for step, following in pairwise(steps):
        if isinstance(step, str) and step not in here:
            here[step] = [{}] if following == 0 else {}
        here = here[step]
    if isinstance(last, int):
        here[last:] = [value]
    elif value is None:
        here.pop(last, None)
    else:
        here[last] = value
    return manifest


def _manifest(constraint: Constraint, value: Any, base: dict) -> dict:
    path = constraint.path
    if not path:
        return copy.deepcopy(value)
    out = _put(prepared(base, path, value), path, value)
    if path in {".spec.job.uid", ".spec.epoch"} and value is not None:
        out["metadata"]["name"] = f"{out['spec']['job']['uid']}-e{out['spec']['epoch']}"
    return out


def _try(api: Api, stored: dict[str, dict], constraint: Constraint, value: Any) -> tuple[int, dict]:
    """Dry-run a manifest: a create, or an update for status and for rules about change."""
    kind = BY_NAME[constraint.kind]
    if constraint.path.startswith(".status"):
        manifest = _manifest(constraint, value, stored[kind.name])
        return api.call("PUT", collection_of(kind, manifest) + "/status?dryRun=All", manifest)
    manifest = _manifest(constraint, value, BASES[kind.name])
    if constraint.keyword == "rule" and (old := _case(constraint).old) is not None:
        return _change(api, kind, _manifest(constraint, old, BASES[kind.name]), manifest)
    code, answer = api.call("POST", collection_of(kind) + "?dryRun=All", manifest)
    # The stored object has the name; the API server looks for that only after validation.
    return (200, answer) if answer.get("reason") == "AlreadyExists" else (code, answer)


def _change(api: Api, kind: Kind, old: dict, new: dict) -> tuple[int, dict]:
    if not kind.namespaced:
        for manifest in (old, new):
            manifest["metadata"]["name"] = "changing"
    before = _store(api, kind, old, namespace=CHANGES)
    name = before["metadata"]["name"]
    new["metadata"] = {"name": name, "resourceVersion": before["metadata"]["resourceVersion"]}
    path = collection_of(kind, before, namespace=CHANGES)
    answer = api.call("PUT", path + "?dryRun=All", new)
    assert api.call("DELETE", path)[0] == 200
    return answer
