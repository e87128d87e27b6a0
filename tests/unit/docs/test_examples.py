"""What stands in ``docs/examples`` is valid, names existing places, and tells the documented story."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hansa.api import places
from hansa.api.kinds import KINDS
from hansa.api.meta import API_VERSION

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
MODELS = {kind.name: kind.model for kind in KINDS}
MANIFESTS = {
    f"{path.relative_to(EXAMPLES)}#{index}": document
    for path in sorted(EXAMPLES.rglob("*.yaml"))
    for index, document in enumerate(yaml.safe_load_all(path.read_text(encoding="utf-8")))
}


def residencies(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"allow", "deny"}:
                yield from inner
            yield from residencies(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from residencies(inner)


@pytest.mark.parametrize("name", MANIFESTS)
def test_example_is_a_valid_resource(name):
    manifest = MANIFESTS[name]
    assert manifest["apiVersion"] == API_VERSION
    body = {key: manifest[key] for key in ("spec",) if key in manifest}
    MODELS[manifest["kind"]].model_validate(body)


@pytest.mark.parametrize("name", MANIFESTS)
def test_example_names_places_that_exist(name):
    unknown = [place for place in residencies(MANIFESTS[name]) if not places.is_known(place)]
    assert not unknown


def test_node_and_policy_of_each_member_agree():
    for node in EXAMPLES.glob("league/node-*.yaml"):
        policy = node.with_name(node.name.replace("node-", "policy-"))
        league = yaml.safe_load(node.read_text(encoding="utf-8"))["spec"]
        law = yaml.safe_load(policy.read_text(encoding="utf-8"))["spec"]
        assert (league["jurisdiction"], league["legalControl"]) == (
            law["jurisdiction"],
            law["legalControl"],
        )
