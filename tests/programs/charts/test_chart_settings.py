"""Every setting of every process can be given as a chart's value, and arrives as its variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hansa.cli.generated import values
from hansa.cli.generated.reference import settings_page
from hansa.cli.processes import PROCESSES
from hansa.member.settings import MemberSettings
from tests.programs.charts.pod_specs import pod_specs
from tests.programs.conftest import ROOT, Render


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


MEMBERS = sorted((ROOT / "helm/hansa-member/ci").glob("*.yaml"))


@pytest.mark.parametrize("path", MEMBERS, ids=lambda path: path.stem)
def test_the_exporter_goes_wherever_runs_go(
    render: Render, monkeypatch: pytest.MonkeyPatch, path: Path
):
    specs = dict(pod_specs(render("hansa-member", path)))
    for row in specs["hansa-member"]["containers"][0]["env"]:
        if "value" in row and row["name"].startswith("HANSA_MEMBER_"):
            monkeypatch.setenv(row["name"], row["value"])
    rules, exporter = MemberSettings().machine_rules(), specs["hansa-exporter"]

    wanted = [one.manifest() for one in rules.tolerations]
    wanted += yaml.safe_load(path.read_text()).get("exporter", {}).get("tolerations", [])
    assert [one for one in wanted if one not in exporter["tolerations"]] == []
    # Runs keep off Windows by their affinity, which a selector cannot say.
    chosen = {"kubernetes.io/os": "linux", **dict(rules.node_selector)}
    assert exporter.get("nodeSelector", {}).items() <= chosen.items()
