"""What the charts' templates read is what their values have: a switch nobody has is off for ever."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

HELM = Path(__file__).parents[3] / "helm"
CHARTS = ("hansa-hub", "hansa-member")
READ = re.compile(r"\.Values\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)")

OPENS = re.compile(r"\{\{-?\s*(if|with|range|define|block|end)\b")


def templates(chart: str) -> Iterator[Path]:
    return (path for path in (HELM / chart / "templates").rglob("*") if path.is_file())


def has(values: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _settings(chart: str) -> dict[str, Any]:
    """Return the settings there are: values.yaml leaves them out, the schema has them all."""
    schema = json.loads((HELM / chart / "values.schema.json").read_text(encoding="utf-8"))
    return dict(schema["properties"]["settings"]["properties"])


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_that_a_template_reads_is_there(chart):
    values = yaml.safe_load((HELM / chart / "values.yaml").read_text(encoding="utf-8"))
    values["settings"] = _settings(chart)
    read = {(p.name, m) for p in templates(chart) for m in READ.findall(p.read_text("utf-8"))}
    assert len(read) >= 30
    assert [one for one in sorted(read) if not has(values, one[1])] == []


def test_no_fence_of_the_member_can_be_switched_off():
    """Its policies stand in no condition: whoever installs the chart has them all."""
    for path in templates("hansa-member"):
        opened: list[str] = []
        for line in path.read_text("utf-8").splitlines():
            for word in OPENS.findall(line):
                opened = opened[:-1] if word == "end" else [*opened, word]
            is_policy = "kind: ValidatingAdmissionPolicy" in line
            assert not is_policy or not {"if", "with"} & set(opened), path.name
        assert opened == []
