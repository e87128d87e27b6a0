"""Renders the page of fields, ``docs/reference/resources.md``, from the generated definitions.

It reads what the API server gets and not the models, so that a limit which is lost on the way to
``crds/`` is missed here too. ``hansa.cli.generated.reference`` writes the file; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hansa.api.aijob import AIJobSpec
from hansa.api.generate.admission import FROZEN_WHEN_PLACED, SIGNED_FIELDS
from hansa.api.generate.schema import custom_resource_definition
from hansa.api.kinds import KINDS, Kind
from hansa.api.meta import API_VERSION, DNS_LABEL, INT_OR_STRING, PATTERN_ADVICE, Model
from hansa.api.workgrant import WorkGrantSpec


def _others(model: type[Model], frozen: tuple[str, ...]) -> str:
    names = (info.alias or name for name, info in model.model_fields.items())
    return " and ".join(f"`{name}`" for name in names if name not in frozen)


_SHARED = {
    "conditions": "list of [condition](#conditions)",
    "memberConditions": "list of [condition](#conditions)",
    "jobSpec": "the spec of [AIJob](#aijob)",
    "residency": "[residency](#residency)",
}
"""Fields whose insides are described once, and the words that stand in their place."""
_NAME_ADVICE = PATTERN_ADVICE[DNS_LABEL]
_POLICY = "says an admission policy of the hub's chart"
_CHANGES = {
    "AIJob": f"while a node holds the job, only {_others(AIJobSpec, FROZEN_WHEN_PLACED)} can be changed,"
    f" {_POLICY}",
    "WorkGrant": f"only {_others(WorkGrantSpec, SIGNED_FIELDS)} can be changed, {_POLICY}; the rest is"
    " signed",
}
_INTRODUCTION = f"""# Resources

All kinds are `{API_VERSION}` and in the category `hansa`, so `kubectl get hansa` lists them. Field
names ending in `[]` are list items. A field without a default is either required (marked so) or
absent until somebody knows its value. A *name* is at most 63 lower case letters, digits and `-`.
What stands in italics is the sentence the API server answers with when the value is wrong. A number
in brackets is the most characters of a string.
"""
_RESIDENCY = """
(residency)=
## Residency

Two separate tests, written the same way everywhere: `location` asks where the machine stands,
`legalControl` asks whose law reaches its operator. Every jurisdiction the operator declares must pass.

| field | type | default | meaning |
|---|---|---|---|
"""
_CONDITIONS = """
(conditions)=
## Conditions

The shape of `metav1.Condition`. Reasons are listed in [reasons](reasons.md).

| field | type | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the whole page as Markdown."""
    schemas = {kind.name: _schema(kind) for kind in KINDS}
    job = schemas["AIJob"]["properties"]
    parts = [_INTRODUCTION]
    parts += [_kind(kind, schemas[kind.name]) for kind in KINDS]
    parts.append(_RESIDENCY + _table(_inside(job["spec"]["properties"]["residency"], "")))
    conditions = job["status"]["properties"]["conditions"]["items"]
    parts.append(_CONDITIONS + _table(_inside(conditions, "")))
    return "".join(parts)


def _schema(kind: Kind) -> dict[str, Any]:
    version = custom_resource_definition(kind)["spec"]["versions"][0]
    return dict(version["schema"]["openAPIV3Schema"])


def _kind(kind: Kind, schema: dict[str, Any]) -> str:
    scope = "namespaced" if kind.namespaced else "cluster-wide"
    head = (
        f"\n({kind.name.lower()})=\n## {kind.name}\n\n{schema['description']}"
        f" On the {kind.cluster}, {scope}, short name `{'`, `'.join(kind.short_names)}`.\n"
    )
    columns = "| field | type | default | meaning |\n|---|---|---|---|\n"
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    return (
        f"{head}\n### {kind.name} spec\n\n{columns}{_table(_inside(spec, ''))}"
        f"{_rules(kind, schema)}\n### {kind.name} status\n\n{columns}{_table(_inside(status, ''))}"
    )


def _inside(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ())
    for name, child in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        words = child.get("description", "")
        if name in _SHARED:
            yield here, _SHARED[name], "", words
            continue
        item = child.get("items", child)
        default = "**required**" if name in required else _default(child)
        yield here, _type(child), default, _joined(words, item)
        if "properties" in item:
            yield from _inside(item, here + ("[]" if "items" in child else ""))


def _type(schema: dict[str, Any]) -> str:
    if "items" in schema:
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {_type(schema['items'])}{most}"
    if "enum" in schema:
        return " / ".join(f"`{value}`" for value in schema["enum"])
    if INT_OR_STRING not in schema and {"minimum", "maximum"} & schema.keys():
        return f"{schema['type']} {_range(schema)}"
    if schema.get("format") == "date-time":
        return "time"
    if _NAME_ADVICE in _messages(schema):
        return "name"
    longest = f" (≤ {schema['maxLength']})" if "maxLength" in schema else ""
    return f"{schema.get('type', 'integer or string')}{longest}"


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is None:
        return f"≥ {low:,}"
    return f"≤ {high:,}" if low is None else f"{low:,} to {high:,}"


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value is None or value in ([], {}) or isinstance(value, dict):
        return ""
    return (
        "empty" if value == "" else f"`{value}`".replace("True", "true").replace("False", "false")
    )


def _messages(schema: dict[str, Any]) -> list[str]:
    return [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]


def _joined(words: str, schema: dict[str, Any]) -> str:
    told = [f"*{message}.*" for message in _messages(schema) if message != _NAME_ADVICE]
    return "; ".join([words.removesuffix("."), *told]) if told else words


def _rules(kind: Kind, schema: dict[str, Any]) -> str:
    told = [f"- {text}" for text in _messages(schema)]
    told += [f"- {_CHANGES[kind.name]}"] if kind.name in _CHANGES else []
    return f"\nRules over the whole object:\n\n{chr(10).join(told)}\n" if told else ""


def _table(rows: Iterator[tuple[str, str, str, str]]) -> str:
    return "".join(
        f"| `{path}` | {kind} | {default} | {words.replace('|', chr(92) + '|')} |\n"
        for path, kind, default, words in rows
    )
