"""Manifests as people have them: YAML in which no field stands twice, and Lists as kubectl prints them.

YAML's own readers take the last of two equal fields in silence: of two ``residency`` the wider one may be it. And they
make a number of 12:30:00 and a date of 2026-12-01, which every reader of Kubernetes leaves as text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from hansa.errors import Terminal
from hansa.ports import Manifest

STDIN = "-"
OF_THE_SERVER = (
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
)
"""Metadata that an API server adds, and refuses or ignores in what is sent."""


class _Strict(yaml.SafeLoader):
    """Refuses a field that stands twice in one place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            said = (str(key.tag), str(key.value))
            if isinstance(key, yaml.ScalarNode) and said in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} stands here twice", key.start_mark
                )
            seen.add(said)
        return super().construct_mapping(node, deep=deep)


_TAG = "tag:yaml.org,2002:"
_NUMBERS = {
    "int": re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$"),
    "float": re.compile(
        r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|\.(inf|Inf|INF))$"
        r"|\.(nan|NaN|NAN)$"
    ),
}
"""Numbers of YAML 1.1 but for those to the base 60."""
_Strict.yaml_implicit_resolvers = {
    first: [row for row in rows if row[0].removeprefix(_TAG) not in {*_NUMBERS, "timestamp"}]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _form in _NUMBERS.items():
    _Strict.add_implicit_resolver(f"{_TAG}{_name}", _form, list("-+0123456789."))


def read_documents(text: str | bytes | IO[str]) -> list[Any]:
    """Return the objects of a manifest, those of a List each; raises ``yaml.YAMLError`` or ``ValueError``."""
    held = text if isinstance(text, str | bytes) else text.read()
    try:
        return [*_unpacked(_json(held) or yaml.load_all(held, Loader=_Strict))]  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _json(text: str | bytes) -> list[Any]:
    """Return the object that a text is in JSON, which tabs may indent, as in no YAML; none: it is none."""
    try:
        return [json.loads(text, object_pairs_hook=_once)] if text[:1] in {"{", b"{"} else []
    except json.JSONDecodeError:
        return []


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise yaml.constructor.ConstructorError(None, None, f"{twice} stands here twice", None)
    return found


def read_file(name: str) -> list[Any]:
    """Return the objects of a file, or of standard input; raises ``Terminal`` where it cannot be read."""
    try:
        return read_documents(sys.stdin.read() if name == STDIN else Path(name).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Terminal(f"cannot read {name}: {error}") from error


def read_one(text: str | bytes | IO[str]) -> Any:
    """Return the one object of a manifest; raises ``ValueError`` where there are several, or none."""
    found = read_documents(text)
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} objects; give one")
    return found[0]


def _unpacked(documents: Any) -> Iterator[Any]:
    for document in documents:
        is_list = isinstance(document, dict) and str(document.get("kind", "")).endswith("List")
        if is_list and isinstance(document.get("items"), list):
            yield from _unpacked(document["items"])
        elif document is not None:
            yield document


def as_sent(document: Manifest) -> Manifest:
    """Return a manifest without what a server adds: what ``kubectl get -o yaml`` prints can be sent again."""
    meta = {
        name: value for name, value in document["metadata"].items() if name not in OF_THE_SERVER
    }
    return {name: value for name, value in document.items() if name != "status"} | {
        "metadata": meta
    }
