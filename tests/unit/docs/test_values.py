"""Every value of a chart that the documentation names is one: what the charts do not know they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CHARTS = [json.loads(path.read_text()) for path in sorted(ROOT.glob("helm/*/values.schema.json"))]
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "_build" not in path.parts and "adr" not in path.parts and path.name != "resources.md"
}
PATH = r"([a-z][A-Za-z]*(?:\.[A-Za-z]+)*)"
NAMED = re.compile(rf"\bvalues?\s+`{PATH}[:`]|--set(?:-\w+)?[ =]'?{PATH}=")
DOTTED = re.compile(r"`([a-z][A-Za-z]*(?:\.[A-Za-z]+)+)[:`]")


def roots() -> list[Any]:
    """Return where a path may begin: at the values, or at a process's settings."""
    values = [chart["properties"] for chart in CHARTS]
    return [*values, *(one["settings"]["properties"] for one in values)]


def exists(path: str, known: Any) -> bool:
    """Tell whether a path leads to something that a chart takes."""
    first, _, rest = path.partition(".")
    if first not in known:
        return False
    child = known[first]
    child = child.get("items", child)
    if not rest:
        return True
    # An object of free keys, such as labels.
    return "properties" not in child or exists(rest, child["properties"])


def unknown(text: str) -> list[str]:
    """Return what a text calls a chart's value, and no chart takes."""
    tops = {name for known in roots() for name in known}
    named = [one or other for one, other in NAMED.findall(text)]
    named += [path for path in DOTTED.findall(text) if path.partition(".")[0] in tops]
    return [path for path in named if not any(exists(path, known) for known in roots())]


@pytest.mark.parametrize("name", TEXTS)
def test_values_that_a_page_names_exist(name):
    assert unknown(TEXTS[name]) == []


def test_what_counts_as_a_value():
    text = "the chart's value\n`policy`, `runs.labels`, `runs.lables: x`, --set image.digest=x --set node.x=1"
    assert unknown(text) == ["policy", "runs.lables"]


@pytest.mark.parametrize("name", TEXTS)
def test_an_upgrade_takes_the_new_charts_defaults(name: str):
    """``--reuse-values`` leaves them out, and a chart is refused that has no value which it cannot do without."""
    assert not re.search(r"helm upgrade[^`]*--reuse-values", TEXTS[name])
