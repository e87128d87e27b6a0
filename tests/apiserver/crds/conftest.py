"""An API server with the definitions, for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from tests.apiserver.crds.api_kit import CHANGES, NAMESPACE, Api

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    wait_established(control_plane)
    connection = Api(control_plane)
    for namespace in (NAMESPACE, CHANGES):
        # Nobody empties namespaces here, so they stay for the file that comes after.
        code, said = connection.call(
            "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}
        )
        assert code in {201, 409}, said
    yield connection
    connection.close()
