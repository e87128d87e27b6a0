"""What every definition in ``crds/`` keeps to, whoever adds the next field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEFINITIONS = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))
}
EACH = pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)

BOOLEANS = {
    "spec.suspend": "the Kubernetes Job API's own word and shape; there is no third state",
}
"""Booleans cannot grow a third value later; each one here says why it never will."""
OPAQUE = {
    "spec.jobSpec": "signed: to prune or to default it would break its digest; the member, who"
    " trusts no server, reads it with the model of an AIJob",
}
"""Objects that the API server passes on unread."""
CREDENTIALS = re.compile(
    r"password|passphrase|token|kubeconfig|privatekey|credential", re.IGNORECASE
)
POD_FIELDS = {
    "podSpec", "podTemplate", "template", "hostPath", "hostNetwork", "hostPID", "hostIPC",
    "privileged", "nodeName", "nodeSelector", "tolerations", "serviceAccountName", "volumes",
    "securityContext", "containers", "initContainers", "runtimeClassName",
}  # fmt: skip


def _schema(definition: dict) -> dict:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _fields(definition: dict) -> Iterator[tuple[str, dict]]:
    """Yield (path, schema) of every property and list item below spec and status."""
    properties = _schema(definition)["properties"]
    for name in ("spec", "status"):
        yield from _below(name, properties[name])


def _below(path: str, node: dict) -> Iterator[tuple[str, dict]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _below(f"{path}.{name}", child)
    if "items" in node:
        yield from _below(f"{path}[]", node["items"])


def _offenders(definition: dict, wrong: Any) -> list[str]:
    return [path for path, node in _fields(definition) if wrong(path, node)]


RULES = {
    "conditions, not phases": lambda path, _: path.endswith(".phase"),
    "no floats: integers, or decimals as strings": lambda _, node: (
        node.get("type") == "number" or node.get("format") in {"float", "double"}
    ),
    "integers say their width": lambda _, node: (
        node.get("type") == "integer" and node.get("format") != "int64"
    ),
    "an enum where a boolean could grow": lambda path, node: (
        node.get("type") == "boolean" and path not in BOOLEANS
    ),
    "every field is described": lambda path, node: (
        not path.endswith("[]") and not str(node.get("description", "")).endswith(".")
    ),
    "every string is bounded": lambda _, node: (
        node.get("type") == "string" and "maxLength" not in node and "enum" not in node
    ),
    "every list is bounded": lambda _, node: node.get("type") == "array" and "maxItems" not in node,
    "every list says how it merges": lambda _, node: (
        node.get("type") == "array" and "x-kubernetes-list-type" not in node
    ),
    "no open objects": lambda path, node: (
        node.get("type") == "object"
        and ("additionalProperties" in node or not node.get("properties"))
        and path not in OPAQUE
    ),
    "what is preserved is refused by name": lambda path, node: (
        "x-kubernetes-preserve-unknown-fields" in node
        and path not in OPAQUE
        and not ("properties" in node and re.match(r"spec\b", path))
    ),
    "no secret travels in a field": lambda path, _: bool(CREDENTIALS.search(path.split(".")[-1])),
    "no part of a pod spec": lambda path, _: path.split(".")[-1].removesuffix("[]") in POD_FIELDS,
    "camelCase": lambda path, _: not re.fullmatch(r"[a-z][a-zA-Z0-9]*(\[\])*", path.split(".")[-1]),
    "facts have no defaults": lambda path, node: path.startswith("status") and "default" in node,
    "no nulls": lambda _, node: "nullable" in node,
}


@EACH
@pytest.mark.parametrize("wrong", RULES.values(), ids=RULES)
def test_convention(definition: dict, wrong: Any):
    assert _offenders(definition, wrong) == []


@EACH
def test_every_boolean_on_the_list_exists(definition: dict):
    booleans = {path for path, node in _fields(definition) if node.get("type") == "boolean"}

    assert booleans <= set(BOOLEANS)


@EACH
def test_what_is_opaque_is_one_value(definition: dict):
    opaque = {path: node for path, node in _fields(definition) if path in OPAQUE}

    assert all(node["x-kubernetes-map-type"] == "atomic" for node in opaque.values())
    assert len(opaque) == (definition["spec"]["names"]["kind"] == "WorkGrant")


@EACH
def test_conditions_have_the_standard_shape(definition: dict):
    lists = [(path, node) for path, node in _fields(definition) if path.endswith("onditions")]

    assert "status.conditions" in dict(lists)
    for _, node in lists:
        item = node["items"]["properties"]
        assert node["x-kubernetes-list-map-keys"] == ["type"]
        assert set(item) == {
            "type", "status", "reason", "message", "lastTransitionTime", "observedGeneration",
        }  # fmt: skip
        assert item["status"]["enum"] == ["True", "False", "Unknown"]


@EACH
def test_status_is_a_subresource_and_tells_what_it_has_seen(definition: dict):
    version = definition["spec"]["versions"][0]

    assert version["subresources"] == {"status": {}}
    assert "observedGeneration" in _schema(definition)["properties"]["status"]["properties"]


@EACH
def test_columns_are_described_and_few(definition: dict):
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]

    assert all(column["description"].endswith(".") for column in columns)
    assert len([column for column in columns if not column.get("priority")]) <= 9
    assert columns[-1]["name"] == "Age"


@EACH
def test_names(definition: dict):
    names = definition["spec"]["names"]

    assert names["categories"] == ["hansa"]
    assert names["shortNames"]
    assert definition["metadata"]["name"] == f"{names['plural']}.hansa.dev"


@EACH
def test_every_rule_says_what_would_be_right(definition: dict):
    nodes = [("", _schema(definition)), *_fields(definition)]
    rules = [rule for _, node in nodes for rule in node.get("x-kubernetes-validations", ())]

    assert rules
    for rule in rules:
        assert len(rule["message"].split()) >= 3, rule
        assert not rule["message"].endswith("."), rule


@EACH
def test_a_filter_names_a_field_that_exists(definition: dict):
    known = {f".{path}" for path, _ in _fields(definition)}
    selectable = definition["spec"]["versions"][0].get("selectableFields", ())

    assert {field["jsonPath"] for field in selectable} <= known
    assert len(selectable) <= 8, "the API server's own limit"
