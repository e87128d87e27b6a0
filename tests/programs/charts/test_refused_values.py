"""Values that a chart cannot mean are refused by name: what is emptied by null, and what no cluster takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.programs.conftest import ROOT, HelmRefusedError, Render

EMPTIED = {
    "hansa-hub": ("admission", "image", "join", "ledger", "monitoring", "networkPolicy", "replicas", "settings"),
    "hansa-member": (
        *("admission", "exporter", "global", "guard", "image", "join", "kuberay", "monitoring", "networkPolicy"),
        *("proxy", "replicas", "resolver", "settings"),
        *("kuberay.namespace", "kuberay.serviceAccount", "networkPolicy.enabled", "image.repository"),
        *("resolver.image", "guard.replicas", "exporter.enabled"),
    ),
}  # fmt: skip
ROWS = [(chart, name) for chart, names in EMPTIED.items() for name in names]


def changed(name: str, value: Any) -> dict[str, Any]:
    """Return values with one of them, by its path, as it is given."""
    first, _, rest = name.partition(".")
    return {first: changed(rest, value) if rest else value}


@pytest.mark.parametrize(("chart", "name"), ROWS)
def test_what_a_chart_needs_cannot_be_taken_out(render: Render, chart: str, name: str):
    with pytest.raises(HelmRefusedError, match=rf"missing property '{name.rpartition('.')[2]}'"):
        render(chart, **{"node": "n"} if chart == "hansa-member" else {}, **changed(name, None))


def emptied(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of what ``values.yaml`` gives as empty."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from emptied(value, f"{path}{name}.")
        elif value in ([], {}, ""):
            yield f"{path}{name}"


EMPTY = [
    (chart, path)
    for chart in EMPTIED
    for path in emptied(yaml.safe_load((ROOT / "helm" / chart / "values.yaml").read_text()))
]


@pytest.mark.parametrize(("chart", "path"), EMPTY)
def test_what_is_empty_may_be_null_as_well_or_is_asked_for(render: Render, chart: str, path: str):
    node = {"node": "n"} if chart == "hansa-member" and path != "node" else {}

    def rendered(**changes: Any) -> list[dict[str, Any]]:
        """Return all but the hub's key, which is another each time."""
        return [one for one in render(chart, **node, **changes) if one["kind"] != "Secret"]

    try:
        found = rendered(**changed(path, None))
    except HelmRefusedError as refused:
        assert re.search(rf"missing property '{path.rpartition('.')[2]}'|{path}: ", str(refused))  # noqa: PT017  # or it is rendered
    else:
        assert found == rendered()


MEANT = {
    "the user of pods": ("podSecurityContext", {"runAsUser": None, "runAsGroup": None}),
    "all of it": ("podSecurityContext", None),
    "a reservation": ("resources", None),
    "nothing to tell apart": ("nodeSelector", None),
    "a variable with a number in quotes": ("extraEnv", [{"name": "A", "value": "1"}]),
    "a registry with a port and a path": ("global.imageRegistry", "registry.example:5000/team"),
    "a resolver": ("settings.runs", {"dns": [{"cidr": "10.0.0.10/32"}]}),
}


@pytest.mark.parametrize("case", MEANT)
def test_what_can_be_taken_out_or_changed_still_can(render: Render, case: str):
    assert render("hansa-member", node="n", **changed(*MEANT[case]))


WRONG = {
    "a registry with a scheme": ("global.imageRegistry", "https://registry.example"),
    "an image with a scheme": ("image.repository", "https://registry.example/hansa"),
    "a variable with a number": ("extraEnv", [{"name": "A", "value": 1}]),
    "a variable without a value": ("extraEnv", [{"name": "A", "valeu": "1"}]),
    "an address for a network": ("settings.runs", {"dns": [{"cidr": "10.0.0.10"}]}),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_cluster_takes_is_refused_by_name(render: Render, case: str):
    name, value = WRONG[case]
    where = json.dumps(f"/{name.replace('.', '/')}").strip('"')
    with pytest.raises(HelmRefusedError, match=where):
        render("hansa-member", node="n", **changed(name, value))
