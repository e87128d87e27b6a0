"""What the charts accept as values is the processes' own settings, each with its explanation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hansa.cli.generated import values
from hansa.reconcile.member import canaries

ROOT = Path(__file__).parents[2]
CHARTS = ("hansa-hub", "hansa-member")


def test_the_charts_hold_the_settings_and_the_version_as_they_are():
    for path, text in values.files(ROOT / "helm").items():
        assert path.read_text() == text, "run: python -m hansa.cli.generated.values --write helm"


def test_the_page_on_sovereignty_has_a_row_for_every_policy_of_the_lock():
    page = (ROOT / "docs" / "explanation" / "sovereignty.md").read_text()
    rows = re.findall(r"(?m)^\| `(hansa-[a-z-]+)` \|", page)
    assert sorted(rows) == sorted(canaries.POLICIES)


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_in_the_schema_and_explained(chart: str):
    schema = json.loads((ROOT / "helm" / chart / "values.schema.json").read_text())
    given = yaml.safe_load((ROOT / "helm" / chart / "values.yaml").read_text())

    assert set(given) == set(schema["properties"])
    assert all("description" in child for child in _leaves(schema))


def _leaves(schema: dict) -> Iterator[dict]:
    for child in schema.get("properties", {}).values():
        if "properties" in child:
            yield from _leaves(child)
        else:
            yield child
