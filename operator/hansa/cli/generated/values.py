"""Fills in what the charts take from the code: ``settings`` of ``values.schema.json``, and the version.

``python -m hansa.cli.generated.values --write helm``. The rest of those files is written by hand. It lives in
the topmost layer, because it must see the settings of every process; a test regenerates and compares.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings

import hansa
from hansa.cli.generated.processes import PROCESSES

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
    """Return each chart's schema file and ``Chart.yaml`` as they should be."""
    out: dict[Path, str] = {}
    for _, model, chart, way in PROCESSES:
        path = folder / chart / "values.schema.json"
        document = json.loads(out.get(path) or path.read_text(encoding="utf-8"))
        place = document
        for name in way[:-1]:
            place = place["properties"][name]
        place["properties"][way[-1]] = settings_schema(model)
        out[path] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    for path in sorted(folder.glob("*/Chart.yaml")):
        out[path] = _versioned(path.read_text(encoding="utf-8"))
    return out


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
