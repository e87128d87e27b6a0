"""Manifests as people have them: YAML in which no field stands twice, and Lists as kubectl prints them.

YAML's own readers take the last of two equal fields in silence: of two ``residency`` the wider one may be it.
"""

from __future__ import annotations

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


def read_documents(text: str | bytes | IO[str]) -> list[Any]:
    """Return the objects of a manifest, those of a List each; raises ``yaml.YAMLError`` or ``ValueError``."""
    try:
        return [*_unpacked(yaml.load_all(text, Loader=_Strict))]  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


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
