"""A spec is read long before its digest is asked for: what could be read has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hansa.api.aijob import AIJobSpec
from hansa.reconcile.hub.job_view import parse_spec
from tests.unit.reconcile.hub.hub_objects import job_manifest

LARGEST = 2**53 - 1
"""JSON has one spelling of whole numbers up to here (RFC 8785)."""


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for child in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(child, dict | list):
            yield from _nodes(child)


def test_a_job_has_no_number_without_a_canonical_spelling():
    nodes = [*_nodes(AIJobSpec.model_json_schema())]
    numbers = [node for node in nodes if node.get("type") in {"integer", "number"}]

    assert len(numbers) > 10
    assert {node["type"] for node in numbers} == {"integer"}
    assert all(-LARGEST <= node["minimum"] <= node["maximum"] <= LARGEST for node in numbers)
    assert [node for node in nodes if node.get("additionalProperties")] == []


@pytest.mark.parametrize("number", [LARGEST + 2, 2**63, 2**70])
@pytest.mark.parametrize("place", ["priority", "maxRuntimeSeconds", "somethingElse"])
def test_a_number_beyond_is_told_by_its_field(place: str, number: int):
    parsed = parse_spec(job_manifest(**{place: number})["spec"])

    assert (parsed.spec, parsed.digest) == (None, "")
    assert place in parsed.fault
