"""The chart linter's offline schemas are the API server's own, and they do find mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import charts
from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane

pytestmark = pytest.mark.apiserver

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: x}
spec: {%s}
"""
MISTAKES = {
    "a wrong type": "ports: [{port: eighty}]",
    "an unknown field": "port: [{port: 80}]",
}


def test_the_stored_schemas_are_the_servers(control_plane: ControlPlane):
    stored = (charts.SCHEMAS / charts.DEFINITIONS).read_text()

    assert stored == charts.definitions_text(control_plane), "run: python -m e2e.charts --refresh"


@pytest.mark.parametrize("spec", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found(binaries: Binaries, tmp_path: Path, spec: str):
    charts.write_schemas(tmp_path)

    assert charts._conforms(binaries, SERVICE % "ports: [{port: 80}]", schemas=tmp_path, title="x")
    assert not charts._conforms(binaries, SERVICE % spec, schemas=tmp_path, title="x")


def test_a_kind_without_schema_is_a_failure(binaries: Binaries, tmp_path: Path):
    charts.write_schemas(tmp_path)
    unknown = "apiVersion: example.org/v1\nkind: Unknown\nmetadata: {name: x}\n"

    assert not charts._conforms(binaries, unknown, schemas=tmp_path, title="x")
