"""An API server with the definitions, for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from e2e.testbed.cluster.readiness import wait_established
from hansa.api.kinds import KINDS
from tests.apiserver.crds.api_kit import CHANGES, NAMESPACE, Api, collection_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "crds")
    wait_established(control_plane)
    for namespace in (NAMESPACE, CHANGES):
        control_plane.kubectl("create", "namespace", namespace)
    connection = Api(control_plane)
    yield connection
    for kind in KINDS:
        connection.call("DELETE", collection_of(kind))
    control_plane.kubectl("delete", "namespace", NAMESPACE, CHANGES, "--wait=false")
    connection.close()
