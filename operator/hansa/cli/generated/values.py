"""Fills in what the charts take from the code: ``settings`` of ``values.schema.json``, names, the version.

And which values cannot be taken out by null, by what ``values.yaml`` gives: templates would write ``<no value>``.

``python -m hansa.cli.generated.values --write helm``. The rest of those files is written by hand; the names of
the second lock's policies are a file of their own. It lives in the topmost layer, because it must see the
settings of every process; a test regenerates and compares.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings

import hansa
from hansa.cli.processes import PROCESSES
from hansa.reconcile.member import canaries

LOCK_POLICIES = Path("hansa-member/files/lock-policies.yaml")
SET_BY_CHART = frozenset(
    {
        "cluster.kubeconfig",
        "cluster.context",
        "cluster.namespace",
        "leadership.identity",
        "leadership.pools",
        "grants.keyFile",
        "nodes.joinServiceAccount",
        "database.url",
        "log.policy",
        "witness.mlDsaKeyFile",
        "serving.healthPort",
        "serving.bind",
        "identity.secret",
        "identity.kubeconfig",
        "node",
        "namespace",
        "machine",
        "kubeconfig",
        "port",
        "bind",
    }
)
"""Settings that follow from other values, or from where the pod runs."""
LEFT = frozenset({"settings", "resources"})
"""Values whose parts may be missing."""


def settings_schema(model: type[BaseSettings]) -> dict[str, Any]:
    """Return the JSON schema of a process's settings, camelCase and closed."""
    document = model.model_json_schema()
    return _closed(document, document.get("$defs", {}), "")


def _closed(node: dict[str, Any], definitions: dict[str, Any], path: str) -> dict[str, Any]:
    if "$ref" in node:
        node = {**definitions[node["$ref"].removeprefix("#/$defs/")], "default": None}
    if "$ref" in node.get("items", {}):
        node = {**node, "items": {**_closed(node["items"], definitions, path)}}
    if "properties" not in node:
        return {key: value for key, value in node.items() if key != "title"}
    properties = {}
    for name, child in node["properties"].items():
        here = f"{path}.{to_camel(name)}".removeprefix(".")
        if here not in SET_BY_CHART:
            inner = _closed(child, definitions, here)
            if inner.get("properties") != {}:
                properties[to_camel(name)] = inner
    description = {"description": node["description"]} if "description" in node else {}
    return {
        "type": "object",
        **description,
        "additionalProperties": False,
        "properties": properties,
    }


def files(folder: Path) -> dict[Path, str]:
    """Return each chart's schema file and ``Chart.yaml`` as they should be, and the lock's policies."""
    out: dict[Path, str] = {folder / LOCK_POLICIES: _lock_policies()}
    for process in PROCESSES:
        path = folder / process.chart / "values.schema.json"
        document = json.loads(out.get(path) or path.read_text(encoding="utf-8"))
        place = document
        for name in process.values[:-1]:
            place = place["properties"][name]
        place["properties"][process.values[-1]] = settings_schema(process.settings)
        given = yaml.safe_load(path.with_name("values.yaml").read_text(encoding="utf-8"))
        out[path] = _json(_with_required(document, given))
    for path in sorted(folder.glob("*/Chart.yaml")):
        out[path] = _versioned(path.read_text(encoding="utf-8"))
    return out


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _with_required(schema: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which groups, and values whose default is something, cannot be taken out.

    Not of ``settings``, whose defaults the program has, nor of resources, which may be left to the cluster.
    """
    children = {
        name: _with_required(child, given[name] or {})
        if _is_group(child) and name not in LEFT
        else child
        for name, child in schema["properties"].items()
    }
    needed = [
        name
        for name, child in children.items()
        if name in given and name != "resources" and (_is_group(child) or _is_told(given[name]))
    ]
    return {**schema, **({"required": needed} if needed else {}), "properties": children}


def _is_group(schema: Mapping[str, Any]) -> bool:
    return "properties" in schema


def _is_told(value: object) -> bool:
    return bool(value) and not isinstance(value, dict | list)


def _lock_policies() -> str:
    """Name what the agent looks at: the chart lets it read these, and makes no others."""
    names = "".join(f"- {name}\n" for name in canaries.POLICIES)
    return f"# Policies of the second lock. Generated by hansa/cli/generated/values.py; do not edit.\n{names}"


def _versioned(chart: str) -> str:
    """Chart and program are released together: one version for both."""
    return re.sub(r"(?m)^(version|appVersion): .*$", rf"\1: {hansa.__version__}", chart)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files below ``--write DIR``."""
    parser = argparse.ArgumentParser(description="Fill the charts from the code.")
    parser.add_argument("--write", type=Path, metavar="DIR", required=True, help="the helm folder")
    for path, text in files(parser.parse_args(arguments).write).items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
