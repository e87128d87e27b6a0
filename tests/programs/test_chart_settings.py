"""Every setting of every process can be given as a chart's value, and arrives as its variable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hansa.cli.generated import values
from hansa.cli.generated.processes import PROCESSES
from hansa.cli.generated.reference import settings_page
from tests.programs.conftest import Render
from tests.programs.pod_specs import pod_specs


def _leaves(schema: dict, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    for name, child in schema.get("properties", {}).items():
        if "properties" in child:
            yield from _leaves(child, (*way, name))
        else:
            yield (*way, name), child


TARGETS = {
    ".".join((one.chart, *one.values)): (one.chart, one.values, one.settings) for one in PROCESSES
}


@pytest.mark.parametrize(("chart", "way", "model"), TARGETS.values(), ids=TARGETS)
def test_every_setting_becomes_its_variable(render: Render, chart: str, way: tuple, model: Any):
    leaves = list(_leaves(values.settings_schema(model)))
    settings: dict[str, Any] = {}
    for names, schema in leaves:
        here = settings
        for name in names[:-1]:
            here = here.setdefault(name, {})
        here[names[-1]] = schema.get("default")
    changes: dict[str, Any] = {"node": "a"} if chart == "hansa-member" else {}
    inner = changes
    for name in way[:-1]:
        inner = inner.setdefault(name, {})
    inner[way[-1]] = settings
    known = settings_page()

    containers = [spec["containers"][0] for _, spec in pod_specs(render(chart, None, **changes))]
    prefix = model.model_config["env_prefix"]
    found = {
        env["name"]: env.get("value")
        for box in containers
        for env in box.get("env", ())
        if "name" in env
    }
    found = {name: value for name, value in found.items() if name.startswith(prefix)}

    assert len(found) >= len(leaves)
    assert [name for name in found if f"`{name}`" not in known] == []
    assert "e+" not in " ".join(filter(None, found.values())), "numbers are written out"
